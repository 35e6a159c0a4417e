"""The summary at the end of a run: one line per model, scheme and task, at 80 columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..core.outcome import (
    JUDGED,
    KEPT,
    LOST,
    MEASURED,
    PRESENT,
    RECORDED,
    REFUSED,
    UNDECIDED,
    Outcome,
)
from .messages import floor_3
from .session import SessionReport, context_line

if TYPE_CHECKING:
    import pytest

_COLOURS = {
    KEPT: "green",
    LOST: "red",
    UNDECIDED: "yellow",
    REFUSED: "red",
    MEASURED: "cyan",
    RECORDED: "green",
    PRESENT: "green",
}
_WORDS = {MEASURED: "not judged"}
_HEAD = ("task", "metric", "base", "quant", "retention", "interval", "n", "lost", "won", "")
_LEFT = 2
"""The first columns are text, the rest figures."""


def write_summary(report: SessionReport, terminal: pytest.TerminalReporter) -> None:
    """Writes one block per model and scheme; nothing when nothing was measured."""
    for (_, scheme), outcomes in report.groups().items():
        _write_group(report, scheme, outcomes, terminal)
    if report.loads:
        loads = [f"{name} {_times(count)}" for name, count in report.loads.items()]
        _write_wrapped(terminal, f"loaded: {', '.join(loads)}")


def _write_group(
    report: SessionReport, scheme: str, outcomes: list[Outcome], terminal: pytest.TerminalReporter
) -> None:
    recording = any(one.result in (RECORDED, PRESENT) for one in outcomes)
    contexts = [one.context for one in outcomes if one.context is not None]
    against = f" against {contexts[0].baseline_scheme}" if contexts else ""
    title = (
        f"quantreg: {scheme} baselines"
        if recording
        else f"quantreg: {scheme}{against}, {_gate_words(report, outcomes)}"
    )
    terminal.write_sep("=", title)
    for line in dict.fromkeys(context_line(context) for context in contexts):
        _write_wrapped(terminal, line)
    _write_table(outcomes, terminal)
    for line in _closing(outcomes):
        _write_wrapped(terminal, line)


def _gate_words(report: SessionReport, outcomes: Sequence[Outcome]) -> str:
    judged = [one for one in outcomes if one.mode and one.confidence]
    gates = dict.fromkeys(f"{one.mode}, {(one.confidence or 0) * 100:g} %" for one in judged)
    return " and ".join(gates) or report.gate_words()


def _write_table(outcomes: Iterable[Outcome], terminal: pytest.TerminalReporter) -> None:
    rows = [(one, _cells(one)) for one in outcomes if one.n is not None]
    if not rows:
        return
    table = [_HEAD, *(cells for _, cells in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(_HEAD))]
    gap = "  " if sum(widths) + 2 * (len(_HEAD) - 1) < terminal._tw.fullwidth else " "
    _narrow(widths, len(gap), terminal._tw.fullwidth)
    terminal.write_line(_line(_HEAD, widths, gap).rstrip())
    for one, cells in rows:
        terminal.write(_line(cells[:-1], widths, gap) + gap)
        terminal.write(cells[-1], **{_COLOURS[one.result]: True, "bold": one.fails})
        terminal.write("\n")


def _cells(one: Outcome) -> tuple[str, ...]:
    word = _WORDS.get(one.result, one.result)
    return (
        one.task or "",
        (one.metric or "").removesuffix(",none"),
        _figure(one.baseline),
        _figure(one.quantized),
        f"{one.retention:.3f}" if one.retention is not None else "-",
        _interval(one),
        f"{one.n:,}" if one.n is not None else "-",
        f"{one.lost:,}" if one.lost is not None else "-",
        f"{one.won:,}" if one.won is not None else "-",
        (word.upper() if one.fails else word) + (" (xfail)" if one.excused else ""),
    )


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def _interval(one: Outcome) -> str:
    if one.low is None:
        return "-"
    return f"{one.low:.3f}-{one.high:.3f}" if one.high is not None else f"{one.low:.3f}-"


def _narrow(widths: list[int], gap: int, fullwidth: int) -> None:
    """Shortens task and metric until the table fits, the wider of the two first."""
    while sum(widths) + gap * (len(widths) - 1) >= fullwidth and max(widths[:_LEFT]) > 8:
        widest = 0 if widths[0] >= widths[1] else 1
        widths[widest] -= 1


def _line(cells: Sequence[str], widths: Sequence[int], gap: str) -> str:
    words = []
    for column, (cell, width) in enumerate(zip(cells, widths, strict=False)):
        short = cell if len(cell) <= width else cell[: width - 1] + "~"
        words.append(short.ljust(width) if column < _LEFT else short.rjust(width))
    return gap.join(words)


def _closing(outcomes: Sequence[Outcome]) -> list[str]:
    """Counts, what green could have missed, what would decide the rest, and notes."""
    counts = Counter(one.result for one in outcomes)
    order = (KEPT, LOST, UNDECIDED, REFUSED, MEASURED, RECORDED, PRESENT)
    words = [f"{counts[word]} {_WORDS.get(word, word)}" for word in order if counts[word]]
    lines = [", ".join(words)]
    green = [one for one in outcomes if one.result in JUDGED and not one.fails]
    seen = [f"{one.task} {floor_3(one.detectable)}" for one in green if one.detectable is not None]
    if seen:
        lines.append(
            "a loss would have turned this red 4 times in 5 at retention: " + ", ".join(seen)
        )
    lines += [f"{one.task}: {one.advice}" for one in outcomes if one.advice]
    lines += [one.headline for one in outcomes if one.result == REFUSED]
    lines += [f"note: {note}" for note in dict.fromkeys(n for one in outcomes for n in one.notes)]
    return list(dict.fromkeys(lines))


def _write_wrapped(terminal: pytest.TerminalReporter, text: str) -> None:
    """Wraps at the terminal's width, later lines indented."""
    width = max(terminal._tw.fullwidth - 1, 40)
    for line in textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False):
        terminal.write_line(line)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
