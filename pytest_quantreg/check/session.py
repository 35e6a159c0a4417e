"""One session's checks: the way from a call of compare_accuracy to evidence or a baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from ..baselines import BaselineKey, RunSettings, Store
from ..core.comparable import RECORD, Candidate, Difference, Level, compare_runs, refusal
from ..core.comparison import first_items, refuse_partial, same_kinds
from ..core.engine import Engine
from ..core.errors import Refusal
from ..core.gates import Plan
from ..core.outcome import Context
from ..core.record import (
    AccuracyRequest,
    Items,
    Metric,
    ModelIdentity,
    ModelSpec,
    Protocol,
    Provenance,
    Run,
)
from ..core.settings import Settings, Update
from ..measure import PreparedTask, Progress, default_metric, find_metric
from . import models
from .bench import Bench, Loaded
from .foresight import refuse_hopeless
from .judging import Measured
from .once import Once
from .provenance import git_commit, now
from .stored import Recording, StoredBaselines

DEFAULT_BATCH_SIZE = 32

Differ: TypeAlias = Callable[[Candidate], list[Difference]]
"""Refuses a candidate that cannot be compared; returns what is only told."""


@dataclass(frozen=True)
class Ask:
    """One call of compare_accuracy."""

    request: AccuracyRequest
    limit: int | None = None
    metric: str | None = None


@dataclass(frozen=True)
class Recorded:
    """A stored baseline, ``present`` when it was there before this session."""

    run: Run
    present: bool = False
    notes: tuple[str, ...] = ()


class Checker:
    """Measures or loads, and pairs; one per process, for as long as the session lasts."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self.settings = settings
        self.bench = Bench(settings, progress)
        self.store = Store(settings.baselines)
        self._stored = StoredBaselines(self.store)
        self._contexts: dict[str, Context] = {}
        self._schemes: Once[str | None] = Once()
        self._notes: dict[BaselineKey, tuple[str, ...]] = {}

    def model_name(self) -> str:
        """What the model under test is called in the store."""
        return models.model_name(self.settings, self.store)

    def engine_of(self, spec: ModelSpec) -> Engine:
        """The loaded engine of ``spec``; frees any other first."""
        return self.bench.engine_of(spec)

    def baseline_spec(self) -> ModelSpec:
        """The full-precision model, its scheme (``bf16``, ...) read from its files."""
        spec = models.baseline_spec(self.settings, self.model_name())
        stored = self._stored_scheme(spec)
        return replace(spec, scheme=models.baseline_scheme(self.bench.identify(spec), stored))

    def compare(self, ask: Ask, scheme: str, plan: Plan, recording: Recording) -> Measured:
        """Measures the quantized model on a task and pairs it with the stored baseline.

        Raises:
            Refusal: anything that must not be judged; before loading where possible.
        """
        name = self.model_name()
        spec = models.quantized_spec(self.settings, name, scheme)
        if not spec.quantize:
            models.refuse_wrong_checkpoint(spec, self._stored_scheme(spec))
        prepared = self.bench.prepare(ask.request, spec)
        n = self._items(ask, prepared)
        baseline = self._baseline(ask, spec, prepared, n, recording)
        models.refuse_baseline_itself(spec, self.bench.identify(spec), baseline.provenance)
        metric = _metric(ask, baseline.accuracy.protocol)
        candidate = self._candidate(spec, baseline, prepared, n)
        differ = self._differ(baseline, ask, spec, recording)
        differ(candidate)
        part = replace(first_items(baseline.accuracy, n), chance=prepared.chance_of(n))
        refuse_hopeless(
            part, metric, plan, scheme=scheme, max_undetected=self.settings.max_undetected
        )
        loaded = self.bench.load(spec)
        notes = models.refuse_unlike_claim(scheme, loaded.effective, plan.mode, self.settings)
        candidate = replace(candidate, machine=loaded.machine)
        differ(candidate)
        batch_size = baseline.accuracy.batch_size
        accuracy = self.bench.measure(spec, prepared, n, batch_size=batch_size)
        notes = (*notes, *self.bench.told(spec, accuracy, batch_size=batch_size))
        refuse_partial(part, accuracy)
        part, accuracy = same_kinds(part, accuracy)
        whole, _ = same_kinds(baseline.accuracy, accuracy)
        told = self._differ(replace(baseline, accuracy=whole), ask, spec, recording)(
            replace(
                candidate,
                protocol=accuracy.protocol,
                items=accuracy.items,
                batch_size=accuracy.batch_size,
            )
        )
        return Measured(
            scheme=scheme,
            task=ask.request.task,
            metric=_metric(ask, part.protocol),
            baseline=part,
            candidate=accuracy,
            context=self._context(name, scheme, baseline.provenance, loaded),
            notes=(*notes, *(f"{ask.request.task}: {one}" for one in told)),
        )

    def record(self, ask: Ask, recording: Recording) -> Recorded:
        """Measures the baseline and stores it, unless a good one is there already.

        Recording anew never leaves fewer items than were stored.
        """
        self.store.check_writable()
        spec = self.baseline_spec()
        prepared = self.bench.prepare(ask.request, spec)
        n = self._items(ask, prepared)
        key = self._key(ask, prepared, spec.scheme)
        if (run := self._stored.fresh(key, n)) is not None:
            return Recorded(run, notes=self._notes[key])
        if (run := self._present(ask, spec, prepared, key, n, recording)) is not None:
            return Recorded(run, present=True)
        self.store.check_writable(key)
        asked, n = n, max(n, min(self._stored.count(key), len(prepared)))
        loaded = self.bench.load(spec)
        accuracy = self.bench.measure(spec, prepared, n, batch_size=DEFAULT_BATCH_SIZE)
        run = Run(self._provenance(spec, loaded), replace(accuracy, resumed_items=0))
        self.store.save(key, run)
        self._stored.note(key, run)
        notes = self.bench.told(spec, accuracy, batch_size=DEFAULT_BATCH_SIZE)
        if n > asked:
            notes += (f"{ask.request.task}: {asked:,} items asked for, {n:,} as were stored",)
        self._notes[key] = notes
        return Recorded(run, notes=notes)

    def known_context(self, scheme: str) -> Context | None:
        """What the summary may say of a model whose comparison was refused."""
        return self._contexts.get(scheme)

    def recording_context(self, run: Run) -> Context:
        """What the summary says of a recorded baseline."""
        loaded = Loaded(run.provenance.effective, run.provenance.machine)
        return self._context(
            run.provenance.model.name, run.provenance.claimed, run.provenance, loaded
        )

    def close(self, *, forget: bool) -> None:
        """Frees the engine; with ``forget`` drops what an interrupted session would resume."""
        self.bench.close(forget=forget)

    # -- steps ---------------------------------------------------------------------

    def _context(self, name: str, scheme: str, baseline: Provenance, loaded: Loaded) -> Context:
        self._contexts[scheme] = models.context_of(
            name,
            scheme,
            self.bench.backend.software(),
            baseline=baseline,
            machine=loaded.machine,
            effective=loaded.effective,
        )
        return self._contexts[scheme]

    def _items(self, ask: Ask, prepared: PreparedTask) -> int:
        limits = [limit for limit in (ask.limit, self.settings.limit) if limit is not None]
        return min([len(prepared), *limits])

    def _key(self, ask: Ask, prepared: PreparedTask, scheme: str) -> BaselineKey:
        return BaselineKey(
            model=self.model_name(),
            scheme=scheme,
            engine=self.settings.backend,
            task=ask.request.task,
            num_fewshot=prepared.protocol.num_fewshot,
            settings=RunSettings.of(ask.request),
        )

    def _baseline(
        self, ask: Ask, spec: ModelSpec, prepared: PreparedTask, n: int, recording: Recording
    ) -> Run:
        """The stored baseline, with at least ``n`` items. Raises Refusal."""
        schemes = models.baseline_schemes(self.bench.identify(spec))
        keys = [self._key(ask, prepared, scheme) for scheme in schemes]
        return self._stored.load(keys, n, recording)

    def _present(
        self,
        ask: Ask,
        spec: ModelSpec,
        prepared: PreparedTask,
        key: BaselineKey,
        n: int,
        recording: Recording,
    ) -> Run | None:
        """The stored baseline if it is sound and large enough; None to record anew.

        Raises Refusal for one that this session could not be compared with: it is
        replaced only when asked for in so many words.
        """
        if self.settings.update is not Update.ABSENT or not self.store.exists(key):
            return None
        run = self._stored.read(key, recording)
        have = len(run.accuracy.items)
        candidate = self._candidate(spec, run, prepared, min(n, have))
        base = self.bench.identify(spec)
        self._differ(run, ask, spec, recording)(replace(candidate, base=base))
        return run if have >= n else None

    def _candidate(
        self, spec: ModelSpec, baseline: Run, prepared: PreparedTask, n: int
    ) -> Candidate:
        """What can be compared before anything is loaded."""
        identity = self.bench.identify(spec)
        return Candidate(
            model=identity,
            software=self.bench.backend.software(),
            # Which metrics came out 0/1 is known only after measuring.
            protocol=replace(prepared.protocol, metrics=baseline.accuracy.protocol.metrics),
            items=Items(prepared.doc_ids[:n], prepared.digests[:n], {}),
            base=identity if spec.quantize else self._base_at_hand(spec.name),
        )

    def _base_at_hand(self, name: str) -> ModelIdentity | None:
        """The full-precision model's identity, where it needs no download."""
        model = self.settings.model
        if model is None or not Path(model.ref).is_dir():
            return None
        return self.bench.identify(models.baseline_spec(self.settings, name))

    def _stored_scheme(self, spec: ModelSpec) -> str | None:
        """What the files of ``spec`` say that they hold. Raises Refusal."""
        key = replace(spec, scheme="").key()
        return self._schemes.of(key, lambda: self.bench.backend.stored_scheme(spec))

    def _differ(self, baseline: Run, ask: Ask, spec: ModelSpec, recording: Recording) -> Differ:
        def differ(candidate: Candidate) -> list[Difference]:
            differences = compare_runs(baseline, candidate, drift=self.settings.drift)
            if (error := refusal(differences, ask.request.task)) is not None:
                first = _dtype_advice(baseline, spec) if _is_dtype(differences) else ()
                raise _with_command(error, recording, first)
            return differences

        return differ

    def _provenance(self, spec: ModelSpec, loaded: Loaded) -> Provenance:
        return Provenance(
            model=replace(self.bench.identify(spec), name=spec.name),
            claimed=spec.scheme,
            effective=loaded.effective,
            software=self.bench.backend.software(),
            machine=loaded.machine,
            recorded_at=now(),
            git_commit=git_commit(self.settings.baselines.parent),
        )


def _metric(ask: Ask, protocol: Protocol) -> Metric:
    return find_metric(protocol, ask.metric) if ask.metric else default_metric(protocol)


def _is_dtype(differences: list[Difference]) -> bool:
    return any(one.field == "model.dtype" and one.level is Level.REFUSE for one in differences)


def _dtype_advice(baseline: Run, spec: ModelSpec) -> tuple[str, ...]:
    """Where an engine argument chose another compute type: the one to choose instead."""
    if not {"dtype", "torch_dtype"} & {*spec.args}:
        return ()
    dtype = baseline.provenance.model.dtype
    return (f"use the dtype of the baseline: --quant-backend-arg=dtype={dtype}",)


def _with_command(error: Refusal, recording: Recording, first: tuple[str, ...] = ()) -> Refusal:
    """The same refusal with the whole command where it says to record again."""
    command = f"record the baseline again: {recording(Update.ALL)}"
    return Refusal(
        error.category,
        error.what,
        help=(*first, *(command if line == RECORD else line for line in error.help)),
    )
