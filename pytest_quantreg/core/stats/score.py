"""The score test for a ratio of paired proportions, element-wise over arrays of tables."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

FloatArray: TypeAlias = NDArray[np.float64]
Cells: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, FloatArray]
Method: TypeAlias = Literal["widest", "scas", "tang"]

METHODS: tuple[Method, ...] = ("widest", "scas", "tang")
DEFAULT_METHOD: Method = "widest"
"""At each bound the more cautious of the other two.

Simulated at the boundary (benchmarks/error_rates.py, alpha 5 %), Tang's upper bound lets
`detect` raise up to 7.0 % false alarms, and the corrected lower bound lets `certify` pass
up to 8.1 % of models that lose more. Each errs where the other does not.
"""

NEGLIGIBLE_THIRD_MOMENT = 1e-10
"""Third moments of the mean score below this count as 0, in `scas`.

The reference implementation (R package ratesci 1.1) takes them for rounding noise, and
results should agree with it. With ratios near 1 they occur from some 2,000 items on,
where the correction at the bounds is a few hundredths of a standard error. Near 1 the
third moment falls steadily with the ratio, so a switch moves the statistic the way it is
going and the rejected ratios stay one piece; only with a handful of right answers among
a thousand items can it leave a gap of some hundredths between them.
"""


def normal_quantile(confidence: float, sides: int) -> float:
    """How many standard errors a bound lies out: 1.645 at 0.95 for one side, 1.960 for two.

    Raises ValueError for a confidence outside (0, 1), below 0.5 for one side (the
    bound would lie on the wrong side of the estimate), and for sides other than 1, 2.
    """
    if sides not in (1, 2):
        raise ValueError(f"sides={sides!r}: a bound has 1 side, an interval 2")
    lowest = 0.5 if sides == 1 else 0.0
    if not lowest <= confidence < 1.0 or confidence == 0.0:
        raise ValueError(
            f"confidence={confidence!r} is not between {lowest:g} and 1 "
            f"(sides={sides}); 95 % is written 0.95"
        )
    return float(ndtri(confidence if sides == 1 else 0.5 + confidence / 2.0))


def score_statistic(
    both: ArrayLike,
    quantized_only: ArrayLike,
    baseline_only: ArrayLike,
    neither: ArrayLike,
    ratio: ArrayLike,
    *,
    confidence: float = 0.95,
    sides: int = 1,
    method: Method = DEFAULT_METHOD,
) -> FloatArray:
    """How many standard errors the accuracies lie above ``ratio`` (below: negative).

    The five arrays broadcast; ``ratio`` is positive and finite. With z the quantile
    of ``confidence``, ``ratio`` lies below `retention_interval` exactly where the
    statistic is above z, and above the interval where it is below -z, so a decision
    needs no root finding. ``confidence`` enters the statistic itself only through the
    skewness correction, which is evaluated at z: that is where it decides.

    With x = 1 for an item the quantized model has right, y for the baseline, the score
    sum(x - ratio*y) has mean 0 under the hypothesis and the variance
    n*ratio*(p_quantized_only + p_baseline_only), with the cell probabilities of the
    restricted maximum likelihood (Tang, Tang and Chan 2003; Nam and Blackwelder 2002).
    ``scas`` multiplies that variance by n/(n-1) and subtracts (z^2 - 1)*skewness/6
    (Gart and Nam 1988; Laud 2017 for independent, 2025 for paired proportions).
    ``widest`` rejects what both reject.

    Raises ValueError for negative counts, another method, or a ratio that is not
    positive and finite.
    """
    z = normal_quantile(confidence, sides)
    cells = tables(both, quantized_only, baseline_only, neither)
    theta = np.asarray(ratio, dtype=np.float64)
    if not np.all((theta > 0) & np.isfinite(theta)):
        raise ValueError(f"ratio={ratio!r} must be positive and finite")
    if method not in METHODS:
        raise ValueError(f"method={method!r}: choose one of {', '.join(METHODS)}")
    return statistic(cells, theta, z, method)


def tables(*cells: ArrayLike) -> Cells:
    """The four cells as float arrays of one shape; ValueError for a negative or infinite one."""
    a, b, c, d = np.broadcast_arrays(*(np.asarray(cell, dtype=np.float64) for cell in cells))
    for cell in (a, b, c, d):
        bad = ~((cell >= 0.0) & np.isfinite(cell))
        if np.any(bad):
            raise ValueError(
                f"{cell[bad].flat[0]:g} is not a count of items: counts are finite and >= 0"
            )
    return a, b, c, d


def statistic(cells: Cells, ratio: FloatArray, z: float, method: Method) -> FloatArray:
    """`score_statistic` without its checks, for loops."""
    a, b, c, d = cells
    # For ratios above 1 the roles are swapped: the restricted estimate is then always
    # the well-conditioned root, and swapping the models gives exact reciprocals.
    swap = ratio > 1.0
    theta = np.where(swap, 1.0 / ratio, ratio)
    won, lost = np.where(swap, c, b), np.where(swap, b, c)
    sign = np.where(swap, -1.0, 1.0)
    right = a + b + c
    one_both, one_won, one_lost = _restricted(a, won, lost, theta)
    variance = theta * right * (one_won + one_lost)
    defined = variance > 0.0
    deviation = np.sqrt(np.where(defined, variance, 1.0))
    tang = sign * np.where(defined, (a + won - theta * (a + lost)) / deviation, 0.0)
    if method == "tang":
        return np.asarray(tang)
    n = right + d
    shrink = np.maximum(n - 1.0, 0.0) / np.maximum(n, 1.0)
    third = right * ((1.0 - theta) ** 3 * one_both + one_won - theta**3 * one_lost)
    defined &= np.abs(third) >= NEGLIGIBLE_THIRD_MOMENT * n**3
    skew = sign * np.where(defined, third / deviation**3 / 6.0, 0.0)
    scas = _corrected(cells, tang * np.sqrt(shrink), skew * shrink**1.5, shrink, z)
    if method == "scas":
        return scas
    cautious = np.where(
        tang > 0.0,
        np.maximum(np.minimum(tang, scas), 0.0),
        np.minimum(np.maximum(tang, scas), 0.0),
    )
    return np.asarray(cautious)


def _restricted(
    both: FloatArray, won: FloatArray, lost: FloatArray, theta: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Maximum-likelihood shares of both, won and lost among the items not wrong twice.

    Restricted to (both+won) = theta*(both+lost), theta <= 1. Items wrong twice drop
    out of the likelihood, which leaves one quadratic in the share of lost; its larger
    root keeps all shares in [0, 1]. Its discriminant, and the share won, which is
    (lost - (1-theta))/theta, are written so that for small theta nothing cancels.
    """
    gap = (1.0 - theta) * (1.0 + theta)
    lead = (1.0 + theta) * (both + won + lost)
    rest = both * gap - theta * theta * lost - won
    root = np.sqrt(rest * rest + 4.0 * gap * both * won)
    twice = 2.0 * np.where(lead > 0.0, lead, 1.0)
    share_lost = (both * gap + lost * (1.0 + gap) + won + root) / twice
    share_won = np.maximum((root - rest - 2.0 * gap * won) / (twice * theta), 0.0)
    share_both = np.maximum(1.0 - share_won - share_lost, 0.0)
    return share_both, share_won, share_lost


def _corrected(
    cells: Cells, plain: FloatArray, skew: FloatArray, shrink: FloatArray, z: float
) -> FloatArray:
    """Subtracts the skewness, except where its expansion is void.

    - Below one standard error (confidence 0.84) it would move the bound across the
      estimate.
    - Near the estimate of a table without flips the expected number of flips goes to 0
      and the skewness to infinity: the uncorrected statistic, well inside +-z, holds.
    - With so few right answers that the correction outweighs them however extreme the
      ratio (both terms grow alike there), there is no bound on that side: 0.
    """
    a, b, c, _ = cells
    weight = max(z * z - 1.0, 0.0)
    fewest = weight / 6.0 * shrink
    corrected = np.where(np.abs(plain) < z / 2.0, plain, plain - weight * skew)
    boundless = np.where(plain > 0.0, a + b <= fewest, a + c <= fewest)
    return np.where(boundless, 0.0, corrected)
