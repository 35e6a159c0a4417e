"""Verdicts on speed, memory and load time: kept, lost, undecided, and what would decide."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_quantreg.core import stats
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.settings import GateMode
from pytest_quantreg.core.speed import Footprint, ModelSpeed, Workload
from pytest_quantreg.core.speed_gates import (
    MAX_LATENCY,
    MAX_LOAD_TIME,
    MAX_MEMORY,
    MIN_SPEEDUP,
    MIN_THROUGHPUT,
    SpeedGate,
)
from pytest_quantreg.core.speed_verdict import (
    SpeedVerdict,
    judge_model,
    judge_workload,
    least_units,
    loads_needed,
    refuse_senseless,
    refuse_too_few,
)

from .speed_series import NOISY, QUIET, compared, plan, result

KEPT, LOST, UNDECIDED = stats.Evidence.KEPT, stats.Evidence.LOST, stats.Evidence.UNDECIDED
GIB = 1024**3


def speedup(bound: float) -> SpeedGate:
    """A gate on the speed-up."""
    return SpeedGate(MIN_SPEEDUP, bound, 1)


def throughput(bound: float, kind: str = "server") -> SpeedGate:
    """A gate on tokens per second."""
    return SpeedGate(MIN_THROUGHPUT, bound, 1, kind)


def latency(bound: float, kind: str = "e2e", percentile: float = 50.0) -> SpeedGate:
    """A gate on a latency."""
    return SpeedGate(MAX_LATENCY, bound, 1, kind, percentile)


def judged(
    gate: SpeedGate,
    seconds: tuple[float, ...] = QUIET,
    mode: GateMode = GateMode.DETECT,
    *,
    gpus: int = 1,
) -> SpeedVerdict:
    """The verdict on rounds of ``seconds``, of a baseline that takes 2 s for each."""
    made = compared(seconds, (2.0,) * len(seconds))
    return judge_workload(gate, "", made, plan(gate, mode=mode), gpus=gpus)


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
    gate: SpeedGate, seconds: tuple[float, ...], evidence: stats.Evidence
) -> None:
    """The bounds decide; detect fails on what is lost, certify on all but what is kept."""
    found = judged(gate, seconds)
    assert found.evidence is evidence
    assert found.fails == (evidence is LOST)
    certified = judged(gate, seconds, GateMode.CERTIFY)
    assert certified.fails == (evidence is not KEPT)
    at_least = gate.at_least
    estimate = found.estimate
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
    found = judged(throughput(60.0), (1.0,) * 6)
    assert (found.estimate.estimate, found.baseline) == (64.0, 32.0)
    each = judged(throughput(60.0, "gpu"), (1.0,) * 6, gpus=4)
    assert (each.estimate.estimate, each.baseline, each.evidence) == (16.0, 8.0, LOST)
    slow = judged(latency(60.0, "tpot"), (1.0,) * 6)
    assert slow.estimate.estimate == pytest.approx(1000 * 0.9 / 63)
    assert slow.baseline == pytest.approx(2000 * 0.9 / 63)
    both = judged(speedup(1.5), (1.0,) * 6)
    assert (both.speeds, both.baseline) == ((32.0, 64.0), None)


def test_what_it_could_see_and_what_it_needs() -> None:
    """Of noisy rounds: the loss that would have shown, and the rounds that would decide."""
    found = judged(speedup(1.8), NOISY)
    assert found.evidence is UNDECIDED
    assert found.detectable is not None
    assert found.detectable < 1.8
    assert found.needed is not None
    assert found.needed > len(NOISY)
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
    found = judged(latency(1100.0, percentile=90.0))
    assert (found.evidence, found.estimate.high, found.needed) == (UNDECIDED, math.inf, 29)
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
            compared(NOISY, (2.0,) * 10, confidence=one.confidence),
            one,
            gpus=1,
        )
        for one in (alone, shared)
    ]
    assert made[1].estimate.low < made[0].estimate.low
    assert made[1].estimate.high > made[0].estimate.high
    assert [one.family for one in made] == [1, 20]


def test_stored_sessions_in_place_of_a_baseline() -> None:
    """One says nothing of how sessions differ, and several put their spread into the bounds."""
    one = compared(QUIET, stored=[(2.0,) * 10])
    with pytest.raises(Refusal, match="one stored session of the baseline says nothing") as error:
        judge_workload(speedup(1.5), "", one, plan(), gpus=1)
    assert error.value.category is Category.TOO_WEAK
    found = judge_workload(speedup(1.5), "", one, plan(mode=GateMode.CERTIFY), gpus=1)
    assert (found.evidence, found.stored, found.needed) == (UNDECIDED, 1, None)
    assert found.speeds is not None
    assert found.speeds == pytest.approx((32.0, 64.0), rel=0.01)
    assert judge_workload(throughput(60.0), "", one, plan(), gpus=1).evidence is KEPT
    many = compared(QUIET, stored=[(length,) * 10 for length in (2.0, 2.02, 1.98, 2.01, 1.99)])
    found = judge_workload(speedup(1.5), "", many, plan(), gpus=1)
    assert (found.evidence, found.stored) == (KEPT, 5)


@pytest.mark.parametrize(
    ("kind", "bound", "evidence"),
    [
        ("weights", 5.0, KEPT),
        ("weights", 4.999, LOST),
        ("peak", 8.0, KEPT),
        ("peak", 7.999, LOST),
    ],
)
def test_memory_is_counted(kind: str, bound: float, evidence: stats.Evidence) -> None:
    """There is nothing undecided about bytes, whatever the mode."""
    before = ModelSpeed((), Footprint(weights=15 * GIB, peak=20 * GIB))
    made = result(Footprint(weights=5 * GIB, peak=8 * GIB), baseline=before)
    gate = SpeedGate(MAX_MEMORY, bound, 1, kind)
    for mode in GateMode:
        found = judge_model(gate, "", made, plan(gate, mode=mode))
        assert (found.evidence, found.fails) == (evidence, evidence is LOST)
        assert found.baseline == (15 if kind == "weights" else 20)
        assert (found.workload, found.units) == (None, 1)


def test_memory_that_nobody_knows_is_refused() -> None:
    """Nothing measured, and the way out."""
    with pytest.raises(Refusal, match="cannot tell peak memory") as error:
        judge_model(SpeedGate(MAX_MEMORY, 5.0, 1, "peak"), "", result(), plan())
    assert error.value.category is Category.NOTHING_MEASURED


@pytest.mark.parametrize(
    ("bound", "evidence"), [(12.1, KEPT), (7.9, LOST), (9.5, UNDECIDED), (12.0, KEPT)]
)
def test_load_time(bound: float, evidence: stats.Evidence) -> None:
    """The median of five fresh processes lies, at 95 %, between the least and the most."""
    before = ModelSpeed((), load_seconds=(30.0, 21.0, 20.0))
    made = result(loads=(12.0, 9.0, 10.0, 8.0, 9.0), baseline=before)
    gate = SpeedGate(MAX_LOAD_TIME, bound, 1)
    found = judge_model(gate, "", made, plan(gate))
    assert (found.evidence, found.estimate) == (evidence, stats.Estimate(9.0, 8.0, 12.0))
    assert (found.units, found.baseline) == (5, 21.0)


@pytest.mark.parametrize(
    ("mode", "confidence", "family", "loads"),
    [
        (GateMode.DETECT, 0.95, 1, 5),
        (GateMode.CERTIFY, 0.95, 1, 5),
        (GateMode.CERTIFY, 0.99, 1, 7),
        (GateMode.DETECT, 0.95, 20, 9),
        (GateMode.CERTIFY, 0.95, 20, 5),
        (GateMode.POINT, 0.95, 1, 1),
    ],
)
def test_how_often_a_model_is_loaded(
    mode: GateMode, confidence: float, family: int, loads: int
) -> None:
    """As often as its median needs to be bounded, and once where no gate asks."""
    gate = SpeedGate(MAX_LOAD_TIME, 9.0, 1)
    made = plan(gate, mode=mode, confidence=confidence, family=family)
    assert loads_needed(made) == loads
    assert loads_needed(plan(speedup(2.0), mode=mode)) == 1
    if loads > 1:
        assert 0.5**loads <= 1 - made.confidence < 0.5 ** (loads - 1)


@pytest.mark.parametrize(
    ("gate", "mode", "least"),
    [
        (speedup(1.5), GateMode.DETECT, 5),
        (speedup(1.5), GateMode.CERTIFY, 5),
        (throughput(100.0), GateMode.DETECT, 5),
        (latency(50.0), GateMode.CERTIFY, 5),
        (latency(50.0, percentile=90.0), GateMode.DETECT, 2),
        (latency(50.0, percentile=90.0), GateMode.CERTIFY, 29),
        (latency(50.0, percentile=99.0), GateMode.CERTIFY, 299),
        (latency(50.0, percentile=10.0), GateMode.DETECT, 29),
    ],
)
def test_too_few_rounds(gate: SpeedGate, mode: GateMode, least: int) -> None:
    """One round less could never do what the gate is there for, whatever the model."""
    made = plan(gate, mode=mode)
    assert least_units(gate, made) == least
    refuse_too_few([gate], Workload(), made, units=least)
    with pytest.raises(Refusal, match=f"with {least - 1} rounds? it could never") as error:
        refuse_too_few([gate], Workload(), made, units=least - 1)
    assert error.value.category is Category.TOO_WEAK
    assert error.value.help == (f"measure at least {least}: rounds={least}",)
    refuse_too_few([gate], Workload(), plan(gate, mode=GateMode.POINT), units=1)
    # And so it is: the best rounds decide at the least number, and not below it.
    seconds = (1.0,) * least
    bound = {"min_speedup": 2.0, "min_throughput": 64.0}.get(gate.marker, 1000.0)
    worse = bound * (1.001 if gate.at_least else 0.999)
    decided = replace(gate, bound=worse if mode is GateMode.DETECT else bound)
    word = LOST if mode is GateMode.DETECT else KEPT
    assert judged(decided, seconds, mode).evidence is word
    with pytest.raises(Refusal, match="could never"):
        judged(decided, seconds[1:], mode)
    fewer = compared(seconds[1:], (2.0,) * (least - 1))
    bounds = {
        MIN_SPEEDUP: fewer.ratio,
        MIN_THROUGHPUT: fewer.throughput,
        MAX_LATENCY: fewer.latency("e2e", gate.percentile or 50.0),
    }[gate.marker]
    turns_on_high = gate.at_least == (mode is GateMode.DETECT)
    assert bounds.high == math.inf if turns_on_high else bounds.low == 0.0


@pytest.mark.parametrize(
    ("gate", "workload", "said"),
    [
        (speedup(1.5), Workload(request_rate=4.0), "min_speedup(1.5) under 4 requests/s: what is"),
        (throughput(9.0), Workload(request_rate=4.0), "min_throughput(9) under 4 requests/s"),
        (latency(9.0, "tpot"), Workload(output_tokens=1), "one token is generated, and none after"),
    ],
)
def test_gates_that_mean_nothing(gate: SpeedGate, workload: Workload, said: str) -> None:
    """Refused by name; a latency under a rate, or of two tokens, is judged."""
    with pytest.raises(Refusal) as error:
        refuse_senseless([latency(5.0), gate], workload)
    assert said in error.value.what
    assert error.value.category is Category.NOT_JUDGED
    refuse_senseless([latency(9.0, "tpot")], replace(workload, output_tokens=2))
