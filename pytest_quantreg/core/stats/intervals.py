"""Intervals: retention from paired counts, and a single share (Wilson)."""

from __future__ import annotations

import math
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .score import DEFAULT_METHOD, METHODS, FloatArray, Method, normal_quantile, statistic, tables

MOST_CUTS = 63
"""Into at most one more section than this a bracket is cut at a time."""


class Interval(NamedTuple):
    """The two bounds, ``low <= high``; either may be infinite, neither is ever NaN."""

    low: float
    high: float


class Intervals(NamedTuple):
    """The bounds of many tables, one array each."""

    low: FloatArray
    high: FloatArray


def retention_interval(
    both: int,
    quantized_only: int,
    baseline_only: int,
    neither: int,
    *,
    confidence: float = 0.95,
    sides: int = 2,
    method: Method = DEFAULT_METHOD,
) -> Interval:
    """Score interval for retention, (both+quantized_only)/(both+baseline_only).

    With ``sides=1`` each bound holds by itself with ``confidence``, so that 0.95 on one
    side is the interval of 0.90 on two; gates use one-sided bounds. The interval is all
    ratios that `score_statistic`, which has the formula, does not reject. Nothing
    known on a side is 0 or infinity: without items it is (0, inf).

    Raises ValueError for negative counts, an impossible confidence, another method.
    """
    intervals = retention_intervals(
        both,
        quantized_only,
        baseline_only,
        neither,
        confidence=confidence,
        sides=sides,
        method=method,
    )
    return Interval(float(intervals.low), float(intervals.high))


def retention_intervals(
    both: ArrayLike,
    quantized_only: ArrayLike,
    baseline_only: ArrayLike,
    neither: ArrayLike,
    *,
    confidence: float = 0.95,
    sides: int = 2,
    method: Method = DEFAULT_METHOD,
) -> Intervals:
    """`retention_interval` of many tables at once: arrays that broadcast, arrays back."""
    z = normal_quantile(confidence, sides)
    if method not in METHODS:
        raise ValueError(f"method={method!r}: choose one of {', '.join(METHODS)}")
    a, b, c, d = tables(both, quantized_only, baseline_only, neither)
    # The upper bound is the reciprocal of the lower one with the models swapped.
    pairs = [np.stack(cells) for cells in ((a, a), (b, c), (c, b), (d, d))]
    low, swapped = _lower_bounds(pairs[0], pairs[1], pairs[2], pairs[3], z, method)
    unbounded = swapped <= 0.0
    high = np.where(unbounded, np.inf, 1.0 / np.where(unbounded, 1.0, swapped))
    return Intervals(low, high)


def _lower_bounds(
    a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray, z: float, method: Method
) -> FloatArray:
    """The largest rejected ratio below the estimate, by cutting its bracket into sections.

    Runs on ratio/(1+ratio) in [0, 1), where the estimate is x/(x+y) with x and y the
    right answers, so that an infinite estimate needs no case of its own. The
    statistic crosses z once (see the tests), so halving cannot go astray. For few tables,
    where a step costs the same whatever it does, more than two sections save steps.
    """
    quantized, baseline = a + b, a + c
    total = quantized + baseline
    outside = np.zeros_like(total)
    inside = np.divide(quantized, total, out=np.zeros_like(total), where=total > 0)
    cuts = max(1, min(MOST_CUTS, 2 * MOST_CUTS // max(total.size, 1)))
    share = (np.arange(1, cuts + 1) / (cuts + 1)).reshape(-1, *[1] * total.ndim)
    while True:
        at = outside + share * (inside - outside)
        between = (at > outside) & (at < inside) & (inside - outside > 1e-18)
        if not between.any():
            return np.asarray(outside / (1.0 - outside))
        ratio = np.where(between, at / (1.0 - at), 1.0)
        rejected = (statistic((a, b, c, d), ratio, z, method) > z) | (at <= outside)
        leading = np.logical_and.accumulate(rejected & (at < inside), axis=0)
        nearest = np.max(np.where(leading, at, outside), axis=0)
        inside = np.minimum(inside, np.min(np.where(leading, inside, at), axis=0))
        outside = nearest


def wilson(successes: int, n: int, *, confidence: float = 0.95, sides: int = 2) -> Interval:
    """Wilson (1927) score interval of the share ``successes/n``; (0, 1) without items.

    ``sides`` as in `retention_interval`. Raises ValueError unless 0 <= successes <= n.
    """
    z = normal_quantile(confidence, sides)
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}: they must lie between 0 and n")
    if n == 0:
        return Interval(0.0, 1.0)
    share = successes / n
    widened = 1.0 + z * z / n
    centre = (share + z * z / (2.0 * n)) / widened
    half = z * math.sqrt(share * (1.0 - share) / n + (z / (2.0 * n)) ** 2) / widened
    low = 0.0 if successes == 0 else max(centre - half, 0.0)
    high = 1.0 if successes == n else min(centre + half, 1.0)
    return Interval(low, high)


class IntervalVerdict(str, Enum):
    """The value is the word people read."""

    KEPT = "kept"
    LOST = "lost"
    UNDECIDED = "undecided"


def evidence(interval: tuple[float, float], minimum: float) -> IntervalVerdict:
    """Kept: low >= minimum; lost: high < minimum; both unrounded. Else undecided.

    ``interval`` is (low, high), such as `retention_interval` returns.
    Raises ValueError for a minimum that is not a number > 0.
    """
    if not minimum > 0.0:
        raise ValueError(f"minimum={minimum!r} must be a number above 0")
    low, high = interval
    if low >= minimum:
        return IntervalVerdict.KEPT
    if high < minimum:
        return IntervalVerdict.LOST
    return IntervalVerdict.UNDECIDED
