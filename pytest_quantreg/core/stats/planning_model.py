"""The model of the truth behind planning, and the chance of each verdict under it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import binomial
from .intervals import IntervalVerdict
from .score import Cells, FloatArray, Method, statistic, tables

# Nodes per dimension of the sum over tables: above, neighbouring counts share a node.
BASELINE_NODES = 65
WON_NODES = 81
# Probability left out at either end of each sum.
TAIL = 1e-6


class Truth(NamedTuple):
    """Probabilities per item: baseline right, answer won, answer lost."""

    baseline: float
    won: float
    lost: float


def paired_truth(retention: float, *, baseline_accuracy: float, discordance: float) -> Truth:
    """A quantized model that flips a share of the items to and fro, and loses beyond that.

    ``discordance`` d is the share of items on which a LOSSLESS quantized model answers
    otherwise, half of them won and half lost. With baseline accuracy p and retention
    R <= 1, the share lost is d/2 + p(1-R) and the share won d/2; with R > 1, won is
    d/2 + p(R-1) and lost d/2. Accuracies are then p and p*R exactly. Only items the
    baseline has wrong can be won and only right ones lost, so the to and fro is d/2 or
    what is left of either kind, whichever is less: it shrinks for p near 0 or 1.

    Raises ValueError for shares outside [0, 1] and a retention above 1/p.
    """
    p, d = baseline_accuracy, discordance
    for name, share in (("baseline_accuracy", p), ("discordance", d)):
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"{name}={share!r} is not a share between 0 and 1")
    if not retention >= 0.0 or retention * p > 1.0 + 1e-12:
        raise ValueError(
            f"retention={retention!r} is impossible: it lies between 0 and "
            f"1/baseline_accuracy ({p:g}), where every answer is right"
        )
    loss = p * (1.0 - retention)
    if loss >= 0.0:
        swing = max(min(d / 2.0, 1.0 - p, p - loss), 0.0)
        return Truth(p, swing, swing + loss)
    swing = max(min(d / 2.0, p, 1.0 - p + loss), 0.0)
    return Truth(p, swing - loss, swing)


@dataclass(frozen=True)
class Rule:
    """What a gate asks of a table; ``z`` is the quantile of its one-sided confidence."""

    minimum: float
    z: float
    method: Method

    def rejects(self, verdict: IntervalVerdict, cells: Cells) -> NDArray[np.bool_]:
        """Whether the minimum is excluded from the side that ``verdict`` needs."""
        minimum = np.full_like(cells[0], self.minimum)
        score = statistic(cells, minimum, self.z, self.method)
        return score < -self.z if verdict is IntervalVerdict.LOST else score > self.z


class Grid:
    """Which numbers of lost answers bring a verdict, over a grid of the other counts.

    With Y right baseline answers and b answers won, a verdict depends on the answers
    lost alone, and monotonically: ``switch`` holds, per (Y, b), the least number lost
    that is `lost`, or that is no longer `kept`. The chance of the verdict is then a sum
    of binomial tails, exact but for counts sharing a node when there are many.
    """

    def __init__(
        self, n: int, baseline: float, won: float, rule: Rule, verdict: IntervalVerdict
    ) -> None:
        self.n, self.verdict = n, verdict
        right, self._right_weight = _nodes(n, baseline, BASELINE_NODES)
        wins, edges = _bins(n, won, WON_NODES)
        self._right, share = right[:, None], won / (1.0 - baseline) if baseline < 1.0 else 0.0
        below = binomial.at_most(edges[None, :], n - self._right, min(share, 1.0))
        self._won_weight = np.diff(below, axis=1, prepend=0.0)
        self._switch = self._least_lost(wins[None, :], rule)

    def chance(self, lost: float, baseline: float) -> float:
        """Probability of the verdict when an item is lost with probability ``lost``."""
        share = min(lost / baseline, 1.0) if baseline > 0.0 else 0.0
        tail = binomial.above(self._switch - 1, self._right, share)
        if self.verdict is IntervalVerdict.KEPT:
            tail = 1.0 - tail
        inner = np.sum(self._won_weight * tail, axis=1)
        return float(np.clip(self._right_weight @ inner, 0.0, 1.0))

    def _least_lost(self, wins: NDArray[np.int64], rule: Rule) -> NDArray[np.int64]:
        shape = np.broadcast_shapes(self._right.shape, wins.shape)
        right = np.broadcast_to(self._right, shape)
        # Impossible tables carry no weight; they only must not be negative.
        won = np.minimum(wins, self.n - right)
        low, high = np.zeros(shape, np.int64), right + 1
        while np.any(low < high):
            lost = np.minimum((low + high) // 2, right)
            cells = tables(right - lost, won, lost, self.n - right - won)
            rejected = rule.rejects(self.verdict, cells)
            past = rejected if self.verdict is IntervalVerdict.LOST else ~rejected
            open_ = low < high
            high = np.where(open_ & past, lost, high)
            low = np.where(open_ & ~past, lost + 1, low)
        return low


def _bins(n: int, share: float, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts of Binomial(n, share) worth summing, and the last count each stands for.

    Each stands for an odd number of counts, itself in the middle: a node beside the
    middle would shift every verdict by half a count.
    """
    first, last = (binomial.quantile(q, n, share) for q in (TAIL, 1.0 - TAIL))
    half = max(-(-(last - first + 1) // most) // 2, 0)
    nodes = np.arange(first + half, last + half + 1, 2 * half + 1, dtype=np.int64)
    return np.minimum(nodes, n), nodes + half


def _nodes(n: int, share: float, most: int) -> tuple[NDArray[np.int64], FloatArray]:
    """Counts of Binomial(n, share) and their probabilities."""
    nodes, edges = _bins(n, share, most)
    return nodes, np.diff(binomial.at_most(edges, n, share), prepend=0.0)
