"""Verdicts on speed, memory and load time: kept, lost, undecided, and what would decide."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_quantreg.core import stats
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.gates.speed import MAX_LOAD_TIME, MAX_MEMORY, SpeedGate
from pytest_quantreg.core.gates.speed_verdict import judge_model, judge_workload
from pytest_quantreg.core.records.speed import Footprint, ModelSpeed, Series
from pytest_quantreg.core.settings import GateMode

from ...wording import refused, says
from ..speed_series import (
    NOISY,
    QUIET,
    compared,
    judged,
    latency,
    plan,
    result,
    speedup,
    throughput,
)

KEPT, LOST, UNDECIDED = (
    stats.IntervalVerdict.KEPT,
    stats.IntervalVerdict.LOST,
    stats.IntervalVerdict.UNDECIDED,
)
GIB = 1024**3


CASES = [
    (speedup(1.9), QUIET, KEPT),
    (speedup(2.1), QUIET, LOST),
    (speedup(2.0), QUIET, UNDECIDED),
    (throughput(60.0), QUIET, KEPT),
    (throughput(70.0), QUIET, LOST),
    (throughput(64.0), QUIET, UNDECIDED),
    (latency(1100.0), QUIET, KEPT),
    (latency(900.0), QUIET, LOST),
    (latency(1000.0), QUIET, UNDECIDED),
    (latency(110.0, "ttft"), QUIET, KEPT),
    (latency(15.0, "tpot"), QUIET, KEPT),
    (latency(1100.0, percentile=70.0), QUIET, KEPT),
    (latency(900.0, percentile=70.0), QUIET, LOST),
]


@pytest.mark.parametrize(("gate", "seconds", "evidence"), CASES)
def test_evidence_and_modes(
    gate: SpeedGate, seconds: tuple[float, ...], evidence: stats.IntervalVerdict
) -> None:
    """The bounds decide; detect fails on what is lost, certify on all but what is kept."""
    verdict = judged(gate, seconds)
    assert verdict.evidence is evidence
    assert verdict.fails == (evidence is LOST)
    certified = judged(gate, seconds, GateMode.CERTIFY)
    assert certified.fails == (evidence is not KEPT)
    at_least = gate.at_least
    estimate = verdict.estimate
    assert (evidence is KEPT) == (
        estimate.low >= gate.bound if at_least else estimate.high <= gate.bound
    )
    assert (evidence is LOST) == (
        estimate.high < gate.bound if at_least else estimate.low > gate.bound
    )


@pytest.mark.parametrize("gate", [speedup(2.0), throughput(64.0), latency(1000.0)])
def test_point_decides_by_the_figure_alone(gate: SpeedGate) -> None:
    """At the threshold itself it is kept, beyond it lost, whatever the noise."""
    flat = (1.0, 1.0)
    assert not judged(gate, flat, GateMode.POINT).fails
    beyond = gate.bound * (1.001 if gate.at_least else 0.999)
    assert judged(replace(gate, bound=beyond), flat, GateMode.POINT).fails


def test_figures_are_in_the_gates_unit() -> None:
    """Tokens per second, in all or for each GPU, and milliseconds; the baseline's too."""
    verdict = judged(throughput(60.0), (1.0,) * 6)
    assert (verdict.estimate.estimate, verdict.baseline) == (64.0, 32.0)
    each = judged(throughput(60.0, "gpu"), (1.0,) * 6, gpus=4)
    assert (each.estimate.estimate, each.baseline, each.evidence) == (16.0, 8.0, LOST)
    slow = judged(latency(60.0, "tpot"), (1.0,) * 6)
    assert slow.estimate.estimate == pytest.approx(1000 * 0.9 / 63)
    assert slow.baseline == pytest.approx(2000 * 0.9 / 63)
    both = judged(speedup(1.5), (1.0,) * 6)
    assert (both.speeds, both.baseline) == ((32.0, 64.0), None)


def test_what_it_could_see_and_what_it_needs() -> None:
    """Of noisy rounds: the loss that would have shown, and the rounds that would decide."""
    verdict = judged(speedup(1.8), NOISY)
    assert verdict.evidence is UNDECIDED
    assert verdict.detectable is not None
    assert verdict.detectable < 1.8
    assert verdict.needed is not None
    assert verdict.needed > len(NOISY)
    assert judged(speedup(0.5), NOISY).needed is None
    exact = judged(speedup(2.0), (1.0, 1.2, 0.8, 1.1, 0.9, 1.0, 1.0))
    assert exact.estimate.estimate == pytest.approx(2.0, rel=0.02)


def test_a_throughput_needs_more_rounds_than_a_ratio() -> None:
    """One model alone is bounded by the sign test, which sees less than signed ranks do."""
    ratio, alone = judged(speedup(1.8), NOISY), judged(throughput(64.0 * 0.9), NOISY)
    assert ratio.detectable is not None
    assert alone.detectable is not None
    assert alone.detectable / alone.gate.bound < ratio.detectable / ratio.gate.bound
    spread = stats.timing_spread(compared(NOISY).quantized.throughputs())
    expected = stats.detectable_ratio(spread, 10, alone.gate.bound, 0.95, alone=True)
    assert alone.detectable == expected


def test_a_percentile_without_bound_needs_the_fewest_rounds_that_have_one() -> None:
    """No 10 rounds bound a 90th percentile from above; 29 do, at 95 %."""
    verdict = judged(latency(1100.0, percentile=90.0))
    assert (verdict.evidence, verdict.estimate.high, verdict.needed) == (UNDECIDED, math.inf, 29)
    lower = judged(latency(500.0, percentile=2.0), (1.0,) * 10, GateMode.CERTIFY)
    assert (lower.evidence, lower.estimate.low, lower.needed) == (UNDECIDED, 0.0, 149)


def test_a_latency_near_its_threshold_needs_rounds_by_the_square() -> None:
    """Half the distance needs four times the rounds; at the threshold no number will do."""
    far, near = judged(latency(1200.0), NOISY), judged(latency(1100.0), NOISY)
    assert far.evidence is near.evidence is UNDECIDED
    assert far.estimate.estimate == 1000.0
    assert far.needed is not None
    assert near.needed is not None
    assert near.needed == pytest.approx(4 * far.needed, abs=3)
    assert judged(latency(1000.0), NOISY).needed is None


def test_the_confidence_of_a_family_widens_the_bounds() -> None:
    """What 20 gates promise together, each must show at 99.75 %."""
    alone = plan(speedup(1.9))
    shared = plan(speedup(1.9), family=20)
    assert shared.confidence == pytest.approx(0.9975)
    made = [
        judge_workload(
            speedup(1.9),
            "",
            compared(NOISY, (2.0,) * 10, confidence=verdict.confidence),
            verdict,
            gpus=1,
        )
        for verdict in (alone, shared)
    ]
    assert made[1].estimate.low < made[0].estimate.low
    assert made[1].estimate.high > made[0].estimate.high
    assert [verdict.family for verdict in made] == [1, 20]


def test_stored_sessions_in_place_of_a_baseline() -> None:
    """One says nothing of how sessions differ, and several put their spread into the bounds."""
    comparison = compared(QUIET, stored=[(2.0,) * 10])
    with refused("one stored session of the baseline says nothing") as error:
        judge_workload(speedup(1.5), "", comparison, plan(), gpus=1)
    assert error.value.category is Category.TOO_WEAK
    verdict = judge_workload(speedup(1.5), "", comparison, plan(mode=GateMode.CERTIFY), gpus=1)
    assert (verdict.evidence, verdict.stored, verdict.needed) == (UNDECIDED, 1, None)
    assert verdict.speeds is not None
    assert verdict.speeds == pytest.approx((32.0, 64.0), rel=0.01)
    assert judge_workload(throughput(60.0), "", comparison, plan(), gpus=1).evidence is KEPT
    many = compared(QUIET, stored=[(length,) * 10 for length in (2.0, 2.02, 1.98, 2.01, 1.99)])
    verdict = judge_workload(speedup(1.5), "", many, plan(), gpus=1)
    assert (verdict.evidence, verdict.stored) == (KEPT, 5)


def test_without_a_baseline_absolute_gates_are_judged() -> None:
    """Throughput and latency need none; a speed-up does, and that is said with the way out."""
    alone = compared(QUIET)
    verdict = judge_workload(throughput(60.0), "", alone, plan(), gpus=1)
    assert (verdict.evidence, verdict.baseline, verdict.stored) == (KEPT, None, 0)
    verdict = judge_workload(latency(900.0), "", alone, plan(), gpus=1)
    assert (verdict.evidence, verdict.baseline, verdict.speeds) == (LOST, None, None)
    for mode in GateMode:
        with refused("the baseline was not timed") as error:
            judge_workload(speedup(1.5), "", alone, plan(mode=mode), gpus=1)
        assert error.value.category is Category.NOTHING_MEASURED
        assert "--quant-model" in says(error.value)


def test_units_of_blocks_are_called_so() -> None:
    """12 rounds in 6 blocks are 6 units; 6 rounds of one process are rounds."""
    whole = compared((1.0,) * 12, (2.0,) * 12)
    assert whole.baseline is not None

    def blocked(series: Series) -> Series:
        rounds = (replace(round_, block=at // 2) for at, round_ in enumerate(series.rounds))
        return replace(series, rounds=tuple(rounds))

    parts = replace(whole, quantized=blocked(whole.quantized), baseline=blocked(whole.baseline))
    for made, units, blocks in ((whole, 12, False), (parts, 6, True)):
        for gate in (speedup(1.5), throughput(60.0), latency(1100.0)):
            verdict = judge_workload(gate, "", made, plan(gate), gpus=1)
            assert (verdict.units, verdict.blocks) == (units, blocks)


@pytest.mark.parametrize(
    ("kind", "bound", "evidence"),
    [
        ("weights", 5.0, KEPT),
        ("weights", 4.999, LOST),
        ("peak", 8.0, KEPT),
        ("peak", 7.999, LOST),
    ],
)
def test_memory_is_counted(kind: str, bound: float, evidence: stats.IntervalVerdict) -> None:
    """There is nothing undecided about bytes, whatever the mode."""
    before = ModelSpeed((), Footprint(weights=15 * GIB, peak=20 * GIB))
    made = result(Footprint(weights=5 * GIB, peak=8 * GIB), baseline=before)
    gate = SpeedGate(MAX_MEMORY, bound, 1, kind)
    for mode in GateMode:
        verdict = judge_model(gate, "", made, plan(gate, mode=mode))
        assert (verdict.evidence, verdict.fails) == (evidence, evidence is LOST)
        assert verdict.baseline == (15 if kind == "weights" else 20)
        assert (verdict.workload, verdict.units) == (None, 1)


def test_a_lost_percentile_was_refused_as_too_weak() -> None:
    """Ten rounds bound p90 from below alone: certify cannot be kept by them, and was lost."""
    verdict = judged(latency(500.0, percentile=90.0), QUIET, GateMode.CERTIFY)
    assert (verdict.evidence, verdict.fails) == (LOST, True)
    with refused("could never be kept") as error:
        judged(latency(1100.0, percentile=90.0), QUIET, GateMode.CERTIFY)
    assert error.value.category is Category.TOO_WEAK


def test_memory_that_nobody_knows_is_refused() -> None:
    """Nothing measured, and the way out."""
    with refused("cannot tell peak memory") as error:
        judge_model(SpeedGate(MAX_MEMORY, 5.0, 1, "peak"), "", result(), plan())
    assert error.value.category is Category.NOTHING_MEASURED


@pytest.mark.parametrize(
    ("bound", "evidence"), [(12.1, KEPT), (7.9, LOST), (9.5, UNDECIDED), (12.0, KEPT)]
)
def test_load_time(bound: float, evidence: stats.IntervalVerdict) -> None:
    """The median of five fresh processes lies, at 95 %, between the least and the most."""
    before = ModelSpeed((), load_seconds=(30.0, 21.0, 20.0))
    made = result(loads=(12.0, 9.0, 10.0, 8.0, 9.0), baseline=before)
    gate = SpeedGate(MAX_LOAD_TIME, bound, 1)
    verdict = judge_model(gate, "", made, plan(gate))
    assert (verdict.evidence, verdict.estimate) == (evidence, stats.Estimate(9.0, 8.0, 12.0))
    assert (verdict.units, verdict.baseline) == (5, 21.0)


@pytest.mark.parametrize("mode", [GateMode.DETECT, GateMode.CERTIFY])
def test_a_load_time_gate_that_came_too_late(mode: GateMode) -> None:
    """A marker added after the model was loaded once could never decide: refused, not green."""
    gate = SpeedGate(MAX_LOAD_TIME, 60.0, 1)
    for loads in (1, 4):
        with refused(f"loaded {loads} times, and 5 are the least") as error:
            judge_model(gate, "", result(loads=(9.0,) * loads), plan(gate, mode=mode))
        assert error.value.category is Category.TOO_WEAK
    assert judge_model(gate, "", result(loads=(9.0,) * 5), plan(gate)).evidence is KEPT
    point = plan(gate, mode=GateMode.POINT)
    assert not judge_model(gate, "", result(loads=(9.0,)), point).fails
    assert judge_model(gate, "", result(loads=(61.0,)), point).fails
