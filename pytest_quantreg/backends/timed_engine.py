"""What loaded engines share: a stopwatch that times them, and words for what is gone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from ..core.codes import EngineCode
from ..core.errors import WrongUse
from ..core.records.speed import DeviceState, Footprint, Load, Request


class Timed(Protocol):
    """The part of `pytest_quantreg.core.engine.TimedEngine` that only speed needs."""

    def serve(self, load: Load) -> tuple[Request, ...]:
        """Answers a round."""
        ...

    def footprint(self) -> Footprint:
        """What model and process occupy."""
        ...

    def forget_peak(self) -> None:
        """Starts the peak anew."""
        ...

    def copy_bandwidth(self) -> float | None:
        """Of the device with the weights."""
        ...

    def state(self) -> DeviceState:
        """Of the same device."""
        ...


class StopwatchEngine(ABC):
    """An engine whose speed is the matter of a stopwatch, made when it is first asked for."""

    @abstractmethod
    def _timed(self) -> Timed:
        """The stopwatch. Raises WrongUse once the engine is closed."""

    def serve(self, load: Load) -> tuple[Request, ...]:
        """Answers a round, as a user would have it answered."""
        return self._timed().serve(load)

    def footprint(self) -> Footprint:
        """What model and process occupy; ask once before the first forward."""
        return self._timed().footprint()

    def forget_peak(self) -> None:
        """Starts the peak anew."""
        self._timed().forget_peak()

    def copy_bandwidth(self) -> float | None:
        """Of the device with the weights; None where nobody can say."""
        return self._timed().copy_bandwidth()

    def state(self) -> DeviceState:
        """Of the same device."""
        return self._timed().state()


def closed_engine_error(name: str) -> WrongUse:
    """Return the error of a closed engine that is still used."""
    return WrongUse(EngineCode.ENGINE_CLOSED, model=name)
