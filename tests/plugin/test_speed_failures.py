"""Engines that fail while they are timed: that test is refused, and the others go on."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .conftest import SCHEME, Suite
from .events import events, loads
from .speed_suite import SHAPE, TimedSuite, left_over, timed_suite

TWO = f"""
@pytest.mark.min_speedup(1.5)
@pytest.mark.parametrize("size", [8, 1])
def test_speed(size, compare_speed):
    compare_speed(batch_size=size, {SHAPE})
"""
"""The first call fails on models that fail above 1."""


@pytest.fixture
def timed(suite: Suite) -> Iterator[TimedSuite]:
    """Two tests of speed, of which a script can make the first fail."""
    for gated_suite in timed_suite(suite):
        gated_suite.test(TWO)
        yield gated_suite


def first_refused(timed: TimedSuite, *lines: str) -> pytest.RunResult:
    """Runs both tests: the first is refused with these lines, the second judged."""
    result = timed.gate("-rA")
    assert result.ret == 1
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at call of*", *lines])
    result.stdout.fnmatch_lines(["kept w8a8-int8 speed-up, batch 1: *"])
    result.stdout.no_fnmatch_line("E  *")
    assert left_over(timed.suite) == []
    return result


def test_out_of_memory_while_loading(timed: TimedSuite) -> None:
    """What is needed and what is free is told; a smaller model in the same session is judged."""
    folder = timed.checkpoint("large", speed={"out_of_memory": "load"})
    (folder / "model.safetensors").write_bytes(bytes(3 << 20))
    timed.checkpoint("small", "w8a8-fp8")
    result = timed.run(
        f"--quant-scheme={SCHEME},w8a8-fp8",
        *(f"--quant-checkpoint={SCHEME}=large", "--quant-checkpoint=w8a8-fp8=small"),
        *("-k", "1"),
    )
    assert result.ret == 1
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (out of memory) w8a8-int8 speed: model w8a8-int8 does not fit into memory",
            "  its weights are 3.0 MiB on disk; * free on the host*",
            "  *free the device*",
        ]
    )
    result.stdout.fnmatch_lines(["*quantreg: w8a8-fp8 against bf16*", "batch 1 * kept"])
    assert loads(folder) == 0


@pytest.mark.parametrize("which", ["model", "int8"])
def test_out_of_memory_while_serving(timed: TimedSuite, which: str) -> None:
    """Alone on the device it still does not fit: refused, with what to change."""
    speed: dict[str, Any] = {"out_of_memory": "serve", "above": 1}
    if which == "model":
        timed.model(speed=speed)
    else:
        timed.checkpoint(speed=speed)
    scheme = {"model": "bf16", "int8": "w8a8-int8"}[which]
    first_refused(
        timed,
        f"REFUSED (out of memory) w8a8-int8 speed: model {scheme} does not fit into memory while "
        "serving 8 requests (4 + 4 tokens)",
        "* free on the host*",
        "*use a smaller batch or shorter prompts*",
        "*it was warming up, batch 8",
    )


def test_a_hung_engine(timed: TimedSuite) -> None:
    """It is named with the seconds it was given and what it was at; its process is ended."""
    timed.ini(quant_speed_timeout=3)
    timed.checkpoint(speed={"hang": "serve", "above": 1})
    first_refused(
        timed,
        "REFUSED (engine failed) w8a8-int8 speed: model w8a8-int8 did not answer within 3 s "
        "while serving 8 requests (4 + 4 tokens)",
        "*its process was ended, *",
        "*quant_speed_timeout (seconds)",
    )


def test_a_killed_engine(timed: TimedSuite) -> None:
    """SIGKILL is what a host does that has no memory left: alone it is tried too, then refused."""
    timed.checkpoint(speed={"die": "serve", "above": 1})
    first_refused(
        timed,
        "REFUSED (out of memory) w8a8-int8 speed: model w8a8-int8 was killed (signal 9) while "
        "serving 8 requests (4 + 4 tokens), probably for want of memory",
        "  free on the host when it began: *",
    )


@pytest.mark.parametrize("step", ["footprint", "bandwidth"])
def test_an_engine_that_dies_between_rounds(timed: TimedSuite, step: str) -> None:
    """Whatever it was asked: what was measured until then is not judged."""
    timed.checkpoint(speed={"die": step})
    result = timed.gate("-k", "1")
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["REFUSED (out of memory) w8a8-int8 speed: model w8a8-int8 was killed (signal 9) while *"]
    )


def test_an_engine_that_answers_less(timed: TimedSuite) -> None:
    """A model that generates fewer tokens is not faster: refused."""
    timed.checkpoint(speed={"short": True})
    result = timed.gate("-k", "1")
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["REFUSED (engine failed) *w8a8-int8, batch 1: the engine generated 3 tokens where 4 *"]
    )


def test_a_script_that_cannot_be_read(timed: TimedSuite) -> None:
    """What the process refuses is refused here in its own words and kind."""
    timed.checkpoint(speed={"sped": 1})
    result = timed.gate("-k", "1")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (unusable model) w8a8-int8 speed: *unknown keys: sped"])


def test_a_refusal_cannot_be_caught(timed: TimedSuite) -> None:
    """A body that swallows it, and an xfail, change nothing."""
    timed.test(
        f"""
        @pytest.mark.xfail
        def test_speed(compare_speed):
            try:
                compare_speed(batch_size=1, {SHAPE})
            except Exception:
                pass
        """
    )
    timed.checkpoint(speed={"short": True})
    result = timed.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)


def waits_for_an_engine(thread: int) -> bool:
    """Whether a thread waits for the answers of an engine in another process."""
    names, frame = set(), sys._current_frames().get(thread)
    while frame is not None:
        names.add(frame.f_code.co_name)
        frame = frame.f_back
    return {"serve", "exchange"} <= names


@contextmanager
def interrupted_in(folder: Path) -> Iterator[list[float]]:
    """Sends this process a SIGINT once the loaded model of ``folder`` is at work.

    The list holds when.
    """
    sent: list[float] = []
    over = threading.Event()

    def wait() -> None:
        main = threading.main_thread().ident
        assert main is not None
        # Not before: what Python calls back in between may drop an interruption.
        while not (events(folder) and waits_for_an_engine(main)):
            if over.wait(0.01):
                return
        sent.append(time.monotonic())
        signal.pthread_kill(main, signal.SIGINT)

    # A shell lets its jobs in the background ignore SIGINT, and so they inherit it.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    try:
        yield sent
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGINT, handler)


@pytest.mark.parametrize("recording", [True, False])
def test_an_interruption_leaves_no_process(timed: TimedSuite, recording: bool) -> None:
    """Ctrl-C while an engine works ends all processes at once and changes nothing stored.

    Rounds are not kept, so nothing says that the same command goes on where it stopped.
    """
    timed.record("-k", "1")
    before = timed.stored_path().read_bytes()
    slow = {"hang": "serve", "above": 1}
    if recording:
        words, folder = ["--quant-update"], timed.model(speed=slow)
        (folder / "events.log").unlink()
    else:
        words = [f"--quant-scheme={SCHEME}", "--quant-checkpoint=int8"]
        folder = timed.checkpoint(speed=slow)
    with interrupted_in(folder) as sent:
        result = timed.suite.run_interrupted(*words)
    ended = time.monotonic()
    assert result.ret == 2
    assert left_over(timed.suite) == []
    result.stdout.no_fnmatch_line("*goes on where it stopped*")
    assert timed.stored_path().read_bytes() == before
    assert not list((timed.path / "baselines").rglob("batch-8*"))
    assert ended - sent[0] < 20, "nobody waited for the engine"
