"""--quant-require: exit status 0 only where every gate that it asks for was judged."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Protocol

import pytest

from ..core.printable import printable
from ..core.records.outcome_row import JUDGED, MEASURED, NOT_APPLICABLE, OutcomeRow
from ..core.secret_values import Secrets
from ..gating import Evidence, Timing

PASSING = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
"""The exit statuses that CI takes for green, or for nothing to do."""

_FLAG = "quantreg: --quant-require:"
_NOT_STARTED = f"{_FLAG} no gate was judged: the session ended before its tests were collected"


class Judged(Protocol):
    """What a session found out, and the line that it ends with."""

    last_line: str
    secrets: Secrets

    def lacking(self) -> str:
        """Why it must not end with 0; empty where it may."""


def enforce(config: pytest.Config, session: Judged | None, status: int) -> int:
    """The exit status of a session under --quant-require, whatever hooks made of it.

    Prints why as the last line of all. ``session`` is None where none began.
    """
    why = session.last_line if session is not None else ""
    secrets = session.secrets if session is not None else Secrets()
    if status in PASSING:
        why = session.lacking() if session is not None else _NOT_STARTED
        status = pytest.ExitCode.TESTS_FAILED if why else status
    if why:
        write_line(config, secrets.redact(why), red=True)
    return status


def write_line(config: pytest.Config, line: str, *, red: bool = False) -> None:
    """Prints a line, to standard error where pytest has no terminal reporter."""
    line = printable(line)
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if terminal is not None:
        terminal.write_line(line, red=red)
    else:
        print(line, file=sys.stderr)


def unjudged(test: str, evidence: Evidence, outcomes: Sequence[OutcomeRow]) -> list[str]:
    """One text per call of ``test`` whose measurement no gate judged, none where all were.

    A loss that an xfail excused counts as not judged.
    """
    return [
        f"{test} measured {subject}, {_why(bearing)}"
        for subject, bearing in _calls(evidence, outcomes)
        if not any(outcome.result in JUDGED and not outcome.excused for outcome in bearing)
    ]


def _calls(
    evidence: Evidence, outcomes: Sequence[OutcomeRow]
) -> Iterator[tuple[str, list[OutcomeRow]]]:
    """What each call measured, and the outcomes that bear on it.

    Of a group that no gate judges as a whole each task counts, where any is judged.
    """
    for measurement in evidence.measured:
        whole = _of_task(measurement.task, evidence, outcomes)
        parts = [(part.task, _of_task(part.task, evidence, outcomes)) for part in measurement.parts]
        of_parts = not _judges(whole) and any(_judges(bearing) for _, bearing in parts)
        yield from parts if of_parts else [(measurement.task, whole)]
    for timing in evidence.timed:
        yield "speed", _of_timing(timing, outcomes)


def _judges(bearing: Sequence[OutcomeRow]) -> bool:
    return any(outcome.result in JUDGED for outcome in bearing)


def _of_task(task: str, evidence: Evidence, outcomes: Sequence[OutcomeRow]) -> list[OutcomeRow]:
    scores = [outcome for outcome in outcomes if outcome.speed is None]
    task_outcomes = [outcome for outcome in scores if outcome.task == task]
    # What is judged in no task or group that was measured is judged in the pool of all of them,
    # as is what is no task's own.
    names = {None, *evidence.tasks}
    if any(
        outcome.result == MEASURED and outcome.part_of not in names for outcome in task_outcomes
    ):
        task_outcomes += [outcome for outcome in scores if outcome.task not in evidence.tasks]
    return task_outcomes


def _of_timing(timing: Timing, outcomes: Sequence[OutcomeRow]) -> list[OutcomeRow]:
    subjects = {"", *(workload.label for workload in timing.workloads)}
    return [
        outcome
        for outcome in outcomes
        if outcome.speed is not None and outcome.speed.subject in subjects
    ]


def _why(bearing: Sequence[OutcomeRow]) -> str:
    if any(outcome.excused for outcome in bearing):
        return "and an xfail excused its failed gate"
    if any(outcome.result == NOT_APPLICABLE and outcome.speed is not None for outcome in bearing):
        return "and no threshold is for this accelerator"
    return "and no gate judged it"
