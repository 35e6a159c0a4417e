"""What our fixtures give to tests, and what they note of every use for the verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import pytest

from ..core.codes import OptionCode
from ..core.engine import Engine
from ..core.errors import QuantregError, Refusal
from ..core.hardware.accelerators import Accelerator
from ..core.records.run import EffectiveScheme, ModelSpec
from ..core.settings import Settings, Update
from ..gating import Checker, Evidence
from ..gating.models import quantized_spec
from ..measure.accelerator import detect
from ..report.words import worded
from . import collection, markers
from .accuracy_fixture import CompareAccuracy
from .item_calls import ItemCalls, SessionNotes
from .item_state import ITEM_STATE, GateFailed, ItemState
from .speed_fixture import CompareSpeed

T = TypeVar("T")


class Fixtures:
    """Makes what the fixtures return.

    ``current`` is the evidence of the test that runs.
    """

    def __init__(self, config: pytest.Config, settings: Settings, checker: Checker) -> None:
        self._config = config
        self._settings = settings
        self._checker = checker
        self._recording = settings.update is not Update.NO
        self.current: Evidence | None = None
        self.notes = SessionNotes()

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
                Refusal(OptionCode.SCHEMES_BY_REQUEST, schemes=len(self._settings.schemes))
            )
        return self._settings.schemes[0]

    def baseline_handle(self) -> ModelHandle:
        """The full-precision model."""

        def make() -> ModelHandle:
            spec = self._checker.baseline_spec()
            return ModelHandle(spec, self)

        if self._settings.model is None and not self._settings.schemes:
            pytest.skip(collection.NO_MODEL)
        return self._guard(make)

    def quantized_handle(self, scheme: str) -> ModelHandle:
        """The model under test."""

        def make() -> ModelHandle:
            spec = quantized_spec(self._settings, self._checker.model_name(), scheme)
            return ModelHandle(spec, self)

        if self._recording:
            pytest.skip(collection.RECORDING)
        return self._guard(make)

    def comparer(self, item: pytest.Item, scheme: str) -> CompareAccuracy:
        """What the fixture compare_accuracy gives to ``item``."""
        item_state = self._item_state_of(item, scheme, "compare_accuracy")
        return CompareAccuracy(self._calls_of(item, item_state))

    def timer(self, item: pytest.Item, scheme: str) -> CompareSpeed:
        """What the fixture compare_speed gives to ``item``."""
        item_state = self._item_state_of(item, scheme, "compare_speed")
        return CompareSpeed(self._calls_of(item, item_state))

    def engine_of(self, spec: ModelSpec) -> Engine:
        """The loaded engine of a model; frees any other first. Raises GateFailed."""
        return self._guard(lambda: self._checker.engine_of(spec))

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

    def _calls_of(self, item: pytest.Item, item_state: ItemState) -> ItemCalls:
        return ItemCalls(item, item_state, self._settings, self._checker, self.notes)

    def _guard(self, make: Callable[[], T]) -> T:
        """Runs ``make``; its refusal is kept for the verdict, whatever the test does."""
        try:
            return make()
        except QuantregError as error:
            self._refuse(error)

    def _refuse(self, error: QuantregError) -> NoReturn:
        def note_refusal() -> None:
            self.notes.note(error)
            if self.current is not None:
                self.current.refuse(error, None, None)

        note_refusal()
        raise GateFailed(f"REFUSED: {worded(error)}", note_refusal) from None


class ModelHandle:
    """A model that is loaded when it is first used and shares memory with no other.

    ``name`` is what people call it, ``scheme`` what it claims to be. Each use of
    ``model``, ``tokenizer`` or ``effective`` makes sure that it is the loaded one and
    frees whichever was loaded before.
    """

    def __init__(self, spec: ModelSpec, fixtures: Fixtures) -> None:
        self.name = spec.name
        self.scheme = spec.scheme
        self._spec = spec
        self._fixtures = fixtures

    @property
    def model(self) -> Any:
        """The engine's own model object, e.g. a transformers model in eval mode."""
        return self._fixtures.engine_of(self._spec).model

    @property
    def tokenizer(self) -> Any:
        """The engine's own tokenizer."""
        return self._fixtures.engine_of(self._spec).tokenizer

    @property
    def effective(self) -> EffectiveScheme:
        """What was really loaded and runs, read from the loaded modules."""
        return self._fixtures.engine_of(self._spec).effective

    def __repr__(self) -> str:
        return f"<ModelHandle {self.name} {self.scheme}>"
