"""What our fixtures give to tests, and what they note of every use for the verdict."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from typing import NoReturn, TypeVar

import pytest

from . import collecting, markers
from .check import Ask, Checker, Evidence
from .check.handles import ModelHandle
from .check.models import quantized_spec
from .compare import CompareAccuracy
from .core.comparison import Comparison, Pair
from .core.engine import Engine
from .core.errors import Category, QuantregError, Refusal
from .core.pairs import compare, pool
from .core.record import ModelSpec
from .core.settings import Settings, Update
from .ending import TRIAL, GateFailed, Trial
from .options import recording_command
from .report import messages

Made = TypeVar("Made")

_RESUMED = frozenset({Category.ENGINE, Category.OUT_OF_MEMORY})
"""After these the same command should go on where it stopped."""


class Fixtures:
    """Makes what the fixtures return.

    ``current`` is the evidence of the test that runs, ``stopped_short`` whether a
    measurement ended on the way and should be resumed by the next session, ``asked``
    whether any was asked for.
    """

    def __init__(self, config: pytest.Config, settings: Settings, checker: Checker) -> None:
        self._config = config
        self._settings = settings
        self._checker = checker
        self._recording = settings.update is not Update.NO
        self.current: Evidence | None = None
        self.stopped_short = False
        self.asked = False

    def scheme_of(self, request: pytest.FixtureRequest) -> str:
        """The scheme of the current test; skips or refuses where there is no one."""
        if hasattr(request, "param"):
            return str(request.param)
        if self._recording:
            return self._guard(self._checker.baseline_spec).scheme
        if not self._settings.schemes:
            pytest.skip(collecting.NO_SCHEME)
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
            pytest.skip(collecting.NO_MODEL)
        return self._guard(make)

    def quantized_handle(self, scheme: str) -> ModelHandle:
        """The model under test."""

        def make() -> ModelHandle:
            spec = quantized_spec(self._settings, self._checker.model_name(), scheme)
            return ModelHandle(spec, self._loader(spec))

        if self._recording:
            pytest.skip(collecting.RECORDING)
        return self._guard(make)

    def comparer(self, item: pytest.Item, scheme: str) -> CompareAccuracy:
        """What the fixture compare_accuracy gives to ``item``."""
        trial = item.stash.setdefault(TRIAL, Trial())
        evidence = trial.evidence
        evidence.scheme = scheme
        self.current = evidence
        if not self._recording and not markers.schemes_for(item, [scheme]):
            trial.passed_over = True
            pytest.skip(f"not for {scheme} (marker quant_schemes)")
        evidence.fixtures.add("compare_accuracy")
        return CompareAccuracy(
            lambda ask: self._compare(item, trial, ask),
            seed=self._settings.seed,
            include_paths=self._settings.include_paths,
            refuse=lambda task, error: evidence.refuse(error, task, None),
        )

    def _compare(self, item: pytest.Item, trial: Trial, ask: Ask) -> Comparison:
        evidence, scheme = trial.evidence, trial.evidence.scheme
        self.asked = True
        try:
            if trial.ended is not None:
                raise Refusal(
                    Category.WRONG_USE,
                    "compare_accuracy was called after the test had ended and was judged",
                    help="call it in the body of the test or before it, not in a teardown",
                )
            if self._recording:
                return self._record(item, evidence, ask)
            plan = markers.plan(
                item, self._settings, frozenset(evidence.fixtures), item.stash[TRIAL].declared
            )
            measured = self._checker.compare(ask, scheme, plan, self._recording_of(item))
        except QuantregError as error:
            self._note(error)
            evidence.refuse(error, ask.request.task, self._checker.known_context(scheme))
            raise
        evidence.measured.append(measured)
        return measured.compare(measured.metric, plan.confidence)

    def _record(self, item: pytest.Item, evidence: Evidence, ask: Ask) -> Comparison:
        recorded = self._checker.record(ask, self._recording_of(item))
        pairs = []
        for one in recorded:
            accuracy = one.run.accuracy
            outcome = messages.of_recording(
                accuracy,
                one.metric,
                self._checker.recording_context(one.run),
                present=one.present,
                notes=one.notes,
            )
            evidence.recorded.append(outcome)
            pairs.append(Pair(accuracy, accuracy, one.metric))
        # The body goes on with a comparison of the baseline with itself.
        scheme, sure = recorded[0].run.provenance.claimed, self._settings.confidence
        if len(pairs) == 1:
            accuracy, _, metric, _ = pairs[0]
            return compare(accuracy, accuracy, metric, scheme=scheme, confidence=sure)
        return pool(
            pairs,
            task=ask.request.task,
            metric=pairs[0].metric.name,
            scheme=scheme,
            confidence=sure,
        )

    def _recording_of(self, item: pytest.Item) -> Callable[[Update], str]:
        return lambda update: self._command(item, update)

    def _command(self, item: pytest.Item, update: Update) -> str:
        """The command that records what ``item`` misses, to be typed where pytest was started."""
        path = os.path.relpath(item.path, self._config.invocation_params.dir)
        names = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
        target = "::".join([path, *names, getattr(item, "originalname", None) or item.name])
        program, rest = recording_command(self._settings, target, update).split(" ", 1)
        return " ".join([program, *map(shlex.quote, _found_by(self._config)), rest])

    def _loader(self, spec: ModelSpec) -> Callable[[], Engine]:
        return lambda: self._guard(lambda: self._checker.engine_of(spec))

    def _guard(self, make: Callable[[], Made]) -> Made:
        """Runs ``make``; its refusal is kept for the verdict, whatever the test does."""
        try:
            return make()
        except QuantregError as error:
            self._refuse(error)

    def _refuse(self, error: QuantregError) -> NoReturn:
        def tell() -> None:
            self._note(error)
            if self.current is not None:
                self.current.refuse(error, None, None)

        tell()
        raise GateFailed(f"REFUSED: {error}", tell) from None

    def _note(self, error: QuantregError) -> None:
        if isinstance(error, Refusal) and error.category in _RESUMED:
            self.stopped_short = True


def _found_by(config: pytest.Config) -> list[str]:
    """The typed options by which pytest found its ini file and rootdir."""
    words: list[str] = []
    if config.option.inifilename:
        words += ["-c", str(config.option.inifilename)]
    if config.option.rootdir:
        words.append(f"--rootdir={config.option.rootdir}")
    for override in config.option.override_ini or ():
        words += ["-o", str(override)]
    return words
