"""Serving in groups: who goes when, and what a request's times count from."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_quantreg.backends.lockstep import serve_in_groups
from pytest_quantreg.core.records.speed import Load


class Clock:
    """Seconds that pass when somebody sleeps or generates."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now
        self.slept: list[float] = []
        self.groups: list[list[int]] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds

    def generate(self, prompts: Sequence[tuple[int, ...]]) -> tuple[float, float]:
        """A quarter of a second to the first token, one second in all."""
        self.groups.append([prompt[0] for prompt in prompts])
        self.now += 1.0
        return 0.25, 1.0


def load(count: int, in_flight: int, arrivals: tuple[float, ...] | None = None) -> Load:
    """Prompts that carry their own number."""
    return Load(tuple((token,) for token in range(count)), 5, in_flight, arrivals)


def test_one_after_another_each_counts_from_its_own_start() -> None:
    """Requests sent one by one wait for nobody, so none carries the time of those before it."""
    clock = Clock()
    served = serve_in_groups(load(3, 1), clock.generate, clock, clock.sleep)
    assert clock.groups == [[0], [1], [2]]
    assert [request.arrived for request in served] == [0.0, 1.0, 2.0]
    assert [request.latency("ttft") for request in served] == [0.25] * 3
    assert [request.latency("e2e") for request in served] == [1.0] * 3
    assert [request.output_tokens for request in served] == [5] * 3


def test_at_most_so_many_in_flight() -> None:
    """Groups are as large as allowed, the last one smaller, in the order of the prompts."""
    clock = Clock()
    served = serve_in_groups(load(5, 2), clock.generate, clock, clock.sleep)
    assert clock.groups == [[0, 1], [2, 3], [4]]
    assert [request.ended for request in served] == [1.0, 1.0, 2.0, 2.0, 3.0]
    assert clock.slept == []


def test_waits_for_arrivals_and_counts_the_queue() -> None:
    """Nobody begins before it has arrived; time in the queue is part of the latency."""
    clock = Clock()
    arrivals = (0.5, 0.6, 0.7, 9.0)
    served = serve_in_groups(load(4, 8, arrivals), clock.generate, clock, clock.sleep)
    assert clock.slept == [0.5, 6.5]
    assert clock.groups == [[0], [1, 2], [3]]
    assert [request.arrived for request in served] == list(arrivals)
    assert served[0].latency("ttft") == pytest.approx(0.25)
    assert served[1].latency("ttft") == pytest.approx(1.5 + 0.25 - 0.6)
    assert served[3].first_token == pytest.approx(9.25)


def test_arrivals_in_any_order() -> None:
    """Whoever arrives first is served first, and answers keep the order of the prompts."""
    clock = Clock()
    served = serve_in_groups(load(3, 1, (2.0, 0.0, 1.0)), clock.generate, clock, clock.sleep)
    assert clock.groups == [[1], [2], [0]]
    assert [request.arrived for request in served] == [2.0, 0.0, 1.0]
    assert [request.ended for request in served] == [3.0, 1.0, 2.0]


def test_nothing_asked_nothing_served() -> None:
    """A load without prompts ends at once."""
    clock = Clock()
    assert serve_in_groups(load(0, 4), clock.generate, clock, clock.sleep) == ()
