"""Retention from two totals of which no answer is known: independent shares and means."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from .intervals import Interval
from .score import normal_quantile

LARGEST = 1e100
"""Means and errors lie below it, so that no product of them overflows."""

_STEPS = 200
"""Halvings of a bracket: it ends earlier, when no number lies between its ends."""


@dataclass(frozen=True)
class Shares:
    """One task as two totals: right answers of ``n`` items each, and its weight in a pool."""

    baseline_right: int
    baseline_n: int
    quantized_right: int
    quantized_n: int
    weight: float = 1.0

    @property
    def means(self) -> tuple[float, float]:
        """The shares right, baseline first."""
        return self.baseline_right / self.baseline_n, self.quantized_right / self.quantized_n

    def variance(self, ratio: float) -> float:
        """That of quantized - ratio * baseline, if ``ratio`` is the truth.

        At the shares that are likeliest then (Miettinen and Nurminen 1985, equations 10
        to 12), with their factor N/(N-1).
        """
        n0, n1 = self.baseline_n, self.quantized_n
        before = _restricted(self, ratio)
        after = min(ratio * before, 1.0)
        total = n0 + n1
        sampled = after * (1.0 - after) / n1 + ratio * ratio * before * (1.0 - before) / n0
        return sampled * total / (total - 1)


@dataclass(frozen=True)
class Means:
    """One task as two means with their standard errors, and its weight in a pool."""

    baseline: float
    baseline_error: float
    quantized: float
    quantized_error: float
    weight: float = 1.0

    @property
    def means(self) -> tuple[float, float]:
        """The means, baseline first."""
        return self.baseline, self.quantized

    def variance(self, ratio: float) -> float:
        """That of quantized - ratio * baseline (Fieller 1954)."""
        before, after = ratio * self.baseline_error, self.quantized_error
        return after * after + before * before


def unpaired_retention(
    tasks: Sequence[Shares | Means], *, confidence: float = 0.95, sides: int = 2
) -> Interval:
    """Score interval of sum(w * quantized) / sum(w * baseline), the two sides independent.

    All ratios R that the statistic sum(w * (q - R * b)) / sqrt(sum(w^2 * variance)) does
    not reject: for one task of right answers Miettinen and Nurminen's (1985) interval, for
    one of means Fieller's (1954), for several their stratified form. ``sides`` as in
    `retention_interval`.

    Answers of two models to the same items agree far more often than independent ones, so
    that bounds made of totals are too wide rather than too narrow: a promise made with them
    holds, but small losses stay unseen that paired answers would show.

    Nothing known on a side is 0 or infinity. Raises ValueError for no task, counts that
    cannot be, and an impossible confidence.
    """
    z = normal_quantile(confidence, sides)
    if not tasks:
        raise ValueError("nothing to compare")
    for task in tasks:
        _check(task)
    before, after = (math.fsum(task.weight * task.means[side] for task in tasks) for side in (0, 1))
    if before <= 0.0 and after <= 0.0:
        return Interval(0.0, math.inf)
    middle = after / (after + before)
    statistic = partial(_statistic, tasks)
    low = _crossing(lambda at: statistic(at) > z, 0.0, middle)
    high = _crossing(lambda at: statistic(at) < -z, 1.0, middle)
    return Interval(_ratio(low), _ratio(high))


def _statistic(tasks: Sequence[Shares | Means], at: float) -> float:
    """Standard errors that the totals lie above what the ratio at/(1-at) predicts."""
    ratio = _ratio(at)
    if math.isinf(ratio):
        return -math.inf
    distance = math.fsum(task.weight * (task.means[1] - ratio * task.means[0]) for task in tasks)
    variance = math.fsum(task.weight * task.weight * task.variance(ratio) for task in tasks)
    if variance <= 0.0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)


def _restricted(task: Shares, ratio: float) -> float:
    """The likeliest share of the baseline if the quantized one is ``ratio`` times it."""
    x0, n0, x1, n1 = (
        task.baseline_right,
        task.baseline_n,
        task.quantized_right,
        task.quantized_n,
    )
    if ratio <= 0.0:
        return (x0 + x1) / (n0 + n1)
    a = (n0 + n1) * ratio
    half = (n1 * ratio + x1 + n0 + x0 * ratio) / 2.0
    c = x0 + x1
    root = math.sqrt(max(half * half - a * c, 0.0))
    # c / (half + root) is the smaller root without cancellation.
    return min(c / (half + root), 1.0, 1.0 / ratio)


def _crossing(rejected: Callable[[float], bool], outside: float, inside: float) -> float:
    """Where rejection ends between ``outside`` and ``inside``; ``outside`` if nothing is."""
    edge = outside
    for _ in range(_STEPS):
        at = (outside + inside) / 2.0
        if at in (outside, inside):
            break
        if rejected(at):
            outside = at
        else:
            inside = at
    return edge if abs(inside - edge) < 1e-12 else outside


def _ratio(at: float) -> float:
    return at / (1.0 - at) if at < 1.0 else math.inf


def _check(task: Shares | Means) -> None:
    if isinstance(task, Shares):
        sound = 0 <= task.baseline_right <= task.baseline_n > 0
        if not (sound and 0 <= task.quantized_right <= task.quantized_n > 0):
            raise ValueError(f"{task} does not count right answers among its items")
    elif not (min(task.baseline_error, task.quantized_error) >= 0.0 <= min(task.means)):
        raise ValueError(f"{task} holds a negative mean or standard error")
    elif max(*task.means, task.baseline_error, task.quantized_error) > LARGEST:
        raise ValueError(f"{task} holds a figure above {LARGEST:g}")
    if not 0.0 < task.weight < math.inf:
        raise ValueError(f"weight={task.weight!r} must be a number above 0")
