"""The table of the summary: outcomes in, lines of equally wide cells out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..core.gates.outcome import NOT_RECORDED
from ..core.gates.selection import NO_REGRESSION
from ..core.records.outcome_row import (
    JUDGED,
    MEASURED,
    NOT_APPLICABLE,
    PRESENT,
    RECORDED,
    REFUSED,
    OutcomeRow,
)
from .messages import bare
from .number_format import floor_3

GATE_HEAD = ("task", "metric", "base", "quant", "retention", "interval", "n", "lost", "won", "")
ACCEPTED_HEAD = tuple("accepted" if word == "base" else word for word in GATE_HEAD)
RECORDING_HEAD = ("task", "metric", "score", "n", "")
WORDS = {MEASURED: "not judged"}
"""What the summary calls a result, where that is not the result's own word."""

_TEXTS = 2
"""The first columns are text, the rest figures."""
_LEAST = 5
"""Texts are not shortened below this many characters."""
_DUST = 1e-9


@dataclass(frozen=True)
class Row:
    """One line: ``figures`` with the space up to the ``word`` that ends it."""

    figures: str
    word: str
    outcome: OutcomeRow


class Columns(NamedTuple):
    """A table before it is laid out: heads to choose from, cells, and the outcome of each row."""

    heads: Sequence[tuple[str, ...]]
    cells: Sequence[tuple[str, ...]]
    outcomes: Sequence[OutcomeRow]


def table(outcomes: Sequence[OutcomeRow], width: int) -> tuple[str, list[Row]]:
    """The head and a row per outcome of a task, below ``width`` columns where possible."""
    return lay_out(*columns(outcomes), width)


def accepted_table(outcomes: Sequence[OutcomeRow], width: int) -> tuple[str, list[Row]]:
    """The same of what was compared with the run accepted last."""
    return lay_out(*accepted_columns(outcomes), width)


def columns(outcomes: Sequence[OutcomeRow]) -> Columns:
    """A row of cells per outcome of a task, the verdict in the last one."""
    shown = [outcome for outcome in _without_pool_parts(outcomes) if not of_accepted(outcome)]
    if any(
        outcome.result in (RECORDED, PRESENT) or outcome.scheme == NOT_RECORDED for outcome in shown
    ):
        return Columns([RECORDING_HEAD], [_recording_cells(outcome) for outcome in shown], shown)
    return _gate_columns(GATE_HEAD, shown)


def accepted_columns(outcomes: Sequence[OutcomeRow]) -> Columns:
    """The same of what was compared with the run accepted last; where none was, lines say so."""
    shown = [outcome for outcome in _without_pool_parts(outcomes) if of_accepted(outcome)]
    return _gate_columns(
        ACCEPTED_HEAD, [outcome for outcome in shown if outcome.result != NOT_APPLICABLE]
    )


def _gate_columns(head: tuple[str, ...], shown: Sequence[OutcomeRow]) -> Columns:
    tight = tuple("keeps" if word == "retention" else word for word in head)
    least = tuple("last" if word == "accepted" else word for word in tight)
    several = len(minima(shown)) > 1
    return Columns(
        [head, tight, least], [_gate_cells(outcome, several) for outcome in shown], shown
    )


def lay_out(
    heads: Sequence[tuple[str, ...]],
    cells: Sequence[tuple[str, ...]],
    outcomes: Sequence[OutcomeRow],
    width: int,
) -> tuple[str, list[Row]]:
    """A head and rows in columns: two of text, then figures, then the verdict's word."""
    head, widths, gap = _layout(heads, cells, width)
    rows = [
        Row(_line(line[:-1], widths, gap) + gap, line[-1], outcome)
        for line, outcome in zip(cells, outcomes, strict=True)
    ]
    return _line(head, widths, gap).rstrip(), rows


def _without_pool_parts(every: Sequence[OutcomeRow]) -> list[OutcomeRow]:
    """Of tasks, without the parts of a pool that have a row of their own, for their own gate."""
    outcomes = [outcome for outcome in every if outcome.task is not None]
    judged = {_measurement(outcome) for outcome in outcomes if outcome.result in (*JUDGED, REFUSED)}
    return [
        outcome
        for outcome in outcomes
        if outcome.part_of is None or _measurement(outcome) not in judged
    ]


def _measurement(outcome: OutcomeRow) -> tuple[object, ...]:
    return outcome.task, outcome.metric, outcome.n, outcome.baseline, outcome.quantized


def minima(outcomes: Sequence[OutcomeRow]) -> list[str]:
    """The different bounds that were judged, as people write them."""
    judged = [
        outcome for outcome in outcomes if outcome.result in JUDGED and outcome.minimum is not None
    ]
    return list(dict.fromkeys(_bound(outcome) for outcome in judged))


def _layout(
    heads: Sequence[tuple[str, ...]], cells: Sequence[tuple[str, ...]], width: int
) -> tuple[tuple[str, ...], list[int], str]:
    """The first head that fits with wide gaps, else with narrow ones, else shortened texts.

    From the third on heads are less clear, and taken only where the others do not fit.
    """
    for candidates in (heads[:2], heads[2:]):
        for gap, head in itertools.product(("  ", " "), candidates):
            widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
            if sum(widths) + len(gap) * (len(head) - 1) < width:
                return head, widths, gap
    _narrow(widths, len(gap), width)
    return head, widths, gap


def word_of(outcome: OutcomeRow, several_minima: bool = False) -> str:
    """``kept``, ``LOST``, ``undecided``; capitals turn the build red."""
    word = f"in {outcome.part_of}" if outcome.part_of else WORDS.get(outcome.result, outcome.result)
    word = word.upper() if outcome.fails else word
    if several_minima and outcome.result in JUDGED:
        word += f" {_bound(outcome)}"
    return word + (" (xfail)" if outcome.excused else "")


def _bound(outcome: OutcomeRow) -> str:
    """``0.98``; ``1.02 max`` where a perplexity may rise by so much."""
    if outcome.maximum is not None:
        return f"{outcome.maximum:.10g} max"
    return f"{outcome.minimum or 0:.10g}"


def of_accepted(outcome: OutcomeRow) -> bool:
    """Whether a gate judged it against the run accepted last, not the baseline."""
    return outcome.gate is not None and outcome.gate.startswith(NO_REGRESSION)


def _gate_cells(outcome: OutcomeRow, several_minima: bool) -> tuple[str, ...]:
    return (
        outcome.task or "",
        bare(outcome.metric),
        _figure(outcome.baseline),
        _figure(outcome.quantized),
        _ratio(outcome),
        _interval(outcome),
        _count(outcome.n),
        _count(outcome.lost),
        _count(outcome.won),
        word_of(outcome, several_minima),
    )


def _recording_cells(outcome: OutcomeRow) -> tuple[str, ...]:
    return (
        outcome.task or "",
        bare(outcome.metric),
        _figure(outcome.baseline),
        _count(outcome.n),
        word_of(outcome),
    )


def _count(value: int | None) -> str:
    return f"{value:,}" if value is not None else "-"


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def _ratio(outcome: OutcomeRow) -> str:
    """Retention; under a gate on perplexity the factor by which it rises, ``x1.011``."""
    if outcome.retention is None:
        return "-"
    if outcome.maximum is not None and outcome.retention > 0.0:
        return f"x{math.ceil(1000 / outcome.retention - _DUST) / 1000:.3f}"
    return floor_3(outcome.retention)


def _interval(outcome: OutcomeRow) -> str:
    """Rounded outwards, so that what is printed is still true."""
    if outcome.low is None:
        return "-"
    if outcome.maximum is not None and outcome.low > 0.0:
        least = floor_3(1 / outcome.high) if outcome.high else floor_3(0.0)
        return f"{least}-{math.ceil(1000 / outcome.low - _DUST) / 1000:.3f}"
    high = (
        f"{math.ceil(outcome.high * 1000 - _DUST) / 1000:.3f}" if outcome.high is not None else ""
    )
    return f"{floor_3(outcome.low)}-{high}"


def _narrow(widths: list[int], gap: int, width: int) -> None:
    """Shortens task and metric until the table fits, the wider of the two first."""
    while sum(widths) + gap * (len(widths) - 1) >= width and max(widths[:_TEXTS]) > _LEAST:
        widest = 0 if widths[0] >= widths[1] else 1
        widths[widest] -= 1


def _line(cells: Sequence[str], widths: Sequence[int], gap: str) -> str:
    words = []
    for column, (cell, width) in enumerate(zip(cells, widths, strict=False)):
        short = _shortened(cell, width)
        words.append(short.ljust(width) if column < _TEXTS else short.rjust(width))
    return gap.join(words)


def _shortened(cell: str, width: int) -> str:
    """Long names differ at their ends (mmlu_..._history), so the middle is left out."""
    if len(cell) <= width:
        return cell
    front = width // 2
    return f"{cell[:front]}~{cell[len(cell) - (width - front - 1) :]}"
