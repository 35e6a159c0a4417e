"""Which gate judges which metric of one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...core.codes import GateCode
from ...core.comparison.accuracy import TOKEN_PERPLEXITY
from ...core.errors import Refusal
from ...core.gates.plan import Plan
from ...core.gates.selection import Gate, choose, judges_retention
from ...core.records.metric_directions import refuse_undirected
from ...core.records.run import Metric
from .pool import pool_includes
from .request import GateTarget


@dataclass(frozen=True)
class GateAssignment:
    """Which gate judges which metric of one call.

    ``unknown`` are gates whose metric its task lacks or that has no known direction,
    ``unsuited`` those that judge
    another kind of metric than the one it was measured for.
    """

    chosen: tuple[tuple[Metric, Gate], ...]
    unknown: tuple[tuple[Gate, Refusal], ...] = ()
    unsuited: tuple[Gate, ...] = ()


def assign(gates: Sequence[Gate], subject: GateTarget) -> GateAssignment:
    """Which of ``gates``, all of which admit its task, judges which metric of ``subject``.

    Gates that name no metric judge the one that the call asked for, but for perplexities:
    their ratio has a gate of its own.
    """
    wanted: list[tuple[Gate, str]] = []
    unknown: list[tuple[Gate, Refusal]] = []
    unsuited: list[Gate] = []
    metrics: dict[str, Metric] = {}
    for gate in gates:
        try:
            metric = _judged_by(gate, subject)
        except Refusal as error:
            unknown.append((gate, error))
            continue
        if metric is None:
            unsuited.append(gate)
            continue
        metrics[metric.name] = metric
        wanted.append((gate, metric.name))
    chosen = [(metrics[name], gate) for gate, name in choose(wanted)]
    return GateAssignment(
        tuple(sorted(chosen, key=lambda pair: (pair[0] != subject.metric, pair[1].of_accepted))),
        tuple(unknown),
        tuple(unsuited),
    )


def refuse_unjudged(plan: Plan, assigned: GateAssignment, subject: GateTarget) -> None:
    """Refuses a call that has gates, all of them for another kind of metric. Raises Refusal."""
    pools = [gate for gate in plan.gates if gate.pools]
    unsuited = [*assigned.unsuited, *(gate for gate in pools if not pool_includes(gate, subject))]
    judged = (
        assigned.chosen or assigned.unknown or any(pool_includes(gate, subject) for gate in pools)
    )
    if unsuited and not judged:
        raise _other_kind(unsuited[0], subject)


def _judged_by(gate: Gate, subject: GateTarget) -> Metric | None:
    if gate.of_perplexity:
        return TOKEN_PERPLEXITY if subject.perplexity() is not None else None
    metric = subject.find(gate.metric) if gate.metric else subject.metric
    if not judges_retention(metric, named=bool(gate.metric)):
        return None
    refuse_undirected(metric, subject.task)
    return metric


def _other_kind(gate: Gate, subject: GateTarget) -> Refusal:
    if gate.of_perplexity:
        return Refusal(GateCode.NO_PERPLEXITY_TO_JUDGE, gate=str(gate), task=subject.task)
    scored = (
        metric.name.partition(",")[0]
        for protocol in subject.protocols
        for metric in protocol.metrics
        if metric.kind in ("binary", "mean")
    )
    return Refusal(
        GateCode.SHARE_OF_PERPLEXITY,
        gate=str(gate),
        metric=subject.metric.name,
        task=subject.task,
        other=next(scored, None),
    )
