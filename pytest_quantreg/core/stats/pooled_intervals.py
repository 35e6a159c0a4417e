"""Retention of several tasks as one, or of scores that are not 0/1: test and interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from .counts import PairedCounts
from .intervals import Interval, retention_interval
from .restricted import restricted_moments
from .score import FloatArray, normal_quantile
from .strata import Stratum, cluster_sums

# Ratios beyond these are taken for 0 and infinity.
LEAST_RATIO = 1e-9


@dataclass(frozen=True)
class Cells:
    """Units of all strata that contribute alike, counted, and what is to be known of them.

    ``before`` and ``after`` are a unit's weighted scores, ``size`` its items, ``counts``
    how many such units there are (expected numbers when planning), ``stratum`` whose
    they are. Per stratum: ``items``, ``typical``, what is lost with a whole unit, and
    ``factors``, n/(n-1) of its units. ``excess`` are the variances of the two sums
    beyond what the units show, baseline and quantized.
    """

    before: FloatArray
    after: FloatArray
    size: FloatArray
    counts: FloatArray
    stratum: np.ndarray[tuple[int], np.dtype[np.int64]]
    items: FloatArray
    typical: FloatArray
    factors: FloatArray
    excess: tuple[float, float] = (0.0, 0.0)

    @property
    def swapped(self) -> Cells:
        """With the models exchanged."""
        return Cells(
            self.after,
            self.before,
            self.size,
            self.counts,
            self.stratum,
            self.items,
            self.typical,
            self.factors,
            (self.excess[1], self.excess[0]),
        )


def pooled_retention(
    strata: Sequence[Stratum], *, confidence: float = 0.95, sides: int = 2
) -> Interval:
    """Score interval for `pooled_estimate`: all ratios that `pooled_statistic` does not reject.

    For one stratum of 0/1 scores, one run, no clusters, it is `retention_interval`.
    Strata without items count for nothing; without any, and on a side where nothing is
    known, the bounds are 0 and infinity. With clusters the quantile is Student's
    (`pooled_quantile`). ``sides`` is as in `retention_interval`.

    Raises ValueError when there are no strata, or for an impossible confidence.
    """
    held = _nonempty(strata)
    quantile = pooled_quantile(held, confidence, sides)
    if not held or not math.isfinite(quantile):
        return Interval(0.0, math.inf)
    counts = _plain_counts(held)
    if counts is not None:
        return retention_interval(*counts.cells, confidence=confidence, sides=sides)
    cells = cells_of(held)
    inverse = _lower_bound(cells.swapped, quantile)
    return Interval(
        _lower_bound(cells, quantile), 1.0 / inverse if inverse > LEAST_RATIO else math.inf
    )


def pooled_statistic(strata: Sequence[Stratum], ratio: float, quantile: float) -> float:
    """How many standard errors the pooled scores lie above ``ratio`` (below: negative).

    The sum over strata of weight/n times the sum of (quantized - ratio*baseline) has
    mean 0 under the hypothesis. Its variance is that within strata, units being items or
    clusters, of the most likely distribution under the hypothesis
    (`restricted_moments`); to it ``excess`` is added, once for the one quantized run and
    ratio^2/runs times for the mean of the baseline's. As in `score_statistic` the
    skewness corrected statistic (evaluated at ``quantile``) and the uncorrected one are
    both formed and the more cautious counts.

    One task of right and wrong answers gives what `score_statistic` gives. Simulated at the
    boundary for 4 to 57 tasks, alpha 5 %, both error rates stay below 6 %, where the
    variance that was seen (Fieller, with bounds kept z^2 items from the estimate) lets
    `certify` pass 10 % of models that lose more: what has not been lost has no variance.
    A ratio at or below 0 or infinite raises ValueError.
    """
    if not 0.0 < ratio < math.inf:
        raise ValueError(f"ratio={ratio!r} must be positive and finite")
    return statistic_of(cells_of(_nonempty(strata)), ratio, quantile)


def pooled_quantile(strata: Sequence[Stratum], confidence: float, sides: int) -> float:
    """The normal quantile for items, Student's for clusters.

    Degrees of freedom are units less strata, where clusters of unequal size count as the
    number of equal ones that would vary as much: units/(1 + cv^2), cv the coefficient of
    variation of their sizes (Carter, Schnepel and Steigerwald 2017).
    """
    z = normal_quantile(confidence, sides)
    if all(stratum.codes is None for stratum in strata):
        return z
    freedom = sum(_effective_units(stratum) - 1.0 for stratum in strata)
    if freedom <= 0.0:
        return math.inf
    tail = confidence if sides == 1 else 0.5 + confidence / 2.0
    return float(max(stdtrit(freedom, tail), z))


def statistic_of(cells: Cells, ratio: float, quantile: float) -> float:
    """`pooled_statistic` of cells."""
    # Scaled by the larger of 1 and the ratio, so that huge ratios keep their precision.
    scale = max(1.0, ratio)
    values = (cells.after - ratio * cells.before) / scale
    total = float(cells.counts @ values)
    unit = float(cells.typical.max()) / scale
    if total == 0.0 or not math.isfinite(cells.factors[0]):
        return 0.0
    moments = restricted_moments(
        _centred(cells, values, total),
        cells.counts,
        cells.factors[cells.stratum],
        -ratio * unit,
        unit,
    )
    beyond = (cells.excess[1] + ratio * ratio * cells.excess[0]) / scale**2
    variance, inflated = moments.variance + beyond, moments.inflated + beyond
    if variance <= 0.0:
        return 0.0
    plain = total / math.sqrt(variance)
    corrected = total / math.sqrt(inflated)
    weight = max(quantile * quantile - 1.0, 0.0) / 6.0
    observed = float(cells.counts @ (cells.after if total > 0.0 else cells.before)) / (unit * scale)
    if observed <= weight * variance / inflated:
        return 0.0
    if abs(corrected) >= quantile / 2.0:
        corrected -= weight * moments.third / inflated**1.5
    if total > 0.0:
        return max(min(plain, corrected), 0.0)
    return min(max(plain, corrected), 0.0)


def cells_of(strata: Sequence[Stratum]) -> Cells:
    """The strata's units, those alike counted together."""
    parts = [_units(stratum) for stratum in strata]
    sizes = [stratum.n / stratum.repetition for stratum in strata]
    shares = [stratum.weight / size for stratum, size in zip(strata, sizes, strict=True)]
    lengths = [part[0].size for part in parts]
    before, after, size, counts = (np.concatenate([part[i] for part in parts]) for i in range(4))
    stratum_of_unit = np.repeat(np.arange(len(strata)), lengths)
    share = np.asarray(shares)
    units = np.array([stratum.units / stratum.repetition for stratum in strata], dtype=np.float64)
    typical = [
        share * _typical(np.maximum(part[0], part[1]), part[3])
        for share, part in zip(shares, parts, strict=True)
    ]
    alone = units < 2.0
    factors = np.where(alone, 1.0, units / np.maximum(units - 1.0, 1.0))
    if alone.all():
        factors[:] = np.inf
    excess = [
        (stratum.excess * share**2 / stratum.runs, stratum.excess * share**2)
        for stratum, share in ((stratum, stratum.weight / stratum.n) for stratum in strata)
    ]
    return Cells(
        before * share[stratum_of_unit],
        after * share[stratum_of_unit],
        size,
        counts,
        stratum_of_unit,
        np.array(sizes, dtype=np.float64),
        np.asarray(typical),
        factors,
        (math.fsum(x for x, _ in excess), math.fsum(y for _, y in excess)),
    )


def _centred(cells: Cells, values: FloatArray, total: float) -> FloatArray:
    """Values less what their stratum's mean differs from the mean of all, item by item.

    What lies between strata is no chance: every stratum is measured. A stratum of one
    unit stays as it is, its square being all that is known of its variance.
    """
    if cells.items.size == 1:
        return values
    sums = np.bincount(cells.stratum, cells.counts * values, cells.items.size)
    units = np.bincount(cells.stratum, cells.counts, cells.items.size)
    shift = sums / cells.items - total / float(cells.items.sum())
    shift = np.where(units < 2.0, 0.0, shift)
    return np.asarray(values - cells.size * shift[cells.stratum])


def _typical(scores: FloatArray, counts: FloatArray) -> float:
    """What losing whole units loses at a time: the mean size, each unit counted by its size.

    If units are lost at random, the variance of what is lost is this times its mean. For
    right and wrong answers it is 1.
    """
    whole = float(counts @ scores)
    return float(counts @ scores**2) / whole if whole > 0.0 else 0.0


def _lower_bound(cells: Cells, quantile: float) -> float:
    """The ratio below the estimate at which the statistic reaches the quantile.

    Sought on ratio/(1+ratio), where an infinite estimate lies at 1.
    """
    after = float(cells.counts @ cells.after)
    whole = after + float(cells.counts @ cells.before)
    if after <= 0.0:
        return 0.0

    estimate = min(after / whole, 1.0 - LEAST_RATIO)
    is_reached = after / whole <= estimate

    def beyond(at: float) -> float:
        above = statistic_of(cells, at / (1.0 - at), quantile) - quantile
        # The statistic is 0 at the estimate. Where every item changed by the same factor
        # nothing varies there either, and rounding noise over no variance would be huge.
        return -quantile if above > 0.0 and is_reached and at >= estimate else above

    if beyond(LEAST_RATIO) <= 0.0:
        return 0.0
    if beyond(estimate) > 0.0:
        return estimate / (1.0 - estimate)
    # Half of what importing the statistics costs, and most comparisons do without.
    from scipy.optimize import brentq

    root = float(brentq(beyond, LEAST_RATIO, estimate, xtol=1e-13, rtol=1e-13))
    return root / (1.0 - root)


def _units(stratum: Stratum) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """(baseline, quantized, items, number of such units) of one stratum."""
    before, after = stratum.scores
    codes = stratum.codes
    if codes is not None:
        sizes = cluster_sums(codes, np.ones_like(before))
        sums = cluster_sums(codes, before), cluster_sums(codes, after)
        return sums[0], sums[1], sizes, np.ones_like(sizes)
    # A complex number holds the pair; scores of a task are few and recur.
    pairs, counts = np.unique(before + 1j * after, return_counts=True)
    return pairs.real, pairs.imag, np.ones(pairs.size), counts / stratum.repetition


def _nonempty(strata: Sequence[Stratum]) -> list[Stratum]:
    if not strata:
        raise ValueError("no strata: there is nothing to pool")
    return [stratum for stratum in strata if stratum.n]


def _plain_counts(strata: Sequence[Stratum]) -> PairedCounts | None:
    """The 2x2 table, where that is all there is; None elsewhere.

    Several runs of a baseline that always answered alike are one.
    """
    first = strata[0]
    if len(strata) > 1 or first.codes is not None or first.excess > 0.0 or first.repetition > 1.0:
        return None
    before, after = strata[0].scores
    if not np.all((before == 0.0) | (before == 1.0)) or not np.all((after == 0.0) | (after == 1.0)):
        return None
    return PairedCounts.of(before, after)


def _effective_units(stratum: Stratum) -> float:
    codes = stratum.codes
    if codes is None:
        return float(stratum.n)
    sizes = np.bincount(codes)
    return float(np.sum(sizes) ** 2 / np.sum(sizes.astype(np.float64) ** 2))
