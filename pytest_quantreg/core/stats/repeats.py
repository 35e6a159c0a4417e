"""The ratio of two figures that were each measured in sessions of their own."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from .speed_intervals import Estimate, speeds, tail_of


def repeats_ratio(
    baseline: ArrayLike, candidate: ArrayLike, *, confidence: float = 0.95, sides: int = 2
) -> Estimate:
    """candidate/baseline from repeats that did not run beside each other.

    Of the logarithms, with means m and unbiased variances v of k repeats each, the interval
    of exp(m1 - m0) by Welch's t (1947): standard error sqrt(v0/k0 + v1/k1), degrees of
    freedom by Satterthwaite. Where either has a single repeat nothing is known about its
    scatter: (0, inf). Repeats of one server process share what that process got, so the
    interval says what further repeats would show, not what another day would.

    ``sides`` as in `retention_interval`. Raises ValueError for no repeat, figures that are
    not positive numbers, an impossible confidence.
    """
    before, after = (
        np.log(speeds(values, owner))
        for values, owner in ((baseline, "baseline"), (candidate, "candidate"))
    )
    centre = math.exp(float(after.mean() - before.mean()))
    tail = tail_of(confidence, sides)
    if min(before.size, after.size) < 2:
        return Estimate(centre, 0.0, math.inf)
    parts = [float(np.var(logs, ddof=1)) / logs.size for logs in (before, after)]
    error = math.sqrt(sum(parts))
    if error == 0.0:
        return Estimate(centre, centre, centre)
    freedom = sum(parts) ** 2 / sum(
        part**2 / (logs.size - 1) for part, logs in zip(parts, (before, after), strict=True)
    )
    reach = -float(stdtrit(freedom, tail)) * error
    high = centre * math.exp(reach) if reach < 500 else math.inf
    return Estimate(centre, centre * math.exp(-reach), high)
