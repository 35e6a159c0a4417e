"""One session's checks: what it loaded and measured, and the way through them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias

from ..backends import find
from ..backends.slot import EngineSlot
from ..baselines import BaselineKey, RunSettings, Store
from ..core.comparable import Candidate, Difference, compare_runs, refusal
from ..core.engine import Backend, Engine
from ..core.errors import Category, Refusal
from ..core.gates import Plan, matching
from ..core.outcome import Context
from ..core.record import (
    Accuracy,
    AccuracyRequest,
    EffectiveScheme,
    Items,
    Machine,
    Metric,
    ModelIdentity,
    ModelSpec,
    Protocol,
    Provenance,
    Run,
)
from ..core.settings import GateMode, Settings, Update
from ..core.verdict import refuse_chance, refuse_toothless
from ..measure import (
    Journal,
    PreparedTask,
    Progress,
    TaskLibrary,
    default_metric,
    find_metric,
    measure,
    prepare,
)
from . import models
from .judging import Measured
from .provenance import git_commit, now

DEFAULT_BATCH_SIZE = 32

Recording: TypeAlias = Callable[[], str]
"""Gives the command that records the baseline which the current test misses."""


@dataclass(frozen=True)
class Ask:
    """One call of compare_accuracy."""

    request: AccuracyRequest
    limit: int | None = None
    metric: str | None = None


@dataclass(frozen=True)
class _Loaded:
    """What was read from a model while it was loaded, kept after it is gone."""

    effective: EffectiveScheme
    machine: Machine


class Checker:
    """Measures or loads, and pairs; one per process, for as long as the session lasts."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self.settings = settings
        self.store = Store(settings.baselines)
        self.slot = EngineSlot()
        self._progress = progress
        self._journal = Journal(settings.cache_dir / "journal")
        self._library = TaskLibrary(progress.say)
        self._backend: Backend | None = None
        self._identities: dict[tuple[object, ...], ModelIdentity] = {}
        self._loaded: dict[tuple[object, ...], _Loaded] = {}
        self._prepared: dict[str, PreparedTask] = {}
        self._stored: dict[BaselineKey, Run] = {}
        self._contexts: dict[str, Context] = {}
        self._measured: dict[tuple[object, ...], Accuracy] = {}

    @property
    def backend(self) -> Backend:
        """The engine of this session. Raises WrongUse for an unknown name."""
        if self._backend is None:
            self._backend = find(
                self.settings.backend, cache_dir=self.settings.cache_dir / "checkpoints"
            )
        return self._backend

    def model_name(self) -> str:
        """What the model under test is called in the store."""
        return models.model_name(self.settings, self.store)

    def engine_of(self, spec: ModelSpec) -> Engine:
        """The loaded engine of ``spec``; frees any other first."""
        engine = self.slot.acquire(spec, self.backend, self._progress.say)
        self._loaded[spec.key()] = _Loaded(engine.effective, engine.machine)
        return engine

    def compare(self, ask: Ask, scheme: str, plan: Plan, recording: Recording) -> Measured:
        """Measures the quantized model on a task and pairs it with the stored baseline.

        Raises:
            Refusal: anything that must not be judged; before loading where possible.
        """
        name = self.model_name()
        spec = models.quantized_spec(self.settings, name, scheme)
        models.refuse_wrong_checkpoint(spec, self.backend)
        identity = self._identify(spec)
        prepared = self._prepare(ask, spec, identity)
        n = self._items(ask, prepared)
        baseline = self._baseline(ask, prepared, identity, n, recording)
        metric = _metric(ask, baseline.accuracy.protocol)
        candidate = self._candidate(spec, identity, baseline, prepared, n)
        self._refuse_incomparable(baseline, candidate, ask)
        self._refuse_toothless(ask, baseline, metric, n, plan)
        loaded = self._load(spec)
        notes = models.refuse_unlike_claim(scheme, loaded.effective, plan.mode, self.settings)
        candidate = replace(candidate, machine=loaded.machine)
        self._refuse_incomparable(baseline, candidate, ask)
        accuracy = self._measure(
            spec, identity, prepared, n, self._batch_size(spec, baseline.accuracy.batch_size)
        )
        candidate = replace(
            candidate,
            protocol=accuracy.protocol,
            items=accuracy.items,
            batch_size=accuracy.batch_size,
        )
        told = self._refuse_incomparable(baseline, candidate, ask)
        return Measured(
            scheme=scheme,
            task=ask.request.task,
            metric=metric,
            baseline=replace(baseline.accuracy, items=baseline.accuracy.items.first(n)),
            candidate=accuracy,
            context=self._context(name, scheme, baseline.provenance, loaded),
            notes=(*notes, *(str(one) for one in told)),
        )

    def record(self, ask: Ask) -> tuple[Run, bool]:
        """Measures the baseline and stores it, unless a good one is there already.

        Returns the stored run and whether it was there before.
        """
        self.store.check_writable()
        name = self.model_name()
        spec = models.baseline_spec(self.settings, name)
        identity = self._identify(spec)
        prepared = self._prepare(ask, spec, identity)
        n = self._items(ask, prepared)
        scheme = models.baseline_scheme(identity, self.backend.stored_scheme(spec))
        key = self._key(ask, prepared, scheme)
        if key in self._stored and len(self._stored[key].accuracy.items) >= n:
            return self._stored[key], False
        if self.settings.update is Update.ABSENT and self.store.exists(key):
            run = self.store.load(key)
            candidate = self._candidate(spec, identity, run, prepared, 1)
            self._refuse_incomparable(run, replace(candidate, base=identity), ask)
            if len(run.accuracy.items) >= n:
                return run, True
        self.store.check_writable(key)
        loaded = self._load(spec)
        accuracy = self._measure(
            spec, identity, prepared, n, self._batch_size(spec, DEFAULT_BATCH_SIZE)
        )
        run = Run(
            Provenance(
                model=replace(identity, name=name),
                claimed=scheme,
                effective=loaded.effective,
                software=self.backend.software(),
                machine=loaded.machine,
                recorded_at=now(),
                git_commit=git_commit(self.settings.baselines.parent),
            ),
            replace(accuracy, resumed_items=0),
        )
        self.store.save(key, run)
        self._stored[key] = run
        return run, False

    def baseline_scheme(self) -> str:
        """The scheme of the full-precision model: ``bf16``, ..., from its files."""
        spec = models.baseline_spec(self.settings, self.model_name())
        return models.baseline_scheme(self._identify(spec), self.backend.stored_scheme(spec))

    def known_context(self, scheme: str) -> Context | None:
        """What the summary may say of a model whose comparison was refused."""
        return self._contexts.get(scheme)

    def recording_context(self, run: Run) -> Context:
        """What the summary says of a recorded baseline."""
        loaded = _Loaded(run.provenance.effective, run.provenance.machine)
        return self._context(
            run.provenance.model.name, run.provenance.claimed, run.provenance, loaded
        )

    def _context(self, name: str, scheme: str, baseline: Provenance, loaded: _Loaded) -> Context:
        self._contexts[scheme] = models.context_of(
            name,
            scheme,
            self.backend.software(),
            baseline=baseline,
            machine=loaded.machine,
            effective=loaded.effective,
        )
        return self._contexts[scheme]

    def close(self, *, ended_well: bool) -> None:
        """Frees the engine; drops the journal unless the session was interrupted."""
        self.slot.close()
        if ended_well:
            self._journal.discard()

    # -- steps ---------------------------------------------------------------------

    def _identify(self, spec: ModelSpec) -> ModelIdentity:
        key = spec.key()
        if key not in self._identities:
            self._identities[key] = self.backend.identify(spec)
        return self._identities[key]

    def _prepare(self, ask: Ask, spec: ModelSpec, identity: ModelIdentity) -> PreparedTask:
        # Prompts depend on the tokenizer's template and on nothing else of the model.
        key = repr((ask.request, identity.tokenizer_digest, identity.template_digest))
        if key not in self._prepared:
            self._prepared[key] = prepare(
                ask.request,
                chat=lambda template: self.backend.chat_formatter(spec, template),
                template_digest=identity.template_digest,
                library=self._library,
                say=self._progress.say,
            )
        return self._prepared[key]

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
        self,
        ask: Ask,
        prepared: PreparedTask,
        identity: ModelIdentity,
        n: int,
        recording: Recording,
    ) -> Run:
        schemes = [models.baseline_scheme(identity, None), "native"]
        keys = [self._key(ask, prepared, scheme) for scheme in schemes]
        key = next((one for one in keys if self.store.exists(one)), keys[0])
        if key not in self._stored:
            try:
                self._stored[key] = self.store.load(key)
            except Refusal as error:
                if error.category is not Category.BASELINE_ABSENT:
                    raise
                raise Refusal(
                    Category.BASELINE_ABSENT,
                    error.what,
                    help=(f"record it: {recording()}",),
                ) from None
        run = self._stored[key]
        have = len(run.accuracy.items)
        if have < n:
            raise Refusal(
                Category.NOT_COMPARABLE,
                f"the baseline of {ask.request.task} holds {have:,} items and {n:,} are asked for",
                help=(
                    f"record the rest: {recording()}",
                    f"or compare fewer: --quant-limit={have}",
                ),
            )
        return run

    def _candidate(
        self,
        spec: ModelSpec,
        identity: ModelIdentity,
        baseline: Run,
        prepared: PreparedTask,
        n: int,
    ) -> Candidate:
        """What can be compared before anything is loaded."""
        return Candidate(
            model=identity,
            software=self.backend.software(),
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
        return self._identify(models.baseline_spec(self.settings, name))

    def _refuse_incomparable(
        self, baseline: Run, candidate: Candidate, ask: Ask
    ) -> list[Difference]:
        differences = compare_runs(baseline, candidate, drift=self.settings.drift)
        if (error := refusal(differences, ask.request.task)) is not None:
            raise error
        return differences

    def _refuse_toothless(
        self, ask: Ask, baseline: Run, metric: Metric, n: int, plan: Plan
    ) -> None:
        """Refuses gates before loading that no candidate could pass or fail."""
        if metric.kind != "binary":
            return
        right = round(math.fsum(baseline.accuracy.items.scores[metric.name][:n]))
        for gate in matching(plan.gates, ask.request.task):
            if gate.metric is not None:
                continue
            refuse_chance(
                task=ask.request.task,
                right=right,
                n=n,
                chance=baseline.accuracy.chance,
                minimum=gate.minimum,
                confidence=plan.confidence,
            )
            if plan.mode is GateMode.DETECT:
                # Without a flip is the best case: what is too weak now stays too weak.
                refuse_toothless(
                    task=ask.request.task,
                    right=right,
                    n=n,
                    total_items=baseline.accuracy.protocol.total_items,
                    discordance=0.0,
                    minimum=gate.minimum,
                    confidence=plan.confidence,
                    max_undetected=self.settings.max_undetected,
                )

    def _load(self, spec: ModelSpec) -> _Loaded:
        if spec.key() not in self._loaded:
            self.engine_of(spec)
        return self._loaded[spec.key()]

    def _batch_size(self, spec: ModelSpec, default: int) -> int:
        given = spec.args.get("batch_size", default)
        if isinstance(given, bool) or not isinstance(given, int) or given < 1:
            raise Refusal(
                Category.WRONG_USE,
                f"--quant-backend-arg=batch_size={given}: allowed is a whole number, 1 or more",
            )
        return given

    def _measure(
        self,
        spec: ModelSpec,
        identity: ModelIdentity,
        prepared: PreparedTask,
        n: int,
        batch_size: int,
    ) -> Accuracy:
        fingerprint = self._fingerprint(spec, identity)
        key = (fingerprint, prepared.protocol_digest, n, batch_size)
        if key not in self._measured:
            self._measured[key] = measure(
                prepared,
                self.engine_of(spec),
                n=n,
                batch_size=batch_size,
                fingerprint=fingerprint,
                journal=self._journal,
                progress=self._progress,
            )
        return self._measured[key]

    def _fingerprint(self, spec: ModelSpec, identity: ModelIdentity) -> str:
        """Everything but task and batch size that decides what a model answers."""
        loaded = self._loaded[spec.key()]
        parts = {
            "weights": identity.weights_digest,
            "tokenizer": identity.tokenizer_digest,
            "scheme": spec.scheme if spec.quantize else None,
            "args": {key: value for key, value in spec.args.items() if key != "batch_size"},
            "effective": asdict(loaded.effective),
            "machine": asdict(loaded.machine),
            "software": asdict(self.backend.software()),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _metric(ask: Ask, protocol: Protocol) -> Metric:
    return find_metric(protocol, ask.metric) if ask.metric else default_metric(protocol)
