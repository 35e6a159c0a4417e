"""Keeps lm-eval and its libraries silent, and random draws fixed, for as long as one needs."""

from __future__ import annotations

import logging
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

import numpy as np

LIBRARIES = ("datasets", "evaluate", "filelock", "fsspec", "huggingface_hub", "transformers")
TRUNCATION = ("Combined length of context", "Left truncation applied")


class CapturedOutput(logging.Handler):
    """Swallows what lm-eval logs and counts the messages that change what is measured."""

    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self.truncations = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Counts a message about a prompt that did not fit the model's context."""
        if record.getMessage().startswith(TRUNCATION):
            self.truncations += 1


@contextmanager
def quiet(tick: Callable[[float], None] | None = None) -> Iterator[CapturedOutput]:
    """No bars, no log lines, no warnings from third parties inside; all as before after it.

    ``tick`` receives the steps by which a hidden bar would have moved.

    Warnings are dropped rather than shown, so that ``-W error`` cannot turn one of
    lm-eval's into a failed measurement.
    """
    captured = CapturedOutput()
    with warnings.catch_warnings(), ExitStack() as stack:
        warnings.simplefilter("ignore")
        # Libraries set up their loggers on import; that has to happen before they are muted.
        for module in ("lm_eval.evaluator_utils", "lm_eval.tasks"):
            import_module(module)

        stack.enter_context(_lm_eval_muted(captured))
        for name in LIBRARIES:
            stack.enter_context(_level(logging.getLogger(name), logging.CRITICAL + 1))
        stack.enter_context(_bars_hidden(tick))
        yield captured


@contextmanager
def _lm_eval_muted(handler: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger("lm_eval")
    propagate = logger.propagate
    logger.propagate = False
    logger.addHandler(handler)
    try:
        with _level(logger, logging.WARNING):
            yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


@contextmanager
def _level(logger: logging.Logger, level: int) -> Iterator[None]:
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _bars_hidden(tick: Callable[[float], None] | None) -> Iterator[None]:
    # Some bars of lm-eval ignore every switch (the rolling log-likelihoods pass
    # disable=False), so the switch has to be turned where all bars are made.
    from tqdm.std import tqdm

    make, update = tqdm.__init__, tqdm.update

    def init_disabled(self: Any, *args: Any, **options: Any) -> None:
        options["disable"] = True
        make(self, *args, **options)

    def update_and_tick(self: Any, n: float | None = 1) -> Any:
        if tick is not None:
            tick(n or 0)
        return update(self, n)

    tqdm.__init__, tqdm.update = init_disabled, update_and_tick
    try:
        yield
    finally:
        tqdm.__init__, tqdm.update = make, update


@contextmanager
def seeded(*, python: int, numpy: int, torch: int) -> Iterator[None]:
    """Seeds the three global generators, and puts their states back afterwards."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    torch_states = _torch_states()
    random.seed(python)
    np.random.seed(numpy)
    if (module := sys.modules.get("torch")) is not None:
        module.manual_seed(torch)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        _restore_torch(torch_states)


def _torch_states() -> tuple[Any, Any] | None:
    module = sys.modules.get("torch")
    if module is None:
        return None
    # Reading the state of a GPU would wake it up; before a model is loaded nothing may.
    gpu = module.cuda.get_rng_state_all() if module.cuda.is_initialized() else None
    return module.get_rng_state(), gpu


def _restore_torch(states: tuple[Any, Any] | None) -> None:
    if states is None:
        return
    module = sys.modules["torch"]
    module.set_rng_state(states[0])
    if states[1] is not None:
        module.cuda.set_rng_state_all(states[1])
