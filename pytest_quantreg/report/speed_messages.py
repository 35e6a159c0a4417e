"""Rows of what was timed: a verdict on speed, memory or load time in, a row out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ..core import stats
from ..core.comparison.speed import SpeedComparison
from ..core.errors import QuantregError
from ..core.facts import Note
from ..core.gates.speed import Choice, SpeedGate
from ..core.gates.speed_verdict import SpeedVerdict
from ..core.records.outcome_row import (
    KEPT,
    LOST,
    MEASURED,
    NOT_APPLICABLE,
    PRESENT,
    RECORDED,
    UNDECIDED,
    Context,
    OutcomeRow,
    SpeedFigures,
)
from ..core.records.speed import Series, Workload
from ..core.settings import GateMode
from .messages import confidence, note_words, of_refusal
from .number_format import figure, outwards
from .speed_lines import described, stored_sessions
from .words import PLAIN, Voice

SPEED = "speed"
"""What stands for a task where speed was asked for."""

_RESULTS = {
    stats.IntervalVerdict.KEPT: KEPT,
    stats.IntervalVerdict.LOST: LOST,
    stats.IntervalVerdict.UNDECIDED: UNDECIDED,
}


def of_verdict(
    verdict: SpeedVerdict,
    context: Context,
    *,
    notes: tuple[Note, ...] = (),
    lines: tuple[str, ...] = (),
    reasons: tuple[str, ...] = (),
) -> OutcomeRow:
    """The outcome of one judged gate; its headline carries the whole verdict.

    ``lines`` are further figures of what it judged, ``reasons`` why it may be slow.
    """
    gate, estimate = verdict.gate, verdict.estimate
    result, shown_notes = _result(verdict), note_words(notes)
    advice = _advice(verdict, result)
    details = [_basis(verdict), *(f"likely: {reason}" for reason in reasons)]
    if (detectable := _detectable(verdict, result)) is not None:
        details.append(detectable)
    return OutcomeRow(
        result,
        verdict.fails,
        context.scheme,
        _headline(verdict, result, context.scheme),
        details=(*details, *([advice] if advice else []), *shown_notes),
        context=context,
        gate=str(gate),
        mode=verdict.mode.value,
        confidence=verdict.confidence,
        family=verdict.family if verdict.family > 1 else None,
        advice=advice,
        notes=shown_notes,
        speed=SpeedFigures(
            subject=verdict.workload or "",
            quantity=gate.quantity,
            unit=gate.unit,
            value=estimate.estimate,
            low=_finite(estimate.low),
            high=_finite(estimate.high),
            baseline=verdict.speeds[0] if verdict.speeds else verdict.baseline,
            quantized=verdict.speeds[1] if verdict.speeds else estimate.estimate,
            units=verdict.units,
            bound=gate.bound,
            at_least=gate.at_least,
            why=verdict.why,
            detectable=verdict.detectable if result != LOST else None,
            lines=lines,
        ),
    )


def of_measurement(
    comparison: SpeedComparison,
    context: Context,
    *,
    notes: tuple[Note, ...] = (),
    lines: tuple[str, ...] = (),
) -> OutcomeRow:
    """A workload whose speed-up no gate judged: listed, never called kept.

    Under a request rate the throughput is what arrives; the latency is listed instead.
    """
    figures, unit = _speedup(comparison), "tok/s"
    if comparison.workload.request_rate is not None:
        figures, unit = _paced(comparison), "ms"
    elif comparison.baseline_throughput is None:
        figures = _alone(comparison)
    before = "" if figures.baseline is None else f"{figure(figures.baseline)} -> "
    return OutcomeRow(
        MEASURED,
        False,
        context.scheme,
        f"measured {context.scheme} {comparison.workload.label}: {before}"
        f"{figure(figures.quantized)} {unit}, no gate",
        context=context,
        confidence=comparison.confidence,
        notes=note_words(notes),
        speed=replace(figures, lines=lines),
    )


def _speedup(comparison: SpeedComparison) -> SpeedFigures:
    before, now = comparison.baseline_throughput, comparison.throughput.estimate
    return _listed(comparison, "speed-up", "x", comparison.ratio, before, now)


def _alone(comparison: SpeedComparison) -> SpeedFigures:
    now = comparison.throughput
    return _listed(comparison, "throughput", "tok/s", now, None, now.estimate)


def _paced(comparison: SpeedComparison) -> SpeedFigures:
    before = comparison.baseline_latency("e2e")
    now = stats.Estimate(*(1000.0 * seconds for seconds in comparison.latency("e2e")))
    milliseconds = None if before is None else 1000.0 * before
    figures = _listed(comparison, "e2e p50", "ms", now, milliseconds, now.estimate)
    return replace(figures, at_least=False)


def _listed(
    comparison: SpeedComparison,
    quantity: str,
    unit: str,
    value: stats.Estimate,
    baseline: float | None,
    quantized: float,
) -> SpeedFigures:
    return SpeedFigures(
        subject=comparison.workload.label,
        quantity=quantity,
        unit=unit,
        value=value.estimate,
        low=_finite(value.low),
        high=_finite(value.high),
        baseline=baseline,
        quantized=quantized,
        units=len(comparison.quantized.units()),
    )


def of_other_device(choice: Choice, context: Context, mode: GateMode) -> OutcomeRow:
    """A threshold that is for other accelerators: listed, never passed."""
    gate = choice.rivals[0]
    return OutcomeRow(
        NOT_APPLICABLE,
        False,
        context.scheme,
        f"not applicable here, {context.scheme} {gate.quantity}: {choice.why}",
        context=context,
        gate=gate.marker,
        mode=mode.value,
        advice=f"not applicable here: {gate.marker} is {choice.why}",
        speed=SpeedFigures(subject="", quantity=gate.quantity, unit=gate.unit),
    )


def of_recorded(
    workload: Workload, series: Sequence[Series], context: Context, *, present: bool
) -> OutcomeRow:
    """A speed baseline that was recorded, or was there already."""
    word = PRESENT if present else RECORDED
    typical = stats.typical([stats.typical(session.throughputs()).estimate for session in series])
    sessions = f"{len(series)} session" + ("" if len(series) == 1 else "s")
    return OutcomeRow(
        word,
        False,
        context.scheme,
        f"baseline {word}: speed, {described(workload)}, {sessions} of {context.model} on "
        f"{context.machine}",
        context=context,
        speed=SpeedFigures(
            subject=workload.label,
            quantity="throughput",
            unit="tok/s",
            value=typical.estimate,
            baseline=typical.estimate,
            units=len(series),
        ),
    )


def of_speed_refusal(
    error: QuantregError,
    *,
    scheme: str,
    context: Context | None,
    gate: SpeedGate | None = None,
    workload: str | None = None,
    voice: Voice = PLAIN,
) -> OutcomeRow:
    """A refusal to time a model, or to judge what was timed."""
    task = " ".join(word for word in (SPEED, workload) if word)
    outcome = of_refusal(
        error,
        scheme=scheme,
        context=context,
        task=task,
        gate=str(gate) if gate else None,
        voice=voice,
    )
    figures = SpeedFigures(
        subject=workload or "",
        quantity=gate.quantity if gate is not None else "",
        unit=gate.unit if gate is not None else "",
    )
    return replace(outcome, task=None, speed=figures)


def speed_bound(speed: SpeedFigures) -> str:
    """The value at which a green gate would have turned red, rounded to where it holds."""
    unit = "x" if speed.unit == "x" else f" {speed.unit}"
    return f"{outwards(speed.detectable, up=not speed.at_least)}{unit}"


def _result(verdict: SpeedVerdict) -> str:
    if verdict.mode is GateMode.POINT:
        return LOST if verdict.fails else KEPT
    return _RESULTS[verdict.evidence]


def _headline(verdict: SpeedVerdict, result: str, scheme: str) -> str:
    gate = verdict.gate
    word = result.upper() if verdict.fails else result
    where = f", {verdict.workload}" if verdict.workload else ""
    least = "at least" if gate.at_least else "at most"
    need = "required" if gate.at_least else "allowed"
    why = f" {verdict.why}" if verdict.why else ""
    required = f"{least} {gate.shown(gate.bound)} was {need}{why}"
    return f"{word} {scheme} {gate.quantity}{where}: {_measured(verdict)}; {required}"


def _measured(verdict: SpeedVerdict) -> str:
    estimate, unit = verdict.estimate, _unit(verdict.gate)
    value = f"{figure(estimate.estimate)}{unit}"
    if verdict.speeds is not None:
        value += " the baseline's tokens per second"
    if verdict.mode is GateMode.POINT:
        return f"{value} (point gate: no confidence)"
    if estimate.low == estimate.high and verdict.units == 1:
        return value  # counted, not sampled
    bound = verdict.gate.bound
    lost = verdict.evidence is stats.IntervalVerdict.LOST
    low = f"at least {outwards(estimate.low, up=False, beyond=bound if lost else None)}{unit}"
    high = f"no more than {outwards(estimate.high, up=True, beyond=bound if lost else None)}{unit}"
    if not math.isfinite(estimate.high):
        high = "with no upper bound"
    sure = f"with {confidence(verdict.confidence, verdict.family)} confidence"
    if verdict.evidence is stats.IntervalVerdict.UNDECIDED:
        return f"{value}, {sure} {low} and {high}"
    bounds = low if lost != verdict.gate.at_least else high
    return f"{value}, {sure} {bounds}"


def _basis(verdict: SpeedVerdict) -> str:
    """The figures of both models and how many rounds, blocks or loads they come from."""
    unit = _unit(verdict.gate)
    if verdict.speeds is not None:
        before, now = map(figure, verdict.speeds)
        pairs = f"{verdict.units} {_counted_units(verdict)} of each"
        if verdict.stored:
            pairs = (
                f"{verdict.units} {_counted_units(verdict)} against "
                f"{stored_sessions(verdict.stored)}"
            )
        return f"baseline {before} tok/s, quantized {now} tok/s, {pairs}"
    counted = "" if verdict.units == 1 else f", {verdict.units} {_counted_units(verdict)}"
    if verdict.baseline is None:
        return f"quantized {figure(verdict.estimate.estimate)}{unit}{counted}"
    before, now = figure(verdict.baseline), figure(verdict.estimate.estimate)
    return f"baseline {before}{unit}, quantized {now}{unit}{counted}"


def _counted_units(verdict: SpeedVerdict) -> str:
    if not verdict.workload:
        return "loads"
    return "blocks" if verdict.blocks else "rounds"


def _detectable(verdict: SpeedVerdict, result: str) -> str | None:
    if result == LOST or verdict.mode is not GateMode.DETECT or verdict.detectable is None:
        return None
    at = f"{outwards(verdict.detectable, up=False)}{_unit(verdict.gate)}"
    return f"would have turned red 4 times in 5 at a true {at} or less"


def _advice(verdict: SpeedVerdict, result: str) -> str | None:
    """What would decide an undecided gate."""
    if result != UNDECIDED:
        return None
    if verdict.workload is None:
        return (
            "load times lie on both sides of the threshold: relax it, or let nothing run beside "
            "them"
        )
    if verdict.stored and verdict.speeds is not None:
        reason = f"{verdict.stored} stored sessions differ too much to decide it"
        if verdict.stored == 1:
            reason = "one stored session says nothing of how sessions differ"
        return (
            f"{reason}: record more with --quant-update "
            f"--quant-repeats={max(5, 2 * verdict.stored)}"
            ", or name the full-precision model with --quant-model to run both side by side"
        )
    if verdict.needed is None:
        return "what was measured is too near to the threshold for any number of rounds"
    units = _counted_units(verdict)
    return (
        f"about {verdict.needed:,} {units} decide it, if it is as fast as it measured: "
        f"{units}={verdict.needed}"
    )


def _unit(gate: SpeedGate) -> str:
    return "x" if gate.unit == "x" else f" {gate.unit}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
