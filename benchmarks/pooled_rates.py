"""How often pooled gates and gates on mean scores err at their boundary, and what they see."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

import numpy as np
from error_rates import ALPHAS, MARGIN, MINIMUM, Setting, score_rule
from numpy.typing import NDArray

from pytest_quantreg.core.stats import DEFAULT_METHOD, Stratum, normal_quantile, pooled_statistic

TRUTHS = (1.0, 0.99, 0.97, 0.96, 0.94)
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Pool:
    """Tasks of right and wrong answers, gated as one; all weights alike, or the sizes."""

    name: str
    tasks: tuple[Setting, ...]
    by_size: bool = False
    shown: bool = True
    """Whether its power is shown too."""

    def draw(self, retention: float, rng: np.random.Generator) -> list[Stratum]:
        """Every task at this true retention."""
        return [
            Stratum(*scores_of(task, retention, rng), weight=task.n if self.by_size else 1.0)
            for task in self.tasks
        ]


@dataclass(frozen=True)
class Sampled:
    """One task whose score per item is the mean of ``answers`` sampled answers.

    An item's chance of a right answer is drawn from Beta(1/2, 1/2) scaled to the
    accuracy, so many items are nearly certain; ``shift`` moves the quantized model's
    chance to and fro, item by item.
    """

    name: str
    n: int
    answers: int
    shift: float
    shown: bool = True

    def draw(self, retention: float, rng: np.random.Generator) -> list[Stratum]:
        """The task at this true retention."""
        chance = rng.beta(1.5, 0.5, self.n)
        room = np.minimum(chance, 1.0 - chance)
        moved = chance + self.shift * room * rng.choice((-1.0, 1.0), self.n)
        before, after = (rng.binomial(self.answers, p) for p in (chance, moved * retention))
        return [Stratum(before / self.answers, after / self.answers)]


Scenario: TypeAlias = Pool | Sampled


def scores_of(task: Setting, retention: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """0/1 scores of both models; the order of items means nothing."""
    cells = task.draw(retention, 1, rng)[:, 0]
    before = np.repeat((1.0, 0.0, 1.0, 0.0), cells)
    after = np.repeat((1.0, 1.0, 0.0, 0.0), cells)
    return before, after


def scenarios() -> list[Scenario]:
    """Pools of alike and of mixed tasks, a group of 57 subtasks, sampled answers."""
    sizes = [100 + 25 * (i % 13) + (1_100 if i == 40 else 0) for i in range(57)]
    pools: list[Scenario] = []
    for n in (250, 1319):
        for flips, p in product((0.005, 0.02, 0.05, 0.15), (0.25, 0.75, 0.95)):
            name = f"4 tasks of {n}, accuracy {p}, flips {flips:.1%}"
            pools.append(Pool(name, (Setting(n, p, flips),) * 4, shown=(p, flips) == (0.75, 0.05)))
        mixed = zip((0.25, 0.5, 0.75, 0.95), (0.15, 0.02, 0.05, 0.01), strict=True)
        pools.append(Pool(f"4 mixed tasks of {n}", tuple(Setting(n, p, d) for p, d in mixed)))
    for flips in (0.01, 0.05):
        group = tuple(Setting(n, 0.4 + 0.01 * i, flips) for i, n in enumerate(sizes))
        pools.append(Pool(f"group of 57, {sum(sizes):,} items, flips {flips:.0%}", group, True))
        small = tuple(Setting(100, 0.4 + 0.01 * i, flips) for i in range(57))
        pools.append(Pool(f"57 tasks of 100, flips {flips:.0%}", small))
    pools += [
        Sampled(f"5 sampled answers, {n} items, shift {shift}", n, 5, shift)
        for n in (50, 250, 1319)
        for shift in (0.0, 0.3)
    ]
    return pools


@dataclass(frozen=True)
class Rates:
    """Shares of red `detect` and green `certify` builds, for truths at ``MINIMUM`` or ``TRUTHS``.

    ``false_red`` and ``false_green`` hold one rate per alpha, the others one per truth at
    95 %; ``any_red`` and ``all_green`` are of a gate per task instead, empty for one task.
    """

    name: str
    draws: int
    false_red: tuple[float, ...]
    false_green: tuple[float, ...]
    red: tuple[float, ...]
    green: tuple[float, ...]
    any_red: tuple[float, ...] = ()
    all_green: tuple[float, ...] = ()

    def missed(self) -> bool:
        """Whether an error rate exceeds the target by more than three standard errors."""
        return any(
            rate > alpha + MARGIN + 3.0 * math.sqrt(alpha * (1.0 - alpha) / self.draws)
            for rates in (self.false_red, self.false_green)
            for rate, alpha in zip(rates, ALPHAS, strict=True)
        )


def verdict(strata: Sequence[Stratum], alpha: float) -> tuple[bool, bool]:
    """(lost, kept): where the minimum lies to the interval of `pooled_retention`."""
    z = normal_quantile(1.0 - alpha, 1)
    score = pooled_statistic(strata, MINIMUM, z)
    return score < -z, score > z


def verdicts(strata: Sequence[Stratum]) -> list[tuple[bool, bool]]:
    """`verdict` at every alpha, the largest first.

    What is undecided at 95 % is not asked again at 99.75 %: intervals only widen.
    """
    outcomes: list[tuple[bool, bool]] = []
    for alpha in ALPHAS:
        undecided = bool(outcomes) and not any(outcomes[-1])
        outcomes.append((False, False) if undecided else verdict(strata, alpha))
    return outcomes


def rates(scenario: Scenario, draws: int, seed: int) -> Rates:
    """One line of the first table, and of the second where it is shown."""
    rng = np.random.default_rng(seed)
    errors = np.zeros((len(ALPHAS), 2))
    for _ in range(draws):
        errors += verdicts(scenario.draw(MINIMUM, rng))
    powers = np.zeros((len(TRUTHS) if scenario.shown else 0, 2))
    few = max(draws // 20, 200)
    for truth, count in zip(TRUTHS, powers, strict=False):
        for _ in range(few):
            count += verdict(scenario.draw(truth, rng), 0.05)
    result = Rates(
        scenario.name,
        draws,
        tuple(errors[:, 0] / draws),
        tuple(errors[:, 1] / draws),
        tuple(powers[:, 0] / few),
        tuple(powers[:, 1] / few),
    )
    if isinstance(scenario, Pool) and scenario.shown:
        red, green = apart(scenario, draws, rng)
        return replace(result, any_red=red, all_green=green)
    return result


def apart(
    scenario: Pool, draws: int, rng: np.random.Generator
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """A gate per task instead of one for all: any of them red, all of them green."""
    gate = score_rule(DEFAULT_METHOD)
    red, green = [], []
    for truth in TRUTHS:
        verdicts = [gate(task.draw(truth, draws, rng), 0.05) for task in scenario.tasks]
        red.append(float(np.any([lost for lost, _ in verdicts], axis=0).mean()))
        green.append(float(np.all([kept for _, kept in verdicts], axis=0).mean()))
    return tuple(red), tuple(green)


def boundary_line(result: Rates) -> str:
    """Error rates at the minimum."""
    shown = " ".join(f"{rate:8.2%}" for rate in (*result.false_red, *result.false_green))
    return f"{result.name:46} {shown}" + ("  MISSED" if result.missed() else "")


def power_lines(result: Rates) -> list[str]:
    """Red and green builds of the pooled gate, and of a gate per task."""
    shown = {
        "pooled, red": result.red,
        "any task red": result.any_red,
        "pooled, green": result.green,
        "all tasks green": result.all_green,
    }
    return [
        f"{result.name if i == 0 else '':46} {label:15} " + " ".join(f"{x:7.1%}" for x in shares)
        for i, (label, shares) in enumerate((w, s) for w, s in shown.items() if s)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the tables; 1 when an error rate misses the target beyond chance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10_000, help="at the boundary, per line")
    parser.add_argument("--quick", action="store_true", help="400 draws")
    parser.add_argument("--seed", type=int, default=20_260_101)
    parser.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 2))
    options = parser.parse_args(argv)
    draws = 400 if options.quick else options.draws
    start = time.perf_counter()
    all_scenarios = scenarios()
    seeds = [options.seed + i for i in range(len(all_scenarios))]
    with ProcessPoolExecutor(options.workers) as workers:
        results = list(workers.map(rates, all_scenarios, [draws] * len(all_scenarios), seeds))
    print(
        f"Truth at the minimum {MINIMUM}; {draws:,} draws per line, a twentieth for other truths."
    )
    print(f"Target: at most alpha + {MARGIN:.0%}.\n")
    heads = " ".join(f"{alpha:8.2%}" for alpha in ALPHAS)
    print(f"{'':46} {'false alarms at':^17} {'false passes at':^17}")
    print(f"{'':46} {heads} {heads}")
    print("\n".join(boundary_line(result) for result in results))
    print("\nBuilds at 95 % by true retention")
    print(f"{'':62} " + " ".join(f"{truth:7.2f}" for truth in TRUTHS))
    for result in results:
        if result.red:
            print("\n".join(power_lines(result)))
    print(f"\n{time.perf_counter() - start:.0f} s")
    return int(any(result.missed() for result in results))


if __name__ == "__main__":
    sys.exit(main())
