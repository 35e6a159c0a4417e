"""From one call to evidence: the quantized model measured and paired with stored baselines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..core.comparable import Candidate, Difference
from ..core.gates import Gate, Plan, matching
from ..core.outcome import Context
from ..core.pairing import first_items, refuse_partial, same_kinds
from ..core.record import Accuracy, Metric, ModelSpec, Provenance, Run
from ..core.settings import GateMode
from ..core.suspicion import answers
from ..measure import PreparedTask, TaskGroup
from . import models
from .asking import Ask, Subject
from .attempts import Attempts
from .bench import Loaded
from .evidence import Finished, Grouped, Measured
from .foresight import refuse_hopeless
from .grounds import Grounds
from .judging import assign, refuse_unjudged
from .provenance import now
from .stored import Recording

ContextOf: TypeAlias = Callable[[str, str, Provenance, Loaded], Context]
"""(model, scheme, baseline, what was loaded) -> what the summary says of them."""


@dataclass(frozen=True)
class _Ready:
    """One task of a call, with all that is known before a model loads.

    ``part`` holds those of the baseline's items that will be compared.
    """

    ask: Ask
    prepared: PreparedTask
    baseline: Run
    part: Accuracy
    metric: Metric
    candidate: Candidate
    recording: Recording

    @property
    def subject(self) -> Subject:
        """What gates see of it."""
        return Subject(self.ask.request.task, self.metric, (self.part.protocol,))


class Comparer:
    """Pairs the quantized model with its baseline, one call at a time."""

    def __init__(self, grounds: Grounds, attempts: Attempts, context: ContextOf) -> None:
        self._grounds = grounds
        self._bench = grounds.bench
        self._settings = grounds.settings
        self._attempts = attempts
        self._context = context

    def compare(self, ask: Ask, scheme: str, plan: Plan, recording: Recording) -> Finished:
        """Measures a task, or every task of a group, and pairs it with its baseline.

        Raises:
            Refusal: anything that must not be judged; before loading where possible.
        """
        group = self._bench.group(ask.request)
        spec = self._tested(scheme)
        asks = [ask] if group is None else ask.each(group.subtasks)
        ready = [self._ready(_asked(one, group), spec, recording) for one in asks]
        weights = _weights(group, ready)
        self._foresee(ask.request.task, ready, weights, plan, scheme)
        loaded = self._bench.load(spec)
        notes = models.refuse_unlike_claim(scheme, loaded.effective, plan.mode, self._settings)
        if plan.mode is GateMode.CERTIFY:
            notes = (*notes, self._attempt(spec))
        context = self._context(spec.name, scheme, ready[0].baseline.provenance, loaded)
        for one in ready:
            self._differ(one, spec, replace(one.candidate, machine=loaded.machine))
        parts = tuple(
            self._measured(one, spec, loaded, weight, context, notes)
            for one, weight in zip(ready, weights, strict=True)
        )
        if group is None:
            return parts[0]
        return Grouped(scheme, group.name, parts[0].metric, parts, context, notes)

    def _tested(self, scheme: str) -> ModelSpec:
        spec = models.quantized_spec(self._settings, self._grounds.model_name(), scheme)
        if not spec.quantize:
            models.refuse_wrong_checkpoint(spec, self._grounds.stored_scheme(spec))
        return spec

    def _ready(self, ask: Ask, spec: ModelSpec, recording: Recording) -> _Ready:
        prepared = self._bench.prepare(ask.request, spec)
        n = self._grounds.items(ask, prepared)
        baseline = self._grounds.baseline(ask, spec, prepared, n, recording)
        models.refuse_baseline_itself(spec, self._bench.identify(spec), baseline.provenance)
        metric = ask.metric_of(baseline.accuracy.protocol)
        candidate = self._grounds.candidate(spec, baseline, prepared, n)
        part = replace(first_items(baseline.accuracy, n), chance=prepared.chance_of(n))
        ready = _Ready(ask, prepared, baseline, part, metric, candidate, recording)
        self._differ(ready, spec, candidate)
        return ready

    def _foresee(
        self,
        task: str,
        ready: Sequence[_Ready],
        weights: Sequence[float],
        plan: Plan,
        scheme: str,
    ) -> None:
        """Refuses what no candidate could rightly pass or fail, as far as it is known now."""
        whole = Subject(task, ready[0].metric, tuple(one.part.protocol for one in ready))
        self._foresee_gates(matching(plan.gates, task), whole, ready, weights, plan, scheme)
        if len(ready) > 1:
            for one in ready:
                named = [gate for gate in plan.gates if gate.task == one.subject.task]
                self._foresee_gates(named, one.subject, [one], [1.0], plan, scheme)

    def _foresee_gates(
        self,
        gates: Sequence[Gate],
        subject: Subject,
        ready: Sequence[_Ready],
        weights: Sequence[float],
        plan: Plan,
        scheme: str,
    ) -> None:
        found = assign(gates, subject)
        for _, error in found.unknown:
            raise error
        refuse_unjudged(plan, found, subject)
        for metric, gate in found.chosen:
            if gate.of_perplexity:
                continue  # how much it varies is known only after measuring
            refuse_hopeless(
                [
                    (one.part, one.subject.find(metric.name), weight)
                    for one, weight in zip(ready, weights, strict=True)
                ],
                gate,
                plan,
                task=subject.task,
                scheme=scheme,
                max_undetected=self._settings.max_undetected,
            )

    def _differ(self, one: _Ready, spec: ModelSpec, candidate: Candidate) -> list[Difference]:
        """Refuses what cannot be compared; returns what is only told."""
        return self._grounds.differ(one.baseline, one.ask, spec, one.recording)(candidate)

    def _measured(
        self,
        ready: _Ready,
        spec: ModelSpec,
        loaded: Loaded,
        weight: float,
        context: Context,
        notes: tuple[str, ...],
    ) -> Measured:
        """Measures one task on the loaded model. Raises Refusal."""
        task = ready.ask.request.task
        n, batch_size = len(ready.part.items), ready.baseline.accuracy.batch_size
        accuracy = self._bench.measure(spec, ready.prepared, n, batch_size=batch_size)
        refuse_partial(ready.part, accuracy)
        part, accuracy = same_kinds(ready.part, accuracy)
        whole, _ = same_kinds(ready.baseline.accuracy, accuracy)
        told = self._differ(
            replace(ready, baseline=replace(ready.baseline, accuracy=whole)),
            spec,
            replace(
                ready.candidate,
                machine=loaded.machine,
                protocol=accuracy.protocol,
                items=accuracy.items,
                batch_size=accuracy.batch_size,
            ),
        )
        return Measured(
            scheme=spec.scheme,
            task=task,
            metric=ready.ask.metric_of(part.protocol),
            baseline=part,
            candidate=accuracy,
            context=context,
            notes=(
                *notes,
                *self._bench.told(spec, accuracy, batch_size=batch_size),
                *answers(part, accuracy),
                *(f"{task}: {one}" for one in told),
            ),
            weight=weight,
        )

    def _attempt(self, spec: ModelSpec) -> str:
        """Counts this session as an attempt to certify the checkpoint, and says the count."""
        digest = self._bench.identify(spec).weights_digest
        checkpoint = f"{digest} {spec.scheme}" if spec.quantize else digest
        count = self._attempts.count(checkpoint, now())
        told = f"certify, attempt {count} on this checkpoint"
        if count == 1:
            return told
        return f"{told}: one that loses more gets through up to {count} times as often as in one"


def _asked(ask: Ask, group: TaskGroup | None) -> Ask:
    """The metric that a group's file names, where the call names none."""
    if group is None or ask.metric is not None:
        return ask
    return replace(ask, metric=group.metric)


def _weights(group: TaskGroup | None, ready: Sequence[_Ready]) -> tuple[float, ...]:
    """lm-eval's own, by the sizes of the whole tasks: a limit must not shift them."""
    if group is None:
        return (1.0,)
    sizes = [one.part.protocol.total_items for one in ready]
    return group.weights(sizes, ready[0].metric.name)
