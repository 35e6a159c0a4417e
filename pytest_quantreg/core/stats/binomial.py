"""The binomial distribution, made of the incomplete beta function.

`scipy.stats` has it too, and takes half a second and 50 MB to import.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincc

from .score import FloatArray


def at_most(k: ArrayLike, n: ArrayLike, share: float) -> FloatArray:
    """P(X <= k) for X of Binomial(n, share); k may lie outside 0 ... n. Shapes broadcast."""
    k, n, inside = _inside(k, n)
    return np.where(inside, betaincc(*_shape(k, n, inside), share), k >= n)


def above(k: ArrayLike, n: ArrayLike, share: float) -> FloatArray:
    """P(X > k), as `at_most`; as exact where it is small.

    P(X > k) = I_share(k + 1, n - k), DLMF 8.17.5.
    """
    k, n, inside = _inside(k, n)
    return np.where(inside, betainc(*_shape(k, n, inside), share), k < 0)


def quantile(tail: float, n: int, share: float) -> int:
    """The least k with P(X <= k) >= ``tail``, by bisection; ``tail`` is above 0 and below 1."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        # Not `at_most`: of a billion items 30 scalars are asked for, and arrays are slow at that.
        if float(betaincc(middle + 1.0, n - middle, share)) >= tail:
            high = middle
        else:
            low = middle + 1
    return low


def _inside(k: ArrayLike, n: ArrayLike) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    k, n = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    return k, n, (k >= 0) & (k < n)


def _shape(
    k: FloatArray, n: FloatArray, inside: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """The two parameters of the beta function; harmless ones where they do not count."""
    return np.where(inside, k + 1.0, 1.0), np.where(inside, n - k, 1.0)
