"""Intervals for a ratio of two means (Fieller): scores that are not 0/1, and perplexities."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from .intervals import Interval
from .score import FloatArray, normal_quantile
from .strata import cluster_codes, cluster_sums, paired_scores


class _Totals(NamedTuple):
    """Sums over independent units, and the variances of those sums."""

    above: float
    below: float
    above_variance: float
    covariance: float
    below_variance: float


def mean_ratio_interval(
    baseline: ArrayLike,
    quantized: ArrayLike,
    *,
    confidence: float = 0.95,
    sides: int = 2,
    clusters: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Interval:
    """Interval for the weighted mean quantized score over the weighted mean baseline score.

    Fieller's set (1954): all ratios m with (X - mY)^2 <= t^2 * var(X - mY), X and Y the
    weighted sums. The variance is that of sums over independent units, items or, with
    ``clusters`` (one name per item), clusters: G/(G-1) times the sum of squares of each
    unit's weighted deviations from the mean; t has G-1 degrees of freedom. Arrays hold one
    finite number per item, ``weights`` are >= 0, ``sides`` is as in `retention_interval`.

    With scores >= 0 the bounds are, too; otherwise they may be -inf. A side on which
    nothing is known (one unit, or a baseline not distinguishable from 0) is 0 or infinite.
    Where no score differs, the set is the estimate alone: it is the plain set of the
    literature, and gates use `pooled_retention`, which allows for what few units hide.

    Gates on mean scores take `pooled_retention` instead, which allows for losses that nobody
    has seen yet.

    Raises ValueError for shapes, NaN, negative weights, an impossible confidence.
    """
    before, after = paired_scores(baseline, quantized)
    share = np.ones_like(before) if weights is None else np.asarray(weights, dtype=np.float64)
    if share.shape != before.shape:
        raise ValueError(f"weights have the shape {share.shape}, not one per item")
    if not np.all((share >= 0.0) & np.isfinite(share)):
        raise ValueError("weights must be finite and 0 or more")
    # Items that weigh nothing are not there, not even as units.
    weighing = share > 0.0
    codes = cluster_codes(clusters, before.size)
    codes = None if codes is None else codes[weighing]
    before, after, share = before[weighing], after[weighing], share[weighing]
    nonnegative = not before.size or min(before.min(), after.min()) >= 0.0
    totals, units = _totals(share * after, share * before, share, codes)
    floor = 0.0 if nonnegative else -math.inf
    return _fieller(totals, student_quantile(confidence, sides, units - 1), floor)


def perplexity_ratio(baseline: ArrayLike, quantized: ArrayLike, tokens: ArrayLike) -> float:
    """exp(sum(baseline - quantized)/sum(tokens)): quantized over baseline perplexity.

    Log-likelihoods in nats and tokens, a document each; above 1 is worse. NaN without
    tokens. Raises ValueError as `perplexity_ratio_interval` does.
    """
    worse, length = _documents(baseline, quantized, tokens)
    whole = math.fsum(length)
    return _exp(math.fsum(worse) / whole) if whole > 0.0 else math.nan


def perplexity_ratio_interval(
    baseline: ArrayLike,
    quantized: ArrayLike,
    tokens: ArrayLike,
    *,
    confidence: float = 0.95,
    sides: int = 2,
    clusters: ArrayLike | None = None,
) -> Interval:
    """Interval for `perplexity_ratio`, with documents (or ``clusters`` of them) as units.

    exp of Fieller's interval for nats lost per token, a ratio of two sums over documents
    (`mean_ratio_interval` has the formula, on differences and lengths, without a floor).
    (0, inf) where nothing is known. Raises ValueError for shapes, values that are no
    numbers, negative token counts, an impossible confidence.
    """
    worse, length = _documents(baseline, quantized, tokens)
    codes = cluster_codes(clusters, worse.size)
    totals, units = _totals(worse, length, np.ones_like(worse), codes)
    quantile = student_quantile(confidence, sides, units - 1)
    low, high = _fieller(totals, quantile, -math.inf)
    return Interval(_exp(low), _exp(high))


def student_quantile(confidence: float, sides: int, freedom: float) -> float:
    """`normal_quantile` for an estimated variance; infinite without degrees of freedom."""
    z = normal_quantile(confidence, sides)
    if freedom <= 0.0:
        return math.inf
    tail = confidence if sides == 1 else 0.5 + confidence / 2.0
    return float(max(stdtrit(freedom, tail), z))


def _documents(
    baseline: ArrayLike, quantized: ArrayLike, tokens: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    before, after = paired_scores(baseline, quantized)
    length = np.asarray(tokens, dtype=np.float64)
    if length.shape != before.shape:
        raise ValueError(f"tokens have the shape {length.shape}, not one count per document")
    if not np.all((length >= 0.0) & np.isfinite(length)):
        raise ValueError("token counts must be finite and 0 or more")
    return before - after, length


def _totals(
    above: FloatArray, below: FloatArray, size: FloatArray, codes: NDArray[np.int64] | None
) -> tuple[_Totals, int]:
    """Sums and their cluster-robust variances; the number of units beside them."""
    if codes is not None:
        _, codes = np.unique(codes, return_inverse=True)
        above, below, size = (cluster_sums(codes, values) for values in (above, below, size))
    units, whole = above.size, float(size.sum())
    x, y = float(above.sum()), float(below.sum())
    if units < 2:
        return _Totals(x, y, 0.0, 0.0, 0.0), units
    spread_x, spread_y = above - size * (x / whole), below - size * (y / whole)
    factor = units / (units - 1.0)
    return _Totals(
        x,
        y,
        factor * float(spread_x @ spread_x),
        factor * float(spread_x @ spread_y),
        factor * float(spread_y @ spread_y),
    ), units


def _fieller(totals: _Totals, quantile: float, floor: float) -> Interval:
    """The bounds from the roots of (X - mY)^2 = quantile^2 * var(X - mY).

    If Y is not distinguishable from 0 the upper bound is infinite, and for a floor of 0
    the lower one is the reciprocal of the upper bound with the roles exchanged; without
    a floor nothing is known then.
    """
    if not math.isfinite(quantile):
        return Interval(floor, math.inf)
    x, y, xx, xy, yy = totals
    square = quantile * quantile
    if y > 0.0 and y * y > square * yy:
        low, high = _roots(y * y - square * yy, x * y - square * xy, x * x - square * xx)
        return Interval(max(low, floor), high)
    if floor == 0.0 and x > 0.0 and x * x > square * xx:
        _, inverse = _roots(x * x - square * xx, x * y - square * xy, y * y - square * yy)
        return Interval(1.0 / inverse if inverse > 0.0 else math.inf, math.inf)
    return Interval(floor, math.inf)


def _roots(lead: float, half: float, last: float) -> tuple[float, float]:
    """Roots of lead*m^2 - 2*half*m + last with lead > 0, each by its well-conditioned form."""
    root = math.sqrt(max(half * half - lead * last, 0.0))
    if half >= 0.0:
        far = half + root
        return (last / far if far > 0.0 else 0.0), far / lead
    near = half - root
    return near / lead, last / near


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 709.0 else math.inf
