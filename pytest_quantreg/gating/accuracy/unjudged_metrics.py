"""The metrics of one test that no gate judges, for the verdicts beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial

from ...core.errors import Refusal
from ...core.gates.outcome import JUDGED, Context, Outcome
from ...core.gates.plan import Plan
from ...core.gates.selection import MIN_RETENTION, Gate, matching
from ...core.gates.unjudged_metrics import Compared, is_score
from ...core.records.run import Metric
from ...report.unjudged_messages import with_other_losses
from ..evidence import Evidence, Finished, Grouped, Measured
from .gate_selection import assign
from .pool import takes
from .request import alike


class UnjudgedMetrics:
    """What the gates of one test leave out.

    A task is looked at by the gates that judge another metric of it, at the least of their
    minima; where only pools do, by the pool.
    """

    def __init__(self, plan: Plan, evidence: Evidence) -> None:
        self._plan = plan
        self._measured = evidence.measured
        gates = [one for one in (*plan.gates, *plan.beside) if one.marker == MIN_RETENTION]
        self._pools = [gate for gate in gates if gate.pools]
        self._gates = [gate for gate in gates if not gate.pools]

    def beside_task(
        self, outcomes: Sequence[Outcome], one: Finished, group: Grouped | None
    ) -> list[Outcome]:
        """The outcomes of a task or group (of a part of ``group``), with what they miss."""
        gates = [gate for _, gate in self._chosen(one, group)]
        return self._beside(outcomes, gates, self._others(one, group), one.context)

    def beside_pools(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """The outcomes of pools, with what is missed of tasks that no other gate judges."""
        others = [
            other
            for one in self._measured
            if any(takes(gate, one.subject) for gate in self._pools) and not self._chosen(one, None)
            for other in self._others(one, None)
        ]
        return self._beside(outcomes, self._pools, others, self._measured[0].context)

    def _beside(
        self,
        outcomes: Sequence[Outcome],
        gates: Sequence[Gate],
        others: Sequence[Compared],
        context: Context,
    ) -> list[Outcome]:
        """The first verdict on retention names what is lost beside it."""
        place = next((at for at, one in enumerate(outcomes) if _is_verdict(one)), None)
        # What the test's own plan judges, the plan of gates that its body added does not repeat.
        if place is None or not gates or any(gate in self._plan.beside for gate in gates):
            return list(outcomes)
        named = with_other_losses(
            outcomes[place],
            others,
            min(gate.minimum for gate in gates),
            plan=self._plan,
            context=context,
        )
        return [*outcomes[:place], named[0], *outcomes[place + 1 :], *named[1:]]

    def _chosen(self, one: Finished, group: Grouped | None) -> list[tuple[Metric, Gate]]:
        """The gates that judge a task by itself; a part of a group only those that name it."""
        named = [gate for gate in self._gates if gate.task == one.task]
        gates = matching(self._gates, one.task) if group is None else named
        return list(assign(gates, one.subject).chosen)

    def _judged(self, one: Finished, group: Grouped | None) -> set[str]:
        """The metrics that any gate judges, by their names in this task."""
        found = [metric for metric, _ in self._chosen(one, group)]
        if group is not None:
            found += [metric for metric, _ in self._chosen(group, None)]
        found += _pooled(self._pools, group or one)
        return {alike(one.subject.protocols[0], metric).name for metric in found}

    def _others(self, one: Finished, group: Grouped | None) -> list[Compared]:
        """The scores of a task, and of each task of a group, that no gate judges."""
        judged = self._judged(one, group)
        found: list[Compared] = [
            partial(one.compare_metric, metric)
            for metric in _scores(one)
            if metric.name not in judged
        ]
        if isinstance(one, Grouped):
            for part in one.parts:
                # One that has a gate of its own is looked at there.
                if not self._chosen(part, one):
                    found += self._others(part, one)
        return found


def _is_verdict(one: Outcome) -> bool:
    of_retention = one.gate is not None and one.gate.startswith(MIN_RETENTION)
    return of_retention and one.result in JUDGED


def _pooled(pools: Sequence[Gate], one: Finished) -> Iterator[Metric]:
    """The metrics of a task or group that pools judge."""
    for gate in pools:
        if takes(gate, one.subject):
            # A pool over a metric that one of its tasks lacks is refused.
            with suppress(Refusal):
                yield one.subject.find(gate.metric) if gate.metric else one.metric


def _scores(one: Finished) -> Iterator[Metric]:
    """The metrics with a score per item, in a group those that every task has."""
    for metric in one.subject.protocols[0].metrics:
        try:
            found = [(part, alike(part.baseline.protocol, metric)) for part in one.parts]
        except Refusal:
            continue
        if all(_is_scored(part, each) for part, each in found):
            yield metric


def _is_scored(part: Measured, metric: Metric) -> bool:
    sides = (part.baseline, part.candidate)
    return is_score(metric) and all(metric.name in side.items.scores for side in sides)
