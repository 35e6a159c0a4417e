"""Which order statistics are bounds: of pairs' averages (Wilcoxon), or of the values (signs)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from . import binomial
from .score import FloatArray

EXACT = 150
"""Up to so many values the distribution is counted out, beyond it is taken for normal.

From there on the approximate rank is at most one below the counted one for a tail of 5 %, and
23 below it (of 11,476, so the bound lies further out) for one of 0.01 %.
"""

MOST_LISTED = 1500
"""Up to so many values their pairs are all listed, beyond they are counted below a guess."""


def null_distribution(n: int) -> FloatArray:
    """P(T+ = t) for t = 0 ... n(n+1)/2: each of the ranks 1 ... n is in the sum or not, evenly."""
    chances = np.zeros(n * (n + 1) // 2 + 1)
    chances[0] = 1.0
    for rank in range(1, n + 1):
        chances[rank:] += chances[:-rank]
        chances *= 0.5
    return chances


def bound_rank(n: int, tail: float) -> int:
    """The largest k with P(T+ < k) <= ``tail``, at most the middle; 0 where there is none.

    With ``tail`` <= 1/2 the k-th smallest Walsh average of n values is the lower bound of
    their centre that is wrong with probability ``tail`` at most (Tukey 1949; Hollander and
    Wolfe, Nonparametric Statistical Methods, section 3.3).
    """
    pairs = n * (n + 1) // 2
    if n > EXACT:
        deviation = math.sqrt(pairs * (2 * n + 1) / 12.0)
        rank = math.floor(pairs / 2.0 + float(ndtri(tail)) * deviation)
    else:
        # A tail of 1/2 is reached exactly by some sums, but for the rounding of the summing.
        below = np.cumsum(null_distribution(n))
        rank = int(np.searchsorted(below, tail * (1.0 + 1e-12), side="right"))
    return max(min(rank, (pairs + 1) // 2), 0)


def sign_rank(n: int, tail: float) -> int:
    """The largest k with P(Binomial(n, 1/2) < k) <= ``tail``, at most the middle; 0 if none."""
    below = binomial.at_most(np.arange((n + 1) // 2), n, 0.5)
    return int(np.searchsorted(below, tail * (1.0 + 1e-12), side="right"))


def walsh_averages(values: FloatArray, ranks: Sequence[int]) -> tuple[float, ...]:
    """Of the geometric averages of all pairs, each value with itself too, the ones at ``ranks``.

    ``values`` are positive and ranks count from 1, the smallest. Averages are roots of
    products, not exponentials of logarithms, so that equal values give that value itself.
    """
    if values.size > MOST_LISTED:
        ordered = np.sort(values)
        return tuple(_selected(ordered, rank) for rank in ranks)
    lower, upper = np.triu_indices(values.size)
    averages = np.sqrt(values[lower] * values[upper])
    averages.partition([rank - 1 for rank in ranks])
    return tuple(float(averages[rank - 1]) for rank in ranks)


def _selected(ordered: FloatArray, rank: int) -> float:
    """Halves a bracket of products until it holds one, then takes the product itself."""
    low, high = math.log(ordered[0]) * 2.0 - 1e-9, math.log(ordered[-1]) * 2.0 + 1e-9
    while high - low > 1e-14 * max(1.0, abs(low)):
        middle = (low + high) / 2.0
        if not low < middle < high:
            break
        below = np.searchsorted(ordered, math.exp(middle) / ordered, side="right")
        squares = np.count_nonzero(ordered * ordered <= math.exp(middle))
        if (int(below.sum()) + int(squares)) // 2 >= rank:
            high = middle
        else:
            low = middle
    partner = np.searchsorted(ordered, math.exp(low) / ordered, side="right")
    within = partner < ordered.size
    return float(np.sqrt(ordered[within] * ordered[partner[within]]).min())
