"""The metrics of one test that no gate judges, for the verdicts beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial

from ...core.errors import Refusal
from ...core.gates.outcome import JudgedAccuracy, Outcome
from ...core.gates.plan import Plan
from ...core.gates.selection import MIN_RETENTION, Gate, matching
from ...core.gates.unjudged_metrics import ComparisonAt, is_score
from ...core.records.run import Metric
from ..evidence import Evidence, GroupMeasurement, Measurement, TaskMeasurement
from ..gate_verdicts import with_unjudged_losses
from .gate_selection import assign
from .pool import pool_includes
from .request import same_metric


class UnjudgedMetrics:
    """What the gates of one test leave out.

    A task is looked at by the gates that judge another metric of it, at the least of their
    minima; where only pools do, by the pool.
    """

    def __init__(self, plan: Plan, evidence: Evidence) -> None:
        self._plan = plan
        self._measured = evidence.measured
        gates = [
            gate for gate in (*plan.gates, *plan.judged_elsewhere) if gate.marker == MIN_RETENTION
        ]
        self._pools = [gate for gate in gates if gate.pools]
        self._gates = [gate for gate in gates if not gate.pools]

    def extend_task(
        self,
        outcomes: Sequence[Outcome],
        measurement: Measurement,
        group: GroupMeasurement | None,
    ) -> list[Outcome]:
        """The outcomes of a task or group (of a part of ``group``), with what they miss."""
        gates = [gate for _, gate in self._judging_gates(measurement, group)]
        return self._extend(outcomes, gates, self._unjudged(measurement, group))

    def extend_pools(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """The outcomes of pools, with what is missed of tasks that no other gate judges."""
        others = [
            other
            for measurement in self._measured
            if any(pool_includes(gate, measurement.subject) for gate in self._pools)
            and not self._judging_gates(measurement, None)
            for other in self._unjudged(measurement, None)
        ]
        return self._extend(outcomes, self._pools, others)

    def _extend(
        self,
        outcomes: Sequence[Outcome],
        gates: Sequence[Gate],
        others: Sequence[ComparisonAt],
    ) -> list[Outcome]:
        """The first verdict on retention names what is lost beside it."""
        judged = next((outcome for outcome in outcomes if _is_verdict(outcome)), None)
        # What the test's own plan judges, the plan of gates that its body added does not repeat.
        repeated = any(gate in self._plan.judged_elsewhere for gate in gates)
        if not isinstance(judged, JudgedAccuracy) or not gates or repeated:
            return list(outcomes)
        minimum = min(gate.minimum for gate in gates)
        verdict, *lost = with_unjudged_losses(judged, others, minimum, self._plan)
        return [*(verdict if outcome is judged else outcome for outcome in outcomes), *lost]

    def _judging_gates(
        self, measurement: Measurement, group: GroupMeasurement | None
    ) -> list[tuple[Metric, Gate]]:
        """The gates that judge a task by itself; a part of a group only those that name it."""
        named = [gate for gate in self._gates if gate.task == measurement.task]
        gates = matching(self._gates, measurement.task) if group is None else named
        return list(assign(gates, measurement.subject).chosen)

    def _judged_names(self, measurement: Measurement, group: GroupMeasurement | None) -> set[str]:
        """The metrics that any gate judges, by their names in this task."""
        metrics = [metric for metric, _ in self._judging_gates(measurement, group)]
        if group is not None:
            metrics += [metric for metric, _ in self._judging_gates(group, None)]
        metrics += _pooled_metrics(self._pools, group or measurement)
        return {same_metric(measurement.subject.protocols[0], metric).name for metric in metrics}

    def _unjudged(
        self, measurement: Measurement, group: GroupMeasurement | None
    ) -> list[ComparisonAt]:
        """The scores of a task, and of each task of a group, that no gate judges."""
        judged = self._judged_names(measurement, group)
        unjudged: list[ComparisonAt] = [
            partial(measurement.compare_metric, metric)
            for metric in _scored_metrics(measurement)
            if metric.name not in judged
        ]
        if isinstance(measurement, GroupMeasurement):
            for part in measurement.parts:
                # One that has a gate of its own is looked at there.
                if not self._judging_gates(part, measurement):
                    unjudged += self._unjudged(part, measurement)
        return unjudged


def _is_verdict(outcome: Outcome) -> bool:
    return isinstance(outcome, JudgedAccuracy) and outcome.verdict.gate.marker == MIN_RETENTION


def _pooled_metrics(pools: Sequence[Gate], measurement: Measurement) -> Iterator[Metric]:
    """The metrics of a task or group that pools judge."""
    for gate in pools:
        if pool_includes(gate, measurement.subject):
            # A pool over a metric that one of its tasks lacks is refused.
            with suppress(Refusal):
                yield measurement.subject.find(gate.metric) if gate.metric else measurement.metric


def _scored_metrics(measurement: Measurement) -> Iterator[Metric]:
    """The metrics with a score per item, in a group those that every task has."""
    for metric in measurement.subject.protocols[0].metrics:
        try:
            scored = [
                (part, same_metric(part.baseline.protocol, metric)) for part in measurement.parts
            ]
        except Refusal:
            continue
        if all(_is_scored(part, part_metric) for part, part_metric in scored):
            yield metric


def _is_scored(part: TaskMeasurement, metric: Metric) -> bool:
    sides = (part.baseline, part.candidate)
    return is_score(metric) and all(metric.name in side.items.scores for side in sides)
