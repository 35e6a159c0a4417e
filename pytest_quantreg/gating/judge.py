"""What the gates of one test make of its evidence: outcomes, one per gate and measurement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.codes import GateCode
from ..core.comparison.accuracy import TOKEN_PERPLEXITY, Comparison
from ..core.errors import Refusal
from ..core.gates.outcome import (
    MeasuredAccuracy,
    NothingAccepted,
    Outcome,
    RefusedAccuracy,
)
from ..core.gates.plan import Plan
from ..core.gates.selection import POOLED, Gate, choose, gates_without_metrics, matching
from ..core.records.run import Metric
from ..core.settings import Settings
from .accuracy.gate_selection import assign, refuse_unjudged
from .accuracy.no_regression import accepted_pool, accepted_task
from .accuracy.pool import pool_includes, pooled
from .accuracy.unjudged_metrics import UnjudgedMetrics
from .evidence import Evidence, GroupMeasurement, Measurement, RefusalRecord
from .gate_verdicts import judge_gate
from .speed.judge import judge_speed

_POOL = "pool"
"""What stands for a task where there is no pool, for want of a part of it."""


def fed_gates(plan: Plan, evidence: Evidence) -> list[Gate]:
    """The gates of a test that its measurements, or refusals of them, bear on."""
    refused = [refusal.task for refusal in evidence.refused if refusal.task is not None]
    fed = [gate for task in refused for gate in matching(plan.gates, task)]
    for measurement in evidence.measured:
        for part, gates in _levels(plan, measurement):
            unsuited = assign(gates, part.subject).unsuited
            fed += [gate for gate in gates if gate not in unsuited]
    fed += [gate for gate in plan.gates if gate.pools and (refused or _feeds(gate, evidence))]
    return list(dict.fromkeys(fed))


def judge_evidence(
    plan: Plan, evidence: Evidence, settings: Settings, *, body_ended: bool = True
) -> list[Outcome]:
    """All outcomes of one test: refusals, what it measured, in order, pools, unfed gates.

    While the body has not run (``body_ended``) no gate can be unfed.
    """
    outcomes: list[Outcome] = [
        _refusal_outcome(refusal) for refusal in evidence.refused if not refusal.speed
    ]
    unjudged = UnjudgedMetrics(plan, evidence)
    for measurement in evidence.measured:
        outcomes.extend(_judge_call(plan, measurement, settings, unjudged))
    pools = [gate for gate in plan.gates if gate.pools and _feeds(gate, evidence)]
    if pools:
        judged = _judge_pools(pools, plan, evidence, settings)
        outcomes.extend(unjudged.extend_pools(list(judged)))
    if body_ended and not evidence.refused_outright:
        fed = fed_gates(plan, evidence)
        lacking = gates_without_metrics(
            plan.gates, fed.__contains__, measured=bool(evidence.measured)
        )
        outcomes.extend(_unfed_outcome(gate, evidence) for gate in lacking)
    outcomes.extend(judge_speed(plan, evidence, settings, body_ended=body_ended))
    return outcomes


def _levels(plan: Plan, measurement: Measurement) -> Iterator[tuple[Measurement, list[Gate]]]:
    """A call and the gates that admit it; of a group also each part with those naming it."""
    yield measurement, matching(plan.gates, measurement.task)
    if measurement.parts != (measurement,):
        for part in measurement.parts:
            named = [gate for gate in plan.gates if gate.task == part.task]
            yield part, named


def _judge_call(
    plan: Plan, measurement: Measurement, settings: Settings, unjudged: UnjudgedMetrics
) -> Iterator[Outcome]:
    in_pool = any(gate.pools and pool_includes(gate, measurement.subject) for gate in plan.gates)
    for level, (part, gates) in enumerate(_levels(plan, measurement)):
        group_name = measurement.task if level else None
        judged = _judge_task(plan, part, gates, settings, group_name, in_pool=in_pool)
        group = measurement if level and isinstance(measurement, GroupMeasurement) else None
        yield from unjudged.extend_task(list(judged), part, group)


def _judge_task(
    plan: Plan,
    measurement: Measurement,
    gates: Sequence[Gate],
    settings: Settings,
    part_of: str | None,
    *,
    in_pool: bool,
) -> Iterator[Outcome]:
    assigned = assign(gates, measurement.subject)
    for gate, error in assigned.unknown:
        yield _refused_outcome(error, measurement, gate)
    try:
        refuse_unjudged(plan, assigned, measurement.subject)
    except Refusal as error:
        yield _refused_outcome(error, measurement, None)
    judged = [metric for metric, _ in assigned.chosen]
    same_text = measurement.metric.kind == "perplexity" and TOKEN_PERPLEXITY in judged
    if measurement.metric not in judged and not same_text:
        comparison = measurement.compare_metric(measurement.metric, plan.confidence)
        yield MeasuredAccuracy(comparison, measurement.context, part_of, in_pool)
    for metric, gate in assigned.chosen:
        yield _judge_metric(gate, metric, measurement, plan, settings, part=part_of is not None)


def _judge_metric(
    gate: Gate,
    metric: Metric,
    measurement: Measurement,
    plan: Plan,
    settings: Settings,
    *,
    part: bool,
) -> Outcome:
    try:
        if gate.of_accepted:
            comparison = accepted_task(gate, metric, measurement, plan, part=part)
        else:
            comparison = measurement.compare_metric(metric, plan.confidence)
    except Refusal as error:
        return _refused_outcome(error, measurement, gate)
    if comparison is None:
        return _nothing_accepted(gate, [measurement], measurement.task, metric.name)
    return judge_gate(gate, comparison, plan, measurement.context, settings)


def _nothing_accepted(
    gate: Gate, measured: Sequence[Measurement], task: str, metric: str | None
) -> Outcome:
    """A gate that has nothing to compare with, in a session that may accept the first run."""
    reference = next(
        measurement.accepted
        for measurement in measured
        if measurement.accepted and measurement.accepted.accuracy is None
    )
    assert reference.why is not None  # there is no run
    return NothingAccepted(
        gate,
        reference.why,
        measured[0].scheme,
        measured[0].context,
        task,
        metric,
        incomparable=reference.last is not None,
    )


def _feeds(pool: Gate, evidence: Evidence) -> bool:
    return any(pool_includes(pool, measurement.subject) for measurement in evidence.measured)


def _judge_pools(
    pools: Sequence[Gate], plan: Plan, evidence: Evidence, settings: Settings
) -> Iterator[Outcome]:
    measured = evidence.measured
    scheme, context = measured[0].scheme, measured[0].context
    chosen = [gate for gate, _ in choose([(gate, gate.metric or "") for gate in pools])]
    for gate in sorted(chosen, key=lambda gate: gate.of_accepted):
        try:
            comparison = _pool(gate, evidence, plan, settings)
        except Refusal as error:
            yield RefusedAccuracy(error, scheme, context, _POOL, gate)
            continue
        if comparison is None:
            yield _nothing_accepted(gate, measured, f"pool of {len(measured)}", gate.metric)
        else:
            yield judge_gate(gate, comparison, plan, context, settings)


def _pool(gate: Gate, evidence: Evidence, plan: Plan, settings: Settings) -> Comparison | None:
    if gate.of_accepted:
        return accepted_pool(gate, evidence, plan)
    return pooled(gate, evidence, plan.confidence, allow_better=settings.allow_better)


def _refusal_outcome(refused: RefusalRecord) -> Outcome:
    return RefusedAccuracy(refused.error, refused.scheme, refused.context, refused.task)


def _refused_outcome(error: Refusal, measurement: Measurement, gate: Gate | None) -> Outcome:
    return RefusedAccuracy(error, measurement.scheme, measurement.context, measurement.task, gate)


def _unfed_outcome(gate: Gate, evidence: Evidence) -> Outcome:
    named = gate.task if gate.task != POOLED else None
    error = Refusal(GateCode.UNFED, tasks=tuple(evidence.tasks), gate=str(gate), task=named)
    return RefusedAccuracy(error, evidence.scheme, None, named, gate)
