"""Small series, models, gates and comparisons for the tests of what is made of timings."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_quantreg.core.comparison.speed import SpeedComparison, SpeedResult
from pytest_quantreg.core.gates.plan import Plan
from pytest_quantreg.core.gates.speed import MAX_LATENCY, MIN_SPEEDUP, MIN_THROUGHPUT, SpeedGate
from pytest_quantreg.core.gates.speed_verdict import SpeedVerdict, judge_workload
from pytest_quantreg.core.records.speed import (
    Footprint,
    ModelSpeed,
    Request,
    Round,
    Series,
    Workload,
)
from pytest_quantreg.core.settings import GateMode

QUIET = (1.0, 1.01, 0.99, 1.005, 0.995, 1.0, 1.01, 0.99, 1.005, 0.995)
NOISY = (1.0, 1.4, 0.7, 1.2, 0.8, 1.1, 0.9, 1.3, 0.75, 1.05)
SCHEME = "w4a16-int4"


def series(seconds: Sequence[float], workload: Workload | None = None) -> Series:
    """Rounds of these lengths; a tenth of each is over when the first token comes."""
    asked = workload if workload is not None else Workload(rounds=len(seconds))
    rounds = []
    for length in seconds:
        request = Request(0.0, length / 10, length, asked.output_tokens)
        rounds.append(Round((request,) * asked.requests))
    return Series(asked, tuple(rounds))


def compared(
    quantized: Sequence[float],
    baseline: Sequence[float] | None = None,
    *,
    stored: Sequence[Sequence[float]] = (),
    workload: Workload | None = None,
    confidence: float = 0.95,
) -> SpeedComparison:
    """Seconds of each round of both models; or of stored sessions in place of the baseline's."""
    return SpeedComparison(
        SCHEME,
        workload if workload is not None else Workload(rounds=len(quantized)),
        series(quantized, workload),
        series(baseline, workload) if baseline is not None else None,
        tuple(series(seconds, workload) for seconds in stored),
        confidence,
    )


def result(
    footprint: Footprint | None = None,
    loads: Sequence[float] = (9.0,),
    baseline: ModelSpeed | None = None,
) -> SpeedResult:
    """A model of this size and these load times."""
    size = footprint if footprint is not None else Footprint()
    return SpeedResult(SCHEME, (), ModelSpeed((), size, tuple(loads)), baseline)


def plan(
    *gates: SpeedGate, mode: GateMode = GateMode.DETECT, confidence: float = 0.95, family: int = 1
) -> Plan:
    """How a test with these gates is judged."""
    return Plan.of(gates, mode, confidence, family)


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
