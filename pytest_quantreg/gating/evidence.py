"""The evidence one test leaves behind: what it measured, and what was refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..core.codes import GateCode
from ..core.comparison.accuracy import TOKEN_PERPLEXITY, Comparison, Pair
from ..core.comparison.alignment import same_kinds, value_of
from ..core.comparison.pairs import compare_items, pool
from ..core.comparison.perplexity import compare_tokens
from ..core.errors import QuantregError, Refusal
from ..core.facts import Note, RecordBaseline
from ..core.gates.outcome import Outcome
from ..core.records.acceptance import CandidateFile, Drift, Reference
from ..core.records.outcome_row import Context
from ..core.records.run import Accuracy, Metric
from .accuracy.request import GateTarget, same_metric
from .history import Origin
from .speed.compare import Timing

_GENERATES = "generate_until"
"""lm-eval's word for tasks whose answers are generated, token by token."""


@dataclass(frozen=True)
class TaskMeasurement:
    """One task measured on both models: the same items of each.

    ``claims`` is what the name of the scheme stands for, where it is a project's own.
    ``accepted`` is what ``no_regression`` judges it against, None where no gate asks.
    ``kept`` is what the measurement is filed under, where it is kept for being accepted,
    ``answered`` a digest that two models share if they gave the same answers (empty: unknown).
    ``origin`` tells which checkpoint was measured, and ``expected`` what share of the answers
    others of its model and scheme flipped.
    """

    scheme: str
    task: str
    metric: Metric
    baseline: Accuracy
    candidate: Accuracy
    context: Context
    notes: tuple[Note, ...] = ()
    claims: str = ""
    accepted: Reference | None = None
    kept: CandidateFile | None = None
    answered: str = ""
    origin: Origin | None = None
    expected: float | None = None

    @property
    def parts(self) -> tuple[TaskMeasurement, ...]:
        """The tasks it is made of: itself."""
        return (self,)

    @property
    def subject(self) -> GateTarget:
        """What gates see of it."""
        return GateTarget(self.task, self.metric, (self.baseline.protocol,))

    def compare_metric(self, metric: Metric, confidence: float) -> Comparison:
        """The two measurements paired under ``metric``.

        Raises Refusal for perplexity per token where tokens were not counted alike.
        """
        if metric == TOKEN_PERPLEXITY:
            return self._per_token(confidence)
        comparison = compare_items(
            self.baseline,
            self.candidate,
            metric,
            scheme=self.scheme,
            confidence=confidence,
            notes=self.notes,
        )
        return replace(comparison, claims=self.claims, expected=self.expected)

    def pairs(self, metric: Metric) -> list[Pair]:
        """What a pool takes of it, the weights summing to 1."""
        return [Pair(self.baseline, self.candidate, metric)]

    def against_accepted(self) -> TaskMeasurement | None:
        """The same with the run accepted last in place of the baseline; None without one."""
        if self.accepted is None or self.accepted.accuracy is None:
            return None
        before, after = same_kinds(self.accepted.accuracy, self.candidate)
        metric = next(
            declared for declared in before.protocol.metrics if declared.name == self.metric.name
        )
        return replace(
            self, baseline=before, candidate=after, metric=metric, notes=self.accepted.notes
        )

    def drift(self, metric: Metric) -> Drift | None:
        """What is left of the first accepted run, each measured by its own baseline."""
        first = self.accepted.first if self.accepted is not None else None
        task = first.of(self.accepted.stem) if first is not None and self.accepted else None
        if first is None or task is None or metric.name not in task.values:
            return None
        now = value_of(self.candidate, metric), value_of(self.baseline, metric)
        then = task.values[metric.name], task.baseline[metric.name]
        return Drift(self.task, first.accepted_at, metric, *now, *then)

    def _per_token(self, confidence: float) -> Comparison:
        metric = self.subject.perplexity()
        comparison = None
        if metric is not None:
            comparison = compare_tokens(
                self.baseline,
                self.candidate,
                metric,
                scheme=self.scheme,
                confidence=confidence,
                notes=self.notes,
            )
        if comparison is None:
            raise Refusal(
                GateCode.TOKENS_COUNTED_UNLIKE, task=self.task, record=RecordBaseline(again=True)
            )
        return replace(comparison, claims=self.claims)


@dataclass(frozen=True)
class GroupMeasurement:
    """A group of tasks measured on both models.

    ``weights`` gives lm-eval's own weight of each part for the metric of that name.
    """

    scheme: str
    task: str
    metric: Metric
    weights: Callable[[str], tuple[float, ...]]
    parts: tuple[TaskMeasurement, ...]
    context: Context
    notes: tuple[Note, ...] = ()
    claims: str = ""
    expected: float | None = None

    @property
    def subject(self) -> GateTarget:
        """What gates see of it."""
        return GateTarget(
            self.task, self.metric, tuple(part.baseline.protocol for part in self.parts)
        )

    def compare_metric(self, metric: Metric, confidence: float) -> Comparison:
        """The parts pooled under ``metric``, as lm-eval weighs them."""
        comparison = pool(
            self.pairs(metric),
            task=self.task,
            metric=metric.name,
            scheme=self.scheme,
            confidence=confidence,
            notes=self.notes,
        )
        return replace(comparison, claims=self.claims, expected=self.expected)

    @property
    def accepted(self) -> Reference | None:
        """What ``no_regression`` judges it against: nothing where a part lacks it."""
        references = [part.accepted for part in self.parts]
        return next(
            (
                reference
                for reference in references
                if reference is None or reference.accuracy is None
            ),
            references[0],
        )

    def against_accepted(self) -> GroupMeasurement | None:
        """The same with the runs accepted last in place of the baselines; None without."""
        parts = [
            counterpart
            for part in self.parts
            if (counterpart := part.against_accepted()) is not None
        ]
        if len(parts) < len(self.parts):
            return None
        notes = tuple(note for part in parts for note in part.notes)
        return replace(self, parts=tuple(parts), metric=parts[0].metric, notes=notes)

    def drift(self, metric: Metric) -> Drift | None:
        """What is left of the first accepted runs, weighed as the group is."""
        part_drifts = [
            part.drift(same_metric(part.baseline.protocol, metric)) for part in self.parts
        ]
        drifts = [drift for drift in part_drifts if drift is not None]
        if len(drifts) < len(self.parts):
            return None
        return Drift.of(self.task, metric, drifts, self.weights(metric.name))

    def pairs(self, metric: Metric) -> list[Pair]:
        """What a pool takes of it, the weights summing to 1."""
        weights = self.weights(metric.name)
        return [
            Pair(part.baseline, part.candidate, same_metric(part.baseline.protocol, metric), weight)
            for part, weight in zip(self.parts, weights, strict=True)
        ]


Measurement: TypeAlias = "TaskMeasurement | GroupMeasurement"
"""What one call of compare_accuracy measured."""


@dataclass(frozen=True)
class RefusalRecord:
    """One call that was refused, or a refusal before any call (task None).

    ``speed`` tells those of compare_speed, which have no task either.
    """

    scheme: str
    error: QuantregError
    task: str | None = None
    context: Context | None = None
    speed: bool = False


@dataclass
class Evidence:
    """All that one test measured and was refused; grows while its body runs.

    ``fixtures`` are the names of those it used, ``measured`` what compare_accuracy and
    ``timed`` what compare_speed found, ``recorded`` what was recorded and
    ``stored`` the names of those baselines; a session that records judges nothing.
    ``cut_short`` says that its body did not come to its end: it skipped, or the session was
    stopped.
    """

    scheme: str = ""
    fixtures: set[str] = field(default_factory=set)
    measured: list[Measurement] = field(default_factory=list)
    refused: list[RefusalRecord] = field(default_factory=list)
    recorded: list[Outcome] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    timed: list[Timing] = field(default_factory=list)
    cut_short: bool = False

    @property
    def touched(self) -> bool:
        """Whether anything was measured, recorded or refused."""
        return bool(self.measured or self.timed or self.refused or self.recorded)

    @property
    def refused_outright(self) -> bool:
        """Whether something was refused that is no task's own, so that nothing else counts."""
        return any(refusal.task is None for refusal in self.refused)

    @property
    def generating(self) -> frozenset[str]:
        """What of it has the model generate answers: tasks, and groups with such a task."""
        names = {
            name
            for measurement in self.measured
            for part in measurement.parts
            if part.baseline.protocol.output_type == _GENERATES
            for name in (measurement.task, part.task)
        }
        return frozenset(names)

    @property
    def tasks(self) -> list[str]:
        """The tasks and groups it asked for, measured or refused, and the groups' tasks."""
        measured = [
            name
            for measurement in self.measured
            for name in (measurement.task, *(part.task for part in measurement.parts))
        ]
        refused = [refusal.task for refusal in self.refused if refusal.task is not None]
        return list(dict.fromkeys([*measured, *refused]))

    def answers(self) -> list[list[str]]:
        """Scheme, task and digest of all answers, where there is one."""
        parts = [part for measurement in self.measured for part in measurement.parts]
        return [[part.scheme, part.task, part.answered] for part in parts if part.answered]

    def refuse(
        self,
        error: QuantregError,
        task: str | None,
        context: Context | None,
        *,
        speed: bool = False,
    ) -> None:
        """Notes a refusal, once however often it is raised."""
        if all(refusal.error is not error for refusal in self.refused):
            self.refused.append(RefusalRecord(self.scheme, error, task, context, speed))
