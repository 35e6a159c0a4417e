"""Toys that are each wrong in one way, and which check must notice; run by its neighbour.

Not collected with the suite: `test_conformance_catches` runs it in a process of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.testing import BackendConformance
from pytest_quantreg.testing.shared import Conformance

from . import wrong_backends as wrong
from . import wrong_lms as lms
from .toy import ToyBackend, ToyEngine, ToyLM, write


class Toys(Conformance):
    """The conformance test on a kind of toy."""

    kind: type[ToyBackend] = ToyBackend

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp("models")

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, cache_dir: Path) -> ToyBackend:
        return cls.kind(cache_dir=cache_dir)

    @pytest.fixture(scope="class")
    @classmethod
    def baseline_spec(cls, folder: Path) -> ModelSpec:
        return ModelSpec(str(write(folder / "base", quantized=False)), "toy", "native", "toy")

    @pytest.fixture(scope="class")
    @classmethod
    def quantized_spec(cls, folder: Path) -> ModelSpec:
        return ModelSpec(str(write(folder / "int8", quantized=True)), "toy", "w8a16-int8", "toy")


class TestSound(Toys, BackendConformance):
    """Nothing is wrong with it."""


def with_lm(lm: type[ToyLM]) -> type[ToyBackend]:
    """The toy whose engines score and answer with ``lm``."""
    return with_engine(type("Engine", (ToyEngine,), {"lm_kind": lm}))


def with_engine(engine: type[ToyEngine]) -> type[ToyBackend]:
    """The toy that loads such engines."""
    return type("Backend", (ToyBackend,), {"engine_kind": engine})


@dataclass(frozen=True)
class Mutant:
    """One wrong toy, and the check that must notice it."""

    kind: type[ToyBackend]
    by: str
    can_score: bool = True


class TestMute(Toys, BackendConformance):
    """It cannot score, and says so."""

    kind = with_lm(lms.MuteLM)
    can_score = False


def _lm(kind: type[ToyLM], by: str) -> Mutant:
    return Mutant(with_lm(kind), by)


def _engine(kind: type[ToyEngine], by: str) -> Mutant:
    return Mutant(with_engine(kind), by)


MUTANTS = {
    "Constant": _lm(lms.ConstantLM, "test_choices_differ"),
    "MakesUpEmpty": _lm(lms.ConstantLM, "test_an_empty_continuation"),
    "GreedyByLength": _lm(lms.GreedyByLengthLM, "test_greedy_parts_make_a_greedy_whole"),
    "RollsNothing": _lm(lms.RollsNothingLM, "test_rolling_is_a_log_likelihood"),
    "TellsNoTokens": _lm(lms.TellsNoTokensLM, "test_tokens_are_told"),
    "FailsOnLetters": _lm(lms.FailsOnLettersLM, "test_prompts_of_any_text"),
    "ClaimsQuantized": Mutant(wrong.ClaimsQuantized, "test_effective_scheme_of_the_baseline"),
    "Shouts": Mutant(wrong.Shouts, "test_name"),
    "ArchitectureOfScheme": Mutant(
        wrong.ArchitectureOfScheme, "test_the_quantized_model_belongs_to_the_baseline"
    ),
    "ShortDigest": Mutant(wrong.ShortDigest, "test_identity_is_plain"),
    "HidesTemplate": Mutant(wrong.HidesTemplate, "test_chats_are_rendered"),
    "LoadsAtRandom": Mutant(wrong.LoadsAtRandom, "test_loaded_again"),
    "NamesHost": _engine(wrong.NamesHost, "test_machine"),
    "Zero": _lm(lms.ZeroLM, "test_scores_are_log_probabilities"),
    "Mean": _lm(lms.MeanLM, "test_parts_add_up"),
    "Unnormalised": _lm(lms.UnnormalisedLM, "test_probabilities_add_up"),
    "Deaf": _lm(lms.DeafLM, "test_context_matters"),
    "Order": _lm(lms.OrderLM, "test_order_of_requests"),
    "Swapped": _lm(lms.SwappedLM, "test_parts_add_up"),
    "Padded": _lm(lms.PaddedLM, "test_batch_size"),
    "Noisy": _lm(lms.NoisyLM, "test_the_same_again"),
    "AlwaysGreedy": _lm(lms.AlwaysGreedyLM, "test_one_greedy_continuation_at_most"),
    "NeverGreedy": _lm(lms.NeverGreedyLM, "test_greedy_answers_score_as_greedy"),
    "Ascii": _lm(lms.AsciiLM, "test_any_text"),
    "Nan": _lm(lms.NanLM, "test_a_very_long_prompt"),
    "HalfRolled": _lm(lms.HalfRolledLM, "test_rolling_and_scoring_agree"),
    "Echo": _lm(lms.EchoLM, "test_answers_are_new_text"),
    "DeafToStops": _lm(lms.DeafToStopsLM, "test_stop_texts_end_an_answer"),
    "KeepsStop": _lm(lms.KeepsStopLM, "test_stop_texts_end_an_answer"),
    "Endless": _lm(lms.EndlessLM, "test_the_limit_of_new_tokens"),
    "NeverCut": _lm(lms.NeverCutLM, "test_cut_answers_are_told"),
    "CutTurned": _lm(lms.CutTurnedLM, "test_cut_answers_are_told"),
    "Uncut": _lm(lms.UncutLM, "test_cut_answers_are_told"),
    "Sampled": _lm(lms.SampledLM, "test_greedy_answers_repeat"),
    "PathInIdentity": Mutant(wrong.PathInIdentity, "test_identity_has_no_place_in_it"),
    "DigestOfPath": Mutant(wrong.DigestOfPath, "test_equal_files_are_equal"),
    "DigestOfSize": Mutant(wrong.DigestOfSize, "test_equal_files_are_equal"),
    "DigestOfTime": Mutant(wrong.DigestOfTime, "test_identity_is_the_same_again"),
    "BareError": Mutant(wrong.BareError, "test_an_absent_model_is_refused"),
    "BareSoftware": Mutant(wrong.BareSoftware, "test_a_missing_package_is_told"),
    "NoScorer": Mutant(wrong.NoScorer, "test_software"),
    "MakesAll": Mutant(wrong.MakesAll, "test_an_unknown_scheme_is_not_made"),
    "StoresNothing": Mutant(wrong.StoresNothing, "test_stored_scheme"),
    "PreparesAnew": Mutant(wrong.PreparesAnew, "test_prepare_twice"),
    "ForgetsQuantized": Mutant(wrong.ForgetsQuantized, "test_the_quantized_model_runs_quantized"),
    "AllOutOfMemory": _engine(wrong.AllOutOfMemory, "test_out_of_memory_is_told_apart"),
    "NeverCloses": _engine(wrong.NeverCloses, "test_a_closed_engine_gives_no_answers"),
    "Hoards": _engine(wrong.Hoards, "test_memory_is_freed"),
    "ServesLess": _engine(wrong.ServesLess, "test_every_request_is_served"),
    "ServesAllAtOnce": _engine(wrong.ServesAllAtOnce, "test_in_flight_is_respected"),
    "ServesEarly": _engine(wrong.ServesEarly, "test_arrivals_are_waited_for"),
    "WeighsNothing": _engine(wrong.WeighsNothing, "test_footprint_and_state"),
    "MakesUpScores": Mutant(ToyBackend, "test_what_cannot_be_scored_is_refused", can_score=False),
}


def part_of(test: str) -> type[Conformance]:
    """The part of the conformance test that a check belongs to."""
    (part,) = (base for base in BackendConformance.__bases__ if test in vars(base))
    return part


for _name, _mutant in MUTANTS.items():
    _own = {"kind": _mutant.kind, "can_score": _mutant.can_score}
    globals()[f"Test{_name}"] = type(f"Test{_name}", (Toys, part_of(_mutant.by)), _own)
