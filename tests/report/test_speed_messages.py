"""The words on speed: true as printed, the decision in the first line."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.gates.speed import (
    MAX_LATENCY,
    MAX_LOAD_TIME,
    MAX_MEMORY,
    MIN_SPEEDUP,
    MIN_THROUGHPUT,
    SpeedGate,
)
from pytest_quantreg.core.gates.speed_verdict import judge_model, judge_workload
from pytest_quantreg.core.records.outcome_row import Context, OutcomeRow
from pytest_quantreg.core.records.speed import DeviceState, Footprint, ModelSpeed, Series, Workload
from pytest_quantreg.core.settings import GateMode
from pytest_quantreg.report.number_format import figure, outwards
from pytest_quantreg.report.speed_lines import model_lines, workload_lines
from pytest_quantreg.report.speed_messages import of_measurement, of_speed_refusal, of_verdict
from pytest_quantreg.report.speed_table import speed_table
from tests.core.speed_series import NOISY, QUIET, SCHEME, compared, plan, result

CONTEXT = Context("model", None, "bf16", SCHEME, "scripted 1.0", "NVIDIA A40")
GIB = 1024**3


def outcome(
    gate: SpeedGate,
    seconds: tuple[float, ...] = QUIET,
    mode: GateMode = GateMode.DETECT,
    *,
    stored: int = 0,
    why: str = "",
    family: int = 1,
) -> OutcomeRow:
    """What one gate says of rounds of ``seconds`` beside a baseline of 2 s a round."""
    made = plan(gate, mode=mode, family=family)
    sessions = [(2.0 + 0.3 * n,) * len(seconds) for n in range(stored)]
    comparison = compared(
        seconds,
        None if stored else (2.0,) * len(seconds),
        stored=sessions,
        confidence=made.confidence,
    )
    return of_verdict(judge_workload(gate, why, comparison, made, gpus=1), CONTEXT)


def speedup(bound: float) -> SpeedGate:
    """A gate on the speed-up."""
    return SpeedGate(MIN_SPEEDUP, bound, 1)


def test_lost() -> None:
    """How fast it is, how sure that is, what was required and why, and both speeds."""
    judged = outcome(speedup(2.5), why="for A40 (this is NVIDIA A40)")
    assert judged.headline == (
        "LOST w4a16-int4 speed-up, batch 1: 2x the baseline's tokens per second, with 95 % "
        "confidence no more than 2.02x; at least 2.5x was required for A40 (this is NVIDIA A40)"
    )
    assert judged.details == ("baseline 32 tok/s, quantized 64 tok/s, 10 rounds of each",)
    assert judged.fails
    assert judged.advice is None
    assert judged.speed is not None
    assert judged.speed.detectable is None


def test_a_loss_by_a_hair_does_not_read_as_kept() -> None:
    """A bound just beyond the threshold has the digits for it, in message and table."""
    high = outcome(speedup(2.5)).speed
    assert high is not None
    assert high.high is not None
    bound = high.high + 1e-5
    judged = outcome(speedup(bound))
    assert judged.result == "lost"
    printed = float(judged.headline.split("no more than ")[1].split("x;")[0])
    assert high.high <= printed < bound
    _, [row] = speed_table([judged], 200)
    shown = float(row.figures.split("-")[-1].split("x")[0])
    assert high.high <= shown < bound


def test_a_latency_lost_by_a_hair() -> None:
    """The same of what must be small: its lower bound is printed above the threshold."""
    low = outcome(SpeedGate(MAX_LATENCY, 900.0, 1, "e2e", 50.0)).speed
    assert low is not None
    assert low.low is not None
    bound = low.low - 1e-5
    judged = outcome(SpeedGate(MAX_LATENCY, bound, 1, "e2e", 50.0))
    printed = judged.headline.split("at least ")[1].split(" ms")[0]
    assert bound < float(printed) <= low.low


def test_kept() -> None:
    """One bound is enough, and what the gate would have seen stands below."""
    judged = outcome(speedup(1.5))
    assert judged.headline == (
        "kept w4a16-int4 speed-up, batch 1: 2x the baseline's tokens per second, with 95 % "
        "confidence at least 1.99x; at least 1.5x was required"
    )
    assert judged.details[1].startswith("would have turned red 4 times in 5 at a true 1.")
    assert not judged.fails


def test_undecided_under_each_mode() -> None:
    """Lower case where it passes, capitals where it fails; only detect says what it saw."""
    detect = outcome(speedup(1.9), NOISY)
    certify = outcome(speedup(1.9), NOISY, GateMode.CERTIFY)
    assert detect.headline.startswith("undecided w4a16-int4 speed-up, batch 1: ")
    assert certify.headline.startswith("UNDECIDED w4a16-int4 speed-up, batch 1: ")
    assert any("would have turned red" in line for line in detect.details)
    assert not any("would have turned red" in line for line in certify.details)
    assert detect.advice == certify.advice
    assert detect.advice is not None
    assert detect.advice.endswith(f"rounds={detect.advice.split()[1].replace(',', '')}")


def test_undecided_has_both_bounds() -> None:
    """Neither says enough, so both are told; one that is missing is called so."""
    judged = outcome(SpeedGate(MAX_LATENCY, 1100.0, 1, "e2e", 90.0))
    assert "at least 1,000 ms and with no upper bound; at most 1100 ms was allowed" in (
        judged.headline
    )
    assert judged.advice == "about 29 rounds decide it, if it is as fast as it measured: rounds=29"
    assert judged.speed is not None
    assert judged.speed.high is None
    at = outcome(SpeedGate(MAX_LATENCY, 1000.0, 1, "e2e", 50.0), NOISY)
    assert at.advice == "what was measured is too near to the threshold for any number of rounds"


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (1, "one stored session says nothing of how sessions differ: record more with "
            "--quant-update --quant-repeats=5, or name *"),
        (3, "3 stored sessions differ too much to decide it: record more with --quant-update "
            "--quant-repeats=6, or name *"),
    ],
)  # fmt: skip
def test_stored_sessions(stored: int, said: str) -> None:
    """More rounds would not help, more sessions or the model itself do."""
    judged = outcome(speedup(1.9), NOISY, GateMode.CERTIFY, stored=stored)
    assert judged.result == "undecided"
    pytest.LineMatcher([judged.advice or ""]).fnmatch_lines([said])
    sessions = "session" if stored == 1 else "sessions"
    assert f"10 rounds against {stored} stored {sessions}" in judged.details[0]


def test_point_makes_no_promise() -> None:
    """It says that it has no confidence, and keeps or loses."""
    judged = outcome(speedup(2.5), mode=GateMode.POINT)
    assert judged.headline == (
        "LOST w4a16-int4 speed-up, batch 1: 2x the baseline's tokens per second (point gate: no "
        "confidence); at least 2.5x was required"
    )
    assert outcome(speedup(1.5), mode=GateMode.POINT).headline.startswith("kept ")


def test_a_family_is_named() -> None:
    """The confidence of each gate, and what it is of all."""
    assert (
        "with 99.75 % (95 % over 20 gates) confidence" in outcome(speedup(1.5), family=20).headline
    )


def test_memory_and_load_time() -> None:
    """Bytes have no confidence; load times say how many loads, and what to do if undecided."""
    size = Footprint(weights=5 * GIB)
    before = ModelSpeed((), Footprint(weights=15 * GIB))
    gate = SpeedGate(MAX_MEMORY, 4.5, 1, "weights")
    judged = of_verdict(judge_model(gate, "", result(size, baseline=before), plan(gate)), CONTEXT)
    assert judged.headline == ("LOST w4a16-int4 weight memory: 5 GiB; at most 4.5 GiB was allowed")
    assert judged.details == ("baseline 15 GiB, quantized 5 GiB",)
    gate = SpeedGate(MAX_LOAD_TIME, 10.0, 1)
    loads = result(loads=(8.0, 9.0, 9.5, 11.0, 12.0))
    judged = of_verdict(judge_model(gate, "", loads, plan(gate)), CONTEXT)
    assert judged.details[0] == "quantized 9.5 s, 5 loads"
    assert judged.advice is not None
    assert "rounds" not in judged.advice


def test_blocks_are_called_blocks() -> None:
    """Where both took turns by block, more blocks decide, and not more rounds in as many."""
    gate = SpeedGate(MIN_SPEEDUP, 1.9, 1)
    whole = compared(NOISY * 2, (2.0,) * 20)
    assert whole.baseline is not None

    def blocked(series: Series) -> Series:
        rounds = (replace(round_, block=at % 10) for at, round_ in enumerate(series.rounds))
        return replace(series, rounds=tuple(rounds))

    parts = replace(whole, quantized=blocked(whole.quantized), baseline=blocked(whole.baseline))
    judged = of_verdict(judge_workload(gate, "", parts, plan(gate), gpus=1), CONTEXT)
    assert judged.details[0].endswith(", 10 blocks of each")
    assert judged.advice is not None
    assert judged.advice.endswith(f" blocks={judged.advice.split()[1].replace(',', '')}")
    assert "rounds" not in judged.advice
    assert workload_lines(parts, (None, None))[0].endswith(", in 10 blocks")


def test_a_model_timed_alone() -> None:
    """Its throughput is listed as measured; nothing of a baseline, nor of a speed-up."""
    alone = compared(QUIET)
    listed = of_measurement(alone, CONTEXT)
    assert listed.speed is not None
    assert (listed.speed.quantity, listed.speed.unit) == ("throughput", "tok/s")
    assert listed.speed.value == pytest.approx(64.0, rel=0.01)
    assert listed.speed.baseline is None
    assert listed.headline == "measured w4a16-int4 batch 1: 64 tok/s, no gate"
    assert workload_lines(alone, (None, None))[0].endswith("10 rounds after 2 of warm-up")
    assert len(workload_lines(alone, (None, None))) == 2
    paced = compared(QUIET, workload=Workload(rounds=10, request_rate=4.0))
    listed = of_measurement(paced, CONTEXT)
    assert listed.speed is not None
    assert (listed.speed.quantity, listed.speed.baseline) == ("e2e p50", None)


def test_gates_on_a_model_timed_alone() -> None:
    """A throughput and a latency are judged; the line has the quantized model's figure only."""
    for gate in (
        SpeedGate(MIN_THROUGHPUT, 60.0, 1, "server"),
        SpeedGate(MAX_LATENCY, 1100.0, 1, "e2e", 50.0),
    ):
        verdict = judge_workload(gate, "", compared(QUIET), plan(gate), gpus=1)
        judged = of_verdict(verdict, CONTEXT)
        assert judged.result == "kept"
        assert judged.details[0].startswith("quantized ")
        _, [row] = speed_table([judged], 200)
        assert " - " in row.figures


def test_where_nothing_bounds_it() -> None:
    """One stored session under certify: every speed-up may be true, which reads as any."""
    judged = outcome(speedup(1.9), NOISY, GateMode.CERTIFY, stored=1)
    assert judged.speed is not None
    assert (judged.speed.low, judged.speed.high) == (0.0, None)
    _, [row] = speed_table([judged], 200)
    assert row.figures.split()[row.figures.split().index("tok/s") + 1] == "any"
    _, [row] = speed_table([replace(judged, speed=replace(judged.speed, low=1.5))], 200)
    assert " 1.5-any " in row.figures
    half = outcome(SpeedGate(MAX_LATENCY, 1100.0, 1, "e2e", 90.0))
    _, [row] = speed_table([half], 200)
    assert " 1,000-any " in row.figures


def test_how_the_device_was() -> None:
    """Threads and load of a processor; a card's clocks, and never a load average of its others."""
    busy = DeviceState(2500.0, threads=2, load_average=1.5)
    idle = DeviceState(2600.0, threads=2, load_average=0.25)
    speed = ModelSpeed((), states=(busy, idle))
    assert model_lines(SCHEME, speed, None) == [
        "device: 2,500-2,600 MHz, 2 threads, load average 0.25-1.5"
    ]
    other = ModelSpeed((), states=(DeviceState(threads=8),))
    assert ", 2 or 8 threads, " in model_lines(SCHEME, speed, other)[-1]
    card = ModelSpeed((), states=(DeviceState(1980.0, power_limit_w=700.0, others=3.0),))
    assert model_lines(SCHEME, card, None) == ["device: 1,980 MHz, 700 W limit"]


def test_a_model_that_no_gate_judged() -> None:
    """It is listed as measured, and never called kept."""
    listed = of_measurement(compared(QUIET, (2.0,) * 10), CONTEXT)
    assert listed.headline == "measured w4a16-int4 batch 1: 32 -> 64 tok/s, no gate"
    assert (listed.result, listed.fails, listed.gate) == ("measured", False, None)


def test_refused() -> None:
    """The workload and the gate stand in it, and no task."""
    error = Refusal(Category.NOT_JUDGED, "not so", help="do that")
    gate = SpeedGate(MIN_THROUGHPUT, 9.0, 1, "server")
    refused = of_speed_refusal(error, scheme=SCHEME, context=CONTEXT, gate=gate, workload="batch 4")
    assert refused.headline == "REFUSED (not judged) w4a16-int4 speed batch 4: not so"
    assert (refused.task, refused.gate, refused.details) == (
        None,
        "min_throughput(9)",
        ("do that",),
    )
    bare = of_speed_refusal(error, scheme=SCHEME, context=None)
    head, [row] = speed_table([bare], 80)
    assert row.figures.startswith("speed ")
    assert head.startswith("workload ")


def test_what_was_measured_of_a_workload() -> None:
    """Throughput, requests and percentiles of each latency; no time per token of a single one."""
    made = compared((1.0,) * 6, (2.0,) * 6)
    assert workload_lines(made, (None, None)) == [
        "batch 1, 128+64 tokens, 6 rounds after 2 of warm-up",
        "  baseline: 32 tok/s, 0.5 requests/s, ttft 200/200/200 ms, tpot 28.6/28.6/28.6 ms, "
        "e2e 2,000/2,000/2,000 ms (p50/p90/p99)",
        "  w4a16-int4: 64 tok/s, 1 requests/s, ttft 100/100/100 ms, tpot 14.3/14.3/14.3 ms, "
        "e2e 1,000/1,000/1,000 ms (p50/p90/p99)",
    ]
    single = compared((1.0,) * 6, workload=Workload(output_tokens=1), stored=[(2.0,) * 6] * 2)
    first, second = workload_lines(single, (None, None))
    assert first.endswith("6 rounds after 2 of warm-up, against 2 stored sessions of the baseline")
    lines = workload_lines(compared((1.0,) * 6, stored=[(2.0,) * 6]), (None, None))
    assert lines[0].endswith(", against 1 stored session of the baseline")
    assert "tpot" not in second


def test_what_a_model_takes() -> None:
    """Memory by type, peak, cache, disk and load time, as far as it is known."""
    full = Footprint(
        loaded={"int4": 4 * GIB, "bfloat16": GIB},
        weights=5 * GIB,
        peak=8 * GIB,
        kv_cache_tokens=123_456,
        disk=5 * GIB,
    )
    lines = model_lines(
        SCHEME, ModelSpeed((), full, (9.0, 8.0, 11.0)), ModelSpeed((), Footprint(), (21.5,))
    )
    assert lines == [
        "baseline: loads in 21.5 s",
        "w4a16-int4: weights 5 GiB (as loaded: 1 bfloat16, 4 int4), peak 8 GiB (allocator), KV "
        "cache for 123,456 tokens, 5 GiB on disk, loads in 9 s (median of 3)",
    ]
    assert model_lines(SCHEME, ModelSpeed(()), None) == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (math.inf, "-"),
        (0.0, "0"),
        (0.0123456, "0.0123"),
        (1.2345, "1.23"),
        (99.96, "100"),
        (123.456, "123.5"),
        (999.96, "1000"),
        (1234.5, "1,234"),
        (1_234_567.8, "1,234,568"),
    ],
)
def test_figure(value: float | None, shown: str) -> None:
    """Short, and never in powers of ten."""
    assert figure(value) == shown


@pytest.mark.parametrize(
    ("value", "up", "shown"),
    [
        (1.2301, True, "1.24"),
        (1.2399, False, "1.23"),
        (1.23, True, "1.23"),
        (1.23, False, "1.23"),
        (999.1, True, "1,000"),
        (1234.0, True, "1,240"),
        (0.012345, False, "0.0123"),
        (0.0, False, "0"),
        (math.inf, True, "any"),
    ],
)
def test_bounds_are_rounded_outwards(value: float, up: bool, shown: str) -> None:
    """What is printed still holds."""
    assert outwards(value, up=up) == shown
