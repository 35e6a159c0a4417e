"""The words of one test's outcome: a verdict, a refusal or a measurement in, an Outcome out."""

from __future__ import annotations

import math
from dataclasses import replace

from ..core import stats
from ..core.comparison import Comparison
from ..core.errors import QuantregError, Refusal
from ..core.outcome import (
    KEPT,
    LOST,
    MEASURED,
    PRESENT,
    RECORDED,
    REFUSED,
    UNDECIDED,
    Context,
    Outcome,
)
from ..core.record import Accuracy, Metric
from ..core.settings import GateMode
from ..core.verdict import TRUTH_STEP, Verdict, about

NOT_RECORDED = "baseline"
"""What stands for the scheme of a baseline that could not be recorded."""

_SHOWN_ITEMS = 5
_DUST = 1e-9  # 0.57 * 1000 is 569.9999999999999


def of_verdict(verdict: Verdict, context: Context) -> Outcome:
    """The outcome of one judged gate; its headline carries the whole verdict."""
    comparison = verdict.comparison
    result = _result(verdict)
    return replace(
        _measured(comparison, context),
        result=result,
        fails=verdict.fails,
        headline=_headline(verdict, result),
        details=(*_figures(comparison), *_outlook(verdict, result), *comparison.notes),
        gate=str(verdict.gate),
        minimum=verdict.gate.minimum,
        mode=verdict.mode.value,
        detectable=verdict.detectable,
        advice=_advice(verdict, result),
    )


def of_measurement(comparison: Comparison, context: Context) -> Outcome:
    """A comparison that no gate judged: listed, never called kept."""
    return _measured(comparison, context)


def of_refusal(
    error: QuantregError,
    *,
    scheme: str,
    context: Context | None,
    task: str | None,
    comparison: Comparison | None = None,
    gate: str | None = None,
) -> Outcome:
    """A refusal; with ``comparison`` its figures are listed beside it."""
    category = error.category.value if isinstance(error, Refusal) else "wrong use"
    base = (
        _measured(comparison, context)
        if comparison is not None and context is not None
        else Outcome(REFUSED, True, scheme, "", context=context, task=task)
    )
    who = " ".join(word for word in (scheme, task) if word)
    return replace(
        base,
        result=REFUSED,
        fails=True,
        headline=f"REFUSED ({category}) {who}: {error.what}",
        details=error.help,
        category=category,
        gate=gate,
    )


def of_recording(
    accuracy: Accuracy,
    metric: Metric,
    context: Context,
    *,
    present: bool,
    notes: tuple[str, ...] = (),
) -> Outcome:
    """A baseline that was recorded, or was there already."""
    word = PRESENT if present else RECORDED
    n = len(accuracy.items)
    return Outcome(
        word,
        False,
        context.scheme,
        f"baseline {word}: {accuracy.protocol.task}, {_items(n)} of {context.model}",
        context=context,
        task=accuracy.protocol.task,
        metric=metric.name,
        baseline=accuracy.values.get(metric.name),
        n=n,
        total_items=accuracy.protocol.total_items,
        notes=notes,
    )


def of_refused_recording(error: QuantregError, task: str | None) -> Outcome:
    """A baseline that could not be recorded."""
    return of_refusal(error, scheme=NOT_RECORDED, context=None, task=task)


def percent(share: float) -> str:
    """``67.8 %`` rounded towards nothing: never shows 98.0 % for 97.96 %."""
    return f"{math.floor(share * 1000 + _DUST) / 10:.1f} %"


def floor_3(share: float) -> str:
    """Three digits, rounded down: a promise that still holds as printed."""
    return f"{math.floor(share * 1000 + _DUST) / 1000:.3f}"


def _result(verdict: Verdict) -> str:
    if verdict.mode is GateMode.POINT:
        return LOST if verdict.fails else KEPT
    return {
        stats.Evidence.KEPT: KEPT,
        stats.Evidence.LOST: LOST,
        stats.Evidence.UNDECIDED: UNDECIDED,
    }[verdict.evidence]


def _measured(comparison: Comparison, context: Context) -> Outcome:
    counts = comparison.counts
    return Outcome(
        MEASURED,
        False,
        comparison.scheme,
        f"measured {comparison.scheme} {comparison.task}: {comparison.metric} "
        f"{comparison.baseline:.4g} -> {comparison.quantized:.4g}, no gate",
        context=context,
        task=comparison.task,
        metric=comparison.metric,
        confidence=comparison.confidence,
        baseline=comparison.baseline,
        quantized=comparison.quantized,
        retention=_finite(comparison.retention),
        low=_finite(comparison.low),
        high=_finite(comparison.high),
        n=comparison.n,
        total_items=comparison.total_items,
        lost=counts.baseline_only if counts is not None else None,
        won=counts.quantized_only if counts is not None else None,
        notes=comparison.notes,
    )


def _headline(verdict: Verdict, result: str) -> str:
    comparison = verdict.comparison
    who = f"{result.upper() if verdict.fails else result} {comparison.scheme} {comparison.task}"
    kept = f"keeps {percent(comparison.retention)} of the baseline's {bare(comparison.metric)}"
    required = f"{verdict.gate.minimum * 100:.10g} % was required"
    sure = f"with {comparison.confidence * 100:g} % confidence"
    if verdict.mode is GateMode.POINT:
        return f"{who}: {kept}; {required} (point gate: no confidence)"
    if verdict.evidence is stats.Evidence.LOST:
        most = _upper(comparison.high, below=verdict.gate.minimum)
        return f"{who}: {kept}, {sure} no more than {most}; {required}"
    at_least = f"{sure} at least {_lower(comparison.low)}"
    if verdict.evidence is stats.Evidence.KEPT:
        return f"{who}: {kept}, {at_least}; {required}"
    return f"{who}: {kept}, {at_least} and no more than {_upper(comparison.high)}; {required}"


def _figures(comparison: Comparison) -> tuple[str, ...]:
    lost, won = len(comparison.lost_items), len(comparison.won_items)
    lines = [
        f"baseline {comparison.baseline:.3f}, quantized {comparison.quantized:.3f} on "
        f"{_items(comparison.n)}: {_answers(lost)} lost, {won:,} won"
    ]
    if comparison.lost_items:
        shown = ", ".join(str(doc) for doc in comparison.lost_items[:_SHOWN_ITEMS])
        more = ", ..." if lost > _SHOWN_ITEMS else ""
        lines.append(f"first items lost (doc_id): {shown}{more}")
    return tuple(lines)


def _outlook(verdict: Verdict, result: str) -> tuple[str, ...]:
    """What a gate that proved no loss could have seen, and what would decide it."""
    if result == LOST:
        return ()
    lines = []
    if verdict.mode is GateMode.DETECT and verdict.detectable is not None:
        lines.append(
            "would have turned red 4 times in 5 at a true retention of "
            f"{floor_3(verdict.detectable)} or below"
        )
    if (advice := _advice(verdict, result)) is not None:
        lines.append(advice)
    return tuple(lines)


def _advice(verdict: Verdict, result: str) -> str | None:
    """What would decide an undecided gate."""
    if result != UNDECIDED:
        return None
    minimum = verdict.gate.minimum
    if minimum >= 1:
        return "that everything is kept can be refuted but never shown: lower the minimum"
    if verdict.needed is None or verdict.needed[0].needed is None:
        return None
    lossless, lossy = verdict.needed
    items = f"about {about(verdict.needed[0].needed):,} items"
    plan = f"{items} decide {minimum:.10g} if the model is lossless"
    if lossy.needed is not None:
        plan += f", about {about(lossy.needed):,} if it keeps {minimum - TRUTH_STEP:.10g}"
    return f"{plan}; {_way_out(verdict.comparison, lossless, lossy)}"


def _way_out(comparison: Comparison, lossless: stats.ItemsNeeded, lossy: stats.ItemsNeeded) -> str:
    n, total = comparison.n, comparison.total_items
    enough = [one.needed for one in (lossless, lossy) if not one.capped and one.needed is not None]
    if any(needed > n for needed in enough):
        return f"{n:,} of the task's {total:,} were compared: raise --quant-limit or limit="
    whole = f"the task has {total:,}"
    has = whole if n == total else f"{n:,} of the task's {total:,} were compared"
    if lossless.needed is not None and lossless.needed <= n:
        has += ", so the model has probably lost a little"
    return f"{has}: lower the minimum or gate a larger task"


def _items(n: int) -> str:
    return f"{n:,} item" + ("" if n == 1 else "s")


def _answers(n: int) -> str:
    return f"{n:,} answer" + ("" if n == 1 else "s")


def bare(metric: str | None) -> str:
    """``acc`` for ``acc,none``; a real filter is part of what was required."""
    return (metric or "-").removesuffix(",none")


def _upper(bound: float | None, below: float = math.inf) -> str:
    """An upper bound in per cent, rounded up: what is printed is still true.

    With as many digits as it takes to show that it is ``below`` what was required.
    """
    if bound is None or not math.isfinite(bound):
        return "any share"
    for digits in (1, 2, 3):
        scale = 10 ** (digits + 2)
        rounded = math.ceil(bound * scale - _DUST) / scale
        if rounded < below:
            break
    return f"{rounded * 100:.{digits}f} %"


def _lower(bound: float | None) -> str:
    return percent(bound if bound is not None else 0.0)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
