"""What the items on which two models disagree say: McNemar's test and planning shares."""

from __future__ import annotations

from typing import NamedTuple

from . import binomial
from .counts import PairedCounts
from .intervals import wilson


class Flips(NamedTuple):
    """The share of items on which two models disagree, and its bounds; NaN without items."""

    share: float
    low: float
    high: float


def flips(
    both: int,
    quantized_only: int,
    baseline_only: int,
    neither: int,
    *,
    confidence: float = 0.95,
    sides: int = 2,
) -> Flips:
    """The share of changed answers with its Wilson interval; ``sides`` as in `wilson`.

    Raises ValueError for negative counts or an impossible confidence.
    """
    counts = PairedCounts(both, quantized_only, baseline_only, neither)
    changed = quantized_only + baseline_only
    low, high = wilson(changed, counts.n, confidence=confidence, sides=sides)
    return Flips(counts.flips, low, high)


def mcnemar(quantized_only: int, baseline_only: int) -> float:
    """Exact two-sided p of equal accuracies (McNemar 1947, binomial form).

    Twice the smaller tail of Binomial(won + lost, 1/2), at most 1; 1 without flips.
    Raises ValueError for negative counts.
    """
    if min(quantized_only, baseline_only) < 0:
        raise ValueError(f"{min(quantized_only, baseline_only)} is not a count of items")
    flips = quantized_only + baseline_only
    tail = float(binomial.at_most(min(quantized_only, baseline_only), flips, 0.5))
    return min(1.0, 2.0 * tail)


def planning_discordance(
    counts: PairedCounts, *, default: float, confidence: float = 0.95
) -> float:
    """The share of flips to plan with: the one-sided upper Wilson bound of the observed one.

    ``default`` (the scheme's own) when nothing flipped, or there are no items: no flip
    in a small sample says little, and a bound that shrinks with n would promise power
    that nobody has seen.
    """
    flips = counts.quantized_only + counts.baseline_only
    if flips == 0:
        return default
    return wilson(flips, counts.n, confidence=confidence, sides=1).high
