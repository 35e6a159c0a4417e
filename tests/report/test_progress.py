"""What reaches a terminal, and what also reaches a log."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_quantreg.core.records.outcome_row import MEASURED, OutcomeRow, SpeedFigures
from pytest_quantreg.core.secret_values import Secrets
from pytest_quantreg.report.progress import TerminalProgress
from pytest_quantreg.report.summary import side_measurements


class Terminal:
    """A terminal reporter that remembers its whole lines."""

    def __init__(self, *, tty: bool) -> None:
        self.tty = tty
        self.lines: list[str] = []

    def isatty(self) -> bool:
        return self.tty

    def ensure_newline(self) -> None:
        pass

    def rewrite(self, line: str, *, erase: bool = False) -> None:
        pass

    def write_line(self, line: str) -> None:
        self.lines.append(line)


def progress(terminal: Terminal | None) -> TerminalProgress:
    """Progress on that terminal, without capturing."""
    plugins = {"terminalreporter": terminal}
    config: Any = SimpleNamespace(pluginmanager=SimpleNamespace(getplugin=plugins.get))
    return TerminalProgress(config, Secrets())


@pytest.mark.parametrize("tty", [True, False])
def test_what_is_announced_stands_in_a_log_too(tty: bool) -> None:
    """What is merely said is for a person who looks on; what costs much is for everybody."""
    terminal = Terminal(tty=tty)
    shown = progress(terminal)
    shown.say("starting")
    shown.announce("12 starts to go")
    said = ["quantreg: starting"] if tty else []
    assert terminal.lines == [*said, "quantreg: 12 starts to go"]


def test_without_a_terminal_reporter_nothing_is_announced() -> None:
    """A worker of xdist has none."""
    progress(None).announce("12 starts to go")


def test_lines_of_one_workload_are_kept_whole() -> None:
    """Two workloads may share a line and each has its own; the same block twice is told once."""

    def outcome(*lines: str) -> OutcomeRow:
        speed = SpeedFigures(subject=lines[0], quantity="speed-up", unit="x", lines=lines)
        return OutcomeRow(MEASURED, False, "w4a16-int4", "", speed=speed)

    first, second = ("batch 1", "  baseline: 32 tok/s"), ("batch 8", "  baseline: 32 tok/s")
    outcomes = [outcome(*first), outcome(*second), outcome(*first)]
    assert side_measurements(outcomes) == [*first, *second]
