"""What measured speed, memory and load time mean for one gate: kept, lost or undecided."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from .. import stats
from ..codes import SpeedCode
from ..comparison.speed import GIB, SpeedComparison, SpeedResult, gib
from ..errors import Refusal
from ..records.speed import Workload
from ..settings import GateMode
from .plan import Plan
from .speed import MAX_LATENCY, MAX_LOAD_TIME, MIN_SPEEDUP, MIN_THROUGHPUT, SpeedGate

MEDIAN = 50.0


@dataclass(frozen=True)
class SpeedVerdict:
    """The decision of one gate on one workload, or on the model where ``workload`` is None.

    ``estimate`` with its bounds and ``baseline`` are in the gate's unit; ``baseline`` is None
    where it was not measured. ``speeds`` are both models' tokens per second, where the gate
    is on the speed-up. ``units`` counts the rounds (or blocks, sessions, loads) that the
    bounds rest on, ``blocks`` that they are blocks. ``detectable`` is the value that
    ``detect`` would have turned red on 4 times in 5, ``needed`` the rounds that decide if
    the truth is what was measured.
    """

    gate: SpeedGate
    mode: GateMode
    confidence: float
    why: str
    workload: str | None
    estimate: stats.Estimate
    units: int
    evidence: stats.IntervalVerdict
    fails: bool
    baseline: float | None = None
    speeds: tuple[float, float] | None = None
    detectable: float | None = None
    needed: int | None = None
    family: int = 1
    stored: int = 0
    blocks: bool = False


def judge_workload(
    gate: SpeedGate, why: str, comparison: SpeedComparison, plan: Plan, *, gpus: int
) -> SpeedVerdict:
    """Judges one workload, compared at ``plan.confidence``.

    Raises:
        Refusal: a speed-up under a request rate, which says how much arrives, a time per
            further token where there is none, or too little to decide on.
    """
    refuse_senseless([gate], comparison.workload)
    verdict = _judged(gate, why, comparison, plan, gpus)
    # A loss that was shown is one on however few rounds.
    if verdict.evidence is not stats.IntervalVerdict.LOST:
        refuse_too_few([gate], comparison.workload, plan, units=verdict.units)
    return verdict


def _judged(
    gate: SpeedGate, why: str, comparison: SpeedComparison, plan: Plan, gpus: int
) -> SpeedVerdict:
    units = len(comparison.quantized.units())
    if gate.marker == MAX_LATENCY:
        kind, percentile = gate.kind or "ttft", gate.percentile or MEDIAN
        estimate = _scaled(comparison.latency(kind, percentile), 1000.0)
        baseline = _times(comparison.baseline_latency(kind, percentile), 1000.0)
        return _verdict(gate, why, plan, estimate, units, comparison, baseline=baseline)
    if gate.marker == MIN_THROUGHPUT:
        share = 1.0 / gpus if gate.kind == "gpu" else 1.0
        estimate = _scaled(comparison.throughput, share)
        spread = stats.timing_spread(comparison.quantized.throughputs())
        baseline = _times(comparison.baseline_throughput, share)
        return _verdict(
            gate, why, plan, estimate, units, comparison, baseline=baseline, spread=spread
        )
    before = _baseline_speed(gate, comparison, plan)
    both: float | None = None
    if comparison.baseline is not None:
        old_rates, new_rates = comparison.baseline.throughputs(), comparison.quantized.throughputs()
        both = stats.timing_spread(old_rates, new_rates)
    return _verdict(
        gate,
        why,
        plan,
        comparison.ratio,
        units,
        comparison,
        spread=both,
        speeds=(before, comparison.throughput.estimate),
    )


def judge_model(gate: SpeedGate, why: str, result: SpeedResult, plan: Plan) -> SpeedVerdict:
    """Judges memory or load time of the quantized model.

    Memory is counted, not sampled: what was counted is judged. Raises Refusal (nothing
    measured) where the engine cannot tell it.
    """
    before = result.baseline
    if gate.marker == MAX_LOAD_TIME:
        loads = result.quantized.load_seconds
        if not loads:
            raise Refusal(SpeedCode.LOAD_TIME_UNKNOWN, gate=str(gate))
        estimate = stats.quantile_interval(
            [(seconds,) for seconds in loads], MEDIAN, confidence=plan.confidence, sides=1
        )
        baseline_seconds = (
            median(before.load_seconds) if before is not None and before.load_seconds else None
        )
        verdict = _verdict(gate, why, plan, estimate, len(loads), None, baseline=baseline_seconds)
        if verdict.evidence is not stats.IntervalVerdict.LOST:
            _refuse_few_loads(gate, plan, len(loads))
        return verdict
    footprint = result.quantized.footprint
    size = footprint.weights if gate.kind == "weights" else footprint.peak
    if size is None:
        raise Refusal(SpeedCode.MEMORY_UNKNOWN, gate=str(gate), quantity=gate.quantity)
    baseline = None
    if before is not None:
        old = before.footprint
        baseline = gib(old.weights if gate.kind == "weights" else old.peak)
    used = size / GIB
    exact = stats.Estimate(used, used, used)
    return _verdict(gate, why, plan, exact, 1, None, baseline=baseline)


def _refuse_few_loads(gate: SpeedGate, plan: Plan, loads: int) -> None:
    """Refuses a gate that was added when the model had been loaded too seldom for it."""
    need = least_units(gate, plan)
    if plan.mode is not GateMode.POINT and loads < need:
        raise Refusal(SpeedCode.TOO_FEW_LOADS, gate=str(gate), loads=loads, least=need)


def _baseline_speed(gate: SpeedGate, comparison: SpeedComparison, plan: Plan) -> float:
    """Tokens per second of the baseline. Raises Refusal where it cannot be judged against."""
    workload = comparison.workload.label
    if comparison.baseline_throughput is None:
        raise Refusal(SpeedCode.BASELINE_NOT_TIMED, gate=str(gate), workload=workload)
    if len(comparison.stored) == 1 and plan.mode is GateMode.DETECT:
        raise Refusal(SpeedCode.GATE_ON_ONE_SESSION, gate=str(gate), workload=workload)
    return comparison.baseline_throughput


def sensible(gate: SpeedGate, workload: Workload) -> bool:
    """Whether a gate means anything under a workload.

    Under a request rate what comes out per second is what arrives, however fast the model
    is, and where one token is generated none comes after it.
    """
    if workload.request_rate is not None and gate.marker in (MIN_SPEEDUP, MIN_THROUGHPUT):
        return False
    return not (gate.kind == "tpot" and workload.output_tokens < 2)


def refuse_senseless(gates: Sequence[SpeedGate], workload: Workload) -> None:
    """Refuses gates of the test itself that mean nothing under a workload. Raises Refusal.

    Those of its class or module are meant for other tests below them.
    """
    for gate in gates:
        if sensible(gate, workload) or not gate.is_on_test:
            continue
        if gate.kind == "tpot":
            raise Refusal(SpeedCode.NO_FURTHER_TOKEN, gate=str(gate))
        raise Refusal(SpeedCode.PACED_BY_ARRIVALS, gate=str(gate), workload=workload.label)


def refuse_too_few(
    gates: Sequence[SpeedGate], workload: Workload, plan: Plan, *, units: int
) -> None:
    """Refuses a gate that so few rounds could never decide. Raises Refusal (too weak).

    Under ``detect`` it could never turn red, under ``certify`` never green.
    """
    if plan.mode is GateMode.POINT:
        return
    for gate in gates:
        need = least_units(gate, plan)
        if units < need:
            raise Refusal(
                SpeedCode.TOO_FEW_ROUNDS,
                gate=str(gate),
                workload=workload.label,
                mode=plan.mode.value,
                rounds=units,
                least=need,
                confidence=plan.confidence * 100,
            )


def blocks_needed(gates: Sequence[SpeedGate], plan: Plan) -> int:
    """The fewest blocks of each model with which every gate on a workload can decide."""
    if plan.mode is GateMode.POINT:
        return 1
    return max((least_units(gate, plan) for gate in gates if gate.of_workload), default=1)


def least_units(gate: SpeedGate, plan: Plan) -> int:
    """The fewest rounds, or loads, on which a gate can do what it is there for."""
    if gate.marker in (MIN_SPEEDUP, MIN_THROUGHPUT):
        return stats.least_units(plan.confidence)
    percentile = gate.percentile if gate.marker == MAX_LATENCY else MEDIAN
    if plan.mode is GateMode.DETECT:
        return stats.least_units(plan.confidence, percentile, side="low")
    return stats.least_units(plan.confidence, percentile, side="high")


def loads_needed(gates: Sequence[SpeedGate], plan: Plan) -> int:
    """How many fresh processes load the model: one, more where a gate is on load times."""
    timed = any(gate.marker == MAX_LOAD_TIME for gate in gates)
    if not timed or plan.mode is GateMode.POINT:
        return 1
    return stats.least_units(plan.confidence, MEDIAN)  # of the median both sides are alike


def _verdict(
    gate: SpeedGate,
    why: str,
    plan: Plan,
    estimate: stats.Estimate,
    units: int,
    comparison: SpeedComparison | None,
    *,
    baseline: float | None = None,
    spread: float | None = None,
    speeds: tuple[float, float] | None = None,
) -> SpeedVerdict:
    evidence = _evidence(gate, estimate)
    undecided = evidence is stats.IntervalVerdict.UNDECIDED
    detectable = needed = None
    if spread is not None and math.isfinite(spread):
        alone = speeds is None  # one model's own figure, bounded by the sign test
        detectable = stats.detectable_ratio(spread, units, gate.bound, plan.confidence, alone=alone)
        distance = abs(math.log(estimate.estimate / gate.bound))
        if undecided and distance > 0:
            needed = stats.units_needed(spread, distance, plan.confidence, alone=alone)
    elif undecided and gate.marker == MAX_LATENCY:
        needed = _rounds_to_decide(gate, estimate, units, plan.confidence)
    return SpeedVerdict(
        gate=gate,
        mode=plan.mode,
        confidence=plan.confidence,
        why=why,
        workload=comparison.workload.label if comparison is not None else None,
        estimate=estimate,
        units=units,
        evidence=evidence,
        fails=_fails(plan.mode, evidence, gate, estimate.estimate),
        baseline=baseline,
        speeds=speeds,
        detectable=detectable,
        needed=needed,
        family=plan.family,
        stored=len(comparison.stored) if comparison is not None else 0,
        blocks=comparison is not None and units < len(comparison.quantized.rounds),
    )


def _rounds_to_decide(
    gate: SpeedGate, estimate: stats.Estimate, units: int, confidence: float
) -> int | None:
    """About so many until a percentile's bound is on its side of the threshold.

    The fewest that have that bound at all, else by the root of their number, with which an
    interval narrows. None where the estimate is at the threshold.
    """
    distance = abs(gate.bound - estimate.estimate)
    keeps = estimate.estimate <= gate.bound
    reach = estimate.high - estimate.estimate if keeps else estimate.estimate - estimate.low
    if math.isinf(estimate.high) if keeps else estimate.low == 0.0:
        return stats.least_units(confidence, gate.percentile, side="high" if keeps else "low")
    return math.ceil(units * (reach / distance) ** 2) if distance > 0 else None


def _evidence(gate: SpeedGate, estimate: stats.Estimate) -> stats.IntervalVerdict:
    kept = estimate.low >= gate.bound if gate.at_least else estimate.high <= gate.bound
    lost = estimate.high < gate.bound if gate.at_least else estimate.low > gate.bound
    if kept:
        return stats.IntervalVerdict.KEPT
    return stats.IntervalVerdict.LOST if lost else stats.IntervalVerdict.UNDECIDED


def _fails(
    mode: GateMode, evidence: stats.IntervalVerdict, gate: SpeedGate, estimate: float
) -> bool:
    if mode is GateMode.POINT:
        return estimate < gate.bound if gate.at_least else estimate > gate.bound
    if mode is GateMode.CERTIFY:
        return evidence is not stats.IntervalVerdict.KEPT
    return evidence is stats.IntervalVerdict.LOST


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _scaled(estimate: stats.Estimate, factor: float) -> stats.Estimate:
    return stats.Estimate(*(value * factor for value in estimate))
