"""What our fixtures give to tests, and what they note of every use for the verdict."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

import pytest

from ..core.comparison.accuracy import Comparison, Pair
from ..core.comparison.pairs import compare_items, pool
from ..core.comparison.speed import SpeedResult
from ..core.engine import Engine
from ..core.errors import Category, QuantregError, Refusal
from ..core.facts import RecordBaseline
from ..core.gates.outcomes import BaselineRecorded, SpeedBaselineRecorded
from ..core.gates.plan import Plan
from ..core.hardware.accelerators import Accelerator
from ..core.records.run import EffectiveScheme, ModelSpec
from ..core.records.speed import Workload
from ..core.secret_values import YOUR_OWN
from ..core.settings import Settings, Update
from ..gating import Checker, EvalRequest, Evidence
from ..gating.models import quantized_spec
from ..gating.speed.preconditions import saturating
from ..gating.speed.record import with_itself
from ..measure.accelerator import detect
from ..report.words import Voice, worded
from . import collection, markers
from .accuracy_fixture import CompareAccuracy
from .benchmark_figures import published
from .item_state import ITEM_STATE, GateFailed, ItemState
from .options import recording_command, secrets_of
from .speed_fixture import CompareSpeed

T = TypeVar("T")

_RESUMED = frozenset({Category.ENGINE, Category.OUT_OF_MEMORY})
"""After these the same command should go on where it stopped."""


class Fixtures:
    """Makes what the fixtures return.

    ``current`` is the evidence of the test that runs, ``stopped_short`` whether a
    measurement ended on the way and should be resumed by the next session, ``requested``
    whether any was requested.
    """

    def __init__(self, config: pytest.Config, settings: Settings, checker: Checker) -> None:
        self._config = config
        self._settings = settings
        self._checker = checker
        self._recording = settings.update is not Update.NO
        self.current: Evidence | None = None
        self.stopped_short = False
        self.requested = False

    def scheme_of(self, request: pytest.FixtureRequest) -> str:
        """The scheme of the current test; skips or refuses where there is no one."""
        if hasattr(request, "param"):
            return str(request.param)
        if self._recording:
            return self._guard(self._checker.baseline_spec).scheme
        if not self._settings.schemes:
            pytest.skip(collection.NO_SCHEME)
        if len(self._settings.schemes) > 1:
            self._refuse(
                Refusal(
                    Category.WRONG_USE,
                    f"{len(self._settings.schemes)} schemes are under test, and a fixture got by "
                    "request.getfixturevalue cannot run the test once for each",
                    help="request the fixture as an argument of the test",
                )
            )
        return self._settings.schemes[0]

    def baseline_handle(self) -> ModelHandle:
        """The full-precision model."""

        def make() -> ModelHandle:
            spec = self._checker.baseline_spec()
            return ModelHandle(spec, self._loader(spec))

        if self._settings.model is None and not self._settings.schemes:
            pytest.skip(collection.NO_MODEL)
        return self._guard(make)

    def quantized_handle(self, scheme: str) -> ModelHandle:
        """The model under test."""

        def make() -> ModelHandle:
            spec = quantized_spec(self._settings, self._checker.model_name(), scheme)
            return ModelHandle(spec, self._loader(spec))

        if self._recording:
            pytest.skip(collection.RECORDING)
        return self._guard(make)

    def comparer(self, item: pytest.Item, scheme: str) -> CompareAccuracy:
        """What the fixture compare_accuracy gives to ``item``."""
        item_state = self._item_state_of(item, scheme, "compare_accuracy")
        evidence = item_state.evidence
        return CompareAccuracy(
            lambda call: self._compare(item, item_state, call),
            seed=self._settings.seed,
            include_paths=self._settings.include_paths,
            refuse=lambda task, error: evidence.refuse(error, task, None),
        )

    def timer(self, item: pytest.Item, scheme: str) -> CompareSpeed:
        """What the fixture compare_speed gives to ``item``."""
        item_state = self._item_state_of(item, scheme, "compare_speed")
        evidence = item_state.evidence
        return CompareSpeed(
            lambda workloads, blocks: self._time(item, item_state, workloads, blocks),
            saturating=saturating,
            refuse=lambda error: evidence.refuse(error, None, None, speed=True),
        )

    def accelerator(self) -> Accelerator:
        """The device that models run on here."""
        return detect()

    def _item_state_of(self, item: pytest.Item, scheme: str, fixture: str) -> ItemState:
        """Return the state of a test that has requested one of the fixtures that measure."""
        item_state = item.stash.setdefault(ITEM_STATE, ItemState())
        evidence = item_state.evidence
        evidence.scheme = scheme
        self.current = evidence
        names = self._settings.catalogue
        if not self._recording and not markers.schemes_for(item, [scheme], names):
            item_state.not_for_scheme = True
            pytest.skip(f"not for {scheme} (marker quant_schemes)")
        evidence.fixtures.add(fixture)
        return item_state

    def _refuse_late(self, item_state: ItemState, fixture: str) -> None:
        if item_state.ended is not None:
            raise Refusal(
                Category.WRONG_USE,
                f"{fixture} was called after the test had ended and was judged",
                help="call it in the body of the test or before it, not in a teardown",
            )

    def _plan(self, item: pytest.Item, item_state: ItemState) -> Plan:
        return markers.plan(
            item, self._settings, frozenset(item_state.evidence.fixtures), item_state.declared
        )

    def _compare(self, item: pytest.Item, item_state: ItemState, call: EvalRequest) -> Comparison:
        evidence, scheme = item_state.evidence, item_state.evidence.scheme
        self.requested = True
        try:
            self._refuse_late(item_state, "compare_accuracy")
            if self._recording:
                return self._record(item, evidence, call)
            plan = self._plan(item, item_state)
            measured = self._checker.compare_accuracy(call, scheme, plan, self._recording_of(item))
        except QuantregError as error:
            self._note(error)
            evidence.refuse(error, call.request.task, self._checker.known_context(scheme))
            worded(error, self.voice(item))
            raise
        evidence.measured.append(measured)
        return measured.compare_metric(measured.metric, plan.confidence)

    def _time(
        self,
        item: pytest.Item,
        item_state: ItemState,
        workloads: Sequence[Workload],
        blocks: int | None,
    ) -> SpeedResult:
        evidence, scheme = item_state.evidence, item_state.evidence.scheme
        try:
            self._refuse_late(item_state, "compare_speed")
            if self._recording:
                return self._record_speed(evidence, workloads)
            plan = self._plan(item, item_state)
            timing = self._checker.time(
                workloads, scheme, plan, self._recording_of(item), blocks=blocks
            )
        except QuantregError as error:
            self._note(error)
            evidence.refuse(error, None, self._checker.known_context(scheme), speed=True)
            worded(error, self.voice(item))
            raise
        if all(earlier.quantized is not timing.quantized for earlier in evidence.timed):
            # What an equal call of this test gave is told, and published, once.
            notes = published(item, timing)
            evidence.timed.append(replace(timing, notes=(*timing.notes, *notes)))
        return timing.result(plan.confidence)

    def _record_speed(self, evidence: Evidence, workloads: Sequence[Workload]) -> SpeedResult:
        recorded = self._checker.record_speed(workloads)
        for baseline in recorded:
            evidence.recorded.append(
                SpeedBaselineRecorded(
                    baseline.run.workload,
                    tuple(baseline.run.series()),
                    baseline.context,
                    present=baseline.present,
                )
            )
        return with_itself(recorded, self._settings.confidence)

    def _record(self, item: pytest.Item, evidence: Evidence, call: EvalRequest) -> Comparison:
        recorded = self._checker.record(call, self._recording_of(item))
        pairs = []
        for baseline in recorded:
            accuracy = baseline.run.accuracy
            context = self._checker.recording_context(baseline.run)
            evidence.recorded.append(
                BaselineRecorded(
                    accuracy, baseline.metric, context, baseline.present, baseline.notes
                )
            )
            evidence.stored.append(baseline.name)
            pairs.append(Pair(accuracy, accuracy, baseline.metric))
        # The body goes on with a comparison of the baseline with itself.
        scheme, sure = recorded[0].run.provenance.claimed, self._settings.confidence
        if len(pairs) == 1:
            accuracy, _, metric, _ = pairs[0]
            return compare_items(accuracy, accuracy, metric, scheme=scheme, confidence=sure)
        return pool(
            pairs,
            task=call.request.task,
            metric=pairs[0].metric.name,
            scheme=scheme,
            confidence=sure,
        )

    def _recording_of(self, item: pytest.Item) -> Callable[[Update], str]:
        return lambda update: self._command(item, update)

    def voice(self, item: pytest.Item) -> Voice:
        """What is said in the middle of ``item`` names the command for it alone."""

        def record(remedy: RecordBaseline) -> str:
            return self._command(item, Update.ALL if remedy.again else Update.ABSENT)

        return Voice(record)

    def _command(self, item: pytest.Item, update: Update) -> str:
        """The command that records what ``item`` misses, to be typed where pytest was started."""
        path = os.path.relpath(item.path, self._config.invocation_params.dir)
        names = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
        target = "::".join([path, *names, getattr(item, "originalname", None) or item.name])
        program, rest = recording_command(self._settings, target, update).split(" ", 1)
        return " ".join([program, *map(shlex.quote, self._config_words()), rest])

    def _config_words(self) -> list[str]:
        """The typed options by which pytest found its ini file and rootdir."""
        option = self._config.option
        words: list[str] = []
        if option.inifilename:
            words += ["-c", str(option.inifilename)]
        if option.rootdir:
            words.append(f"--rootdir={option.rootdir}")
        secrets = secrets_of(self._config)
        for override in map(str, option.override_ini or ()):
            safe = secrets.redact(override) == override
            words += ["-o", override if safe else f"{override.partition('=')[0]}={YOUR_OWN}"]
        return words

    def _loader(self, spec: ModelSpec) -> Callable[[], Engine]:
        return lambda: self._guard(lambda: self._checker.engine_of(spec))

    def _guard(self, make: Callable[[], T]) -> T:
        """Runs ``make``; its refusal is kept for the verdict, whatever the test does."""
        try:
            return make()
        except QuantregError as error:
            self._refuse(error)

    def _refuse(self, error: QuantregError) -> NoReturn:
        def note_refusal() -> None:
            self._note(error)
            if self.current is not None:
                self.current.refuse(error, None, None)

        note_refusal()
        raise GateFailed(f"REFUSED: {worded(error)}", note_refusal) from None

    def _note(self, error: QuantregError) -> None:
        if isinstance(error, Refusal) and error.category in _RESUMED:
            self.stopped_short = True


class ModelHandle:
    """A model that is loaded when it is first used and shares memory with no other.

    ``name`` is what people call it, ``scheme`` what it claims to be. Each use of
    ``model``, ``tokenizer`` or ``effective`` makes sure that it is the loaded one and
    frees whichever was loaded before.
    """

    def __init__(self, spec: ModelSpec, load: Callable[[], Engine]) -> None:
        self.name = spec.name
        self.scheme = spec.scheme
        self._load = load

    @property
    def model(self) -> Any:
        """The engine's own model object, e.g. a transformers model in eval mode."""
        return self._load().model

    @property
    def tokenizer(self) -> Any:
        """The engine's own tokenizer."""
        return self._load().tokenizer

    @property
    def effective(self) -> EffectiveScheme:
        """What was really loaded and runs, read from the loaded modules."""
        return self._load().effective

    def __repr__(self) -> str:
        return f"<ModelHandle {self.name} {self.scheme}>"
