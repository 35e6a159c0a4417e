"""What gates on the run accepted last compare: the same measurement with another reference."""

from __future__ import annotations

import math
from dataclasses import replace

from ...core.codes import GateCode
from ...core.comparison.accuracy import Comparison
from ...core.errors import Refusal
from ...core.gates.plan import Plan
from ...core.gates.selection import MIN_RETENTION, Gate, matching
from ...core.records.acceptance import Drift
from ...core.records.run import Metric
from ..evidence import Evidence, Measurement
from .gate_selection import assign
from .pool import pool_includes, pooled
from .request import GateTarget

REFERENCE = "the last accepted run"


def require_min_retention(
    gate: Gate, metric: Metric, subject: GateTarget, plan: Plan, *, part: bool = False
) -> None:
    """Refuses ``no_regression`` where no ``min_retention`` judges the same. Raises Refusal.

    What is lost in steps from one accepted run to the next, only the baseline shows.
    ``part`` says that ``subject`` is one task of a group, which only gates that name it judge.
    """
    of_baseline = [
        other for other in (*plan.gates, *plan.judged_elsewhere) if other.marker == MIN_RETENTION
    ]
    if gate.pools:
        if any(other.pools and other.metric in (None, gate.metric) for other in of_baseline):
            return
    elif part:
        of_baseline = [other for other in of_baseline if other.task == subject.task]
    chosen = assign(matching(of_baseline, subject.task), subject).chosen
    if all(judged.name != metric.name for judged, _ in chosen):
        raise Refusal(
            GateCode.REGRESSION_WITHOUT_RETENTION,
            gate=str(gate),
            metric=metric.name,
            task=subject.task,
        )


def accepted_task(
    gate: Gate, metric: Metric, measurement: Measurement, plan: Plan, *, part: bool = False
) -> Comparison | None:
    """A task or group compared with what was accepted last; None where nothing was.

    Raises Refusal for a gate without one on the baseline beside it.
    """
    require_min_retention(gate, metric, measurement.subject, plan, part=part)
    against = _against_accepted(gate, measurement)
    if against is None:
        return None
    comparison = against.compare_metric(against.subject.find(metric.name), plan.confidence)
    return _name_reference(comparison, measurement.drift(metric))


def accepted_pool(gate: Gate, evidence: Evidence, plan: Plan) -> Comparison | None:
    """The tasks of a test pooled against what was accepted last; None where a part lacks it.

    Raises Refusal for a gate without one on the baseline beside it, and as `pooled`.
    """
    taken = [
        measurement for measurement in evidence.measured if pool_includes(gate, measurement.subject)
    ]
    metrics = [
        measurement.subject.find(gate.metric) if gate.metric else measurement.metric
        for measurement in taken
    ]
    for measurement, metric in zip(taken, metrics, strict=True):
        require_min_retention(gate, metric, measurement.subject, plan)
    against = [_against_accepted(gate, measurement) for measurement in taken]
    references = [reference for reference in against if reference is not None]
    if len(references) < len(taken):
        return None
    # Far above the accepted run is no suspicion; the gate on the baseline looks after that.
    better = replace(evidence, measured=references)
    comparison = pooled(gate, better, plan.confidence, allow_better=True)
    drifts = [measurement.drift(metric) for measurement, metric in zip(taken, metrics, strict=True)]
    return _name_reference(comparison, *drifts)


def _against_accepted(gate: Gate, measurement: Measurement) -> Measurement | None:
    if measurement.accepted is None:
        raise Refusal(GateCode.GATE_ADDED_LATE, gate=str(gate))
    return measurement.against_accepted()


def _name_reference(comparison: Comparison, *drifts: Drift | None) -> Comparison:
    known_drifts = [
        drift for drift in drifts if drift is not None and math.isfinite(drift.retention)
    ]
    return replace(
        comparison,
        reference=REFERENCE,
        notes=(*comparison.notes, *map(str, known_drifts)),
        of_first_accepted=known_drifts[0].retention
        if len(drifts) == len(known_drifts) == 1
        else None,
    )
