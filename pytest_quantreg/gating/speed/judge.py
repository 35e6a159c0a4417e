"""What the gates on speed, memory and load time of one test make of what it timed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...core.codes import SpeedCode
from ...core.comparison.speed import SpeedComparison, SpeedResult
from ...core.errors import QuantregError, Refusal
from ...core.gates.outcome import (
    JudgedSpeed,
    MeasuredSpeed,
    OtherDevice,
    Outcome,
    RefusedSpeed,
    TimedDetail,
)
from ...core.gates.plan import Plan
from ...core.gates.speed import MIN_SPEEDUP, Choice, SpeedGate, choose
from ...core.gates.speed_verdict import judge_model, judge_workload, sensible
from ...core.hardware.roofline import Roof, roof, slow_reasons
from ...core.settings import Settings
from ..evidence import Evidence
from .compare import Timing


def judge_speed(
    plan: Plan, evidence: Evidence, settings: Settings, *, body_ended: bool
) -> Iterator[Outcome]:
    """All outcomes of what one test timed: refusals, each workload and the model, unfed gates."""
    refused = [refusal for refusal in evidence.refused if refusal.speed]
    for refusal in refused:
        yield RefusedSpeed(refusal.error, refusal.scheme, refusal.context)
    for timing in evidence.timed:
        yield from _judge_call(plan, timing, settings)
    if body_ended and not evidence.timed and not refused and not evidence.refused_outright:
        for gate in plan.speed:
            yield _unfed_outcome(gate, evidence)


def fed_speed_gates(plan: Plan, evidence: Evidence) -> list[SpeedGate]:
    """The gates on speed that mean something under a workload which the test timed."""
    if any(refusal.speed for refusal in evidence.refused):
        return list(plan.speed)
    timed = [workload for timing in evidence.timed for workload in timing.workloads]
    return [
        gate
        for gate in plan.speed
        if not gate.of_workload or any(sensible(gate, workload) for workload in timed)
    ]


def _judge_call(plan: Plan, timing: Timing, settings: Settings) -> Iterator[Outcome]:
    result = timing.result(plan.confidence)
    try:
        choices = list(choose(plan.speed, timing.machine, settings.gpu))
    except QuantregError as error:
        yield RefusedSpeed(error, timing.scheme, timing.context)
        choices = []
    for place, comparison in enumerate(result.workloads, 1):
        last = place == len(result.workloads)
        yield from _judge_workload(plan, timing, comparison, choices, last=last)
    for choice in choices:
        if choice.gate is None:
            yield OtherDevice(choice, timing.context, plan.mode)
        elif not choice.gate.of_workload:
            yield _judge_model(plan, timing, result, choice, choice.gate)


def _judge_workload(
    plan: Plan,
    timing: Timing,
    comparison: SpeedComparison,
    choices: Sequence[Choice],
    *,
    last: bool,
) -> Iterator[Outcome]:
    roofs = _roofs(timing, comparison)
    models = (timing.quantized, timing.baseline) if last else None
    detail: TimedDetail | None = TimedDetail(comparison, roofs, models)
    chosen = [
        (choice, choice.gate)
        for choice in choices
        if choice.gate is not None
        and choice.gate.of_workload
        # One of its module that means nothing here is meant for the other tests.
        and (choice.gate.is_on_test or sensible(choice.gate, comparison.workload))
    ]
    reasons: tuple[str, ...] = ()
    # What arrives at a rate is answered at that rate, however slow the model is.
    if comparison.speedup < 1.0 and comparison.workload.request_rate is None:
        reasons = tuple(slow_reasons(*roofs, timing.effective))
    if not any(gate.marker == MIN_SPEEDUP for _, gate in chosen):
        slow = reasons if comparison.high < 1.0 else ()
        told = TimedDetail(comparison, roofs, models, slow)
        yield MeasuredSpeed(comparison, timing.context, told, timing.notes)
        detail = None
    for choice, gate in chosen:
        try:
            verdict = judge_workload(gate, choice.why, comparison, plan, gpus=timing.machine.count)
        except Refusal as error:
            label = comparison.workload.label
            yield RefusedSpeed(error, timing.scheme, timing.context, gate, label)
            continue
        slow = reasons if gate.marker == MIN_SPEEDUP else ()
        yield JudgedSpeed(verdict, timing.context, timing.notes, detail, slow)
        detail = None


def _judge_model(
    plan: Plan, timing: Timing, result: SpeedResult, choice: Choice, gate: SpeedGate
) -> Outcome:
    try:
        verdict = judge_model(gate, choice.why, result, plan)
    except Refusal as error:
        return RefusedSpeed(error, timing.scheme, timing.context, gate)
    return JudgedSpeed(verdict, timing.context, timing.notes)


def _roofs(timing: Timing, comparison: SpeedComparison) -> tuple[Roof | None, Roof | None]:
    """The decode bounds of baseline and quantized model."""
    now = roof(timing.quantized.footprint, comparison.quantized, timing.quantized.bandwidth)
    before = None
    if timing.baseline is not None and comparison.baseline is not None:
        # One device: the better of two copies is the truer one.
        bandwidth = max(timing.baseline.bandwidth or 0.0, timing.quantized.bandwidth or 0.0)
        before = roof(timing.baseline.footprint, comparison.baseline, bandwidth)
        now = roof(timing.quantized.footprint, comparison.quantized, bandwidth)
    return before, now


def _unfed_outcome(gate: SpeedGate, evidence: Evidence) -> Outcome:
    error = Refusal(SpeedCode.NOTHING_TIMED, gate=str(gate))
    return RefusedSpeed(error, evidence.scheme, None, gate)
