"""Intervals for how fast a model is: beside another one (Wilcoxon), or alone (sign test)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .score import FloatArray, normal_quantile
from .signed_rank import bound_rank, sign_rank, walsh_averages

EXTREME = 1e75
"""Throughputs lie between its reciprocal and it, so that no product of ratios overflows."""


class Estimate(NamedTuple):
    """An estimate and its bounds, ``low <= estimate <= high``; bounds may be 0 or infinite."""

    estimate: float
    low: float
    high: float


def speedup_interval(
    baseline: ArrayLike, quantized: ArrayLike, *, confidence: float = 0.95, sides: int = 2
) -> Estimate:
    """How many times as fast the quantized model is, from units that ran next to each other.

    Unit i (a round, or a block) of each has one throughput, in any unit of speed. Of the
    ratios r_i = quantized_i / baseline_i the estimate is the median of all
    sqrt(r_i * r_j), i <= j: Hodges and Lehmann's (1963) on logarithms. The bounds are the
    k-th smallest and the k-th largest of them, with k from Wilcoxon's signed-rank
    distribution (`signed_rank.bound_rank`): those speed-ups that the test does not reject.
    ``sides`` as in `retention_interval`: at ``sides=1`` each bound holds by itself.

    If each log ratio is as likely to lie above the truth by some amount as below it, in
    whatever units are noisy, a bound is wrong with probability 1 - ``confidence`` at most,
    whatever the noise looks like. Since both models of a unit ran next to each other that is
    what noise from outside does: a spike hits the one or the other. With too few units for
    ``confidence`` (4 at 0.95 on one side) the bounds are 0 and infinite: `least_units`.

    Exact to 150 units, then by the normal approximation of the rank. Raises ValueError for
    lengths that differ or are 0, throughputs that are not positive numbers, an impossible
    confidence.
    """
    before, after = speeds(baseline, "baseline"), speeds(quantized, "quantized")
    if before.size != after.size:
        raise ValueError(
            f"{before.size} baseline and {after.size} quantized throughputs: "
            "units are compared one by one, so there must be as many of each"
        )
    ratios = after / before
    rank = bound_rank(ratios.size, tail_of(confidence, sides))
    pairs = ratios.size * (ratios.size + 1) // 2
    middle = ((pairs + 1) // 2, pairs // 2 + 1)
    if rank == 0:
        return Estimate(_between(*walsh_averages(ratios, middle)), 0.0, math.inf)
    low, below, above, high = walsh_averages(ratios, (rank, *middle, pairs + 1 - rank))
    return Estimate(_between(below, above), low, high)


def typical(values: ArrayLike, *, confidence: float = 0.95, sides: int = 2) -> Estimate:
    """The median of one series, such as the throughputs of its units, and its bounds.

    The bounds are the k-th smallest and the k-th largest value, k the largest with
    P(Binomial(n, 1/2) < k) <= 1 - ``confidence`` (the sign test inverted; Hahn and Meeker
    1991, section 5.2). Unlike `speedup_interval` that holds for lopsided noise, and noise of
    a single series is lopsided, since a disturbance only slows down: signed ranks of the
    values themselves would break the promise (simulated: bounds at 95 % wrong in up to 16 % of
    series of which 30 % of the units are disturbed). Slow drift makes neighbours alike and any
    such interval too narrow; floors are for machines that hold still.

    The estimate is the middle value, or the geometric mean of the two. ``sides`` and bounds of
    too few units as in `speedup_interval`, ValueError too.
    """
    ordered = np.sort(speeds(values, "measured"))
    n = ordered.size
    estimate = _between(float(ordered[(n - 1) // 2]), float(ordered[n // 2]))
    rank = sign_rank(n, tail_of(confidence, sides))
    if rank == 0:
        return Estimate(estimate, 0.0, math.inf)
    return Estimate(estimate, float(ordered[rank - 1]), float(ordered[n - rank]))


def speeds(values: ArrayLike, owner: str) -> FloatArray:
    """The values as an array of positive numbers; ValueError names the first that is none."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"{owner} throughputs have the shape {array.shape}: one per unit, and one at least"
        )
    wrong = np.flatnonzero(~((array > 1.0 / EXTREME) & (array < EXTREME)))
    if wrong.size:
        raise ValueError(
            f"{owner} throughput {array[wrong[0]]:g} (unit {wrong[0] + 1} of {array.size}) "
            "is not a positive number: a unit that answered nothing cannot be timed"
        )
    return array


def tail_of(confidence: float, sides: int) -> float:
    """How often one bound may be wrong; checks both as `normal_quantile` does."""
    normal_quantile(confidence, sides)
    return (1.0 - confidence) / sides


def _between(below: float, above: float) -> float:
    return math.sqrt(below) * math.sqrt(above) if below < above else below
