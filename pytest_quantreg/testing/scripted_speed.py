"""How fast and how large the scripted double says it is: computed times, nothing sleeps.

The key ``speed`` of ``scripted.json``; every key may be left out::

    "speed": {
      "seconds_to_first": 0.02, "seconds_per_token": 0.01,
                                        numbers, or {"1": ..., "64": ...}: by requests in flight,
                                        the largest key that is not above them
      "jitter": [1.0, 1.1],             factors of all times, by round of the process (rounds
                                        of another size count apart), over and over
      "sessions": [1.0, 1.02],          factors of all times, by process that loaded the model
                                        (as its log counts them), over and over
      "load_seconds": 1.5,              what the start of the process is said to take; null:
                                        what it took
      "loaded": {"int8": 1000},         bytes by dtype before the first forward
      "weights": 1000, "peak": 2000, "peak_of": "allocator", "streamed": 900,
      "kv_per_token": 10, "kv_cache_tokens": 4096, "disk": 1100, "bandwidth": 1e9,
      "state": {"clock_mhz": 1000},
      "hang": "serve", "die": "serve", "out_of_memory": "serve",
                                        at "load", "serve", "footprint" or "bandwidth"
      "above": 8,                       those three only with more requests in flight than this
      "short": true                     one token less than asked for
    }

``hang`` really hangs and ``die`` ends the process by SIGKILL.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from ..backends.lockstep import serve_in_groups
from ..core.codes import EngineCode
from ..core.errors import Refusal, WrongUse
from ..core.records.speed import DeviceState, Footprint, Load, Request

DEFAULTS: Mapping[str, Any] = {
    "seconds_to_first": 0.02,
    "seconds_per_token": 0.01,
    "jitter": [1.0],
    "sessions": [1.0],
    "load_seconds": 1.0,
    "loaded": {"bfloat16": 1000},
    "weights": 1000,
    "peak": 2000,
    "streamed": 900,
    "kv_per_token": 10,
    "disk": 1000,
    "bandwidth": 1e9,
    "state": {},
}

FAILURES = ("hang", "die", "out_of_memory", "above", "short")

_FOOTPRINT = tuple(entry.name for entry in fields(Footprint))


class ScriptedTiming:
    """The timed part of a scripted engine, from the ``speed`` of its script.

    ``before`` is how many processes loaded the model before this one.
    """

    def __init__(self, name: str, script: Mapping[str, Any], before: int = 0) -> None:
        known_keys = {*DEFAULTS, *FAILURES, *_FOOTPRINT}
        if unknown := sorted(set(script) - known_keys):
            raise Refusal(
                EngineCode.SCRIPT_HAS_UNKNOWN_KEYS,
                model=name,
                part="speed",
                keys=tuple(unknown),
                known=tuple(sorted(known_keys)),
            )
        self._name = name
        self._speed = {**DEFAULTS, **script}
        self._rounds: dict[tuple[int, ...], int] = {}
        sessions: Sequence[float] = self._speed["sessions"]
        self._lasting = sessions[before % len(sessions)]
        self.fail_at("load")

    @property
    def load_seconds(self) -> float | None:
        """What starting is said to take; None: what it took."""
        seconds: float | None = self._speed["load_seconds"]
        return seconds

    def serve(self, load: Load) -> tuple[Request, ...]:
        """Times as the script computes them, on a clock of its own."""
        self.fail_at("serve", load.in_flight)
        factors: Sequence[float] = self._speed["jitter"]
        size = (len(load.prompts), load.output_tokens, load.in_flight)
        number = self._rounds.get(size, 0)
        self._rounds[size] = number + 1
        factor = self._lasting * factors[number % len(factors)]
        clock = Clock()

        def generate(prompts: Sequence[tuple[int, ...]]) -> tuple[float, float]:
            first = factor * self._by_company("seconds_to_first", len(prompts))
            further = factor * self._by_company("seconds_per_token", len(prompts))
            total = first + (load.output_tokens - 1) * further
            clock.sleep(total)
            return first, total

        requests = serve_in_groups(load, generate, clock, clock.sleep)
        short = 1 if self._speed.get("short") else 0
        return tuple(
            replace(request, output_tokens=request.output_tokens - short) for request in requests
        )

    def footprint(self) -> Footprint:
        """What the script says."""
        self.fail_at("footprint")
        return Footprint(**{key: self._speed[key] for key in _FOOTPRINT if key in self._speed})

    def copy_bandwidth(self) -> float | None:
        """What the script says."""
        self.fail_at("bandwidth")
        bandwidth: float | None = self._speed["bandwidth"]
        return bandwidth

    def state(self) -> DeviceState:
        """What the script says."""
        return DeviceState(**self._speed["state"])

    def fail_at(self, step: str, in_flight: int = 0) -> None:
        """Hangs, dies or runs out of memory where the script asks for it."""
        if in_flight <= self._speed.get("above", -1):
            return
        if self._speed.get("hang") == step:
            while True:
                time.sleep(60)
        if self._speed.get("die") == step:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._speed.get("out_of_memory") == step:
            raise MemoryError("scripted: out of memory")

    def _by_company(self, key: str, in_flight: int) -> float:
        value = self._speed[key]
        if not isinstance(value, Mapping):
            return float(value)
        fitting = [int(count) for count in value if int(count) <= in_flight]
        if not fitting:
            raise WrongUse(
                EngineCode.SCRIPT_HAS_NO_TIME, model=self._name, key=key, in_flight=in_flight
            )
        return float(value[str(max(fitting))])


class Clock:
    """Seconds that pass only when somebody sleeps."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        """Lets that much time pass."""
        self._now += seconds
