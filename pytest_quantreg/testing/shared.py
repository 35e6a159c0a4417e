"""The fixtures and the texts that all conformance classes share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..backends import find
from ..backends.engine_slot import EngineSlot
from ..backends.process.remote import RemoteEngine
from ..core.engine import Backend, Engine
from ..core.errors import WrongUse
from ..core.facts import Problem
from ..core.records.run import ModelSpec
from .requests import Asker, Pair


class Slot(EngineSlot):
    """Loads as a session does: engines with ``own_process`` in a worker, one at a time.

    ``untimed`` is why the engine cannot be timed, as its worker reported.
    """

    def __init__(self, cache_dir: Path) -> None:
        super().__init__(self._in_a_worker)
        self._cache_dir = cache_dir
        self.untimed: Problem | None = None

    def _in_a_worker(self, spec: ModelSpec) -> Engine:
        if self.untimed is None:
            try:
                return RemoteEngine.start(spec, cache_dir=self._cache_dir)
            except WrongUse as error:
                self.untimed = error.problem
        return RemoteEngine.start(spec, cache_dir=self._cache_dir, timed=False)


def unsaid(_: str) -> None:
    """Nobody listens."""


class Conformance:
    """What a subclass may set or override.

    The suite defines the fixture ``baseline_spec`` (a full-precision ModelSpec, as small as
    there is) and, where there is one, ``quantized_spec`` (a quantized one of the same), of
    class scope or wider: in the subclass, the module or a conftest.
    """

    backend_name = ""
    """The name of the entry point, as ``--quant-backend`` takes it; or override ``backend``."""

    can_score = True
    """False for engines that give no log-probabilities of prompts: they must say so."""

    tolerance = 0.05
    """Nats per token by which two ways of asking the same may differ."""

    texts: tuple[str, ...] = (
        "In the morning the old man walked down to the sea and looked at the water.",
        "She opened the door of the small house and saw that nobody was there.",
        "The key to the garden is under the third stone on the left side of the wall.",
        "After the rain we found seven brown mushrooms and a very large snail.",
    )
    """Plain sentences of eight words or more that the model's tokenizer can write."""

    @pytest.fixture(scope="class")
    @classmethod
    def cache_dir(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Where the backend may keep what it makes."""
        return tmp_path_factory.mktemp("conformance")

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, cache_dir: Path) -> Backend:
        """The backend under test, found by its name; override it to make it otherwise."""
        if not cls.backend_name:
            pytest.fail("set backend_name, or override the fixture backend", pytrace=False)
        return find(cls.backend_name, cache_dir=cache_dir)

    @pytest.fixture(scope="class")
    @classmethod
    def quantized(cls, request: pytest.FixtureRequest) -> ModelSpec | None:
        """The fixture ``quantized_spec`` of the suite, None where it has none."""
        try:
            spec: ModelSpec = request.getfixturevalue("quantized_spec")
        except pytest.FixtureLookupError as error:
            if error.argname != "quantized_spec":
                raise
            return None
        return spec

    @pytest.fixture(scope="class")
    @classmethod
    def slot(cls, cache_dir: Path) -> Iterator[Slot]:
        """Holds the one model that is loaded while the class runs."""
        slot = Slot(cache_dir)
        yield slot
        slot.close()

    @pytest.fixture
    def engine(self, slot: Slot, backend: Backend, baseline_spec: ModelSpec) -> Engine:
        """The baseline, loaded as a session loads it, and anew where its process has ended."""
        return slot.acquire(baseline_spec, backend, unsaid)

    @pytest.fixture
    def asker(self, engine: Engine) -> Asker:
        """The loaded baseline, asked by lm-eval's requests."""
        return Asker(engine)

    def pairs(self) -> list[Pair]:
        """Contexts and continuations from the texts, of several lengths."""
        return [
            (" ".join(words[:at]), " " + " ".join(words[at : at + 2]))
            for words in (text.split(" ") for text in self.texts)
            for at in (2, len(words) // 2, len(words) - 2)
        ]

    def prompts(self) -> list[str]:
        """The beginnings of the texts."""
        return [" ".join(text.split(" ")[: 3 + at]) for at, text in enumerate(self.texts)]
