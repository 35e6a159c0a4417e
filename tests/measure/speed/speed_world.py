"""Engines in this process that answer at once, and the order in which they were asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.records.run import Machine
from pytest_quantreg.core.records.speed import (
    DeviceState,
    Footprint,
    Load,
    ModelSpeed,
    Request,
    Workload,
)
from pytest_quantreg.measure.speed.measure import measure_pair
from pytest_quantreg.measure.speed.timed_model import Timed

SHORT = Workload(rounds=4, warmup=2, prompt_tokens=6, output_tokens=8)
BATCH = Workload(batch_size=3, requests=3, rounds=4, warmup=1, prompt_tokens=5, output_tokens=9)


@dataclass
class World:
    """What all engines of a test share: the order of events, and what goes wrong when."""

    events: list[str] = field(default_factory=list)
    alive: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    room: int = 2
    loads: dict[str, list[Load]] = field(default_factory=dict)
    spoil: Callable[[Request], Request] = lambda request: request
    fails_after: int = 10**9
    kind: str = "cpu"
    sleepers: bool = False

    def opener(self, name: str, seconds: float = 1.0) -> Callable[[], Timed]:
        """Starts an engine of that name, each round of which takes so long."""
        return lambda: FakeEngine(self, name, seconds)

    def rounds(self, name: str, output_tokens: int = 8) -> list[Load]:
        """The loads of a model that had so many tokens to generate."""
        return [load for load in self.loads[name] if load.output_tokens == output_tokens]


class FakeEngine:
    """An engine in this process that answers at once."""

    def __init__(self, world: World, name: str, seconds: float) -> None:
        world.events.append(f"+{name}")
        if len(world.alive) >= world.room:
            raise Refusal(Category.OUT_OF_MEMORY, f"{name} does not fit")
        world.alive.add(name)
        self.world, self.name, self.seconds = world, name, seconds
        self.load_seconds = 10.0 + len(world.events)
        self.machine = Machine(world.kind, "fake")
        self.served = 0
        self.can_sleep = world.sleepers

    def serve(self, load: Load) -> tuple[Request, ...]:
        if self.served >= self.world.fails_after:
            raise Refusal(Category.ENGINE, f"{self.name} broke")
        self.served += 1
        self.world.loads.setdefault(self.name, []).append(load)
        if load.output_tokens > 4:
            self.world.events.append(self.name)
        return tuple(
            self.world.spoil(Request(0.0, self.seconds / 2, self.seconds, load.output_tokens))
            for _ in load.prompts
        )

    def footprint(self) -> Footprint:
        return Footprint({"bf16": 7}, weights=100 + self.served, peak=1000 + self.served)

    def forget_peak(self) -> None:
        self.world.events.append(f"forget {self.name}")

    def copy_bandwidth(self) -> float | None:
        return 5.0

    def state(self) -> DeviceState:
        if self.machine.kind == "cpu":
            return DeviceState(temperature_c=float(self.served), load_average=3.0, threads=2)
        return DeviceState(temperature_c=float(self.served), others=3.0)

    def sleep(self) -> None:
        self.world.alive.remove(self.name)
        self.world.events.append(f"sleep {self.name}")

    def wake(self) -> None:
        self.world.alive.add(self.name)
        self.world.events.append(f"wake {self.name}")

    def close(self) -> None:
        self.world.alive.discard(self.name)
        self.world.events.append(f"-{self.name}")


def pair(world: World, *workloads: Workload, **how: Any) -> tuple[ModelSpeed, ModelSpeed]:
    """Measures A against B, B twice as fast."""
    settings = {"exclusive": False, "seed": 1, "vocab_size": 50, "say": world.said.append, **how}
    return measure_pair(
        world.opener("A", 2.0), world.opener("B", 1.0), workloads, names=("A", "B"), **settings
    )


def played(world: World) -> str:
    """The counted and warm-up rounds in order, as ``AABB``, starts and ends left out."""
    return "".join(event for event in world.events if event in ("A", "B"))
