"""How long the statistics take, on one core: 1,000 tasks, and one task of 1,000,000 items."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from made_runs import made_accuracy
from numpy.typing import NDArray

from pytest_quantreg.core.comparison.accuracy import Comparison
from pytest_quantreg.core.comparison.pairs import compare_items
from pytest_quantreg.core.gates.plan import Plan
from pytest_quantreg.core.gates.selection import MIN_RETENTION, Gate
from pytest_quantreg.core.gates.verdict import judge
from pytest_quantreg.core.records.run import Accuracy, Items, Metric
from pytest_quantreg.core.settings import GateMode
from pytest_quantreg.core.stats import mean_ratio_interval, retention_interval, retention_intervals

TARGET_SECONDS = 1.0
TASKS = 1_000
ITEMS = 1_319
MANY_ITEMS = 1_000_000
RESAMPLES = 2_000
BOOTSTRAPPED = 5
"""Tasks that are bootstrapped for the comparison; 1,000 would take minutes."""

ACC = Metric("acc,none", True, "binary")
PLAN = Plan((Gate(MIN_RETENTION, 0.98, None, None, 1),), GateMode.DETECT, 0.95)


@dataclass(frozen=True)
class Timed:
    """One line of the table; ``limit`` in seconds where there is a target."""

    what: str
    seconds: float
    limit: float | None = None

    @property
    def missed(self) -> bool:
        return self.limit is not None and self.seconds > self.limit

    def __str__(self) -> str:
        target = f"{self.limit:g} s" if self.limit is not None else "-"
        return f"{self.what:62}{self.seconds:9.3f} s{target:>9}" + (
            "  MISSED" if self.missed else ""
        )


def median(action: Callable[[], object], repeats: int) -> float:
    """Median CPU seconds of ``action``, after one run that does not count."""
    action()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def answers(n: int, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Right and wrong of a baseline at 0.75 and of a lossless model with 5 % flips."""
    before = rng.random(n) < 0.75
    swing = np.where(before, 0.025 / 0.75, 0.025 / 0.25)
    return before, before ^ (rng.random(n) < swing)


def bootstrap(
    before: NDArray[np.float64], after: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """What one would write instead: the percentile bootstrap of the ratio of two means."""
    picks = rng.integers(0, before.size, size=(RESAMPLES, before.size))
    ratios = after[picks].mean(axis=1) / before[picks].mean(axis=1)
    return np.quantile(ratios, (0.05, 0.95))


def measured(scores: NDArray[np.bool_]) -> Accuracy:
    """The scores as a measurement, as a stored run or an engine would give it."""
    n = scores.size
    items = Items(
        tuple(range(n)),
        tuple(f"{i:020x}" for i in range(n)),
        {ACC.name: tuple(scores.astype(float).tolist())},
    )
    return made_accuracy(items, ACC, task="many", chance=0.25)


def of_tasks(repeats: int, rng: np.random.Generator) -> list[Timed]:
    """Intervals for 1,000 tasks of 1,319 items."""
    pairs = [answers(ITEMS, rng) for _ in range(TASKS)]
    cells = np.array([[(b & q).sum(), (~b & q).sum(), (b & ~q).sum()] for b, q in pairs])
    a, b, c = cells.T
    d = ITEMS - a - b - c
    tables = [tuple(int(x) for x in row) for row in np.stack([a, b, c, d], axis=1)]
    scores = [
        (rng.binomial(5, 0.2 + 0.6 * before) / 5, rng.binomial(5, 0.2 + 0.6 * after) / 5)
        for before, after in pairs
    ]
    few = [(before.astype(float), after.astype(float)) for before, after in pairs[:BOOTSTRAPPED]]

    def one_by_one() -> None:
        for table in tables:
            retention_interval(*table, confidence=0.95, sides=1)

    def means() -> None:
        for before, after in scores:
            mean_ratio_interval(before, after, confidence=0.95, sides=1)

    def resampled() -> None:
        for before, after in few:
            bootstrap(before, after, rng)

    vectorised = median(lambda: retention_intervals(a, b, c, d, sides=1), repeats)
    seconds = median(resampled, 3) / BOOTSTRAPPED
    return [
        Timed(f"retention_intervals, {TASKS:,} tasks in one call", vectorised, TARGET_SECONDS),
        Timed(f"retention_interval, {TASKS:,} calls", median(one_by_one, repeats), TARGET_SECONDS),
        Timed(
            f"mean_ratio_interval, {TASKS:,} calls, {ITEMS:,} items each",
            median(means, repeats),
            TARGET_SECONDS,
        ),
        Timed(
            f"instead: numpy bootstrap, {RESAMPLES:,} resamples, {TASKS:,} tasks*",
            seconds * TASKS,
        ),
    ]


def of_items(repeats: int, rng: np.random.Generator) -> list[Timed]:
    """Pairing and judging one task of 1,000,000 items."""
    before, after = answers(MANY_ITEMS, rng)
    baseline, candidate = measured(before), measured(after)

    def pair() -> Comparison:
        return compare_items(
            baseline, candidate, ACC, scheme="w8a8-int8", confidence=PLAN.confidence
        )

    def decide(comparison: Comparison) -> object:
        return judge(PLAN.gates[0], comparison, PLAN, max_undetected=0.1)

    comparison = pair()
    start = time.process_time()
    bootstrap_of(before, after, rng)
    seconds = (time.process_time() - start) / 20
    return [
        Timed(f"pairing {MANY_ITEMS:,} items (compare)", median(pair, repeats), TARGET_SECONDS),
        Timed("judging them (judge)", median(lambda: decide(comparison), repeats), TARGET_SECONDS),
        Timed("both", median(lambda: decide(pair()), repeats), TARGET_SECONDS),
        Timed(f"instead: numpy bootstrap, {RESAMPLES:,} resamples*", seconds * RESAMPLES),
    ]


def bootstrap_of(
    before: NDArray[np.bool_], after: NDArray[np.bool_], rng: np.random.Generator
) -> None:
    """Twenty resamples, one at a time: all at once would not fit in memory."""
    baseline, quantized = before.astype(float), after.astype(float)
    for _ in range(20):
        picks = rng.integers(0, baseline.size, size=baseline.size)
        quantized[picks].mean() / baseline[picks].mean()


def main() -> int:
    """Prints the table; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rng = np.random.default_rng(20_260_101)
    rows = [*of_tasks(repeats, rng), *of_items(repeats, rng)]
    print(f"CPU seconds on one core, medians of {repeats} runs{'':14}{'median':>11}{'target':>9}")
    for row in rows:
        print(row)
    print("* computed from fewer: a few tasks, or twenty resamples")
    return int(any(row.missed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
