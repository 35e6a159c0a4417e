"""Verdicts that name the metrics which no gate judges and which are surely lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from ..core.comparison.accuracy import Comparison
from ..core.gates.outcome import LOST, Context, OtherLoss, Outcome
from ..core.gates.plan import Plan
from ..core.gates.unjudged_metrics import Compared, surely_lost
from ..core.settings import GateMode
from .messages import bare, figures, of_measurement, percent, upper

WayOut: TypeAlias = Callable[[str], str]
"""The name of a metric -> the edit or the command that judges it openly."""


def gate_it(metric: str) -> str:
    """What to write in a test."""
    return f"gate it with its own minimum: min_retention(R, metric={bare(metric)!r})"


def with_other_losses(
    judged: Outcome,
    others: Sequence[Compared],
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
    shares = [_share(one, minimum, len(others)) for one in lost]
    lines = [
        f"{one.task}: no gate judges {bare(one.metric)}, which is surely below {minimum:.10g}: "
        f"it {share}; {way_out(one.metric)}"
        for one, share in zip(lost, shares, strict=True)
    ]
    certifies = plan.mode is GateMode.CERTIFY
    named = replace(
        judged,
        details=(*judged.details, *lines),
        notes=judged.notes if certifies else (*judged.notes, *lines),
        also_lost=tuple(_loss(one, minimum) for one in lost),
    )
    if not certifies:
        return [named]
    of = bare(judged.metric) if len({judged.task, *(one.task for one in lost)}) == 1 else None
    required = f"{minimum * 100:.10g} % was required of {of or judged.task}"
    return [
        named,
        *(
            replace(
                of_measurement(replace(one, notes=()), context),
                result=LOST,
                fails=True,
                headline=f"LOST {one.scheme} {one.task}: no gate judges {bare(one.metric)}, which "
                f"{share}; {required}",
                details=(
                    *figures(one),
                    f"certify fails on every metric that is surely lost: {way_out(one.metric)}",
                ),
                gate=judged.gate,
                minimum=minimum,
                mode=judged.mode,
                unjudged=len(others),
            )
            for one, share in zip(lost, shares, strict=True)
        ),
    ]


def _share(made: Comparison, minimum: float, looked_at: int) -> str:
    sure = f"{made.confidence * 100:.6g} % confidence"
    if looked_at > 1:
        whole = 100 - (1 - made.confidence) * looked_at * 100
        sure += f" ({whole:.6g} % over {looked_at} metrics)"
    most = upper(made.high, below=minimum)
    return f"keeps {percent(made.retention)} of the baseline's, with {sure} no more than {most}"


def _loss(made: Comparison, minimum: float) -> OtherLoss:
    return OtherLoss(
        task=made.task,
        metric=made.metric,
        minimum=minimum,
        confidence=made.confidence,
        baseline=made.baseline,
        quantized=made.quantized,
        retention=made.retention,
        low=made.low,
        high=made.high if made.high is not None else minimum,
        n=made.n,
    )
