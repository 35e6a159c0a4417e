"""Refuses, before any model loads, the gates that no candidate could rightly pass or fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...core import stats
from ...core.comparison.item_clusters import copies_of, units_of
from ...core.comparison.pairs import distinct, slice_of
from ...core.comparison.suspicion import refuse_chance
from ...core.gates.plan import Plan
from ...core.gates.power import default_discordance, planned_power, refuse_underpowered
from ...core.gates.selection import Gate
from ...core.gates.verdict import refuse_other_scores, refuse_sparse
from ...core.records.run import Accuracy, Metric
from ...core.settings import GateMode

_Weighted: TypeAlias = tuple[Accuracy, Metric, float]
"""A baseline, the metric that is judged, and the weight of its task."""


def refuse_undecidable(
    baselines: Sequence[_Weighted],
    gate: Gate,
    plan: Plan,
    *,
    task: str,
    scheme: str,
    max_undetected: float | None,
    expected: float | None = None,
) -> None:
    """Looks at one gate on a call whose baselines are known, each with metric and weight.

    ``baselines`` hold the items that will be compared; ``task`` is what the call named.
    Without ``max_undetected`` their number is not looked at. ``expected`` is the share of
    flips seen of the model at this scheme before: with it the number of items is planned
    that a refusal asks for.

    Raises:
        Refusal: a metric without a score per item, a baseline at chance, a minimum that
            guessing meets, too few items.
    """
    for accuracy, metric, _ in baselines:
        kinds = {declared.name: declared.kind for declared in accuracy.protocol.metrics}
        refuse_other_scores(gate, task, metric.name, kinds)
    columns = _scores(baselines)
    if columns is None:
        return
    slices = [
        slice_of(accuracy, metric, weight, column)
        for (accuracy, metric, weight), column in zip(baselines, columns, strict=True)
    ]
    refuse_chance(slices, gate.minimum, name=task, confidence=plan.confidence)
    if plan.mode is not GateMode.DETECT or max_undetected is None:
        return
    exact = len(slices) == 1 and baselines[0][1].kind == "binary"
    # Without a flip is the best case. What other checkpoints flipped must not decide
    # whether this one is measured: it may flip less, and be kept.
    best_case = planned_power(
        slices,
        gate.minimum,
        confidence=plan.confidence,
        discordance=0.0,
        planned=expected or default_discordance(scheme),
        exact=exact,
    )
    refuse_underpowered(best_case, gate, task, max_undetected=max_undetected)
    _refuse_few_units(baselines, columns, gate, task, exact=exact)


def _scores(baselines: Sequence[_Weighted]) -> list[NDArray[np.float64]] | None:
    """Return each baseline's score per item; None where no share of it can be judged."""
    scored = all(metric.kind in ("binary", "mean") for _, metric, _ in baselines)
    if not scored or not all(metric.higher_is_better for _, metric, _ in baselines):
        return None
    columns = [
        np.asarray(accuracy.items.scores[metric.name], float) for accuracy, metric, _ in baselines
    ]
    # A gate on negative scores is refused once they are measured.
    return columns if min(column.min() for column in columns) >= 0.0 else None


def _refuse_few_units(
    baselines: Sequence[_Weighted],
    columns: Sequence[NDArray[np.float64]],
    gate: Gate,
    task: str,
    *,
    exact: bool,
) -> None:
    """Refuse a bound that is not exact where too few independent units support it."""
    strata = [
        stats.Stratum(column, column, weight, units_of(accuracy.items))
        for (accuracy, _, weight), column in zip(baselines, columns, strict=True)
    ]
    if exact and strata[0].clusters is None:
        return
    rest = [
        distinct(stratum, copies_of(accuracy.items))
        for stratum, (accuracy, _, _) in zip(strata, baselines, strict=True)
    ]
    refuse_sparse(stats.support(rest), gate, task)
