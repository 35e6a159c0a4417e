"""Verdicts that name the metrics which no gate judges and which are surely lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from ..core.comparison.accuracy import Comparison
from ..core.gates.outcome import LOST, Context, OtherLoss, Outcome
from ..core.gates.plan import Plan
from ..core.gates.unjudged_metrics import ComparisonAt, surely_lost
from ..core.settings import GateMode
from .messages import bare, figures, of_measurement, percent, upper

WayOut: TypeAlias = Callable[[str], str]
"""The name of a metric -> the edit or the command that judges it openly."""


def gate_it(metric: str) -> str:
    """What to write in a test."""
    return f"gate it with its own minimum: min_retention(R, metric={bare(metric)!r})"


def with_other_losses(
    judged: Outcome,
    others: Sequence[ComparisonAt],
    minimum: float,
    *,
    plan: Plan,
    context: Context,
    way_out: WayOut = gate_it,
) -> list[Outcome]:
    """The verdict ``judged``, with those of ``others`` that are surely below ``minimum``.

    Under ``certify`` each of them is lost in an outcome after it.
    """
    lost = surely_lost(others, minimum, confidence=plan.confidence)
    if not lost:
        return [judged]
    certifies = plan.mode is GateMode.CERTIFY
    shares = [_share(comparison, minimum, len(others)) for comparison in lost]
    verdict = _with_lines(judged, lost, shares, minimum, certifies=certifies, way_out=way_out)
    if not certifies:
        return [verdict]
    required = _required(judged, lost, minimum)
    return [
        verdict,
        *(
            replace(
                of_measurement(replace(comparison, notes=()), context),
                result=LOST,
                fails=True,
                headline=f"LOST {comparison.scheme} {comparison.task}: no gate judges "
                f"{bare(comparison.metric)}, which {share}; {required}",
                details=(
                    *figures(comparison),
                    "certify fails on every metric that is surely lost: "
                    f"{way_out(comparison.metric)}",
                ),
                gate=judged.gate,
                minimum=minimum,
                mode=judged.mode,
                unjudged=len(others),
            )
            for comparison, share in zip(lost, shares, strict=True)
        ),
    ]


def _with_lines(
    judged: Outcome,
    lost: Sequence[Comparison],
    shares: Sequence[str],
    minimum: float,
    *,
    certifies: bool,
    way_out: WayOut,
) -> Outcome:
    """Add a line per lost metric to the details, and unless under ``certify`` to the notes."""
    lines = [
        f"{comparison.task}: no gate judges {bare(comparison.metric)}, which is surely below "
        f"{minimum:.10g}: it {share}; {way_out(comparison.metric)}"
        for comparison, share in zip(lost, shares, strict=True)
    ]
    return replace(
        judged,
        details=(*judged.details, *lines),
        notes=judged.notes if certifies else (*judged.notes, *lines),
        also_lost=tuple(_loss(comparison, minimum) for comparison in lost),
    )


def _required(judged: Outcome, lost: Sequence[Comparison], minimum: float) -> str:
    """State the minimum, of the judged metric, or of its task where several tasks are involved."""
    one_task = len({judged.task, *(comparison.task for comparison in lost)}) == 1
    subject = bare(judged.metric) if one_task else None
    return f"{minimum * 100:.10g} % was required of {subject or judged.task}"


def _share(comparison: Comparison, minimum: float, looked_at: int) -> str:
    sure = f"{comparison.confidence * 100:.6g} % confidence"
    if looked_at > 1:
        whole = 100 - (1 - comparison.confidence) * looked_at * 100
        sure += f" ({whole:.6g} % over {looked_at} metrics)"
    most = upper(comparison.high, below=minimum)
    return (
        f"keeps {percent(comparison.retention)} of the baseline's, with {sure} no more than {most}"
    )


def _loss(comparison: Comparison, minimum: float) -> OtherLoss:
    return OtherLoss(
        task=comparison.task,
        metric=comparison.metric,
        minimum=minimum,
        confidence=comparison.confidence,
        baseline=comparison.baseline,
        quantized=comparison.quantized,
        retention=comparison.retention,
        low=comparison.low,
        high=comparison.high if comparison.high is not None else minimum,
        n=comparison.n,
    )
