"""What stored sessions were like beyond their figures: warm-up, threads, power, arguments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Suite
from .events import events
from .speed_suite import SHAPE, VARIED, TimedSuite, timed_suite

CALL = f"""
@pytest.mark.min_speedup(1.5)
def test_speed(compare_speed):
    compare_speed(batch_size=1, {{more}}, {SHAPE})
"""


@pytest.fixture
def timed(suite: Suite) -> Iterator[TimedSuite]:
    """One test of speed; nothing is recorded."""
    yield from timed_suite(suite)


def recorded(timed: TimedSuite, *args: str, **state: Any) -> None:
    """Records two sessions with the device in this state, then forgets the model."""
    timed.model(speed={**VARIED, "state": state})
    assert timed.record("--quant-repeats=2", *args).ret == 0
    timed.without_model()


def served(timed: TimedSuite) -> int:
    """How many rounds the quantized model has answered."""
    return sum(event.startswith("served") for event in events(timed.path / "int8"))


@pytest.mark.parametrize("more", ["warmup=0", "rounds=4"])
def test_too_cold_or_too_short_to_be_stored(more: str, timed: TimedSuite) -> None:
    """A slow baseline would make every model fast: refused before any process starts."""
    timed.test(CALL.format(more=more))
    result = timed.record()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["REFUSED (too weak) baseline speed: a speed baseline of *: 5 after 1 are the least"]
    )
    assert events(timed.path / "model") == []


def test_a_cold_session(timed: TimedSuite) -> None:
    """Less warm-up than now asked for, in any session: refused, and the command mends it."""
    timed.test(CALL.format(more="warmup=1"))
    recorded(timed)
    assert timed.gate().ret == 0
    timed.ini(quant_model="model")
    timed.test(CALL.format(more="warmup=3"))
    timed.record("--quant-repeats=3")
    assert [session["warmup"] for session in timed.document()["sessions"]] == [1, 1, 3]
    timed.without_model()
    before = served(timed)
    result = timed.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (not comparable) w8a8-int8 speed: a stored session of batch 1 has 1 rounds of "
            "warm-up, and 3 are asked for: colder rounds are slower ones",
            "*record the baseline again: pytest * --quant-update=all",
        ]
    )
    assert served(timed) == before > 0, "refused before any round"
    timed.run("--quant-update=all", "--quant-model=model")
    assert timed.gate().ret == 0


@pytest.mark.parametrize(
    ("key", "then", "now", "said"),
    [
        ("threads", 1, 4, "of 1 threads, and this session has 4"),
        ("power_limit_w", 300.0, 450.0, "of 300 W power limit, and this session has 450"),
    ],
)
def test_another_state(key: str, then: float, now: float, said: str, timed: TimedSuite) -> None:
    """A baseline that was held back is no measure: refused by both numbers, judged when alike."""
    recorded(timed, **{key: then})
    timed.checkpoint(speed={"state": {key: now}})
    result = timed.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [f"REFUSED (not comparable) w8a8-int8 speed: the stored speed is {said}", "*--quant-model*"]
    )
    timed.checkpoint(speed={"state": {key: then}})
    assert timed.gate().ret == 0


def test_what_is_told_of_the_recording(timed: TimedSuite) -> None:
    """One day, clocks held down, others on the card, engine arguments: notes beside the verdict."""
    state = {"power_limit_w": 300.0, "others": 2, "throttled": "power cap"}
    recorded(timed, "--quant-backend-arg=attn=eager", **state)
    timed.checkpoint(speed={"state": {"power_limit_w": 300.0, "others": 0}})
    result = timed.gate()
    assert result.ret == 0
    closing = " ".join(line.strip() for line in result.outlines)
    for note in (
        "note: all stored sessions are of one day: another day may differ from them by more than",
        "note: the device held its clocks down when the baseline was recorded: power cap",
        "note: other processes used the card when the baseline was recorded",
        "note: the baseline was recorded with attn=eager",
    ):
        assert note in closing


def test_the_same_session_twice(timed: TimedSuite) -> None:
    """A copied session would feign that sessions do not differ: it is not stored."""
    result = timed.record("--quant-repeats=2")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED * it holds the same rounds twice, as two sessions"])
    assert len(timed.document()["sessions"]) == 1
