"""Gates on what the quantized model does by itself: judged without a baseline, if there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conftest import Suite
from .events import loads
from .speed_suite import SHAPE, TimedSuite, timed_suite

CALL = f"compare_speed(batch_size=1, {SHAPE})"
ABSOLUTE = f"""
@pytest.mark.min_throughput(150)
@pytest.mark.max_latency(1000, kind="e2e")
@pytest.mark.max_memory(1)
@pytest.mark.max_load_time(9)
def test_absolute(compare_speed):
    found = {CALL}
    assert found.baseline is None
    assert found.workloads[0].baseline_throughput is None
    assert found.workloads[0].baseline_latency("e2e") is None
"""
RELATIVE = f"""
@pytest.mark.min_speedup(1.5)
def test_relative(compare_speed):
    {CALL}
"""
ALONE = "note: the baseline was not timed: nothing is said of speed-ups"


@pytest.fixture
def timed(suite: Suite) -> Iterator[TimedSuite]:
    """Two timed models."""
    yield from timed_suite(suite)


def nothing_named(timed: TimedSuite) -> None:
    """Neither a full-precision model nor anything stored of it."""
    timed.without_model()
    timed.ini(quant_model_name="model")


def test_nothing_to_compare_with(timed: TimedSuite) -> None:
    """All are judged, the workload is listed by its throughput, and the note says what is not."""
    nothing_named(timed)
    timed.test(ABSOLUTE)
    result = timed.gate("-rA")
    assert result.ret == 0
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "measured w8a8-int8 batch 1: 200 tok/s, no gate",
            "batch 1 *throughput * - * 200 *tok/s *>= 150*kept",
            "4 kept",
            ALONE,
        ]
    )
    result.stdout.no_fnmatch_line("*speed-up * kept*")
    timed.test(ABSOLUTE.replace("150", "250"))
    result = timed.gate("-rA")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["LOST w8a8-int8 throughput, batch 1: 200 tok/s, *"])


def test_a_speed_up_still_needs_its_baseline(timed: TimedSuite) -> None:
    """One gate on it among others, and what is missing is refused before anything loads."""
    nothing_named(timed)
    timed.test(f"@pytest.mark.min_throughput(150){RELATIVE}")
    result = timed.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["REFUSED (baseline absent) *", "*--quant-model=REF"])
    assert loads(timed.path / "int8") == 0


@pytest.mark.parametrize("step", ["load", "serve"])
@pytest.mark.parametrize("tests", [ABSOLUTE + RELATIVE, RELATIVE + ABSOLUTE], ids=["1st", "2nd"])
def test_a_baseline_that_does_not_fit(step: str, tests: str, timed: TimedSuite) -> None:
    """That the quantized model fits is its point: judged alone, whatever was asked before."""
    timed.model(speed={"out_of_memory": step})
    timed.test(tests)
    result = timed.gate("-rA")
    assert result.ret == 1
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["REFUSED (out of memory) w8a8-int8 speed: model bf16 does not *"])
    result.stdout.fnmatch_lines(["note: model bf16 does not fit into memory*", ALONE])
    result.stdout.fnmatch_lines(["4 kept, 1 refused"])


def test_a_quantized_model_that_does_not_fit(timed: TimedSuite) -> None:
    """No fallback makes anything of that: refused by name."""
    timed.checkpoint(speed={"out_of_memory": "serve"})
    timed.test(ABSOLUTE)
    result = timed.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["REFUSED (out of memory) *: model w8a8-int8 does not fit *"])


def test_both_kinds_of_gates_share_a_measurement(timed: TimedSuite) -> None:
    """Where both models are there, tests with and without a speed-up cost one pair."""
    latency = '@pytest.mark.max_latency(1000, kind="e2e")'
    alike = RELATIVE.replace("@pytest.mark.min_speedup(1.5)", latency)
    timed.test(alike.replace("relative", "absolute") + RELATIVE)
    for mode in ("detect", "certify"):
        before = loads(timed.path / "int8")
        result = timed.gate(f"--quant-gate={mode}")
        assert result.ret == 0
        result.assert_outcomes(passed=2)
        assert loads(timed.path / "int8") == before + 1


def test_stored_sessions_that_do_not_fit_are_left_out(timed: TimedSuite) -> None:
    """Those of another device, or state of it, are told and not needed."""
    timed.test(ABSOLUTE)
    timed.model(machine={**timed.machine, "accelerator": "Another processor"})
    timed.record()
    timed.without_model()
    result = timed.gate()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["note: this is *, and the stored speed of model *", ALONE])
    timed.ini(quant_model="model")
    timed.model(speed={"state": {"threads": 8}})
    timed.record()
    timed.without_model()
    timed.checkpoint(speed={"state": {"threads": 2}})
    result = timed.gate()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["note: the stored speed is of 8 threads, and this *", ALONE])


def test_inherited_gates_that_mean_nothing_here(timed: TimedSuite) -> None:
    """A module's marker is for the tests that it fits: no verdict, and no refusal, elsewhere."""
    timed.test(
        f"""
        pytestmark = [
            pytest.mark.min_speedup(1.5),
            pytest.mark.min_throughput(100),
            pytest.mark.max_latency(900, kind="e2e"),
            pytest.mark.max_latency(90, kind="tpot"),
        ]

        def test_rate(compare_speed):
            compare_speed(request_rate=50, concurrency=4, requests=12, {SHAPE})

        def test_one_token(compare_speed):
            compare_speed(batch_size=1, prompt_tokens=4, output_tokens=1)
        """
    )
    result = timed.gate("-rA")
    assert result.ret == 0
    result.assert_outcomes(passed=2)
    rows = [line for line in result.outlines if line.endswith((" kept", " not judged"))]
    kept = sorted(" ".join(line.split()[:-1])[:26].split(" - ")[0] for line in rows)
    paced = [line for line in kept if line.startswith("50 requests/s")]
    assert not [line for line in paced if "speed-up" in line or "throughput" in line]
    assert len(paced) == 2, "both latencies, of which one is what was measured"
    assert not [line for line in kept if line.startswith("batch 1 tpot")]
    assert [line for line in kept if line.startswith("batch 1 speed-up")]
