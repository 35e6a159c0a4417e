"""How gates err and see when a model run twice answers differently, by number of baseline runs."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from error_rates import ALPHAS, MARGIN, MINIMUM
from numpy.typing import NDArray
from pooled_rates import verdict, verdicts

from pytest_quantreg.core.stats import Stratum, rerun_noise

AMBIGUOUS = 0.11
"""Items that every run of either model has right with probability 1/2, anew each time."""

RUNS = (1, 2, 3, 5)
TRUTHS = (1.0, 0.96, 0.94)
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Noisy:
    """``accuracy`` is the mean of baseline runs, ``flips`` a lossless model's lasting changes.

    ``shift`` moves whole runs, the candidate's too: all ambiguous items of one are right
    with probability 1/2 + shift or 1/2 - shift. It is what one baseline run cannot show.
    """

    n: int
    accuracy: float
    flips: float
    shift: float = 0.0

    def draw(self, retention: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Scores of the most baseline runs, one row each, and of one candidate run."""
        kind = rng.random(self.n)
        sure = self.accuracy - AMBIGUOUS / 2.0
        right, ambiguous = kind < sure, kind >= 1.0 - AMBIGUOUS
        wrong = ~(right | ambiguous)
        lost = self.flips / 2.0 + self.accuracy * (1.0 - retention)
        flipped = rng.random(self.n)
        candidate = right & (flipped >= lost / sure)
        candidate |= wrong & (flipped < self.flips / 2.0 / (1.0 - sure - AMBIGUOUS))
        luck = 0.5 + rng.choice((-1.0, 1.0), max(RUNS) + 1) * self.shift
        runs = right | (ambiguous & (rng.random((max(RUNS), self.n)) < luck[1:, None]))
        candidate |= ambiguous & (rng.random(self.n) < luck[0])
        return runs.astype(float), candidate.astype(float)

    def __str__(self) -> str:
        shift = f" shift={self.shift:.0%}" if self.shift else ""
        return f"n={self.n} accuracy={self.accuracy} flips={self.flips:.0%}{shift}"


def stratum(runs: Floats, candidate: Floats) -> Stratum:
    """What a gate makes of so many baseline runs."""
    if len(runs) == 1:
        return Stratum(runs[0], candidate)
    excess = rerun_noise(runs).excess
    return Stratum(runs.mean(axis=0), candidate, runs=len(runs), excess=excess)


@dataclass(frozen=True)
class Rates:
    """By number of runs: (false alarms, false passes) per alpha; (red, green) per truth at 95 %."""

    name: str
    draws: int
    errors: dict[int, Floats]
    powers: dict[int, Floats]

    def misses(self) -> list[str]:
        """Error rates above the target, and powers below that of one run, beyond chance."""
        lines_ = []
        for runs, errors in self.errors.items():
            for alpha, pair in zip(ALPHAS, errors, strict=True):
                reach = 3.0 * math.sqrt(alpha * (1.0 - alpha) / self.draws)
                if pair.max() > alpha + MARGIN + reach:
                    lines_.append(f"{self.name}, {runs} runs: {pair.max():.2%} at {alpha:.2%}")
        for runs, powers in self.powers.items():
            lossless, *lossy = powers - self.powers[1]
            # The same draws with fewer runs: differences scatter less than two samples would.
            reach = 3.0 * math.sqrt(0.25 / self.draws)
            gains = [lossless[1], *(gain[0] for gain in lossy)]
            if min(gains) < -reach:
                lines_.append(f"{self.name}, {runs} runs: power {min(gains):+.1%} against one run")
        return lines_


def rates(setting: Noisy, draws: int, seed: int) -> Rates:
    """One block of the table."""
    rng = np.random.default_rng(seed)
    errors = {runs: np.zeros((len(ALPHAS), 2)) for runs in RUNS}
    powers = {runs: np.zeros((len(TRUTHS), 2)) for runs in RUNS}
    for _ in range(draws):
        scores, candidate = setting.draw(MINIMUM, rng)
        for runs in RUNS:
            errors[runs] += verdicts([stratum(scores[:runs], candidate)])
    for i, truth in enumerate(TRUTHS):
        for _ in range(draws):
            scores, candidate = setting.draw(truth, rng)
            for runs in RUNS:
                powers[runs][i] += verdict([stratum(scores[:runs], candidate)], 0.05)
    return Rates(
        str(setting),
        draws,
        {runs: count / draws for runs, count in errors.items()},
        {runs: count / draws for runs, count in powers.items()},
    )


def lines(result: Rates) -> list[str]:
    """A line per number of runs."""
    shown = []
    for runs, errors in result.errors.items():
        powers = result.powers[runs]
        figures = [*errors[:, 0], *errors[:, 1], powers[0][1], *(power[0] for power in powers[1:])]
        name = result.name if runs == RUNS[0] else ""
        shown.append(f"{name:41} {runs:4} " + " ".join(f"{x:7.2%}" for x in figures))
    return shown


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; 1 when an error rate or a power misses its target beyond chance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10_000, help="per line and truth")
    parser.add_argument("--quick", action="store_true", help="200 draws")
    parser.add_argument("--seed", type=int, default=20_260_101)
    parser.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 2))
    options = parser.parse_args(argv)
    draws = 200 if options.quick else options.draws
    start = time.perf_counter()
    settings = [Noisy(n, p, d) for n in (250, 1319) for p in (0.5, 0.75, 0.9) for d in (0.0, 0.04)]
    settings += [Noisy(1319, 0.75, 0.04, shift) for shift in (0.05, 0.1)]
    seeds = [options.seed + i for i in range(len(settings))]
    with ProcessPoolExecutor(options.workers) as workers:
        results = list(workers.map(rates, settings, [draws] * len(settings), seeds))
    print(f"{AMBIGUOUS:.0%} of the items are a coin toss in every run of either model; the")
    print(
        f"candidate runs once. {draws:,} draws per truth; errors at the minimum {MINIMUM}, the rest"
    )
    print("at 95 %. shift: whole runs are lucky or not (no target).\n")
    heads = " ".join(f"{alpha:7.2%}" for alpha in ALPHAS)
    print(f"{'':41} {'':4} {'false alarms':>15} {'false passes':>15} {'kept at':>7} red at")
    truths = " ".join(f"{truth:7.2f}" for truth in TRUTHS)
    print(f"{'':41} runs {heads} {heads} {truths}")
    for result in results:
        print("\n".join(lines(result)))
    # No gate is promised to see through runs that shift as a whole; the lines show how far off.
    held = [result for result, setting in zip(results, settings, strict=True) if not setting.shift]
    misses = [miss for result in held for miss in result.misses()]
    print("\n" + ("\n".join(misses) if misses else "No target missed."))
    print(f"\n{time.perf_counter() - start:.0f} s")
    return int(bool(misses))


if __name__ == "__main__":
    sys.exit(main())
