"""The life of a baseline, walked from end to end with a suite of one's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import pytest

Model: TypeAlias = "Callable[[], object]"
"""Puts a model where the suite's options say that it is."""


Run: TypeAlias = "Callable[..., pytest.RunResult]"
"""Runs pytest with these words, such as ``pytester.runpytest_subprocess``."""


@dataclass(frozen=True)
class Step:
    """One step of the walk: its name, how pytest ended, and all that it printed."""

    name: str
    status: int
    text: str


@dataclass(frozen=True)
class Models:
    """The models that a walk needs, each put in its place by a call without arguments.

    ``sound`` is a quantized model that every gate keeps, ``slightly_worse`` one that
    min_retention keeps and no_regression loses, measured by ``sound``, and ``broken`` one
    that min_retention loses. ``retrained`` changes the full-precision model, so that its
    baseline is no longer right.
    """

    sound: Model
    slightly_worse: Model
    broken: Model
    retrained: Model


def walk(
    run: Run, models: Models, *, gate: tuple[str, ...], record: tuple[str, ...] = ()
) -> list[Step]:
    """Walks a suite through absent, recorded, present, pass, fail, accepted, regression, updated.

    ``run`` is best ``pytester.runpytest_subprocess``, for engines can rarely be imported twice.
    ``gate`` are the options of a run that gates (``--quant-scheme=...`` and more),
    ``record`` further ones of a run that records. The suite needs both markers,
    ``min_retention`` and ``no_regression``, on at least one test, and an empty store.
    Raises AssertionError, with what pytest printed, at the first step that goes otherwise.
    """
    walker = _Walk(run, gate, record)
    models.sound()
    walker.gate("absent", 1, r"REFUSED \(baseline absent\)")
    walker.record("recorded", "--quant-update", r"\d+ recorded")
    walker.record("present", "--quant-update", r"\d+ present")
    walker.gate("nothing accepted", 1, "was ever accepted")
    walker.gate("accepted", 0, r"accepted .* as number 1", "--quant-accept", "--quant-why=walk")
    walker.gate("pass", 0, "of the first accepted run")
    models.slightly_worse()
    walker.gate("regression", 1, r"LOST [^%]{1,200}% of the last accepted run")
    walker.gate("regression is not accepted", 1, "not accepted", "--quant-accept")
    models.broken()
    walker.gate("fail", 1, r"LOST [^%]{1,200}% of the baseline")
    walker.gate("broken is not accepted", 1, "not accepted", "--quant-accept")
    models.sound()
    walker.gate("pass again", 0, "of the first accepted run")
    models.retrained()
    walker.record("updated", "--quant-update=all", r"retention \d")
    return walker.steps


class _Walk:
    def __init__(self, run: Run, gate: tuple[str, ...], record: tuple[str, ...]) -> None:
        self._run = run
        self._gate = gate
        self._record = record
        self.steps: list[Step] = []

    def gate(self, name: str, status: int, says: str, *more: str) -> None:
        self._step(name, status, says, *self._gate, *more)

    def record(self, name: str, flag: str, says: str) -> None:
        self._step(name, 0, says, flag, *self._record)

    def _step(self, name: str, status: int, says: str, *words: str) -> None:
        result = self._run(*words)
        text = "\n".join([*result.outlines, *result.errlines])
        # The summary is wrapped at the width of the terminal.
        flat = " ".join(text.split())
        shown = f"{name}: pytest {' '.join(words)}\n{text}"
        assert int(result.ret) == status, f"exit status {int(result.ret)}, not {status}: {shown}"
        assert re.search(says, flat), f"nothing like {says!r} was said: {shown}"
        self.steps.append(Step(name, status, text))
