"""The summary at the end of a run: one line per model, scheme and task, at 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..core.printable import printable
from ..core.records.outcome_row import (
    KEPT,
    LOST,
    MEASURED,
    NOT_APPLICABLE,
    PRESENT,
    RECORDED,
    REFUSED,
    UNDECIDED,
    OutcomeRow,
)
from .session_outcomes import SummarySource, context_line
from .speed_table import speed_table, without_repeats
from .summary import closing_lines, contexts, side_measurements, title
from .summary_table import Row, accepted_table, table

if TYPE_CHECKING:
    import pytest

_COLOURS = {
    KEPT: "green",
    LOST: "red",
    UNDECIDED: "yellow",
    REFUSED: "red",
    MEASURED: "cyan",
    NOT_APPLICABLE: "cyan",
    RECORDED: "green",
    PRESENT: "green",
}


def write_summary(report: SummarySource, terminal: pytest.TerminalReporter) -> None:
    """Writes one block per model and scheme; nothing when nothing was measured."""
    for (_, scheme), outcomes in report.groups().items():
        _write_group(scheme, outcomes, terminal)
    for line in report.closing():
        _write_wrapped(terminal, line)


def _write_group(
    scheme: str, every: Sequence[OutcomeRow], terminal: pytest.TerminalReporter
) -> None:
    outcomes = without_repeats(every)
    terminal.write_sep("=", f"quantreg: {title(scheme, outcomes)}")
    for context in contexts(outcomes):
        _write_wrapped(terminal, context_line(context))
    for build in (table, accepted_table, speed_table):
        _write_table(*build(outcomes, terminal._tw.fullwidth), terminal)
    for line in side_measurements(every):
        _write_wrapped(terminal, line)
    for line in dict.fromkeys(closing_lines(outcomes)):
        _write_wrapped(terminal, line)


def _write_table(head: str, rows: Sequence[Row], terminal: pytest.TerminalReporter) -> None:
    if rows:
        terminal.write_line(head)
    for row in rows:
        terminal.write(printable(row.figures))
        bold = row.outcome.fails and not row.outcome.excused
        terminal.write(row.word, **{_COLOURS[row.outcome.result]: True, "bold": bold})
        terminal.write("\n")


def _write_wrapped(terminal: pytest.TerminalReporter, text: str) -> None:
    """Wraps at the terminal's width, later lines indented."""
    width = max(terminal._tw.fullwidth - 1, 40)
    for line in textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False):
        # A line may begin where the text was wrapped.
        terminal.write_line(printable(line))
