"""Third parties are silent while they work, and the process is as before afterwards."""

from __future__ import annotations

import logging
import math
import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tqdm.std
from lm_eval.utils import env

from pytest_quantreg.measure import Journal, PreparedTask, measure
from pytest_quantreg.measure.accuracy.quiet import quiet, seeded
from pytest_quantreg.measure.accuracy.templates import compiled_once


def test_warnings_of_others_are_no_errors(
    prepared: Callable[..., PreparedTask],
    scripted: Any,
    heard: Any,
    memory: Journal,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Under -W error an engine that warns and draws bars measures in silence."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measured = measure(
            prepared("choose"),
            scripted(),
            n=20,
            batch_size=4,
            fingerprint="model",
            journal=memory,
            progress=heard,
        )
    assert len(measured.items) == 20
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def _state() -> list[Any]:
    loggers = [logging.getLogger(name) for name in ("lm_eval", "datasets", "transformers")]
    draws: Any = np.random.get_state()[1]  # type: ignore[index]
    return [
        tqdm.std.tqdm.__init__,
        tqdm.std.tqdm.update,
        [(logger.level, logger.propagate, logger.handlers[:]) for logger in loggers],
        random.getstate(),
        draws.tolist(),
        dict(vars(env)),
        warnings.filters[:],
    ]


def _fail_inside() -> None:
    with quiet(), compiled_once(), compiled_once(), seeded(python=1, numpy=2, torch=3):
        random.random()
        np.random.rand()
        raise RuntimeError(_state())


def test_everything_is_put_back() -> None:
    """Bars, loggers, random states, filters and templates are as before after a failure."""
    with quiet():
        pass  # the first use imports lm-eval, whose libraries set up their loggers
    # Other tests may have left the generators just as they are inside.
    with seeded(python=5, numpy=6, torch=7):
        before = _state()
        with pytest.raises(RuntimeError) as caught:
            _fail_inside()
        assert _state() == before
        assert all(
            inside != outside for inside, outside in zip(caught.value.args[0], before, strict=True)
        )


def test_cut_prompts_are_overheard() -> None:
    """lm-eval's messages about prompts that do not fit are counted, others are dropped."""
    logger = logging.getLogger("lm_eval.models.huggingface")
    with quiet() as overheard:
        logger.warning("Combined length of context (%d) exceeds", 9)
        logger.warning("Left truncation applied. Original length was 9")
        logger.warning("something else")
        logger.info("Combined length of context is fine")
    assert overheard.truncations == 2


def test_progress_within_a_chunk(
    prepared: Callable[..., PreparedTask],
    scripted: Any,
    heard: Any,
    memory: Journal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bars of lm-eval, though hidden, tell how far a chunk is, with the time left."""
    monkeypatch.setattr("pytest_quantreg.measure.accuracy.chunks.TICK_SECONDS", 0.0)
    monkeypatch.setattr("pytest_quantreg.measure.accuracy.measure.SETTLED_SECONDS", 0.0)
    engine = scripted()
    engine.bars = True
    measure(
        prepared("choose"),
        engine,
        n=100,
        batch_size=4,
        fingerprint="model",
        journal=memory,
        progress=heard,
    )
    done = [done for done, _, _ in heard.updates]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 100)
    assert len(set(done)) == 101
    assert all(total == 100 for _, total, _ in heard.updates)
    assert heard.updates[-1][2] == 0
    assert all(left is None for done, _, left in heard.updates if done < 4)
    assert all(left >= 0 for done, _, left in heard.updates if done >= 4)


def test_no_time_left_from_the_first_seconds(
    prepared: Callable[..., PreparedTask],
    scripted: Any,
    heard: Any,
    memory: Journal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many items are done, a pace is told only once the engine has settled."""
    monkeypatch.setattr("pytest_quantreg.measure.accuracy.chunks.TICK_SECONDS", 0.0)
    monkeypatch.setattr("pytest_quantreg.measure.accuracy.measure.SETTLED_SECONDS", math.inf)
    engine = scripted()
    engine.bars = True
    measure(
        prepared("choose"),
        engine,
        n=100,
        batch_size=4,
        fingerprint="model",
        journal=memory,
        progress=heard,
    )
    assert len(heard.updates) > 100
    assert {left for _, _, left in heard.updates} == {None}


def test_seeds_decide_the_draws() -> None:
    """The same seeds give the same draws of all three generators."""
    import torch

    def draws() -> list[float]:
        with seeded(python=1, numpy=2, torch=3):
            return [random.random(), float(np.random.rand()), float(torch.rand(1))]

    state = torch.get_rng_state()
    assert draws() == draws()
    assert torch.equal(torch.get_rng_state(), state)
