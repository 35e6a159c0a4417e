"""What a gate can see: power, the smallest visible loss, and the items that decide."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtri

from .intervals import IntervalVerdict
from .planning_model import Grid, Rule, Truth, paired_truth
from .score import DEFAULT_METHOD, Method, normal_quantile, tables

MOST_ITEMS = 10**9
"""Beyond this many items a plan says "never"."""


@dataclass(frozen=True)
class ItemsNeeded:
    """How many items until the gate decides.

    ``needed`` is None when no number of items (below a billion) will do. ``n`` is
    ``needed`` or all that are available, whichever is less; ``capped`` says that what is
    available is not enough. ``verdict`` is the right answer the count is for.
    """

    needed: int | None
    n: int | None
    capped: bool
    verdict: IntervalVerdict


def detection_power(
    retention: float,
    *,
    n: int,
    baseline_accuracy: float,
    discordance: float,
    minimum: float,
    confidence: float = 0.95,
    method: Method = DEFAULT_METHOD,
) -> float:
    """Probability that `detect` turns red for a model truly at ``retention``.

    The truth is that of `planning_model.paired_truth`, ``confidence`` is one-sided. A sum over
    the tables of n items, not a normal approximation. At ``retention == minimum`` it is
    the false-alarm rate. Raises ValueError for impossible arguments.
    """
    return verdict_chance(
        IntervalVerdict.LOST,
        retention,
        n=n,
        baseline_accuracy=baseline_accuracy,
        discordance=discordance,
        minimum=minimum,
        confidence=confidence,
        method=method,
    )


def verdict_chance(
    verdict: IntervalVerdict,
    retention: float,
    *,
    n: int,
    baseline_accuracy: float,
    discordance: float,
    minimum: float,
    confidence: float = 0.95,
    method: Method = DEFAULT_METHOD,
) -> float:
    """Probability of a verdict, kept, lost or undecided, as in `detection_power`."""
    rule = _rule(n, minimum, confidence, method)
    truth = paired_truth(retention, baseline_accuracy=baseline_accuracy, discordance=discordance)
    if verdict is IntervalVerdict.UNDECIDED:
        decided = sum(
            table_chance(v, truth, n, rule) for v in (IntervalVerdict.KEPT, IntervalVerdict.LOST)
        )
        return max(1.0 - decided, 0.0)
    return table_chance(verdict, truth, n, rule)


def detectable_retention(
    *,
    n: int,
    baseline_accuracy: float,
    discordance: float,
    minimum: float,
    confidence: float = 0.95,
    power: float = 0.8,
    method: Method = DEFAULT_METHOD,
) -> float | None:
    """The highest retention that `detect` would have turned red, with probability ``power``.

    Found by bisection to 1e-6, on the safe (lower) side. None when even a model that
    lost every right answer would more often pass. Raises ValueError for impossible
    arguments.
    """
    _check_power(power)
    rule = _rule(n, minimum, confidence, method)
    grids: dict[float, Grid] = {}

    def red(retention: float) -> float:
        truth = paired_truth(
            retention, baseline_accuracy=baseline_accuracy, discordance=discordance
        )
        if truth.won not in grids:
            grids[truth.won] = Grid(n, truth.baseline, truth.won, rule, IntervalVerdict.LOST)
        return grids[truth.won].chance(truth.lost, truth.baseline)

    if n == 0 or red(0.0) < power:
        return None
    detected, missed = 0.0, minimum
    if baseline_accuracy * minimum > 1.0:
        missed = 1.0 / baseline_accuracy
        if red(missed) >= power:
            return missed
    while missed - detected > 1e-6:
        middle = (detected + missed) / 2.0
        if red(middle) >= power:
            detected = middle
        else:
            missed = middle
    return detected


def items_needed(
    *,
    truth: float,
    baseline_accuracy: float,
    discordance: float,
    minimum: float,
    confidence: float = 0.95,
    power: float = 0.8,
    available: int | None = None,
    method: Method = DEFAULT_METHOD,
) -> ItemsNeeded:
    """Items until the gate decides rightly with ``power``, for a model truly at ``truth``.

    Rightly is `kept` for a truth above the minimum (1.0: lossless) and `lost` below it;
    a truth that equals the minimum is never decided. Counts being whole, power rises
    with n in small steps back and forth: the count returned has the power, and it is
    the least to within those steps. Raises ValueError for impossible arguments.
    """
    _check_power(power)
    rule = _rule(1, minimum, confidence, method)
    if available is not None and available < 0:
        raise ValueError(f"available={available!r} is not a number of items")
    cells = paired_truth(truth, baseline_accuracy=baseline_accuracy, discordance=discordance)
    verdict = IntervalVerdict.KEPT if truth >= minimum else IntervalVerdict.LOST
    needed = _least_items(verdict, cells, rule, power) if truth != minimum else None
    capped = available is not None and (needed is None or needed > available)
    return ItemsNeeded(needed, available if capped else needed, capped, verdict)


def can_turn_red(
    right: int,
    wrong: int,
    *,
    minimum: float,
    confidence: float = 0.95,
    method: Method = DEFAULT_METHOD,
) -> bool:
    """Whether the gate would be lost if every right baseline answer were lost."""
    rule = _rule(0, minimum, confidence, method)
    return bool(rule.rejects(IntervalVerdict.LOST, tables(0, 0, right, wrong)))


def _least_items(verdict: IntervalVerdict, truth: Truth, rule: Rule, power: float) -> int | None:
    if truth.baseline == 0.0:
        return None
    # First guess: the normal approximation at the truth.
    m = rule.minimum
    gap = truth.baseline * (1.0 - m) + truth.won - truth.lost
    both = truth.baseline - truth.lost
    spread = both * (1.0 - m) ** 2 + truth.won + truth.lost * m * m - gap * gap
    guess = ((rule.z + float(ndtri(power))) / gap) ** 2 * max(spread, 0.0)
    if not guess < MOST_ITEMS:
        return None
    low, high = 0, max(8, math.ceil(guess))
    while table_chance(verdict, truth, high, rule) < power:
        low, high = high, 2 * high
        if high > MOST_ITEMS:
            return None
    if low == 0:
        low = max(high // 2, 0)
        while low > 0 and table_chance(verdict, truth, low, rule) >= power:
            low, high = low // 2, low
    while high - low > 1:
        middle = (low + high) // 2
        if table_chance(verdict, truth, middle, rule) >= power:
            high = middle
        else:
            low = middle
    return high


def table_chance(verdict: IntervalVerdict, truth: Truth, n: int, rule: Rule) -> float:
    """Probability of a verdict over the tables of n items."""
    if n == 0:
        return 0.0
    return Grid(n, truth.baseline, truth.won, rule, verdict).chance(truth.lost, truth.baseline)


def _rule(n: int, minimum: float, confidence: float, method: Method) -> Rule:
    if n < 0:
        raise ValueError(f"n={n!r} is not a number of items")
    if not 0.0 < minimum < math.inf:
        raise ValueError(f"minimum={minimum!r} must be a finite number above 0")
    return Rule(minimum, normal_quantile(confidence, 1), method)


def _check_power(power: float) -> None:
    if not 0.0 < power < 1.0:
        raise ValueError(f"power={power!r} is not between 0 and 1; 4 times in 5 is 0.8")
