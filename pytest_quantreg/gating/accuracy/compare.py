"""From one call to evidence: the quantized model measured and paired with stored baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from ...baselines import BaselineKey
from ...core import stats
from ...core.codes import GateCode
from ...core.comparison.alignment import first_items, refuse_partial, same_kinds
from ...core.comparison.comparability import Candidate, Difference
from ...core.comparison.generated_answers import answers_digest
from ...core.comparison.item_clusters import units_of
from ...core.comparison.pairs import refuse_overlap, refuse_unpoolable
from ...core.comparison.suspicion import answers, judged_as_rerun, refuse_same_answers
from ...core.errors import Refusal
from ...core.facts import Note, Problem, RecordBaseline, noted
from ...core.gates.plan import Plan
from ...core.gates.selection import POOLED, Gate, matching
from ...core.gates.verdict import refuse_sparse
from ...core.records.acceptance import Reference
from ...core.records.metric_directions import refuse_undirected
from ...core.records.outcome_row import Context
from ...core.records.run import UNVERIFIED, Accuracy, Metric, ModelSpec, Protocol, Provenance, Run
from ...core.settings import GateMode
from ...measure import PreparedTask, TaskGroup
from .. import models
from ..engine_session import LoadedModel
from ..evidence import GroupMeasurement, Measurement, TaskMeasurement
from ..history import FlipCount, planned_flip_share
from ..preconditions import Preconditions
from .accepted_reference import AcceptedReferences
from .candidate_runs import CandidateRuns
from .feasibility import refuse_undecidable
from .gate_selection import assign, refuse_unjudged
from .no_regression import require_min_retention
from .pool import pool_includes
from .request import EvalRequest, GateTarget, other_metric_note, same_metric, with_group_metric

Weights: TypeAlias = Callable[[str], tuple[float, ...]]
"""The name of a metric -> the weight of each task."""

ContextOf: TypeAlias = Callable[[str, str, Provenance, LoadedModel], Context]
"""(model, scheme, baseline, what was loaded) -> what the summary says of them."""


@dataclass(frozen=True)
class _ReadyTask:
    """One task of a call, with all that is known before a model loads.

    ``part`` holds those of the baseline's items that will be compared, ``accepted`` what
    gates on the run accepted last compare with, None without such gates, ``itself`` that
    the model is its own baseline, where that is allowed, ``seen`` and ``seen_elsewhere``
    how much was flipped before, on the task and on all.
    """

    call: EvalRequest
    prepared: PreparedTask
    baseline: Run
    part: Accuracy
    metric: Metric
    candidate: Candidate
    key: BaselineKey
    accepted: Reference | None = None
    itself: Problem | None = None
    seen: tuple[FlipCount, ...] = ()
    seen_elsewhere: tuple[FlipCount, ...] = ()

    @property
    def subject(self) -> GateTarget:
        """What gates see of it."""
        return GateTarget(self.call.request.task, self.metric, (self.part.protocol,))

    def reference(self, gate: Gate) -> Accuracy | None:
        """What ``gate`` compares with, as far as it is there."""
        if not gate.of_accepted:
            return self.part
        return self.accepted.accuracy if self.accepted is not None else None


class Comparer:
    """Pairs the quantized model with its baseline, one call at a time."""

    def __init__(self, preconditions: Preconditions, context: ContextOf, session: str) -> None:
        self._preconditions = preconditions
        self._references = AcceptedReferences(preconditions.settings)
        self._keeper = CandidateRuns(preconditions.settings, preconditions.engines, session)
        self._engines = preconditions.engines
        self._settings = preconditions.settings
        self._context = context

    def compare_accuracy(self, call: EvalRequest, scheme: str, plan: Plan) -> Measurement:
        """Measures a task, or every task of a group, and pairs it with its baseline.

        Raises:
            Refusal: anything that must not be judged; before loading where possible.
        """
        group = self._engines.group(call.request)
        spec = self._preconditions.tested(scheme)
        calls = [call] if group is None else call.for_tasks(group.subtasks)
        ready = [
            self._get_ready(
                with_group_metric(task_call, group),
                spec,
                _needs_accepted(plan, call, task_call),
            )
            for task_call in calls
        ]
        weights = _weights(group, ready)
        if group is not None:
            refuse_overlap([ready_task.part for ready_task in ready])
            for ready_task in ready:
                refuse_unpoolable(
                    same_metric(ready_task.part.protocol, ready[0].metric), ready_task.part
                )
        self._foresee(call.request.task, ready, weights, plan, scheme)
        self._preconditions.before_loading(spec)
        loaded = self._engines.load(spec)
        notes: tuple[Note, ...] = models.how_made(spec, self._settings.catalogue)
        notes += _unique(ready_task.itself for ready_task in ready)
        notes += self._preconditions.not_compared(spec, ready[0].baseline.provenance.model)
        notes += models.refuse_unlike_claim(scheme, loaded.effective, plan.mode, self._settings)
        context = self._context(spec.name, scheme, ready[0].baseline.provenance, loaded)
        self._check_as_loaded(ready, spec, loaded)
        parts = tuple(
            self._measure(ready_task, spec, loaded, context, plan) for ready_task in ready
        )
        if plan.mode is GateMode.CERTIFY and plan.gates:
            notes = (*notes, self._preconditions.attempt(spec, plan.confidence))
        parts = tuple(replace(part, notes=(*notes, *part.notes)) for part in parts)
        if group is None:
            return parts[0]
        metric, claims, expected = parts[0].metric, parts[0].claims, _expected_flips(ready, plan)
        return GroupMeasurement(
            scheme, group.name, metric, weights, parts, context, notes, claims, expected
        )

    def _check_as_loaded(
        self, ready: Sequence[_ReadyTask], spec: ModelSpec, loaded: LoadedModel
    ) -> None:
        """Compare once more with the device that the candidate runs on. Raises Refusal."""
        for ready_task in ready:
            candidate = replace(ready_task.candidate, machine=loaded.machine)
            self._check_differences(ready_task, spec, candidate)
            if ready_task.accepted is not None:
                self._references.check(ready_task.accepted, candidate)

    def _get_ready(self, call: EvalRequest, spec: ModelSpec, accepted: bool) -> _ReadyTask:
        prepared = self._engines.prepare(call.request, spec)
        n = self._preconditions.items(call, prepared)
        baseline = self._preconditions.baseline(call, spec, prepared, n)
        names = self._settings.catalogue
        identity = self._engines.identify(spec)
        itself = models.baseline_itself(spec, identity, baseline.provenance, names)
        if itself is not None and not self._settings.allow_rerun:
            raise Refusal.of(itself)
        metric = call.metric_of(baseline.accuracy.protocol)
        candidate = self._preconditions.candidate(spec, baseline, prepared, n)
        part = replace(first_items(baseline.accuracy, n), chance=prepared.chance_of(n))
        key = self._preconditions.key(call, prepared, spec.scheme)
        ready = _ReadyTask(call, prepared, baseline, part, metric, candidate, key)
        _refuse_guessed(baseline.accuracy.protocol, candidate.protocol)
        if itself is not None:
            ready = replace(ready, itself=judged_as_rerun(itself))
        self._check_differences(ready, spec, candidate)
        self._references.check_writable(key)
        flips, origin = self._preconditions.flips, self._preconditions.origin(spec, baseline)
        seen = flips.of(origin, ready.subject.task) or self._references.flips(
            key, baseline.accuracy, metric
        )
        ready = replace(ready, seen=seen, seen_elsewhere=flips.of(origin))
        if not accepted:
            return ready
        return replace(ready, accepted=self._references.find(key, candidate, prepared, n))

    def _foresee(
        self,
        task: str,
        ready: Sequence[_ReadyTask],
        weights: Weights,
        plan: Plan,
        scheme: str,
    ) -> None:
        """Refuses what no candidate could rightly pass or fail, as far as it is known now."""
        whole = GateTarget(
            task, ready[0].metric, tuple(ready_task.part.protocol for ready_task in ready)
        )
        self._foresee_gates(matching(plan.gates, task), whole, ready, weights, plan, scheme)
        if len(ready) > 1:
            for ready_task in ready:
                naming_task = [gate for gate in plan.gates if gate.task == ready_task.subject.task]
                self._foresee_gates(
                    naming_task, ready_task.subject, [ready_task], _alone, plan, scheme, part=True
                )
        for gate in (gate for gate in plan.gates if gate.pools and pool_includes(gate, whole)):
            metric = whole.find(gate.metric) if gate.metric else whole.metric
            if gate.of_accepted:
                require_min_retention(gate, metric, whole, plan)
            for ready_task in ready:
                refuse_unpoolable(same_metric(ready_task.part.protocol, metric), ready_task.part)
            self._refuse_hopeless(gate, metric, whole, ready, weights, plan, scheme, pooled=True)

    def _foresee_gates(
        self,
        gates: Sequence[Gate],
        subject: GateTarget,
        ready: Sequence[_ReadyTask],
        weights: Weights,
        plan: Plan,
        scheme: str,
        *,
        part: bool = False,
    ) -> None:
        assigned = assign(gates, subject)
        for _, error in assigned.unknown:
            raise error
        refuse_unjudged(plan, assigned, subject)
        for metric, gate in assigned.chosen:
            if gate.of_accepted:
                require_min_retention(gate, metric, subject, plan, part=part)
            if gate.of_perplexity:
                _refuse_uncounted(ready[0])
                if plan.mode is GateMode.DETECT:
                    items = ready[0].part.items
                    documents = stats.Support(len({*(units_of(items) or items.doc_ids)}), math.inf)
                    refuse_sparse(documents, gate, subject.task)
            else:
                self._refuse_hopeless(gate, metric, subject, ready, weights, plan, scheme)

    def _refuse_hopeless(
        self,
        gate: Gate,
        metric: Metric,
        subject: GateTarget,
        ready: Sequence[_ReadyTask],
        weights: Weights,
        plan: Plan,
        scheme: str,
        *,
        pooled: bool = False,
    ) -> None:
        references = [
            (reference, same_metric(reference.protocol, metric), weight)
            for ready_task, weight in zip(ready, weights(metric.name), strict=True)
            if (reference := ready_task.reference(gate)) is not None
        ]
        if len(references) < len(ready):
            return  # nothing was accepted yet
        # What a pool is too weak for is known only when all of its tasks are.
        undetected = None if pooled else self._settings.max_undetected
        claims = self._settings.catalogue.claims(scheme)
        refuse_undecidable(
            references,
            gate,
            plan,
            task=subject.task,
            scheme=claims,
            max_undetected=undetected,
            expected=_expected_flips(ready, plan),
        )

    def _check_differences(
        self, ready: _ReadyTask, spec: ModelSpec, candidate: Candidate
    ) -> list[Difference]:
        """Refuse what cannot be compared; return the differences that are only noted."""
        return self._preconditions.differences(ready.baseline, ready.call, spec, candidate)

    def _measure(
        self,
        ready: _ReadyTask,
        spec: ModelSpec,
        loaded: LoadedModel,
        context: Context,
        plan: Plan,
    ) -> TaskMeasurement:
        """Measures one task on the loaded model. Raises Refusal."""
        task = ready.call.request.task
        n, batch_size = len(ready.part.items), ready.baseline.accuracy.batch_size
        accuracy = self._engines.measure(spec, ready.prepared, n, batch_size=batch_size)
        refuse_partial(ready.part, accuracy)
        same_answers = refuse_same_answers(
            ready.part, accuracy, loaded.effective, rerun=self._settings.allow_rerun
        )
        part, accuracy = same_kinds(ready.part, accuracy)
        differences, accepted = self._compare_measured(ready, spec, loaded, accuracy)
        return TaskMeasurement(
            scheme=spec.scheme,
            task=task,
            metric=ready.call.metric_of(part.protocol),
            baseline=part,
            candidate=accuracy,
            context=context,
            notes=(
                *self._engines.measurement_notes(spec, accuracy, batch_size=batch_size),
                *same_answers,
                *answers(part, accuracy),
                *other_metric_note(ready.call, part.protocol),
                *(noted(task, difference.problem) for difference in differences),
            ),
            claims=self._settings.catalogue.claims(spec.scheme),
            accepted=accepted,
            answered=self._answers_digest(spec, accuracy, loaded),
            kept=self._keeper.keep(ready.key, spec, loaded, accuracy, accepted),
            origin=self._preconditions.origin(spec, ready.baseline),
            expected=_expected_flips([ready], plan),
        )

    def _compare_measured(
        self, ready: _ReadyTask, spec: ModelSpec, loaded: LoadedModel, accuracy: Accuracy
    ) -> tuple[list[Difference], Reference | None]:
        """Refuse what measuring shows to be incomparable.

        Returns the differences that are only noted, and the reference of gates on the
        run accepted last.
        """
        candidate = replace(
            ready.candidate,
            machine=loaded.machine,
            protocol=accuracy.protocol,
            items=accuracy.items,
            batch_size=accuracy.batch_size,
        )
        whole, _ = same_kinds(ready.baseline.accuracy, accuracy)
        baseline = replace(ready.baseline, accuracy=whole)
        differences = self._check_differences(replace(ready, baseline=baseline), spec, candidate)
        accepted = ready.accepted
        if accepted is not None:
            accepted = self._references.check(accepted, candidate, accuracy)
        return differences, accepted

    def _answers_digest(self, spec: ModelSpec, accuracy: Accuracy, loaded: LoadedModel) -> str:
        """Return a digest that schemes share which gave the same answers, or are the same files."""
        digest = answers_digest(accuracy)
        if digest or spec.quantize or loaded.effective.mode == UNVERIFIED:
            return digest
        return self._engines.identify(spec).weights_digest


def _refuse_guessed(stored: Protocol, now: Protocol | None) -> None:
    """Refuses a baseline whose direction an older version guessed, where the task has none."""
    for recorded, metric in zip(stored.metrics, now.metrics if now else (), strict=False):
        if recorded != metric:
            refuse_undirected(metric, stored.task)


def _expected_flips(ready: Sequence[_ReadyTask], plan: Plan) -> float | None:
    """The share of flips seen before on these tasks, or on others where on none of them."""
    seen_on_tasks = [seen for ready_task in ready for seen in ready_task.seen]
    return planned_flip_share(seen_on_tasks or ready[0].seen_elsewhere, plan.confidence)


def _needs_accepted(plan: Plan, call: EvalRequest, part: EvalRequest) -> bool:
    """Whether a gate of the test is on what was accepted of a task, or of its group."""
    tasks = (None, POOLED, call.request.task, part.request.task)
    return any(gate.of_accepted and gate.task in tasks for gate in plan.gates)


def _unique(notes: Iterable[Note | None]) -> tuple[Note, ...]:
    return tuple(note for note in dict.fromkeys(notes) if note)


def _weights(group: TaskGroup | None, ready: Sequence[_ReadyTask]) -> Weights:
    """lm-eval's own, by the sizes of the whole tasks: a limit must not shift them."""
    if group is None:
        return _alone
    sizes = [ready_task.part.protocol.total_items for ready_task in ready]
    return partial(group.weights, sizes)


def _alone(_metric: str) -> tuple[float, ...]:
    return (1.0,)


def _refuse_uncounted(ready: _ReadyTask) -> None:
    """Refuses a perplexity per token of a baseline whose tokens were not counted."""
    if "tokens" not in ready.part.items.facts:
        raise Refusal(
            GateCode.BASELINE_WITHOUT_TOKENS,
            task=ready.call.request.task,
            record=RecordBaseline(again=True),
        )
