"""What the gates of one test make of its evidence: outcomes, one per gate and measurement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..core.comparison import TOKEN_PERPLEXITY, Comparison
from ..core.errors import Category, Refusal
from ..core.gates import POOLED, Gate, choose, matching, unfed
from ..core.outcome import Context, Outcome
from ..core.plan import Plan
from ..core.record import Metric
from ..core.settings import Settings
from ..core.verdict import judge as judge_gate
from ..report import messages
from .asking import Subject
from .evidence import Evidence, Finished, Refused
from .pooling import pooled, takes
from .speed_judging import judge_speed

_POOL = "pool"
"""What stands for a task where there is no pool, for want of a part of it."""


@dataclass(frozen=True)
class Assigned:
    """Which gate judges which metric of one call.

    ``unknown`` are gates whose metric its task lacks, ``unsuited`` those that judge
    another kind of metric than the one it was measured for.
    """

    chosen: tuple[tuple[Metric, Gate], ...]
    unknown: tuple[tuple[Gate, Refusal], ...] = ()
    unsuited: tuple[Gate, ...] = ()


def assign(gates: Sequence[Gate], subject: Subject) -> Assigned:
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
    return Assigned(
        tuple(sorted(chosen, key=lambda pair: pair[0] != subject.metric)),
        tuple(unknown),
        tuple(unsuited),
    )


def refuse_unjudged(plan: Plan, found: Assigned, subject: Subject) -> None:
    """Refuses a call that has gates, all of them for another kind of metric. Raises Refusal."""
    pools = [gate for gate in plan.gates if gate.pools]
    unsuited = [*found.unsuited, *(gate for gate in pools if not takes(gate, subject))]
    judged = found.chosen or found.unknown or any(takes(gate, subject) for gate in pools)
    if unsuited and not judged:
        raise _other_kind(unsuited[0], subject)


def fed_by(plan: Plan, evidence: Evidence) -> list[Gate]:
    """The gates of a test that its measurements, or refusals of them, bear on."""
    refused = [one.task for one in evidence.refused if one.task is not None]
    found = [gate for task in refused for gate in matching(plan.gates, task)]
    for one in evidence.measured:
        for part, gates in _levels(plan, one):
            unsuited = assign(gates, part.subject).unsuited
            found += [gate for gate in gates if gate not in unsuited]
    found += [gate for gate in plan.gates if gate.pools and (refused or _feeds(gate, evidence))]
    return list(dict.fromkeys(found))


def judge(
    plan: Plan, evidence: Evidence, settings: Settings, *, body_ended: bool = True
) -> list[Outcome]:
    """All outcomes of one test: refusals, what it measured, in order, pools, unfed gates.

    While the body has not run (``body_ended``) no gate can be unfed.
    """
    outcomes = [_refusal(one) for one in evidence.refused if not one.speed]
    for one in evidence.measured:
        outcomes.extend(_judge_call(plan, one, settings))
    pools = [gate for gate in plan.gates if gate.pools and _feeds(gate, evidence)]
    if pools:
        outcomes.extend(_judge_pools(pools, plan, evidence, settings))
    if body_ended and not evidence.refused_outright:
        fed = fed_by(plan, evidence)
        lacking = unfed(plan.gates, fed.__contains__, measured=bool(evidence.measured))
        outcomes.extend(_unfed(gate, evidence) for gate in lacking)
    outcomes.extend(judge_speed(plan, evidence, settings, body_ended=body_ended))
    return list(dict.fromkeys(outcomes))


def _levels(plan: Plan, one: Finished) -> Iterator[tuple[Finished, list[Gate]]]:
    """A call and the gates that admit it; of a group also each part with those naming it."""
    yield one, matching(plan.gates, one.task)
    if one.parts != (one,):
        for part in one.parts:
            named = [gate for gate in plan.gates if gate.task == part.task]
            yield part, named


def _judged_by(gate: Gate, subject: Subject) -> Metric | None:
    if gate.of_perplexity:
        return TOKEN_PERPLEXITY if subject.perplexity() is not None else None
    if gate.metric:
        return subject.find(gate.metric)
    return subject.metric if subject.metric.kind != "perplexity" else None


def _judge_call(plan: Plan, one: Finished, settings: Settings) -> Iterator[Outcome]:
    in_pool = any(gate.pools and takes(gate, one.subject) for gate in plan.gates)
    pooled_in = "the pool" if in_pool else None
    for level, (part, gates) in enumerate(_levels(plan, one)):
        yield from _judge_task(plan, part, gates, settings, one.task if level else pooled_in)


def _judge_task(
    plan: Plan, one: Finished, gates: Sequence[Gate], settings: Settings, part_of: str | None
) -> Iterator[Outcome]:
    found = assign(gates, one.subject)
    for gate, error in found.unknown:
        yield _refused(error, one, gate)
    try:
        refuse_unjudged(plan, found, one.subject)
    except Refusal as error:
        yield _refused(error, one, None)
    judged = [metric for metric, _ in found.chosen]
    same_text = one.metric.kind == "perplexity" and TOKEN_PERPLEXITY in judged
    if one.metric not in judged and not same_text:
        comparison = one.compare(one.metric, plan.confidence)
        yield messages.of_measurement(comparison, one.context, part_of=part_of)
    for metric, gate in found.chosen:
        yield _judge_metric(gate, metric, one, plan, settings)


def _judge_metric(
    gate: Gate, metric: Metric, one: Finished, plan: Plan, settings: Settings
) -> Outcome:
    try:
        comparison = one.compare(metric, plan.confidence)
    except Refusal as error:
        return _refused(error, one, gate)
    return _judge_gate(gate, comparison, one.scheme, one.context, plan, settings)


def _feeds(pool: Gate, evidence: Evidence) -> bool:
    return any(takes(pool, one.subject) for one in evidence.measured)


def _judge_pools(
    pools: Sequence[Gate], plan: Plan, evidence: Evidence, settings: Settings
) -> Iterator[Outcome]:
    measured = evidence.measured
    scheme, context = measured[0].scheme, measured[0].context
    for gate, _ in choose([(gate, gate.metric or "") for gate in pools]):
        try:
            comparison = pooled(gate, evidence, plan.confidence)
        except Refusal as error:
            yield messages.of_refusal(
                error, scheme=scheme, context=context, task=_POOL, gate=str(gate)
            )
            continue
        yield _judge_gate(gate, comparison, scheme, context, plan, settings)


def _judge_gate(
    gate: Gate,
    comparison: Comparison,
    scheme: str,
    context: Context,
    plan: Plan,
    settings: Settings,
) -> Outcome:
    try:
        verdict = judge_gate(
            gate,
            comparison,
            plan,
            max_undetected=settings.max_undetected,
            allow_better=settings.allow_better,
        )
    except Refusal as error:
        return messages.of_refusal(
            error,
            scheme=scheme,
            context=context,
            task=comparison.task,
            comparison=comparison,
            gate=str(gate),
        )
    return messages.of_verdict(verdict, context)


def _refusal(one: Refused) -> Outcome:
    return messages.of_refusal(one.error, scheme=one.scheme, context=one.context, task=one.task)


def _refused(error: Refusal, one: Finished, gate: Gate | None) -> Outcome:
    return messages.of_refusal(
        error,
        scheme=one.scheme,
        context=one.context,
        task=one.task,
        gate=str(gate) if gate is not None else None,
    )


def _other_kind(gate: Gate, subject: Subject) -> Refusal:
    if gate.of_perplexity:
        return Refusal(
            Category.NOTHING_MEASURED,
            f"{gate} judges perplexities, and {subject.task} has none",
            help="say what its scores must keep with min_retention, or take the marker off",
        )
    others = [
        metric.name
        for protocol in subject.protocols
        for metric in protocol.metrics
        if metric.kind in ("binary", "mean")
    ]
    other = f", or name one with scores: metric={others[0].partition(',')[0]!r}" if others else ""
    return Refusal(
        Category.NOTHING_MEASURED,
        f"{gate} does not judge {subject.metric.name} of {subject.task}: a share of a "
        "perplexity says little",
        help=f"bound its rise with max_perplexity_ratio, e.g. 1.02{other}",
    )


def _unfed(gate: Gate, evidence: Evidence) -> Outcome:
    tasks = evidence.tasks
    did = f"measured {', '.join(tasks)}" if tasks else "measured nothing"
    named = gate.task if gate.task != POOLED else None
    call = f"compare_accuracy({named!r})" if named else "compare_accuracy(TASK)"
    error = Refusal(
        Category.NOTHING_MEASURED,
        f"the test {did}, so {gate} judged nothing",
        help=f"call {call} in the body of the test, or take the marker off it",
    )
    return messages.of_refusal(
        error, scheme=evidence.scheme, context=None, task=named, gate=str(gate)
    )
