"""One model while it is timed: the process it has now, and what was found so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeAlias

from ...core.codes import SpeedCode
from ...core.errors import QuantregError
from ...core.facts import Problem
from ...core.records.run import Machine
from ...core.records.speed import (
    DeviceState,
    Footprint,
    Load,
    ModelSpeed,
    Request,
    Round,
    Series,
    Workload,
)
from .rounds import Rounds, check_answers


class Timed(Protocol):
    """What is needed of a started engine; a `TimedEngine` in a process of its own has it."""

    @property
    def load_seconds(self) -> float:
        """From the start of its process until it could answer; NaN where nobody can tell."""
        ...

    @property
    def machine(self) -> Machine:
        """Where it runs."""
        ...

    def serve(self, load: Load) -> tuple[Request, ...]:
        """Answers one round."""
        ...

    def footprint(self) -> Footprint:
        """What it occupies now."""
        ...

    def forget_peak(self) -> None:
        """Starts the peak anew."""
        ...

    def copy_bandwidth(self) -> float | None:
        """Bytes read plus written per second."""
        ...

    def state(self) -> DeviceState:
        """How the device is now."""
        ...

    def close(self) -> None:
        """Ends its process."""
        ...


class Sleeper(Timed, Protocol):
    """An engine that can leave the device to another without ending, if ``can_sleep``."""

    can_sleep: bool

    def sleep(self) -> None:
        """Leaves the device."""
        ...

    def wake(self) -> None:
        """Takes it back."""
        ...


TOUCHES = 10
TOUCH_SECONDS = 0.02
"""How long a process works, uncounted, before a round that follows one of the other model."""

Open: TypeAlias = Callable[[], Timed]
"""Starts a fresh process with the model loaded."""


class TimedModel:
    """Opens processes of one model, plays rounds on them and keeps what they gave.

    ``beside`` is how many processes of other models live at the same time.
    """

    def __init__(
        self, name: str, open_engine: Open, workloads: Sequence[Workload], rounds: Rounds
    ) -> None:
        self.beside = 0
        self.name = name
        self._open = open_engine
        self._workloads = tuple(workloads)
        self._rounds = rounds
        self._played: dict[Workload, list[Round]] = {workload: [] for workload in workloads}
        self._engine: Timed | None = None
        self._fresh = False
        self._loads: list[float] = []
        self._states: list[DeviceState] = []
        self._footprint: Footprint | None = None
        self._bandwidth: float | None = None

    @property
    def load_seconds(self) -> float:
        """What the last process took to load; NaN for an engine that cannot tell."""
        return self._loads[-1]

    @property
    def opened(self) -> bool:
        """Whether it was ever loaded."""
        return bool(self._loads)

    @property
    def can_sleep(self) -> bool:
        """Whether the process can leave the device to another and come back."""
        return bool(getattr(self._engine, "can_sleep", False))

    def open(self) -> None:
        """Starts a process; what the model weighs is read before it computes anything."""
        self._engine = self._open()
        self._fresh = True
        self._loads.append(self._engine.load_seconds)
        before = self._engine.footprint()
        if self._footprint is None:
            self._footprint = replace(before, weights=None, peak=None)

    def enter(self) -> None:
        """Has a process that may use the device: a sleeping one is woken, else one starts."""
        if self.can_sleep:
            self._sleeper.wake()
            self._fresh = True
        else:
            self.open()

    def leave(self) -> None:
        """Notes what the rounds took and gives the device to the other model."""
        self.settle()
        if self.can_sleep:
            self._sleeper.sleep()
        else:
            self.close()

    def warm(self, workload: Workload) -> float:
        """Rounds that do not count; returns seconds of the last, 0 without any."""
        seconds, warming_up = 0.0, Problem(SpeedCode.WARMING_UP, {})
        for number in range(-workload.warmup, 0):
            seconds = self._round(workload, number, 0, warming_up).seconds
        if self._fresh:
            # From here on the peak is that of the workloads, not that of loading.
            self._live.forget_peak()
            self._states.append(self._state())
            self._fresh = False
        return seconds

    def touch(self, workload: Workload, number: int) -> None:
        """Takes the device over after the other model had it; not counted.

        Idle threads of the other process spin for milliseconds after its round, caches
        hold its weights and clocks have dropped: whoever goes first after a change would
        pay for it. Measured on two cores with rounds of 30 ms: 18 % of the round.
        """
        load, took = self._rounds.touch(workload, number), 0.0
        when = Problem(SpeedCode.BEFORE_ROUND, {"round": number + 1})
        for _ in range(TOUCHES):
            requests = self._serve(workload, load, when)
            took += max(request.ended for request in requests)
            if took >= TOUCH_SECONDS:
                return

    def play(self, workload: Workload, number: int, block: int = 0) -> None:
        """One round that counts."""
        when = Problem(SpeedCode.IN_ROUND, {"round": number + 1, "rounds": workload.rounds})
        self._played[workload].append(self._round(workload, number, block, when))

    def settle(self) -> None:
        """Notes weights and peak after the rounds, and how the device is now."""
        assert self._footprint is not None
        now = self._live.footprint()
        peaks = [peak for peak in (self._footprint.peak, now.peak) if peak is not None]
        loaded = self._footprint.loaded
        self._footprint = replace(now, loaded=loaded, peak=max(peaks, default=None))
        self._states.append(self._state())
        if self._bandwidth is None:
            self._bandwidth = self._live.copy_bandwidth()

    def close(self) -> None:
        """Ends the process, if there is one."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def load_once(self) -> None:
        """One more process, for its load time alone."""
        engine = self._open()
        self._loads.append(engine.load_seconds)
        engine.close()

    def result(self) -> ModelSpeed:
        """All that was found."""
        series = tuple(
            Series(workload, tuple(self._played[workload])) for workload in self._workloads
        )
        return ModelSpeed(
            series,
            self._footprint or Footprint(),
            tuple(seconds for seconds in self._loads if math.isfinite(seconds)),
            self._bandwidth,
            tuple(self._states),
        )

    @property
    def _live(self) -> Timed:
        assert self._engine is not None
        return self._engine

    @property
    def _sleeper(self) -> Sleeper:
        live: Sleeper = self._live  # type: ignore[assignment]  # asked after `can_sleep` only
        return live

    def _state(self) -> DeviceState:
        state = self._live.state()
        if state.others is None:
            return state
        # The model it is compared with is no stranger on the card.
        return replace(state, others=max(state.others - self.beside, 0))

    def _round(self, workload: Workload, number: int, block: int, when: Problem) -> Round:
        load = self._rounds.load(workload, number)
        requests = self._serve(workload, load, when)
        return Round(requests, block)

    def _serve(self, workload: Workload, load: Load, when: Problem) -> tuple[Request, ...]:
        try:
            requests = self._live.serve(load)
        except QuantregError as error:
            error.problem = Problem(
                SpeedCode.FAILED_WHILE_TIMED,
                {"cause": error.problem, "when": when, "workload": workload.label},
            )
            raise
        check_answers(requests, load, self.name, workload.label)
        return requests
