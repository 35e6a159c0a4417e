"""What gates on the run accepted last compare: the same measurement with another reference."""

from __future__ import annotations

import math
from dataclasses import replace

from ...core.comparison.accuracy import Comparison
from ...core.errors import Category, Refusal
from ...core.gates.plan import Plan
from ...core.gates.selection import MIN_RETENTION, Gate, matching
from ...core.records.acceptance import Drift
from ...core.records.run import Metric
from ..evidence import Evidence, Finished
from .gate_selection import assign
from .pool import pooled, takes
from .request import GateTarget

REFERENCE = "the last accepted run"


def refuse_uncovered(
    gate: Gate, metric: Metric, subject: GateTarget, plan: Plan, *, part: bool = False
) -> None:
    """Refuses ``no_regression`` where no ``min_retention`` judges the same. Raises Refusal.

    What is lost in steps from one accepted run to the next, only the baseline shows.
    ``part`` says that ``subject`` is one task of a group, which only gates that name it judge.
    """
    of_baseline = [one for one in (*plan.gates, *plan.beside) if one.marker == MIN_RETENTION]
    if gate.pools:
        if any(one.pools and one.metric in (None, gate.metric) for one in of_baseline):
            return
    elif part:
        of_baseline = [one for one in of_baseline if one.task == subject.task]
    chosen = assign(matching(of_baseline, subject.task), subject).chosen
    if all(judged.name != metric.name for judged, _ in chosen):
        raise Refusal(
            Category.NOT_JUDGED,
            f"{gate} judges {metric.name} of {subject.task}, and no min_retention does: what is "
            "lost in steps from one accepted run to the next would never be seen",
            help="add min_retention for the same task and metric, e.g. min_retention(0.98)",
        )


def accepted_task(
    gate: Gate, metric: Metric, one: Finished, plan: Plan, *, part: bool = False
) -> Comparison | None:
    """A task or group compared with what was accepted last; None where nothing was.

    Raises Refusal for a gate without one on the baseline beside it.
    """
    refuse_uncovered(gate, metric, one.subject, plan, part=part)
    against = _against(gate, one)
    if against is None:
        return None
    made = against.compare_metric(against.subject.find(metric.name), plan.confidence)
    return _named(made, one.drift(metric))


def accepted_pool(gate: Gate, evidence: Evidence, plan: Plan) -> Comparison | None:
    """The tasks of a test pooled against what was accepted last; None where a part lacks it.

    Raises Refusal for a gate without one on the baseline beside it, and as `pooled`.
    """
    taken = [one for one in evidence.measured if takes(gate, one.subject)]
    metrics = [one.subject.find(gate.metric) if gate.metric else one.metric for one in taken]
    for one, metric in zip(taken, metrics, strict=True):
        refuse_uncovered(gate, metric, one.subject, plan)
    against = [_against(gate, one) for one in taken]
    known = [one for one in against if one is not None]
    if len(known) < len(taken):
        return None
    # Far above the accepted run is no suspicion; the gate on the baseline looks after that.
    better = replace(evidence, measured=known)
    made = pooled(gate, better, plan.confidence, allow_better=True)
    drifts = [one.drift(metric) for one, metric in zip(taken, metrics, strict=True)]
    return _named(made, *drifts)


def _against(gate: Gate, one: Finished) -> Finished | None:
    if one.accepted is None:
        raise Refusal(
            Category.WRONG_USE,
            f"{gate} was added while the test ran, and what was accepted had not been looked up",
            help="put the marker on the test, its class or its module",
        )
    return one.against_accepted()


def _named(made: Comparison, *drifts: Drift | None) -> Comparison:
    told = [one for one in drifts if one is not None and math.isfinite(one.retention)]
    return replace(
        made,
        reference=REFERENCE,
        notes=(*made.notes, *map(str, told)),
        of_first_accepted=told[0].retention if len(drifts) == len(told) == 1 else None,
    )
