"""How much one model differs from itself when it is run again."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtri

from .score import FloatArray

SURE_OF_EXCESS = 0.99
"""How sure one must be that totals vary by more than their items' independent flips."""


@dataclass(frozen=True)
class RerunNoise:
    """What ``runs`` runs of one model on the same items say about each other.

    ``floor`` is by how much an item's scores of two runs differ, on average over items and
    pairs of runs (for 0/1 the share of items that differ), ``highest`` that of the most
    different pair. ``expected`` is the variance of
    a run's total (in squared scores) if items flip independently, ``observed`` that of
    the totals, ``excess`` what is added to a gate's variance.
    """

    runs: int
    floor: float
    highest: float
    expected: float
    observed: float
    excess: float


def rerun_noise(runs: Sequence[ArrayLike] | FloatArray) -> RerunNoise:
    """Compares two or more runs: one row of scores per run, the same items in each.

    ``expected`` is the sum over items of the unbiased variance of the item's scores, for
    0/1 scores R/(R-1) * mean * (1 - mean); ``observed`` the unbiased variance of the R
    totals. Under independence observed/expected follows chi-square/(R-1) with R-1
    degrees of freedom, approximately. ``excess`` is observed - expected when the ratio
    lies beyond that distribution's 99 % quantile, else 0. The plain positive part would
    find an excess half the time where there is none, and with two runs widen the
    interval by more than their mean narrows it.

    Raises ValueError unless there are two runs or more, items, and finite scores.
    """
    scores = np.asarray(runs, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[0] < 2 or scores.shape[1] == 0:
        raise ValueError(
            f"runs have the shape {scores.shape}: two rows or more of one score per item"
        )
    if not np.all(np.isfinite(scores)):
        raise ValueError("scores of runs must be finite numbers")
    count = scores.shape[0]
    differ = [
        float(np.mean(np.abs(first - second)))
        for first, second in itertools.combinations(scores, 2)
    ]
    expected = float(np.sum(np.var(scores, axis=0, ddof=1)))
    observed = float(np.var(np.sum(scores, axis=1), ddof=1))
    usual = expected * float(chdtri(count - 1, 1.0 - SURE_OF_EXCESS)) / (count - 1)
    return RerunNoise(
        runs=count,
        floor=float(np.mean(differ)),
        highest=max(differ),
        expected=expected,
        observed=observed,
        excess=max(observed - expected, 0.0) if observed > usual else 0.0,
    )
