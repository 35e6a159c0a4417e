"""The one place that holds weights: at most one loaded engine per process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from ..core.engine import Backend, Engine, Say, capabilities_of
from ..core.records.run import ModelSpec

Start: TypeAlias = Callable[[ModelSpec], Engine]
"""Loads a prepared model in a process of its own."""


class EngineSlot:
    """Loads engines on demand and closes the one it holds before it loads another.

    Those of a backend with ``own_process`` are loaded by ``start``, others here.
    ``loads`` says how often each model was loaded and ``load_seconds`` how long that
    took in all, both by label (``tiny-llama w8a8-fp8``).
    """

    def __init__(self, start: Start | None = None) -> None:
        self._start = start
        self._engine: Engine | None = None
        self._key: tuple[object, ...] | None = None
        self._loads: dict[str, int] = {}
        self._seconds: dict[str, float] = {}

    @property
    def loads(self) -> Mapping[str, int]:
        """Label -> number of times it was loaded."""
        return MappingProxyType(self._loads)

    @property
    def load_seconds(self) -> Mapping[str, float]:
        """Label -> seconds spent in loading, preparation left out."""
        return MappingProxyType(self._seconds)

    @property
    def engine(self) -> Engine | None:
        """The loaded engine, None before the first `acquire` and after `close`."""
        return self._engine

    def acquire(self, spec: ModelSpec, backend: Backend, say: Say) -> Engine:
        """The engine of ``spec``: the held one if it is that, else a fresh one.

        Raises what the backend raises; nothing is held then.
        """
        key = spec.key()
        if self._engine is not None and self._key == key and not _has_ended(self._engine):
            return self._engine
        self.close()
        prepared = backend.prepare(spec, say)
        started = time.perf_counter()
        start = self._start if capabilities_of(backend).own_process else None
        engine = (start or backend.load)(prepared)
        self._engine, self._key = engine, key
        self.note(spec, time.perf_counter() - started)
        return engine

    def close(self) -> None:
        """Frees what is held; harmless when nothing is."""
        engine, self._engine, self._key = self._engine, None, None
        if engine is not None:
            engine.close()

    def note(self, spec: ModelSpec, seconds: float) -> None:
        """Counts a loading of ``spec``, here or in a process of its own."""
        name = label(spec)
        self._loads[name] = self._loads.get(name, 0) + 1
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds


def _has_ended(engine: Engine) -> bool:
    """Return whether it was in a process that is gone; it is loaded anew then."""
    return bool(getattr(engine, "ended", False))


def label(spec: ModelSpec) -> str:
    """Return a loaded model's name in the summary: ``tiny-llama w8a8-fp8``."""
    return f"{spec.name} {spec.scheme}"
