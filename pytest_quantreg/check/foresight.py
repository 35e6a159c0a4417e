"""Refuses, before any model loads, the gates that no candidate could rightly pass or fail."""

from __future__ import annotations

import math

from ..core.gates import Gate, Plan
from ..core.record import Accuracy, Metric
from ..core.settings import GateMode
from ..core.verdict import default_discordance, refuse_chance, refuse_other_scores, refuse_toothless
from .judging import assign


def refuse_hopeless(
    baseline: Accuracy, metric: Metric, plan: Plan, *, scheme: str, max_undetected: float
) -> None:
    """Looks at every gate that would judge a call whose baseline is known.

    ``baseline`` holds the items that will be compared, ``metric`` is the call's own.

    Raises:
        Refusal: a metric that the task lacks or that is not 0/1, a baseline at chance,
            a minimum that guessing meets, too few items.
    """
    chosen, unknown = assign(plan, baseline.protocol, metric)
    for _, error in unknown:
        raise error
    for judged, gate in chosen:
        _refuse_gate(baseline, judged, gate, plan, default_discordance(scheme), max_undetected)


def _refuse_gate(
    baseline: Accuracy,
    metric: Metric,
    gate: Gate,
    plan: Plan,
    planned: float,
    max_undetected: float,
) -> None:
    task, n = baseline.protocol.task, len(baseline.items)
    kinds = {
        one.name: one.kind if one.higher_is_better else "lower is better"
        for one in baseline.protocol.metrics
    }
    refuse_other_scores(gate, task, metric.name, kinds)
    right = round(math.fsum(baseline.items.scores[metric.name]))
    refuse_chance(
        task=task,
        right=right,
        n=n,
        chance=baseline.chance,
        minimum=gate.minimum,
        confidence=plan.confidence,
    )
    if plan.mode is GateMode.DETECT:
        # Without a flip is the best case: what is too weak now stays too weak.
        refuse_toothless(
            task=task,
            right=right,
            n=n,
            total_items=baseline.protocol.total_items,
            discordance=0.0,
            planned=planned,
            minimum=gate.minimum,
            confidence=plan.confidence,
            max_undetected=max_undetected,
        )
