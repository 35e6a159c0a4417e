"""Answers scored in another process are those scored here, and are told of in the same way."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.engine_slot import EngineSlot
from pytest_quantreg.backends.process import scoring
from pytest_quantreg.backends.process.child import WorkerProcess
from pytest_quantreg.backends.process.remote import RemoteEngine
from pytest_quantreg.backends.quiet import quietly_imported
from pytest_quantreg.backends.transformers import TransformersBackend
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.measure.accuracy.quiet import quiet as muted
from pytest_quantreg.measure.accuracy.quiet import seeded

from ...wording import refused

MODEL = Path(__file__).parents[3] / "examples" / "tiny-llama"
PAIRS = [("the quick", " brown"), ("a", " b"), ("", "fox"), ("1 + 1 =", " 2")]


def request(*arguments: Any) -> Any:
    """A request of lm-eval with nothing but arguments."""
    (instance,) = quietly_imported("lm_eval.api.instance")
    return instance.Instance("loglikelihood", {}, arguments, 0, metadata=("t", 0, 1))


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    """The example model."""
    return ModelSpec(str(MODEL), "tiny-llama", "native", "transformers")


@pytest.fixture(scope="module")
def remote(spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteEngine]:
    """It, loaded in a process of its own for accuracy."""
    cache = tmp_path_factory.mktemp("cache")
    with RemoteEngine.start(spec, cache_dir=cache, timeout=120.0, timed=False) as engine:
        yield engine


@pytest.fixture(scope="module")
def here(spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """It, loaded in this process."""
    engine = TransformersBackend(cache_dir=tmp_path_factory.mktemp("cache")).load(spec)
    yield engine
    engine.close()


def test_log_likelihoods_are_the_same(remote: RemoteEngine, here: Any) -> None:
    """Bit for bit, choices and whole documents alike."""
    pairs = [request(*pair) for pair in PAIRS]
    assert remote.lm(2).loglikelihood(pairs) == here.lm(2).loglikelihood(pairs)
    documents = [request(second * 9) for _, second in PAIRS]
    assert remote.lm(2).loglikelihood_rolling(documents) == here.lm(2).loglikelihood_rolling(
        documents
    )


def test_generated_answers_are_the_same(remote: RemoteEngine, here: Any) -> None:
    """Texts, and which of them reached the limit of new tokens."""
    questions = [
        request(prompt, {"until": ["\n"], "max_gen_toks": limit, "do_sample": False})
        for prompt, limit in (("the quick", 4), ("1 + 1 =", 30))
    ]
    there, ours = remote.lm(2), here.lm(2)
    assert there.generate_until(questions) == ours.generate_until(questions)
    assert there.cut_answers == ours.cut_answers
    assert len(there.cut_answers) == 2


def test_tokens_are_the_same(remote: RemoteEngine, here: Any) -> None:
    """With and without special tokens, and the token before a document."""
    there, ours = remote.lm(1), here.lm(1)
    for special in (None, True, False):
        options = {} if special is None else {"add_special_tokens": special}
        assert there.tok_encode("a fox", **options) == ours.tok_encode("a fox", **options)
    assert there.prefix_token_id == ours.prefix_token_id


@pytest.mark.slow
def test_seeding_here_seeds_there(remote: RemoteEngine) -> None:
    """Sampled answers repeat with the random state of this process, and differ without."""
    sampled = {"until": [], "max_gen_toks": 12, "do_sample": True, "temperature": 1.0}

    def answer(seed: int) -> list[str]:
        state = random.getstate()
        random.seed(seed)
        try:
            return remote.lm(1).generate_until([request("the", sampled)])
        finally:
            random.setstate(state)

    assert answer(1) == answer(1)
    assert len({tuple(answer(seed)) for seed in range(5)}) > 1


def test_progress_and_warnings_are_heard_here(
    remote: RemoteEngine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hidden bars move in this process, and a prompt that was cut is warned of in it."""
    from tqdm.std import tqdm

    moved: list[float] = []
    update = tqdm.update

    def counted(self: Any, n: float | None = 1) -> Any:
        moved.append(n or 0)
        return update(self, n)

    monkeypatch.setattr(tqdm, "update", counted)
    logger = logging.getLogger("lm_eval")
    monkeypatch.setattr(logger, "propagate", True)
    with caplog.at_level(logging.WARNING, logger="lm_eval"):
        remote.lm(4).loglikelihood([request("fox " * 2000, " b"), request("a", " b")])
    assert sum(moved) >= 1
    assert any("Combined length of context" in record.message for record in caplog.records)


def test_cut_prompts_are_counted_in_this_process_too(here: Any) -> None:
    """The warning of a prompt that does not fit reaches who measures."""
    with muted() as overheard:
        here.lm(2).loglikelihood([request("fox " * 2000, " b"), request("a", " b")])
    assert overheard.truncations == 1


def test_too_little_memory_may_go_on_with_less(
    remote: RemoteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a MemoryError, and the process stays to be asked for less."""
    line = b'{"error": {"kind": "out_of_memory", "text": "tried 9 GiB"}}'
    with monkeypatch.context() as patch:
        patch.setattr(WorkerProcess, "exchange", lambda *_: line)
        with pytest.raises(MemoryError, match="tried 9 GiB") as raised:
            remote.lm(8).loglikelihood([request("a", " b")])
    assert remote.is_out_of_memory(raised.value)
    assert not remote.ended
    assert len(remote.lm(1).loglikelihood([request("a", " b")])) == 1


def test_unknown_kinds_are_an_error() -> None:
    """Nothing but what lm-eval asks is answered."""
    with pytest.raises(ValueError, match="unknown kind of request 'close'"):
        scoring.answers(object(), {"kind": "close"}, lambda _: None)


def test_an_engine_that_does_not_know_cut_answers_says_so() -> None:
    """A count from an earlier engine is not left standing."""

    class Blind:
        def generate_until(self, requests: list[Any]) -> list[str]:
            return ["a"] * len(requests)

    command = {"kind": "generate_until", "requests": [["a", {}]], "seed": 1}
    with seeded(python=1, numpy=1, torch=1):
        responses = scoring.answers(Blind(), command, lambda _: None)
    assert responses == {"responses": ["a"], "cut": None}
    lm = scoring.RemoteLM(lambda *_, **__: responses, 1)
    lm.generate_until([request("a", {})])
    assert not hasattr(lm, "cut_answers")


@pytest.mark.slow
def test_the_slot_loads_such_backends_apart(
    spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend with own_process is started, and started again when its process is gone."""
    backend = TransformersBackend(cache_dir=tmp_path)
    monkeypatch.setattr(backend, "own_process", True, raising=False)
    slot = EngineSlot(lambda ready: RemoteEngine.start(ready, cache_dir=tmp_path, timed=False))
    first = slot.acquire(spec, backend, print)
    assert isinstance(first, RemoteEngine)
    assert slot.acquire(spec, backend, print) is first
    first.close()
    assert first.ended
    with refused("has ended") as raised:
        first.lm(1).loglikelihood([request("a", " b")])
    assert raised.value.category is Category.ENGINE
    second = slot.acquire(spec, backend, print)
    assert second is not first
    assert slot.loads["tiny-llama native"] == 2
    slot.close()
