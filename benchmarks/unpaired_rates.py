"""How often bounds made of totals alone are wrong, and what every item's score would have bought.

Prints two tables. The first simulates two models that answer the same items with independent
answers, the worst case the interval is made for, and counts how often each one-sided 95 % bound
lies on the wrong side of the truth. The second lets them flip as real models do: the bounds of
totals are then wrong hardly ever, and much wider than those of paired answers.

    python benchmarks/unpaired_rates.py [PAIRS]
"""

from __future__ import annotations

import sys
from functools import cache

import numpy as np

from pytest_quantreg.core.stats import Shares, retention_interval, unpaired_retention

CASES = ((164, 0.96), (250, 0.60), (541, 0.30), (600, 0.97), (700, 0.84), (1319, 0.78))
TRUTHS = (1.0, 0.98, 0.90)
FLIPS = 0.05


@cache
def bounds(x0: int, x1: int, n: int) -> tuple[float, float]:
    """One-sided 95 % bounds of two totals on ``n`` items each."""
    return unpaired_retention([Shares(x0, n, x1, n)], confidence=0.95, sides=1)


def independent(pairs: int, rng: np.random.Generator) -> None:
    """The first table."""
    print("independent answers: wrong bounds, per cent (5 is promised)")
    print(f"{'items':>6} {'right':>6} {'truth':>6} {'lower':>7} {'upper':>7}")
    for n, share in CASES:
        for truth in TRUTHS:
            drawn = rng.binomial(n, [[share], [share * truth]], (2, pairs)).T.tolist()
            intervals = np.array([bounds(a, b, n) for a, b in drawn])
            low, high = np.mean(intervals[:, 0] > truth), np.mean(intervals[:, 1] < truth)
            print(f"{n:6,} {share:6.2f} {truth:6.2f} {low * 100:7.1f} {high * 100:7.1f}")


def paired(pairs: int, rng: np.random.Generator) -> None:
    """The second table: a lossless model that flips 5 % of its answers, half of them each way."""
    print(f"\nthe same items, {FLIPS * 100:.0f} % flips, lossless: how often either of the two")
    print("bounds is wrong, per cent (10 is promised), and their mean distance")
    print(f"{'items':>6} {'right':>6} {'totals':>8} {'width':>7} {'paired':>8} {'width':>7}")
    for n, share in CASES:
        flips = min(FLIPS, 0.6 * min(share, 1 - share))
        cells = [share - flips / 2, flips / 2, flips / 2, 1 - share - flips / 2]
        tables = rng.multinomial(n, cells, pairs)
        totals = np.array([bounds(int(a + c), int(a + b), n) for a, b, c, _ in tables])
        pairwise = np.array([retention_interval(*map(int, table), sides=1) for table in tables])
        shown = []
        for intervals in (totals, pairwise):
            wrong = np.mean((intervals[:, 0] > 1.0) | (intervals[:, 1] < 1.0))
            shown.append(f"{wrong * 100:8.1f} {np.mean(intervals[:, 1] - intervals[:, 0]):7.3f}")
        print(f"{n:6,} {share:6.2f} {shown[0]} {shown[1]}")


def main() -> None:
    """Prints both tables."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    rng = np.random.default_rng(20261121)
    independent(pairs, rng)
    paired(min(pairs, 1000), rng)


if __name__ == "__main__":
    main()
