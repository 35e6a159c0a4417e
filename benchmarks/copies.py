"""How often gates err where items are copies of each other, by how they are counted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from error_rates import DEFAULT_METHOD, MARGIN, MINIMUM, Setting, score_rule
from numpy.typing import NDArray
from pooled_rates import scores_of

from pytest_quantreg.core.comparison.item_clusters import repetition
from pytest_quantreg.core.stats import Stratum, pooled_retention, pooled_statistic
from pytest_quantreg.core.stats.pooled_intervals import pooled_quantile

ALPHA = 0.05


@dataclass(frozen=True)
class Copied:
    """Distinct items of which some are there several times: ``copies`` says how often each is."""

    name: str
    task: Setting
    copies: tuple[int, ...]

    def draw(self, rng: np.random.Generator) -> tuple[Stratum, Stratum]:
        """One measurement of a model at the minimum: as plain items, and with its units."""
        before, after = scores_of(self.task, MINIMUM, rng)
        order = rng.permutation(before.size)
        before, after = (np.repeat(scores[order], self.copies) for scores in (before, after))
        return Stratum(before, after), Stratum(before, after, clusters=self.units)

    @property
    def units(self) -> list[int]:
        """The number of each item's unit."""
        return np.repeat(np.arange(len(self.copies)), self.copies).tolist()


def scenarios() -> list[Copied]:
    """Whole sets repeated, a few items that are there often, and a handful of duplicates."""
    sets = [
        Copied(
            f"{n} items {k} times, accuracy {p}, flips {flips:.0%}", Setting(n, p, flips), (k,) * n
        )
        for n, k in ((60, 20), (250, 2), (250, 5), (1000, 3))
        for p, flips in ((0.5, 0.10), (0.75, 0.05), (0.75, 0.15), (0.95, 0.05))
    ]
    repeated_setting = Setting(951, 0.75, 0.05)
    sets.append(Copied("950 items, and one 50 times", repeated_setting, (50, *(1,) * 950)))
    uneven = tuple(1 + (at % 10 == 0) * 9 for at in range(500))
    sets.append(Copied("500 items, every tenth 10 times", Setting(500, 0.75, 0.05), uneven))
    worse = tuple(1 + (at % 25 == 0) * 24 for at in range(500))
    sets.append(Copied("500 items, every 25th 25 times", Setting(500, 0.75, 0.05), worse))
    few = (2, 2, 2, *(1,) * 994)
    sets.append(Copied("997 items, 3 of them twice", Setting(997, 0.75, 0.05), few))
    return sets


def verdict(*strata: Stratum) -> tuple[bool, bool]:
    """(lost, kept): where every one of the strata, each taken alone, says so."""
    verdicts = []
    for stratum in strata:
        quantile = pooled_quantile([stratum], 1.0 - ALPHA, 1)
        score = pooled_statistic([stratum], MINIMUM, quantile)
        verdicts.append((score < -quantile, score > quantile))
    return all(lost for lost, _ in verdicts), all(kept for _, kept in verdicts)


def rates(scenario: Copied, draws: int, seed: int) -> NDArray[np.float64]:
    """False alarms and false passes: as items, as clusters, thinned, and as gates count."""
    rng = np.random.default_rng(seed)
    counts = np.zeros(8)
    rule = score_rule(DEFAULT_METHOD)
    for _ in range(draws):
        plain, clustered = scenario.draw(rng)
        before, after = plain.scores
        table = np.array([[before @ after], [(1 - before) @ after], [before @ (1 - after)], [0]])
        table[3] = plain.n - table.sum()
        lost, kept = rule(table.astype(np.int64), ALPHA)
        thinned = Stratum(before, after, repetition=repetition(scenario.units))
        counts += (
            *(lost[0], kept[0]),
            *verdict(clustered),
            *verdict(thinned),
            *verdict(clustered, thinned),
        )
    return counts / draws


def widened(seed: int) -> str:
    """What a handful of duplicates does to the bounds."""
    scenario = scenarios()[-1]
    plain, clustered = scenario.draw(np.random.default_rng(seed))
    thinned = Stratum(*plain.scores, repetition=repetition(scenario.units))
    bounds = [pooled_retention([stratum], sides=1) for stratum in (plain, clustered, thinned)]
    low, high = min(interval.low for interval in bounds), max(interval.high for interval in bounds)
    return (
        f"{scenario.name}: {bounds[0].low:.5f} to {bounds[0].high:.5f} as items, "
        f"{low:.5f} to {high:.5f} as gates count"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; 1 when units err more often than they may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=4_000, help="per line")
    parser.add_argument("--seed", type=int, default=20_260_101)
    options = parser.parse_args(argv)
    print(f"Truth at the minimum {MINIMUM}, 95 %; {options.draws:,} draws per line.\n")
    ways = ("as items", "as clusters", "thinned", "gates: both")
    print(" ".join(f"{way:^17}" for way in (f"{'':46}", *ways)))
    print(f"{'':46}" + f" {'alarms':>8} {'passes':>8}" * len(ways))
    missed = False
    limit = ALPHA + MARGIN + 3.0 * (ALPHA * (1.0 - ALPHA) / options.draws) ** 0.5
    for at, scenario in enumerate(scenarios()):
        errors = rates(scenario, options.draws, options.seed + at)
        missed |= bool(max(errors[-2:]) > limit)
        print(f"{scenario.name:46} " + " ".join(f"{rate:8.2%}" for rate in errors), flush=True)
    print(f"\n{widened(options.seed)}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
