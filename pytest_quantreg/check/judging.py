"""The evidence one test leaves behind, and the outcomes its gates make of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from ..core.comparison import Comparison, compare
from ..core.errors import Category, QuantregError, Refusal
from ..core.gates import Gate, Plan, choose, matching, unfed
from ..core.outcome import Context, Outcome
from ..core.record import Accuracy, Metric, Protocol
from ..core.verdict import judge as judge_gate
from ..measure import find_metric
from ..report import messages


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

    @property
    def touched(self) -> bool:
        """Whether anything was measured, recorded or refused."""
        return bool(self.measured or self.refused or self.recorded)

    @property
    def tasks(self) -> list[str]:
        """The tasks it asked for, measured or refused."""
        measured = [one.task for one in self.measured]
        return measured + [one.task for one in self.refused if one.task is not None]

    def refuse(self, error: QuantregError, task: str | None, context: Context | None) -> None:
        """Notes a refusal, once however often it is raised."""
        if all(one.error is not error for one in self.refused):
            self.refused.append(Refused(self.scheme, error, task, context))


Chosen: TypeAlias = list[tuple[Metric, Gate]]
Unknown: TypeAlias = list[tuple[Gate, Refusal]]


def assign(plan: Plan, protocol: Protocol, metric: Metric) -> tuple[Chosen, Unknown]:
    """Which gate judges which metric of a task, and the gates whose metric it lacks.

    ``metric`` is the one that the call asked for; gates that name none judge that.
    """
    wanted: list[tuple[Gate, str]] = []
    unknown: Unknown = []
    metrics = {metric.name: metric}
    for gate in matching(plan.gates, protocol.task):
        try:
            judged = find_metric(protocol, gate.metric) if gate.metric else metric
        except Refusal as error:
            unknown.append((gate, error))
            continue
        metrics[judged.name] = judged
        wanted.append((gate, judged.name))
    chosen = [(metrics[name], gate) for name, gate in choose(wanted).items()]
    return sorted(chosen, key=lambda one: one[0] != metric), unknown


def judge(
    plan: Plan, evidence: Evidence, *, max_undetected: float, body_ended: bool = True
) -> list[Outcome]:
    """All outcomes of one test: refusals, then what it measured, in order, then unfed gates.

    While the body has not run (``body_ended``) no gate can be unfed.
    """
    outcomes = [_refusal(one) for one in evidence.refused]
    for one in evidence.measured:
        outcomes.extend(_judge_measured(plan, one, max_undetected))
    refused_outright = any(one.task is None for one in evidence.refused)
    if body_ended and not refused_outright:
        outcomes.extend(_unfed(gate, evidence) for gate in unfed(plan.gates, evidence.tasks))
    return list(dict.fromkeys(outcomes))


def _judge_measured(plan: Plan, one: Measured, max_undetected: float) -> Iterator[Outcome]:
    chosen, unknown = assign(plan, one.baseline.protocol, one.metric)
    for gate, error in unknown:
        yield messages.of_refusal(
            error, scheme=one.scheme, context=one.context, task=one.task, gate=str(gate)
        )
    if all(metric != one.metric for metric, _ in chosen):
        yield messages.of_measurement(one.compare(one.metric, plan.confidence), one.context)
    for metric, gate in chosen:
        yield _judge_gate(gate, one, one.compare(metric, plan.confidence), plan, max_undetected)


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


def _unfed(gate: Gate, evidence: Evidence) -> Outcome:
    tasks = evidence.tasks
    did = f"measured {', '.join(dict.fromkeys(tasks))}" if tasks else "measured nothing"
    call = f"compare_accuracy({gate.task!r})" if gate.task else "compare_accuracy(TASK)"
    error = Refusal(
        Category.NOTHING_MEASURED,
        f"the test {did}, so {gate} judged nothing",
        help=f"call {call} in the body of the test, or take the marker off it",
    )
    return messages.of_refusal(
        error, scheme=evidence.scheme, context=None, task=gate.task, gate=str(gate)
    )
