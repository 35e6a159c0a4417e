"""The table of what was timed: outcomes with speed figures in, lines of equal width out."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.gates.outcome import NOT_RECORDED
from ..core.records.outcome_row import (
    LOST,
    MEASURED,
    NOT_APPLICABLE,
    PRESENT,
    RECORDED,
    OutcomeRow,
    SpeedFigures,
)
from .number_format import figure, outwards
from .summary_table import Columns, Row, lay_out, word_of

HEAD = ("workload", "measured", "base", "quant", "", "interval", "required", "")
_RECORDINGS = (RECORDED, PRESENT)
RECORDING_HEAD = ("workload", "measured", "value", "", "sessions", "")


def without_repeats(outcomes: Sequence[OutcomeRow]) -> list[OutcomeRow]:
    """Without what one test only measured and another judged: it was timed once for both."""
    judged = {_figures(outcome) for outcome in outcomes if outcome.result != MEASURED}
    return [
        outcome
        for outcome in outcomes
        if outcome.speed is None or outcome.result != MEASURED or _figures(outcome) not in judged
    ]


def _figures(outcome: OutcomeRow) -> tuple[object, ...]:
    speed = outcome.speed
    if speed is None:
        return ()
    return (speed.subject, speed.quantity, speed.baseline, speed.quantized, speed.value)


def speed_table(outcomes: Sequence[OutcomeRow], width: int) -> tuple[str, list[Row]]:
    """The head and a row per outcome, below ``width`` columns where possible."""
    columns = speed_columns(outcomes)
    return lay_out(*columns, width) if columns.cells else ("", [])


def speed_columns(outcomes: Sequence[OutcomeRow]) -> Columns:
    """A row of cells per outcome of what was timed, the verdict in the last one."""
    shown = [(outcome, outcome.speed) for outcome in outcomes if outcome.speed is not None]
    head: tuple[str, ...] = HEAD
    make = _cells
    if any(outcome.result in _RECORDINGS or outcome.scheme == NOT_RECORDED for outcome, _ in shown):
        head, make = RECORDING_HEAD, _recording_cells
    return Columns(
        [head],
        [make(outcome, speed) for outcome, speed in shown],
        [outcome for outcome, _ in shown],
    )


def _cells(outcome: OutcomeRow, speed: SpeedFigures) -> tuple[str, ...]:
    return (
        speed.subject or ("" if speed.quantity else "speed"),
        speed.quantity or "-",
        figure(speed.baseline),
        figure(speed.quantized),
        _unit(speed),
        _interval(speed, lost=outcome.result == LOST),
        required(speed),
        "n/a here" if outcome.result == NOT_APPLICABLE else word_of(outcome),
    )


def _recording_cells(outcome: OutcomeRow, speed: SpeedFigures) -> tuple[str, ...]:
    units = "-" if speed.units is None else f"{speed.units:,}"
    return (
        speed.subject,
        speed.quantity,
        figure(speed.value),
        _unit(speed),
        units,
        word_of(outcome),
    )


def _unit(speed: SpeedFigures) -> str:
    """That of both models' figures; a speed-up is made of tokens per second."""
    return "tok/s" if speed.unit == "x" else speed.unit


def _interval(speed: SpeedFigures, *, lost: bool) -> str:
    """Rounded outwards, but not past what was lost; nothing where it was counted."""
    if speed.value is None or (speed.low == speed.value == speed.high and speed.units == 1):
        return "-"
    least, most = (None, speed.bound) if speed.at_least else (speed.bound, None)
    if not lost:
        least = most = None
    if not speed.low and speed.high is None:
        return "any"
    low = outwards(speed.low, up=False, beyond=least) if speed.low is not None else "0"
    high = outwards(speed.high, up=True, beyond=most)
    return f"{low}-{high}{'x' if speed.unit == 'x' and speed.high is not None else ''}"


def required(speed: SpeedFigures) -> str:
    """``>= 1.8x``; a dash where nothing was."""
    if speed.bound is None:
        return "-"
    sign = ">=" if speed.at_least else "<="
    return f"{sign} {speed.bound:.10g}{'x' if speed.unit == 'x' else ''}"
