"""Which declared minimum judges which measured metric: keys, selectors and distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .settings import GateMode

MIN_RETENTION = "min_retention"


@dataclass(frozen=True)
class Gate:
    """One marker as declared.

    ``level`` counts outwards from the test: 0 a ``pytest.param`` mark, 1 the test
    itself, then its class (and base classes), module and packages.
    """

    marker: str
    minimum: float
    task: str | None
    metric: str | None
    level: int

    OWN_LEVELS = (0, 1)

    @property
    def own(self) -> bool:
        """Whether the test carries the marker itself, not its class or module."""
        return self.level in self.OWN_LEVELS

    @property
    def selectors(self) -> int:
        """How many selectors it names; more win over fewer."""
        return (self.task is not None) + (self.metric is not None)

    def __str__(self) -> str:
        named = {"task": self.task, "metric": self.metric}
        rest = "".join(f", {name}={value!r}" for name, value in named.items() if value)
        return f"{self.marker}({self.minimum:.10g}{rest})"


@dataclass(frozen=True)
class Plan:
    """How one test is judged: its gates, nearest first, with mode and confidence."""

    gates: tuple[Gate, ...]
    mode: GateMode
    confidence: float


def matching(gates: Sequence[Gate], task: str) -> list[Gate]:
    """The gates whose task selector admits ``task``."""
    return [gate for gate in gates if gate.task in (None, task)]


def choose(gates: Sequence[tuple[Gate, str]]) -> dict[str, Gate]:
    """Of gates with the metric that each would judge, the one that does, per metric.

    More selectors win over fewer; among equals the marker nearest the test wins, and of
    two at one place (a test may add a marker while it runs) the stricter one.
    """
    chosen: dict[str, Gate] = {}
    for gate, metric in gates:
        rival = chosen.get(metric)
        if rival is None or _rank(gate) < _rank(rival):
            chosen[metric] = gate
    return chosen


def _rank(gate: Gate) -> tuple[int, int, float]:
    return (-gate.selectors, gate.level, -gate.minimum)


def unfed(gates: Sequence[Gate], tasks: Sequence[str]) -> list[Gate]:
    """The gates that no measured task could feed and that therefore must be refused.

    A marker inherited from class or module with a task selector is meant for some of
    the tests below it, so it only has to be fed where it stands on the test itself;
    elsewhere it is `idle`.
    """
    return [gate for gate in _without_task(gates, tasks) if gate.own or gate.task is None]


def idle(gates: Sequence[Gate], tasks: Sequence[str]) -> list[Gate]:
    """The inherited gates for other tasks than a test measured.

    No fault of that test, but one that is idle in every test of a session guards
    nothing, as a misspelt task does; the summary says so.
    """
    return [gate for gate in _without_task(gates, tasks) if not gate.own and gate.task is not None]


def _without_task(gates: Sequence[Gate], tasks: Sequence[str]) -> list[Gate]:
    return [gate for gate in gates if not any(gate.task in (None, task) for task in tasks)]
