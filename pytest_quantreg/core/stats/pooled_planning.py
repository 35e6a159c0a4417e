"""What a pooled gate can see: power, the smallest visible loss, and the items that decide."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .intervals import IntervalVerdict
from .planning import MOST_ITEMS, ItemsNeeded, table_chance
from .planning_model import Rule, Truth, paired_truth
from .pooled_intervals import Cells, statistic_of
from .score import DEFAULT_METHOD, FloatArray, normal_quantile, statistic, tables


@dataclass(frozen=True)
class Layer:
    """One task of a pool that is planned.

    ``discordance`` is that of `paired_truth`, ``weight`` as in `Stratum`, ``available``
    how many items the task has. A mean score between 0 and 1 stands for an accuracy:
    that is the safe side, for nothing in between varies as much as right and wrong.
    """

    n: float
    baseline_accuracy: float
    discordance: float
    weight: float = 1.0
    available: int | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.n < math.inf:
            raise ValueError(f"n={self.n!r} is not a number of items")
        if not 0.0 < self.weight < math.inf:
            raise ValueError(f"weight={self.weight!r} must be a finite number above 0")
        if self.available is not None and self.available < 0:
            raise ValueError(f"available={self.available!r} is not a number of items")
        paired_truth(0.0, baseline_accuracy=self.baseline_accuracy, discordance=self.discordance)


def pooled_power(
    retention: float, layers: Sequence[Layer], *, minimum: float, confidence: float = 0.95
) -> float:
    """Probability that `detect` turns red when every layer is truly at ``retention``.

    `pooled_verdict_chance` of lost, which has the approximation.
    """
    return pooled_verdict_chance(
        IntervalVerdict.LOST, retention, layers, minimum=minimum, confidence=confidence
    )


def pooled_verdict_chance(
    verdict: IntervalVerdict,
    retention: float,
    layers: Sequence[Layer],
    *,
    minimum: float,
    confidence: float = 0.95,
) -> float:
    """Probability of kept, lost or undecided for a pooled gate, ``confidence`` one-sided.

    An approximation: the pool is taken for one task whose pooled score has the same mean
    and variance, and that task's chance is `verdict_chance`; one layer gives exactly
    that. Within 3 points of simulation where an item weighs alike in all layers. Where
    it weighs 4 to 10 times as much in one as in another, within 5 points when 5 % of the
    answers flip and within 15 when hardly any do; at 50 times it was up to 20 points off.
    Raises ValueError for impossible arguments, or when there are no layers.
    """
    z = _quantile(minimum, confidence)
    held = _nonempty(layers, retention)
    if not held:
        return 1.0 if verdict is IntervalVerdict.UNDECIDED else 0.0
    if verdict is IntervalVerdict.UNDECIDED:
        decided = sum(_chance(outcome, retention, held, minimum, z) for outcome in _DECIDED)
        return max(1.0 - decided, 0.0)
    return _chance(verdict, retention, held, minimum, z)


def pooled_detectable_retention(
    layers: Sequence[Layer], *, minimum: float, confidence: float = 0.95, power: float = 0.8
) -> float | None:
    """The highest retention that a pooled `detect` turns red with probability ``power``.

    By bisection to 1e-6, on the safe (lower) side; None when not even the loss of every
    right answer would. Raises ValueError for impossible arguments.
    """
    z = _quantile(minimum, confidence)
    _check_power(power)
    held = _nonempty(layers, 0.0)

    def red(retention: float) -> bool:
        return _chance(IntervalVerdict.LOST, retention, held, minimum, z) >= power

    if not held or not red(0.0):
        return None
    most = min(
        (1.0 / layer.baseline_accuracy for layer in held if layer.baseline_accuracy > 0.0),
        default=minimum,
    )
    detected, missed = 0.0, min(minimum, most)
    if most < minimum and red(most):
        return most
    while missed - detected > 1e-6:
        middle = (detected + missed) / 2.0
        if red(middle):
            detected = middle
        else:
            missed = middle
    return detected


def pooled_items_needed(
    truth: float,
    layers: Sequence[Layer],
    *,
    minimum: float,
    confidence: float = 0.95,
    power: float = 0.8,
) -> ItemsNeeded:
    """The least items in all layers together for the right verdict with ``power``.

    All layers grow by one factor; ``n`` is capped by the sum of what is available when
    every layer says so. Kept when ``truth`` is at or above the minimum, else lost; none
    at the minimum itself. Raises ValueError for impossible arguments.
    """
    z = _quantile(minimum, confidence)
    _check_power(power)
    held = _nonempty(layers, truth)
    verdict = IntervalVerdict.KEPT if truth >= minimum else IntervalVerdict.LOST
    counts = [layer.available for layer in layers if layer.available is not None]
    available = sum(counts) if len(counts) == len(layers) else None

    def decides(items: int) -> bool:
        whole = sum(layer.n for layer in held)
        grown = [_grown(layer, items / whole) for layer in held]
        return _chance(verdict, truth, grown, minimum, z) >= power

    needed = _least_items(decides) if held and truth != minimum else None
    capped = available is not None and (needed is None or needed > available)
    return ItemsNeeded(needed, available if capped else needed, capped, verdict)


_DECIDED = (IntervalVerdict.KEPT, IntervalVerdict.LOST)


def _chance(
    verdict: IntervalVerdict, retention: float, layers: Sequence[Layer], minimum: float, z: float
) -> float:
    """The chance of the verdict for the equivalent task, with its quantile adapted.

    Where weights are so unequal that one item of a small task weighs like many others,
    the pool's statistic is the more cautious; the quantile grows by as much as that shows
    in the statistics of the expected answers.
    """
    chances = np.array([_outcomes(layer, retention) for layer in layers])
    alike = _equivalent_counts(layers, chances)
    n = float(alike.sum())
    single = float(statistic(tables(*alike), np.asarray(minimum), z, DEFAULT_METHOD))
    pooled = statistic_of(_expected_cells(layers, chances), minimum, z)
    caution = single / pooled if pooled != 0.0 else 1.0
    both, won, lost, _ = alike / n
    rule = Rule(minimum, z * max(caution, 1.0), DEFAULT_METHOD)
    return table_chance(verdict, Truth(both + lost, won, lost), max(round(n), 1), rule)


def _equivalent_counts(layers: Sequence[Layer], chances: FloatArray) -> FloatArray:
    """Expected counts of one task with the same mean and variance of its pooled score.

    An item of it weighs what a flipped item of the pool weighs on average.
    """
    share = np.array([layer.weight / layer.n for layer in layers])
    items = np.array([layer.n for layer in layers], dtype=np.float64)
    flipped = items * (chances[:, 1] + chances[:, 2])
    if not flipped.any():
        flipped = items
    weight = float(share**2 @ flipped) / float(share @ flipped)
    return np.asarray((share * items) @ chances / weight)


def _expected_cells(layers: Sequence[Layer], chances: FloatArray) -> Cells:
    """The expected answers of a pool."""
    share = np.array([layer.weight / layer.n for layer in layers])
    items = np.array([layer.n for layer in layers], dtype=np.float64)
    before = np.outer(share, (1.0, 0.0, 1.0, 0.0))
    after = np.outer(share, (1.0, 1.0, 0.0, 0.0))
    return Cells(
        before=before.ravel(),
        after=after.ravel(),
        size=np.ones(before.size),
        counts=(chances * items[:, None]).ravel(),
        stratum=np.repeat(np.arange(len(layers)), 4),
        items=items,
        typical=share,
        factors=items / np.maximum(items - 1.0, 1.0),
    )


def _outcomes(layer: Layer, retention: float) -> FloatArray:
    """Chances of both right, only the quantized, only the baseline, neither."""
    truth = paired_truth(
        retention, baseline_accuracy=layer.baseline_accuracy, discordance=layer.discordance
    )
    shares = (
        truth.baseline - truth.lost,
        truth.won,
        truth.lost,
        1.0 - truth.baseline - truth.won,
    )
    return np.clip(shares, 0.0, 1.0)


def _grown(layer: Layer, factor: float) -> Layer:
    return Layer(layer.n * factor, layer.baseline_accuracy, layer.discordance, layer.weight)


def _least_items(decides: Callable[[int], bool]) -> int | None:
    high = 8
    while not decides(high):
        high *= 2
        if high > MOST_ITEMS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if decides(middle):
            high = middle
        else:
            low = middle
    return high


def _nonempty(layers: Sequence[Layer], retention: float) -> list[Layer]:
    if not layers:
        raise ValueError("no layers: there is nothing to plan")
    for layer in layers:
        _outcomes(layer, retention)
    return [layer for layer in layers if layer.n > 0.0]


def _quantile(minimum: float, confidence: float) -> float:
    if not 0.0 < minimum < math.inf:
        raise ValueError(f"minimum={minimum!r} must be a finite number above 0")
    return normal_quantile(confidence, 1)


def _check_power(power: float) -> None:
    if not 0.0 < power < 1.0:
        raise ValueError(f"power={power!r} is not between 0 and 1; 4 times in 5 is 0.8")
