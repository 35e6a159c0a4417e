"""The variance and skewness that scores would have if the hypothesis held."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .score import FloatArray


class Moments(NamedTuple):
    """Of the sum of all units: its variance, the variance after n/(n-1), the third moment."""

    variance: float
    inflated: float
    third: float


def restricted_moments(
    values: FloatArray, counts: FloatArray, factors: FloatArray, least: float, most: float
) -> Moments:
    """Moments of the sum of units under the hypothesis that its mean is 0.

    ``values`` are what units contribute, ``counts`` how many contribute it, ``factors``
    their n/(n-1); no unit can contribute less than ``least`` < 0 or more than
    ``most`` > 0. The distribution of the units is the most likely one, given what was
    seen, among those with mean 0: empirical likelihood (Owen 1988) on the observed
    values and the two extreme ones, which may get probability without having been seen.
    On right and wrong answers that is the restricted maximum likelihood of the score
    test for paired proportions (Tang, Tang and Chan 2003).

    Probabilities are counts/n/(1 + tilt*value) with the tilt that makes the mean 0. If
    no tilt in reach does, the rest lies on the extreme: that is what keeps a few units
    without a loss from proving that there are none.
    """
    total = float(counts @ values)
    if total < 0.0:
        mirrored = restricted_moments(-values, counts, factors, -most, -least)
        return mirrored._replace(third=-mirrored.third)
    worst = min(least, float(values.min(initial=0.0)))
    if worst >= 0.0:
        return Moments(0.0, 0.0, 0.0)
    tilt = _tilt(values, counts, worst) if total > 0.0 else 0.0
    below = 1.0 + tilt * values
    weights = np.divide(counts, below, out=np.zeros_like(counts), where=below > 0.0)
    beyond = max(float(counts.sum() - weights.sum()), 0.0) if total > 0.0 else 0.0
    squares = weights * values * values
    extreme = beyond * worst * worst
    # An unseen loss is taken to be in the smallest stratum: the largest factor.
    return Moments(
        float(squares.sum()) + extreme,
        float(squares @ factors) + extreme * float(factors.max()),
        float(squares @ values) + extreme * worst,
    )


def _tilt(values: FloatArray, counts: FloatArray, worst: float) -> float:
    """The tilt in (0, -1/worst] at which sum(counts*values/(1 + tilt*values)) is 0.

    The sum falls with the tilt, from the total of the values on; if it is still
    positive at the end, the end is what is returned. Solved by Newton's method on the sum times
    (1 + tilt*worst), which has no pole, kept inside a shrinking bracket.
    """
    low, high = 0.0, -1.0 / worst
    at_end = 1.0 + high * values
    if np.all(at_end > 1e-12) and float(np.sum(counts * values / at_end)) >= 0.0:
        return high
    moved = counts * values
    tilt = 0.0
    for _ in range(200):
        below = 1.0 + tilt * values
        ratio = moved / below
        sum_, slope = float(ratio.sum()), -float(ratio @ (values / below))
        if sum_ > 0.0:
            low = tilt
        else:
            high = tilt
        scale = 1.0 + tilt * worst
        steep = slope * scale + sum_ * worst
        step = -sum_ * scale / steep if steep < 0.0 else 0.0
        nearer = tilt + step
        if not low < nearer < high:
            nearer = 0.5 * (low + high)
        if abs(nearer - tilt) <= 1e-14 * high:
            return nearer
        tilt = nearer
    return tilt
