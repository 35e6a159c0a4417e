"""Conditions of every comparison: which baseline, which items, and whether the models compare."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..baselines import BaselineKey, RunSettings, Store
from ..core.codes import GateCode
from ..core.comparison.comparability import (
    Candidate,
    Difference,
    compare_runs,
    refusal,
    refused_of,
)
from ..core.facts import Fact, Problem, SetOption
from ..core.hardware.kernels import KernelChoice
from ..core.records.run import Items, ModelIdentity, ModelSpec, Run
from ..core.settings import Settings
from ..measure import PreparedTask
from . import models
from .accuracy.request import EvalRequest
from .accuracy.stored_baselines import StoredBaselines
from .checkpoint_checks import CheckpointChecks
from .engine_session import EngineSession
from .history import Attempts, FlipHistory, Origin
from .memo import Memo
from .provenance import now


class Preconditions:
    """What is known of models and baselines before anything is loaded."""

    def __init__(self, settings: Settings, engines: EngineSession, session: str) -> None:
        self._attempts = Attempts(settings.cache_dir / "attempts.jsonl", session)
        self.flips = FlipHistory(settings.cache_dir / "flips.jsonl", session)
        self.settings = settings
        self.engines = engines
        self.store = Store(settings.baselines)
        self.stored = StoredBaselines(self.store)
        self._schemes: Memo[str | None] = Memo()
        self._checkpoint_checks = CheckpointChecks(engines)

    def model_name(self) -> str:
        """What the model under test is called in the store."""
        return models.model_name(self.settings, self.store)

    def baseline_spec(self) -> ModelSpec:
        """The full-precision model, its scheme (``bf16``, ...) read from its files."""
        spec = models.baseline_spec(self.settings, self.model_name())
        stored = self.stored_scheme(spec)
        return replace(spec, scheme=models.baseline_scheme(self.engines.identify(spec), stored))

    def attempt(self, spec: ModelSpec, confidence: float) -> str:
        """Counts this session as an attempt to certify the checkpoint, and says the count."""
        count = self._attempts.count(self._checkpoint(spec), now())
        note = f"certify, attempt {count} on this checkpoint (as counted here)"
        if count == 1:
            return note
        chance = min(count * (1.0 - confidence), 1.0)
        return f"{note}: by now one that lost more had a chance of up to {chance * 100:.2g} %"

    def origin(self, spec: ModelSpec, baseline: Run) -> Origin:
        """Which checkpoint of which baseline ``spec`` is."""
        return Origin(
            model=baseline.provenance.model.weights_digest,
            scheme=self.settings.catalogue.claims(spec.scheme),
            engine=self.settings.backend,
            checkpoint=self._checkpoint(spec),
        )

    def _checkpoint(self, spec: ModelSpec) -> str:
        digest = self.engines.identify(spec).weights_digest
        claims = self.settings.catalogue.claims(spec.scheme)
        return f"{digest} {claims}" if spec.quantize else digest

    def tested(self, scheme: str) -> ModelSpec:
        """The model under test, looked at as far as that needs no loading.

        Raises Refusal for a checkpoint that contradicts itself or is not the scheme, and
        for a scheme that has no kernel here.
        """
        spec = models.quantized_spec(self.settings, self.model_name(), scheme)
        if not spec.quantize:
            self._checkpoint_checks.check_files(spec)
            models.refuse_wrong_checkpoint(spec, self.stored_scheme(spec), self.settings.catalogue)
        self._checkpoint_checks.kernel(spec)
        return spec

    def kernel(self, spec: ModelSpec) -> KernelChoice | None:
        """How it will run on the device at hand, as far as tables know. Raises Refusal."""
        return self._checkpoint_checks.kernel(spec)

    def before_loading(self, spec: ModelSpec) -> None:
        """Looks at a checkpoint on the hub, whose files come only now. Raises Refusal."""
        self._checkpoint_checks.before_loading(spec)

    def stored_scheme(self, spec: ModelSpec) -> str | None:
        """What the files of ``spec`` say that they hold. Raises Refusal."""
        key = replace(spec, scheme="").key()
        return self._schemes.of(key, lambda: self.engines.backend.stored_scheme(spec))

    def items(self, call: EvalRequest, prepared: PreparedTask) -> int:
        """How many items of a task are compared."""
        limits = [limit for limit in (call.limit, self.settings.limit) if limit is not None]
        return min([len(prepared), *limits])

    def key(self, call: EvalRequest, prepared: PreparedTask, scheme: str) -> BaselineKey:
        """What the baseline of a call is filed under."""
        return BaselineKey(
            model=self.model_name(),
            scheme=scheme,
            engine=self.settings.backend,
            task=call.request.task,
            num_fewshot=prepared.protocol.num_fewshot,
            settings=RunSettings.of(call.request),
        )

    def baseline(
        self,
        call: EvalRequest,
        spec: ModelSpec,
        prepared: PreparedTask,
        n: int,
    ) -> Run:
        """The stored baseline of ``spec``, with at least ``n`` items. Raises Refusal."""
        schemes = models.baseline_schemes(self.engines.identify(spec))
        keys = [self.key(call, prepared, scheme) for scheme in schemes]
        return self.stored.load(keys, n)

    def candidate(
        self, spec: ModelSpec, baseline: Run, prepared: PreparedTask, n: int
    ) -> Candidate:
        """What can be compared before anything is loaded."""
        identity = self.engines.identify(spec)
        declared = {metric.name: metric for metric in prepared.protocol.metrics}
        # Which metrics came out 0/1 is known only after measuring; which way they are better
        # is known now, and an old baseline may have guessed it.
        metrics = tuple(
            replace(metric, higher_is_better=declared.get(metric.name, metric).higher_is_better)
            for metric in baseline.accuracy.protocol.metrics
        )
        return Candidate(
            model=identity,
            software=self.engines.software(spec),
            protocol=replace(prepared.protocol, metrics=metrics),
            items=Items(prepared.doc_ids[:n], prepared.digests[:n], {}),
            base=identity if spec.quantize else self.base_at_hand(spec.name),
        )

    def differences(
        self, baseline: Run, call: EvalRequest, spec: ModelSpec, candidate: Candidate
    ) -> list[Difference]:
        """The differences of a candidate that are only noted. Raises Refusal for others."""
        differences = compare_runs(baseline, candidate, drift=self.settings.drift)
        advice = _dtype_advice(baseline, spec, differences)
        if (error := refusal(differences, call.request.task, advice=advice)) is not None:
            raise error
        return differences

    def base_at_hand(self, name: str) -> ModelIdentity | None:
        """The full-precision model's identity, where it needs no download."""
        if self.settings.model is None:
            return None
        spec = models.baseline_spec(self.settings, name)
        if Path(spec.ref).exists():
            return self.engines.identify(spec)
        at_hand = self.engines.capabilities.at_hand
        local_spec = None if at_hand is None else at_hand(spec)
        if local_spec is None:
            return None
        # The snapshot's folder is named by its commit.
        return replace(self.engines.identify(local_spec), revision=Path(local_spec.ref).name)

    def not_compared(self, spec: ModelSpec, baseline: ModelIdentity) -> tuple[str, ...]:
        """A note where the named full-precision model could not be compared with the baseline."""
        model = self.settings.model
        if model is None or spec.quantize or self.base_at_hand(spec.name) is not None:
            return ()
        if model.revision is not None and model.revision == baseline.revision:
            return ()  # one commit
        recorded = f"revision {baseline.revision[:7]}" if baseline.revision else "no revision"
        return (
            f"{model.given} is not in the local hub cache: whether its weights and tokenizer are "
            f"those of the baseline (recorded from {recorded}) was not compared",
        )


def _dtype_advice(
    baseline: Run, spec: ModelSpec, differences: list[Difference]
) -> tuple[Fact, ...]:
    """Where an engine argument chose another compute type: the one to choose instead."""
    fields = {difference.rule for difference in refused_of(differences)}
    if "model.dtype" not in fields or not {"dtype", "torch_dtype"} & {*spec.args}:
        return ()
    option = SetOption("--quant-backend-arg=dtype", baseline.provenance.model.dtype)
    return (Problem(GateCode.USE_DTYPE_OF_BASELINE, {"option": option}),)
