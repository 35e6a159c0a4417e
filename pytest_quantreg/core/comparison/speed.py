"""What a comparison of speed says, as plain values: two models under one workload, or several."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from .. import stats
from ..records.speed import ModelSpeed, Series, Workload

GIB = 1024.0**3


@dataclass(frozen=True)
class SpeedComparison:
    """The quantized model and its baseline under one workload.

    ``baseline`` ran beside the quantized model, round by round; or it is None, and
    ``stored`` holds the series of earlier sessions of the baseline on the same accelerator.
    Where there are none either, nothing is known of a speed-up: it is NaN, without bounds.
    ``confidence`` is one-sided, that of each bound.
    """

    scheme: str
    workload: Workload
    quantized: Series
    baseline: Series | None
    stored: tuple[Series, ...] = ()
    confidence: float = 0.95

    @cached_property
    def ratio(self) -> stats.Estimate:
        """How many times the baseline's tokens per second, with its bounds."""
        after = self.quantized.throughputs()
        if self.baseline is not None:
            before = self.baseline.throughputs()
            return stats.speedup_interval(before, after, confidence=self.confidence, sides=1)
        if not self.stored:
            return stats.Estimate(math.nan, 0.0, math.inf)
        typical = [_typical(series) for series in self.stored]
        return stats.session_ratio(
            typical, _typical(self.quantized), confidence=self.confidence, sides=1
        )

    @property
    def speedup(self) -> float:
        """How many times as fast as the baseline, by generated tokens per second."""
        return self.ratio.estimate

    @property
    def low(self) -> float:
        """The lower bound of ``speedup``; 0 where there is none."""
        return self.ratio.low

    @property
    def high(self) -> float:
        """The upper bound of ``speedup``; infinite where there is none."""
        return self.ratio.high

    @cached_property
    def throughput(self) -> stats.Estimate:
        """Generated tokens per second of the quantized model, with its bounds."""
        return stats.typical(self.quantized.throughputs(), confidence=self.confidence, sides=1)

    @cached_property
    def baseline_throughput(self) -> float | None:
        """Generated tokens per second of the baseline; None where it was not timed."""
        if self.baseline is not None:
            return _typical(self.baseline)
        # Sessions weigh alike, however many rounds each had.
        return median([_typical(series) for series in self.stored]) if self.stored else None

    @property
    def requests_per_second(self) -> float:
        """Requests that the quantized model answers per second."""
        return median([round_.requests_per_second for round_ in self.quantized.rounds])

    def latency(self, kind: str, percentile: float = 50.0) -> stats.Estimate:
        """``ttft``, ``tpot`` or ``e2e`` of the quantized model in seconds, with its bounds.

        Raises ValueError for ``tpot`` where a single token is generated.
        """
        return _latency(self.quantized, kind, percentile, self.confidence)

    def baseline_latency(self, kind: str, percentile: float = 50.0) -> float | None:
        """The same of the baseline, without bounds; None where it was not timed."""
        series = [self.baseline] if self.baseline is not None else list(self.stored[-1:])
        return _latency(series[0], kind, percentile, self.confidence).estimate if series else None


@dataclass(frozen=True)
class SpeedResult:
    """All that one call of compare_speed measured.

    ``quantized`` and ``baseline`` hold memory, load times and every round; ``baseline``
    is None where only stored sessions of it were at hand.
    """

    scheme: str
    workloads: tuple[SpeedComparison, ...]
    quantized: ModelSpeed
    baseline: ModelSpeed | None = None

    @property
    def speedup(self) -> float:
        """The least of the workloads' speed-ups."""
        return min(comparison.speedup for comparison in self.workloads)

    @property
    def weights_gib(self) -> float | None:
        """What the quantized weights take after warm-up; None where the engine cannot tell."""
        return gib(self.quantized.footprint.weights)

    @property
    def peak_gib(self) -> float | None:
        """The most that the quantized model took under load."""
        return gib(self.quantized.footprint.peak)

    @property
    def load_seconds(self) -> float:
        """From the start of a fresh process until the quantized model could answer."""
        return median(self.quantized.load_seconds)


def gib(size: int | None) -> float | None:
    """Bytes as GiB."""
    return size / GIB if size is not None else None


def _typical(series: Series) -> float:
    return stats.typical(series.throughputs()).estimate


def _latency(series: Series, kind: str, percentile: float, confidence: float) -> stats.Estimate:
    return stats.quantile_interval(
        series.latencies(kind), percentile, confidence=confidence, sides=1
    )
