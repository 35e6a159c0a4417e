"""The table of the summary: outcomes in, lines of equally wide cells out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..core.gates.outcome import (
    JUDGED,
    MEASURED,
    NOT_APPLICABLE,
    PRESENT,
    RECORDED,
    REFUSED,
    Outcome,
)
from ..core.gates.selection import NO_REGRESSION
from .messages import NOT_RECORDED, bare, floor_3

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
    outcome: Outcome


class Columns(NamedTuple):
    """A table before it is laid out: heads to choose from, cells, and the outcome of each row."""

    heads: Sequence[tuple[str, ...]]
    cells: Sequence[tuple[str, ...]]
    outcomes: Sequence[Outcome]


def table(outcomes: Sequence[Outcome], width: int) -> tuple[str, list[Row]]:
    """The head and a row per outcome of a task, below ``width`` columns where possible."""
    return laid_out(*columns(outcomes), width)


def accepted_table(outcomes: Sequence[Outcome], width: int) -> tuple[str, list[Row]]:
    """The same of what was compared with the run accepted last."""
    return laid_out(*accepted_columns(outcomes), width)


def columns(outcomes: Sequence[Outcome]) -> Columns:
    """A row of cells per outcome of a task, the verdict in the last one."""
    shown = [one for one in _told_once(outcomes) if not of_accepted(one)]
    if any(one.result in (RECORDED, PRESENT) or one.scheme == NOT_RECORDED for one in shown):
        return Columns([RECORDING_HEAD], [_recording_cells(one) for one in shown], shown)
    return _gate_columns(GATE_HEAD, shown)


def accepted_columns(outcomes: Sequence[Outcome]) -> Columns:
    """The same of what was compared with the run accepted last; where none was, lines say so."""
    shown = [one for one in _told_once(outcomes) if of_accepted(one)]
    return _gate_columns(ACCEPTED_HEAD, [one for one in shown if one.result != NOT_APPLICABLE])


def _gate_columns(head: tuple[str, ...], shown: Sequence[Outcome]) -> Columns:
    tight = tuple("keeps" if word == "retention" else word for word in head)
    least = tuple("last" if word == "accepted" else word for word in tight)
    several = len(minima(shown)) > 1
    return Columns([head, tight, least], [_gate_cells(one, several) for one in shown], shown)


def laid_out(
    heads: Sequence[tuple[str, ...]],
    cells: Sequence[tuple[str, ...]],
    outcomes: Sequence[Outcome],
    width: int,
) -> tuple[str, list[Row]]:
    """A head and rows in columns: two of text, then figures, then the verdict's word."""
    head, widths, gap = _layout(heads, cells, width)
    rows = [
        Row(_line(line[:-1], widths, gap) + gap, line[-1], one)
        for line, one in zip(cells, outcomes, strict=True)
    ]
    return _line(head, widths, gap).rstrip(), rows


def _told_once(every: Sequence[Outcome]) -> list[Outcome]:
    """Of tasks, without the parts of a pool that have a row of their own, for their own gate."""
    outcomes = [one for one in every if one.task is not None]
    judged = {_measurement(one) for one in outcomes if one.result in (*JUDGED, REFUSED)}
    return [one for one in outcomes if one.part_of is None or _measurement(one) not in judged]


def _measurement(one: Outcome) -> tuple[object, ...]:
    return one.task, one.metric, one.n, one.baseline, one.quantized


def minima(outcomes: Sequence[Outcome]) -> list[str]:
    """The different bounds that were judged, as people write them."""
    judged = [one for one in outcomes if one.result in JUDGED and one.minimum is not None]
    return list(dict.fromkeys(_bound(one) for one in judged))


def _layout(
    heads: Sequence[tuple[str, ...]], cells: Sequence[tuple[str, ...]], width: int
) -> tuple[tuple[str, ...], list[int], str]:
    """The first head that fits with wide gaps, else with narrow ones, else shortened texts.

    From the third on heads are less clear, and taken only where the others do not fit.
    """
    for some in (heads[:2], heads[2:]):
        for gap, head in itertools.product(("  ", " "), some):
            widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
            if sum(widths) + len(gap) * (len(head) - 1) < width:
                return head, widths, gap
    _narrow(widths, len(gap), width)
    return head, widths, gap


def word_of(one: Outcome, several_minima: bool = False) -> str:
    """``kept``, ``LOST``, ``undecided``; capitals turn the build red."""
    word = f"in {one.part_of}" if one.part_of else WORDS.get(one.result, one.result)
    word = word.upper() if one.fails else word
    if several_minima and one.result in JUDGED:
        word += f" {_bound(one)}"
    return word + (" (xfail)" if one.excused else "")


def _bound(one: Outcome) -> str:
    """``0.98``; ``1.02 max`` where a perplexity may rise by so much."""
    if one.maximum is not None:
        return f"{one.maximum:.10g} max"
    return f"{one.minimum or 0:.10g}"


def of_accepted(one: Outcome) -> bool:
    """Whether a gate judged it against the run accepted last, not the baseline."""
    return one.gate is not None and one.gate.startswith(NO_REGRESSION)


def _gate_cells(one: Outcome, several_minima: bool) -> tuple[str, ...]:
    return (
        one.task or "",
        bare(one.metric),
        _figure(one.baseline),
        _figure(one.quantized),
        _ratio(one),
        _interval(one),
        _count(one.n),
        _count(one.lost),
        _count(one.won),
        word_of(one, several_minima),
    )


def _recording_cells(one: Outcome) -> tuple[str, ...]:
    return (
        one.task or "",
        bare(one.metric),
        _figure(one.baseline),
        _count(one.n),
        word_of(one),
    )


def _count(value: int | None) -> str:
    return f"{value:,}" if value is not None else "-"


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def _ratio(one: Outcome) -> str:
    """Retention; under a gate on perplexity the factor by which it rises, ``x1.011``."""
    if one.retention is None:
        return "-"
    if one.maximum is not None and one.retention > 0.0:
        return f"x{math.ceil(1000 / one.retention - _DUST) / 1000:.3f}"
    return floor_3(one.retention)


def _interval(one: Outcome) -> str:
    """Rounded outwards, so that what is printed is still true."""
    if one.low is None:
        return "-"
    if one.maximum is not None and one.low > 0.0:
        least = floor_3(1 / one.high) if one.high else floor_3(0.0)
        return f"{least}-{math.ceil(1000 / one.low - _DUST) / 1000:.3f}"
    high = f"{math.ceil(one.high * 1000 - _DUST) / 1000:.3f}" if one.high is not None else ""
    return f"{floor_3(one.low)}-{high}"


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
