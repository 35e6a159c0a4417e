"""The processes of one model that is timed, and what the last of them said that it loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..backends.remote import RemoteEngine
from ..core.record import EffectiveScheme, Machine, ModelSpec
from ..core.settings import Settings


@dataclass
class Opened:
    """Starts the processes of one model, and remembers what was read from them.

    ``check`` is given what each really loaded and where, and may refuse it; ``loaded``
    hears of the seconds that it took.
    """

    spec: ModelSpec
    settings: Settings
    check: Callable[[EffectiveScheme, Machine], None]
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
