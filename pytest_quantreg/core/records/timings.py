"""Timings that others measured, repeat by repeat, and the ratios of two models' figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .. import stats

FIGURES = (
    *("output tokens/s", "all tokens/s", "requests/s"),
    *("TTFT mean ms", "TTFT median ms", "TTFT p99 ms"),
    *("TPOT mean ms", "TPOT median ms", "TPOT p99 ms", "E2E mean ms"),
)
"""What is compared, in this order; more per second is better, fewer milliseconds are."""


@dataclass(frozen=True)
class Repeat:
    """One session under one workload: ``requests`` answered, and its figures by name."""

    workload: str
    requests: int
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Timings:
    """All repeats of one model; ``label`` is what people call it in a table.

    ``program`` is what took the times, ``scheme`` what the model claims to be, where known.
    """

    label: str
    model: str
    program: str
    repeats: tuple[Repeat, ...]
    scheme: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def workloads(self) -> tuple[str, ...]:
        """The workloads, in the order in which they come."""
        return tuple(dict.fromkeys(repeat.workload for repeat in self.repeats))

    def values(self, workload: str, figure: str) -> tuple[float, ...]:
        """One figure of all repeats of a workload; those that lack it are left out."""
        return tuple(
            repeat.figures[figure]
            for repeat in self.repeats
            if repeat.workload == workload and figure in repeat.figures
        )


@dataclass(frozen=True)
class TimingRatio:
    """One figure of two models: medians of their repeats, and candidate over baseline.

    ``better`` and ``worse`` say what the interval shows; neither where it holds 1, or where
    there is no interval for want of repeats.
    """

    workload: str
    figure: str
    baseline: float
    candidate: float
    repeats: tuple[int, int]
    ratio: stats.Estimate

    @property
    def better(self) -> bool:
        """Whether the candidate surely does better."""
        return self.ratio.low > 1.0 if self.rises else self.ratio.high < 1.0

    @property
    def worse(self) -> bool:
        """Whether the candidate surely does worse."""
        return self.ratio.high < 1.0 if self.rises else self.ratio.low > 1.0

    @property
    def rises(self) -> bool:
        """Whether more is better."""
        return self.figure.endswith("/s")


def compare_timings(
    baseline: Timings, candidate: Timings, *, confidence: float
) -> list[TimingRatio]:
    """Every figure that both have of a workload that both ran; empty if there is none."""
    return [
        TimingRatio(
            workload,
            figure,
            _middle(before),
            _middle(after),
            (len(before), len(after)),
            stats.repeats_ratio(before, after, confidence=confidence, sides=1),
        )
        for workload in baseline.workloads
        for figure in FIGURES
        if (before := baseline.values(workload, figure))
        and (after := candidate.values(workload, figure))
    ]


def _middle(values: Sequence[float]) -> float:
    return stats.typical(values).estimate
