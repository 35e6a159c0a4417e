"""Intervals for a percentile of latencies whose requests ran together in rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc

from .score import FloatArray
from .speed_intervals import Estimate, tail_of


def quantile_interval(
    groups: Sequence[ArrayLike],
    percentile: float,
    *,
    confidence: float = 0.95,
    sides: int = 2,
) -> Estimate:
    """A percentile of latencies, with the group (a round, or a block) as independent unit.

    Requests of one round wait for each other, so they are not worth one observation each.
    For a time t every unit contributes its share of requests that took t at most, a
    number in [0, 1]; S is the sum of the shares of n units. The bounds are the times at which
    Clopper and Pearson's (1934) bounds of the mean share cross the percentile, with S for
    the number of successes: the smallest t with I_p(S, n-S+1) <= 1-confidence above, the
    largest with I_1-p(n-S, S+1) <= 1-confidence below, where S counts what was faster than
    t, and I is the regularized incomplete beta function. With one request per unit that
    is the interval between order statistics (Hahn and Meeker 1991, section 5.2). Shares that
    are not 0 or 1 vary less than the test allows for (Hoeffding 1956), which makes the
    bounds cautious; simulated in tests/core.

    The estimate is the smallest latency that a share of ``percentile`` percent of all
    requests did not exceed (``inverted_cdf``), so some request took just that. Bounds are
    latencies that were seen too, 0 or infinity where the units are too few to know
    (`least_units`). Unequal groups count alike in the bounds, by requests in the estimate,
    and the bounds always enclose it. ``sides`` as in `retention_interval`.

    Raises ValueError for a percentile outside (0, 100), no groups, an empty one, latencies
    that are negative or no numbers, an impossible confidence.
    """
    if not 0.0 < percentile < 100.0:
        raise ValueError(f"percentile={percentile!r} is not between 0 and 100; the median is 50")
    tail = tail_of(confidence, sides)
    times, starts, sizes = _flattened(groups)
    order = np.argsort(times, kind="stable")
    distinct, inverse = np.unique(times, return_inverse=True)
    # The sum of shares at each distinct time, every request worth 1/size of its unit.
    worth = np.repeat(1.0 / sizes, sizes)
    upto = np.minimum(np.cumsum(np.bincount(inverse, weights=worth)), starts)
    upto[-1] = starts
    faster = np.concatenate([[0.0], upto[:-1]])
    share = percentile / 100.0
    enough = at_least(upto, starts, share) <= tail
    few = at_least(starts - faster, starts, 1.0 - share) <= tail
    high = float(distinct[int(np.argmax(enough))]) if enough.any() else math.inf
    low = float(distinct[np.flatnonzero(few)[-1]]) if few.any() else 0.0
    estimate = float(times[order][least_rank(times.size, share) - 1])
    return Estimate(estimate, min(low, estimate), max(high, estimate))


def least_rank(n: int, share: float) -> int:
    """The rank, from 1, of the smallest of n values that ``share`` of them do not exceed."""
    # 0.07 * 100 is 7.000000000000001 in binary, and must not be the eighth.
    return min(max(math.ceil(round(share * n, 9)), 1), n)


def _flattened(groups: Sequence[ArrayLike]) -> tuple[FloatArray, int, NDArray[np.int64]]:
    arrays = [np.asarray(group, dtype=np.float64) for group in groups]
    if not arrays:
        raise ValueError("no latencies: there must be one unit at least")
    for number, values in enumerate(arrays, 1):
        if values.ndim != 1 or values.size == 0:
            raise ValueError(
                f"unit {number} has latencies of shape {values.shape}: one per request"
            )
        wrong = values[~((values >= 0.0) & np.isfinite(values))]
        if wrong.size:
            raise ValueError(
                f"latency {wrong[0]:g} in unit {number} is no time: seconds, 0 or more "
                "(a request of a single token has no time per further token)"
            )
    return np.concatenate(arrays), len(arrays), np.array([values.size for values in arrays])


def at_least(successes: FloatArray, n: int, share: float) -> FloatArray:
    """P(Binomial(n, share) >= successes), by the beta function between whole numbers; 1 at 0."""
    positive = successes > 1e-9
    safe = np.where(positive, successes, 1.0)
    return np.asarray(np.where(positive, betainc(safe, n - safe + 1.0, share), 1.0))
