"""The processes of one model that is timed, and what the last of them said that it loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ...backends.process.remote import RemoteEngine
from ...core.codes import SpeedCode
from ...core.errors import Refusal
from ...core.records.run import EffectiveScheme, Machine, ModelSpec
from ...core.settings import Settings
from ..engine_session import EngineSession

Check: TypeAlias = Callable[[EffectiveScheme, Machine], None]
"""Gets what a process loaded and where; may refuse it."""


@dataclass
class EngineProcess:
    """Starts the processes of one model, and remembers what was read from them.

    ``check`` is given what each really loaded and where, and may refuse it; ``loaded``
    gets the seconds that it took.
    """

    spec: ModelSpec
    settings: Settings
    check: Check
    loaded: Callable[[ModelSpec, float], None]
    effective: EffectiveScheme | None = None
    machine: Machine | None = None
    prepared: ModelSpec | None = None

    def open(self) -> RemoteEngine:
        """A fresh process with the model loaded. Raises Refusal for one not to be timed."""
        assert self.prepared is not None
        engine = RemoteEngine.start(
            self.prepared,
            cache_dir=self.settings.cache_dir / "checkpoints",
            timeout=self.settings.speed_timeout,
        )
        try:
            self.check(engine.effective, engine.machine)
        except BaseException:
            engine.close()
            raise
        self.effective, self.machine = engine.effective, engine.machine
        self.loaded(self.spec, engine.load_seconds)
        return engine


def prepare_process(engines: EngineSession, spec: ModelSpec, check: Check) -> EngineProcess:
    """A model made ready to be started; frees what this process holds."""
    # It would be missing to the others.
    engines.slot.close()
    process = EngineProcess(spec, engines.settings, check, engines.slot.note)
    process.prepared = engines.backend.prepare(spec, engines.say)
    return process


def refuse_shared(settings: Settings) -> None:
    """Refuses to time models in several workers at once. Raises Refusal."""
    if settings.workers > 1 and not settings.share_device:
        raise Refusal(SpeedCode.WORKERS_SHARE_DEVICE, workers=settings.workers)
