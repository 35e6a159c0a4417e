"""The evidence one test leaves behind, and the outcomes its gates make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..core.comparison import Comparison, compare
from ..core.errors import Category, QuantregError, Refusal
from ..core.gates import Gate, Plan, choose, matching, unfed
from ..core.outcome import Context, Outcome
from ..core.record import Accuracy, Metric, Protocol
from ..core.verdict import judge as judge_gate
from ..report import messages

FindMetric = Callable[[Protocol, str], Metric]


@dataclass(frozen=True)
class Measured:
    """One finished call of compare_accuracy: both measurements of the same items."""

    scheme: str
    task: str
    metric: Metric
    baseline: Accuracy
    candidate: Accuracy
    context: Context
    notes: tuple[str, ...] = ()

    def compare(self, metric: Metric, confidence: float) -> Comparison:
        """The two measurements paired under ``metric``."""
        return compare(
            self.baseline,
            self.candidate,
            metric,
            scheme=self.scheme,
            confidence=confidence,
            notes=self.notes,
        )


@dataclass(frozen=True)
class Refused:
    """One call that was refused, or a refusal before any call (task None)."""

    scheme: str
    error: QuantregError
    task: str | None = None
    context: Context | None = None


@dataclass
class Evidence:
    """All that one test measured and was refused; grows while its body runs.

    ``fixtures`` are the names of those it used, ``recorded`` the outcomes of recording;
    a session that records judges nothing.
    """

    scheme: str = ""
    fixtures: set[str] = field(default_factory=set)
    measured: list[Measured] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    recorded: list[Outcome] = field(default_factory=list)


def judge(
    plan: Plan, evidence: Evidence, *, find_metric: FindMetric, max_undetected: float
) -> list[Outcome]:
    """All outcomes of one test, in the order in which it measured."""
    outcomes = [_refusal(one) for one in evidence.refused]
    for one in evidence.measured:
        outcomes.extend(_judge_measured(plan, one, find_metric, max_undetected))
    tasks = [one.task for one in evidence.measured]
    tasks += [one.task for one in evidence.refused if one.task is not None]
    refused_outright = any(one.task is None for one in evidence.refused)
    if not refused_outright:
        outcomes.extend(_unfed(gate, evidence, tasks) for gate in unfed(plan.gates, tasks))
    return list(dict.fromkeys(outcomes))


def _judge_measured(
    plan: Plan, one: Measured, find_metric: FindMetric, max_undetected: float
) -> Iterator[Outcome]:
    wanted: list[tuple[Gate, str]] = []
    metrics: dict[str, Metric] = {one.metric.name: one.metric}
    for gate in matching(plan.gates, one.task):
        try:
            metric = find_metric(one.baseline.protocol, gate.metric) if gate.metric else one.metric
        except Refusal as error:
            yield messages.of_refusal(
                error, scheme=one.scheme, context=one.context, task=one.task, gate=str(gate)
            )
            continue
        metrics[metric.name] = metric
        wanted.append((gate, metric.name))
    chosen = choose(wanted)
    if not chosen:
        yield messages.of_measurement(one.compare(one.metric, plan.confidence), one.context)
    for name, gate in chosen.items():
        yield _judge_gate(
            gate, one, one.compare(metrics[name], plan.confidence), plan, max_undetected
        )


def _judge_gate(
    gate: Gate, one: Measured, comparison: Comparison, plan: Plan, max_undetected: float
) -> Outcome:
    try:
        verdict = judge_gate(
            gate, comparison, plan, chance=one.baseline.chance, max_undetected=max_undetected
        )
    except Refusal as error:
        return messages.of_refusal(
            error,
            scheme=one.scheme,
            context=one.context,
            task=one.task,
            comparison=comparison,
            gate=str(gate),
        )
    return messages.of_verdict(verdict, one.context)


def _refusal(one: Refused) -> Outcome:
    return messages.of_refusal(one.error, scheme=one.scheme, context=one.context, task=one.task)


def _unfed(gate: Gate, evidence: Evidence, tasks: list[str]) -> Outcome:
    did = f"it measured {', '.join(dict.fromkeys(tasks))}" if tasks else "it measured nothing"
    call = f"compare_accuracy({gate.task!r})" if gate.task else "compare_accuracy(TASK)"
    error = Refusal(
        Category.NOTHING_MEASURED,
        f"{gate} was not fed: the test ended and {did}",
        help=f"call {call} in the body of the test, or take the marker off it",
    )
    return messages.of_refusal(
        error, scheme=evidence.scheme, context=None, task=gate.task, gate=str(gate)
    )
