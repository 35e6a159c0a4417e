"""What makes two evaluations doubtful as a pair: one model twice, changed sides, shared answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from ...core.codes import CommandCode, GateCode
from ...core.comparison.generated_answers import same_answers
from ...core.comparison.suspicion import judged_as_rerun, same_likelihoods
from ...core.errors import Refusal, WrongUse
from ...core.facts import Fact, Problem, Scheme
from ...core.records.evaluation import Evaluation, Result
from ...core.records.run import UNVERIFIED
from ...core.redact_settings import same_settings
from ...core.schemes.names import resolve

LOADS_WEIGHTS = frozenset({"lm-eval-hf", "lm-eval-vllm", "lm-eval-sglang"})
"""Engines whose model name says which weights ran; behind a server it may be any word."""


@dataclass(frozen=True)
class PairSuspicion:
    """Why two results are no two measurements; ``may_be_rerun``: --allow-rerun excuses it."""

    problem: Problem
    may_be_rerun: bool = False


def refuse_swapped(baseline: Evaluation, candidate: Evaluation) -> None:
    """Refuses to judge full precision by what was quantized: any loss would be a gain."""
    if _is_quantized(baseline) is True and _is_quantized(candidate) is False:
        raise Refusal(
            CommandCode.SIDES_SWAPPED,
            candidate=candidate.label,
            candidate_scheme=Scheme(str(candidate.scheme)),
            baseline=baseline.label,
            baseline_scheme=Scheme(str(baseline.scheme)),
        )


def nothing_quantized(baseline: Evaluation, candidate: Evaluation) -> PairSuspicion | None:
    """Why no gate may judge: both loaded the same weights. None where that is not known."""
    if (claim := unquantized(baseline, candidate)) is not None:
        return PairSuspicion(claim, may_be_rerun=True)
    if is_rerun(baseline, candidate):
        named = _both_name(baseline, candidate)
        return PairSuspicion(
            Problem(CommandCode.SAME_MODEL_AND_ARGUMENTS, {"cause": named}), may_be_rerun=True
        )
    return None


def unquantized(baseline: Evaluation, candidate: Evaluation) -> Problem | None:
    """Why nothing seems to be quantized though the candidate says so; None if not known."""
    both_name_weights = baseline.weights is not None and candidate.weights is not None
    if (
        not both_name_weights
        or not _claims_quantization(baseline, candidate)
        or not _same_weights(baseline, candidate)
    ):
        return None
    claimed = Scheme(str(candidate.scheme))
    return Problem(
        CommandCode.CLAIM_WITHOUT_QUANTIZATION,
        {"label": candidate.label, "scheme": claimed, "model": candidate.model},
    )


def is_rerun(baseline: Evaluation, candidate: Evaluation) -> bool:
    """Whether both openly are the same model, and nobody claims anything else."""
    return not _claims_quantization(baseline, candidate) and _same_weights(baseline, candidate)


def _same_weights(baseline: Evaluation, candidate: Evaluation) -> bool:
    """A hub id or a folder names the weights; a word of a server does not.

    Of stored runs the digests of the files decide, and what was read back.
    """
    if (stored := _same_files(baseline, candidate)) is not None:
        return stored
    if baseline.places and candidate.places:
        named = not baseline.places.isdisjoint(candidate.places)
    else:  # imported before places were kept: the last part of a path may be anybody's
        named = baseline.model == candidate.model and "/" in candidate.model
    loaded = {baseline.engine, candidate.engine} <= LOADS_WEIGHTS
    unknown = None in (baseline.weights, candidate.weights)
    return named and loaded and (unknown or same_settings(baseline.weights, candidate.weights))


def _same_files(baseline: Evaluation, candidate: Evaluation) -> bool | None:
    """Whether stored runs loaded the same files in the same way; None for other evaluations."""
    for task, ours in baseline.results.items():
        theirs = candidate.results.get(task)
        if theirs is not None and ours.run is not None and theirs.run is not None:
            before, after = ours.run.provenance, theirs.run.provenance
            same = before.model.weights_digest == after.model.weights_digest
            return same and before.effective == after.effective
    return None


def same_model(
    baseline: Evaluation, candidate: Evaluation, *, declared: bool = False
) -> Iterator[Problem]:
    """Tells that both name one model; ``declared``: with --allow-rerun."""
    if declared and _same_weights(baseline, candidate):
        yield judged_as_rerun(_both_name(baseline, candidate))
        return
    engines_named = all(side.engine != "unknown" for side in (baseline, candidate))
    if not engines_named or baseline.model != candidate.model:
        return
    if not same_settings(baseline.weights, candidate.weights):
        return
    if (claim := unquantized(baseline, candidate)) is not None:
        yield claim
    elif candidate.scheme in (None, baseline.scheme):
        yield _both_name(baseline, candidate)


def identical_candidates(sides: Sequence[Evaluation]) -> Iterator[Problem]:
    """Note candidates that gave identical answers: they may be one model under two names."""
    for first, second in combinations(sides, 2):
        alike = tuple(
            task
            for task, result in first.results.items()
            if task in second.results
            and identical_answers(result, second.results[task]) is not None
        )
        if alike:
            names: dict[str, Fact] = {"first": first.label, "second": second.label, "tasks": alike}
            yield Problem(CommandCode.IDENTICAL_CANDIDATES, names)
        elif _same_weights(first, second):
            yield _both_name(first, second)


def _both_name(baseline: Evaluation, candidate: Evaluation) -> Problem:
    return Problem(
        CommandCode.SAME_MODEL_NAMED,
        {"baseline": baseline.label, "candidate": candidate.label, "model": candidate.model},
    )


def find_pair_suspicion(
    baseline: Result, candidate: Result, *, one_model: bool, rerun: bool = False
) -> PairSuspicion | None:
    """Why the two results of one task are no two measurements; None if nothing says so.

    ``one_model``: both name the same model. ``rerun``: openly so, and a rerun may well give
    the same answers, or declared as one.
    """
    task: dict[str, Fact] = {"task": candidate.task}
    if one_model and _stored_once(baseline, candidate):
        return PairSuspicion(Problem(CommandCode.SAME_RUN, task))
    if one_model and _written_once(baseline, candidate):
        return PairSuspicion(Problem(CommandCode.SAME_EVALUATION, task))
    if not rerun and (same := identical_answers(baseline, candidate)) is not None:
        answered = Problem(CommandCode.SAME_WEIGHTS_ANSWERED, {"cause": same})
        return PairSuspicion(answered, may_be_rerun=True)
    shared = baseline.cache is not None and baseline.cache == candidate.cache
    if shared and _scored_alike(baseline, candidate):
        return PairSuspicion(Problem(CommandCode.SHARED_CACHE, task))
    return None


def identical_answers(baseline: Result, candidate: Result) -> Problem | None:
    """Which answers of a task are all the baseline's, where that shows the same weights."""
    before, after = baseline.accuracy, candidate.accuracy
    if before is None or after is None or before.items.digests != after.items.digests:
        return None
    if same_likelihoods(before, after):
        return Problem(CommandCode.SAME_LIKELIHOODS, {"task": candidate.task})
    run = candidate.run
    if run is not None and run.provenance.effective.mode != UNVERIFIED:
        return None  # its weights were read
    texts = same_answers(before, after)
    if texts is None:
        return None
    return Problem(GateCode.ANSWERS_EQUAL, {"answers": texts, "task": candidate.task})


def _scored_alike(baseline: Result, candidate: Result) -> bool:
    before, after = baseline.accuracy, candidate.accuracy
    if before is None or after is None:
        return _figures(baseline) == _figures(candidate)
    same = before.items.digests == after.items.digests
    return same and before.items.scores == after.items.scores


def _stored_once(baseline: Result, candidate: Result) -> bool:
    ours, theirs = baseline.run, candidate.run
    if ours is None or theirs is None or ours.accuracy != theirs.accuracy:
        return False
    return ours.provenance.recorded_at == theirs.provenance.recorded_at


def _written_once(baseline: Result, candidate: Result) -> bool:
    if baseline.date is None or baseline.date != candidate.date:
        return False
    return _figures(baseline) == _figures(candidate)


def _figures(result: Result) -> list[tuple[str, float]]:
    return [(aggregate.metric.name, aggregate.value) for aggregate in result.aggregates]


def _claims_quantization(baseline: Evaluation, candidate: Evaluation) -> bool:
    """Whether the candidate says that it is quantized and the baseline does not."""
    return _is_quantized(candidate) is True and _is_quantized(baseline) is not True


def _is_quantized(side: Evaluation) -> bool | None:
    try:
        return resolve(side.scheme).is_quantized if side.scheme else None
    except WrongUse:  # a scheme of a project's own, or none that was named
        return None
