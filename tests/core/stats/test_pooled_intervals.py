"""Pooled retention: one task as before, several as strata, and errors within their promise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from pytest_quantreg.core.stats import (
    Stratum,
    Support,
    mean_ratio_interval,
    normal_quantile,
    paired_truth,
    pooled_estimate,
    pooled_quantile,
    pooled_retention,
    pooled_statistic,
    rerun_noise,
    retention_interval,
    score_statistic,
    support,
)
from pytest_quantreg.core.stats.score import FloatArray

MINIMUM = 0.98
TABLES = [
    (180, 4, 6, 60),
    (100, 0, 0, 20),
    (60, 30, 2, 5),
    (900, 20, 45, 354),
    (0, 8, 0, 3),
    (0, 0, 8, 3),
    (1, 0, 0, 0),
    (0, 0, 0, 9),
    (3, 1, 0, 2),
]


def _task(both: int, won: int, lost: int, neither: int) -> tuple[FloatArray, FloatArray]:
    before = np.repeat([1.0, 0.0, 1.0, 0.0], [both, won, lost, neither])
    return before, np.repeat([1.0, 1.0, 0.0, 0.0], [both, won, lost, neither])


@pytest.mark.parametrize("cells", TABLES)
@pytest.mark.parametrize("sides", [1, 2])
def test_one_task_of_right_and_wrong_is_the_plain_interval(
    cells: tuple[int, int, int, int], sides: int
) -> None:
    """One stratum of 0/1 scores gives exactly the bounds of its counts, whatever its weight."""
    stratum = Stratum(*_task(*cells), weight=3.7)
    assert pooled_retention([stratum], sides=sides) == retention_interval(*cells, sides=sides)
    again = Stratum(*_task(*cells), runs=4)
    assert pooled_retention([again], sides=sides) == retention_interval(*cells, sides=sides)


@pytest.mark.parametrize("cells", TABLES)
@pytest.mark.parametrize("ratio", [0.3, 0.98, 1.0, 2.5])
@pytest.mark.parametrize("confidence", [0.9, 0.9975])
def test_the_general_statistic_is_the_score_statistic_of_paired_proportions(
    cells: tuple[int, int, int, int], ratio: float, confidence: float
) -> None:
    """Empirical likelihood with its extremes reproduces Tang and its correction on 0/1."""
    statistic = pooled_statistic(
        [Stratum(*_task(*cells))], ratio, normal_quantile(confidence, sides=1)
    )
    assert statistic == pytest.approx(float(score_statistic(*cells, ratio, confidence=confidence)))


def test_tasks_alike_pool_to_nearly_one_large_task() -> None:
    """57 equal tasks as strata have the bounds of all their items together."""
    strata = [Stratum(*_task(70, 3, 3, 30)) for _ in range(57)]
    whole = retention_interval(70 * 57, 3 * 57, 3 * 57, 30 * 57)
    assert pooled_retention(strata) == pytest.approx(whole, rel=1e-4)


def test_the_estimate_weighs_tasks_not_items() -> None:
    """A small task counts as much as a large one of the same weight."""
    small, large = Stratum([1, 1], [1, 0]), Stratum([1.0] * 100, [1.0] * 100)
    assert pooled_estimate([small, large]) == 0.75
    assert pooled_estimate([Stratum([1, 1], [1, 0], weight=3), large]) == 0.625
    low, high = pooled_retention([small, large])
    assert low < 0.75 < high
    assert pooled_estimate([Stratum([0], [1])]) == math.inf
    assert math.isnan(pooled_estimate([Stratum([0], [0])]))


def test_what_differs_between_tasks_is_no_noise() -> None:
    """Two tasks that lost 0 and 40 % for certain pool as narrowly as two that lost 20 %."""
    uneven = [Stratum(*_task(1000, 0, 0, 0)), Stratum(*_task(600, 0, 400, 0))]
    even = [Stratum(*_task(800, 0, 200, 0)), Stratum(*_task(800, 0, 200, 0))]
    first, second = pooled_retention(uneven), pooled_retention(even)
    assert pooled_estimate(uneven) == pooled_estimate(even) == 0.8
    assert first.high - first.low < second.high - second.low


def test_no_flips_claim_no_certainty() -> None:
    """Without a changed answer the bounds are z^2 whole answers away, as for one task."""
    before = np.repeat([1.0, 0.0], [75, 25])
    low, high = pooled_retention([Stratum(before, before)] * 4, sides=1)
    z = normal_quantile(0.95, 1)
    assert low == pytest.approx(300 / (300 + z * z), rel=1e-3)
    assert high == pytest.approx((300 + z * z) / 300, rel=1e-3)


def test_many_scores_of_many_values_give_the_interval_of_fieller() -> None:
    """With a thousand smooth scores the score interval and Fieller's agree."""
    rng = np.random.default_rng(6)
    before = rng.random(1319)
    after = np.clip(before + rng.normal(0, 0.1, 1319), 0, 1)
    interval = pooled_retention([Stratum(before, after)])
    fieller = mean_ratio_interval(before, after)
    assert interval == pytest.approx(fieller, abs=0.03 * (fieller.high - fieller.low))


def test_clusters_that_change_together_widen_it() -> None:
    """Five answers lost with each of ten passages are ten losses, not fifty."""
    before = np.ones(500)
    after = np.where(np.arange(500) % 50 < 5, 0.0, 1.0)
    names = np.where(after == 0.0, np.arange(500) // 50, 10 + np.arange(500) % 98)
    apart = pooled_retention([Stratum(before, after)])
    together = pooled_retention([Stratum(before, after, clusters=names)])
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_clusters_take_student_and_items_the_normal_quantile() -> None:
    """20 equal clusters have 19 degrees of freedom; unequal ones count as fewer."""
    ones = np.ones(100)
    equal = Stratum(ones, ones, clusters=np.arange(100) // 5)
    assert pooled_quantile([equal], 0.95, 1) == pytest.approx(1.7291, abs=1e-4)
    assert pooled_quantile([equal, equal], 0.95, 1) == pytest.approx(1.6860, abs=1e-4)
    assert pooled_quantile([Stratum(ones, ones)], 0.95, 1) == normal_quantile(0.95, 1)
    unequal = Stratum(ones, ones, clusters=np.minimum(np.arange(100), 19))
    assert pooled_quantile([unequal], 0.95, 1) > 3
    assert pooled_retention([Stratum(ones, ones, clusters=[0] * 100)]) == (0.0, math.inf)


def test_excess_variance_of_runs_widens_it() -> None:
    """An excess of 100 squared answers acts as 100 answers more that flip, shared by the runs."""
    before, after = _task(900, 20, 20, 60)
    plain, shaken, averaged = (
        pooled_retention([Stratum(before, after, runs=runs, excess=excess)])
        for runs, excess in ((1, 0.0), (1, 100.0), (5, 100.0))
    )
    widths = [interval.high - interval.low for interval in (plain, averaged, shaken)]
    assert widths == sorted(widths)
    # Variance 40 without, 40 + 100 * (1 + 1/5) and 40 + 100 * 2 with it.
    assert widths[2] / widths[0] == pytest.approx(math.sqrt(240 / 40), rel=0.1)
    assert widths[1] / widths[0] == pytest.approx(math.sqrt(160 / 40), rel=0.1)


def test_strata_with_little_in_them() -> None:
    """Empty strata count for nothing, single items for little, and nothing for nothing."""
    empty = Stratum([], [])
    assert pooled_retention([empty]) == (0.0, math.inf)
    assert pooled_retention([Stratum([0.5], [0.5])]) == (0.0, math.inf)
    task = Stratum(*_task(180, 4, 6, 60))
    assert pooled_retention([empty, task]) == pooled_retention([task])
    low, high = pooled_retention([task, Stratum([1], [1], weight=0.01)])
    alone = pooled_retention([task])
    assert 0.8 * alone.low < low < alone.low < alone.high < high < 1.2 * alone.high
    zeros = Stratum(np.zeros(30), np.zeros(30))
    assert pooled_retention([zeros, zeros]) == (0.0, math.inf)
    low, high = pooled_retention([zeros, Stratum(np.zeros(30), np.ones(30))])
    assert 1 < low < high == math.inf


def test_support_counts_units_and_full_scores() -> None:
    """Clusters or items, and the baseline's scores in units of the task's largest."""
    items = Stratum(*_task(12, 0, 0, 8))
    assert support([items]) == Support(20, 12.0)
    assert support([items]).suffices
    assert not Support(19, 100.0).suffices
    assert not Support(100, 9.9).suffices
    scaled = Stratum([50, 100, 0], [100, 0, 0], clusters=["a", "a", "b"])
    assert support([scaled]) == Support(2, 1.5)
    assert support([scaled, items]) == Support(22, 13.5, blind=0.5)


def test_support_is_blind_where_single_items_weigh_much() -> None:
    """Five items with a quarter of the weight and none of them right leave nothing to judge."""
    large = [Stratum(*_task(900, 10, 10, 80)) for _ in range(3)]
    none = Stratum([0.0] * 5, [0.0] * 5)
    assert support([*large, none]).blind == 0.25
    assert not support([*large, none]).suffices
    assert support([*large, Stratum([0.0] * 5, [0.0] * 5, weight=0.1)]).suffices
    assert support([*large, Stratum(*_task(10, 0, 0, 5))]).suffices
    assert support([Stratum([0], [0])]) == Support(1, 0.0)


def test_bad_strata_name_what_is_wrong() -> None:
    """Lengths, negative and missing scores, weights, runs, excess and pools of nothing."""
    with pytest.raises(ValueError, match="2 baseline scores and 1 quantized"):
        Stratum([1, 0], [1])
    with pytest.raises(ValueError, match="quantized score -2: retention is a share"):
        Stratum([1, 0], [1, -2])
    with pytest.raises(ValueError, match="baseline score nan of item 0"):
        Stratum([math.nan], [1])
    with pytest.raises(ValueError, match="weight=0"):
        Stratum([1], [1], weight=0)
    with pytest.raises(ValueError, match="runs=0"):
        Stratum([1], [1], runs=0)
    with pytest.raises(ValueError, match="excess=-1"):
        Stratum([1], [1], excess=-1)
    with pytest.raises(ValueError, match="2 clusters for 1 items"):
        Stratum([1], [1], clusters=[1, 2])
    for call in (pooled_estimate, pooled_retention):
        with pytest.raises(ValueError, match="nothing to pool"):
            call([])
    with pytest.raises(ValueError, match="ratio=0"):
        pooled_statistic([Stratum([1], [1])], 0, 1.645)


# -- error rates, simulated; the whole grid is in the benchmarks -----------------------


def _shares(accuracy: float, flips: float, retention: float) -> FloatArray:
    discordance = max(flips - accuracy * abs(1 - retention), 0.0)
    truth = paired_truth(retention, baseline_accuracy=accuracy, discordance=discordance)
    lost, won = truth.lost, truth.won
    shares = np.clip([accuracy - lost, won, lost, 1 - accuracy - won], 0, 1)
    return np.asarray(shares / shares.sum())


def _rates(draws: Sequence[Sequence[Stratum]], confidence: float) -> tuple[float, float]:
    """Shares of `lost` and of `kept` at the minimum."""
    lost = kept = 0
    for strata in draws:
        quantile = pooled_quantile(strata, confidence, 1)
        score = pooled_statistic(strata, MINIMUM, quantile)
        lost, kept = lost + (score < -quantile), kept + (score > quantile)
    return lost / len(draws), kept / len(draws)


@pytest.mark.parametrize(
    ("sizes", "accuracy", "flips"),
    [((250,) * 4, 0.25, 0.005), ((250,) * 4, 0.95, 0.02), ((80, 150, 400), 0.75, 0.05)],
)
def test_pooled_gates_err_no_more_than_promised(
    sizes: tuple[int, ...], accuracy: float, flips: float
) -> None:
    """At the boundary `lost` and `kept` stay within alpha, a point and the simulation's error."""
    rng = np.random.default_rng(8)
    shares = _shares(accuracy, flips, MINIMUM)
    draws = [
        [Stratum(*_task(*(int(x) for x in rng.multinomial(n, shares)))) for n in sizes]
        for _ in range(1000)
    ]
    for alpha in (0.05, 0.0025):
        most = alpha + 0.01 + 3 * math.sqrt(alpha / 1000)
        assert max(_rates(draws, 1 - alpha)) <= most


def test_sampled_answers_and_clusters_err_no_more_than_promised() -> None:
    """Means of five sampled answers, and passages that are lost as a whole, likewise."""
    rng = np.random.default_rng(9)
    sampled, passages = [], []
    for _ in range(800):
        chance = rng.beta(1.5, 0.5, 250)
        sampled.append(
            [Stratum(rng.binomial(5, chance) / 5, rng.binomial(5, chance * MINIMUM) / 5)]
        )
        names = np.repeat(np.arange(60), 2 + rng.geometric(0.4, 60))
        before = (rng.random(names.size) < 0.75).astype(float)
        gone = (rng.random(60) < 1 - MINIMUM)[names]
        other = (rng.random(60) < 0.1)[names]
        after = np.where(other, rng.random(names.size) < 0.75, before) * ~gone
        passages.append([Stratum(before, after, clusters=names)])
    for draws in (sampled, passages):
        assert max(_rates(draws, 0.95)) <= 0.06 + 3 * math.sqrt(0.05 / 800)


def test_more_baseline_runs_see_more_and_err_no_more() -> None:
    """With 11 % of the items a coin toss, two runs beat one and five beat two, errors alike."""
    rng = np.random.default_rng(10)
    rates_by_truth = {}
    for truth in (MINIMUM, 0.92):
        draws: dict[int, list[list[Stratum]]] = {1: [], 2: [], 5: []}
        for _ in range(800):
            kind = rng.random(500)
            runs = np.repeat(((kind < 0.695).astype(float))[None], 6, axis=0)
            toss = (kind >= 0.695) & (kind < 0.805)
            runs[:, toss] = rng.random((6, int(toss.sum()))) < 0.5
            after = runs[5] * ((rng.random(500) > 0.75 * (1 - truth) / 0.695) | toss)
            for count, drawn in draws.items():
                excess = rerun_noise(runs[:count]).excess if count > 1 else 0.0
                mean = runs[:count].mean(axis=0)
                drawn.append([Stratum(mean, after, runs=count, excess=excess)])
        rates_by_truth[truth] = {count: _rates(drawn, 0.95) for count, drawn in draws.items()}
    assert max(max(rates) for rates in rates_by_truth[MINIMUM].values()) <= 0.06 + 0.024
    power = [rates_by_truth[0.92][count][0] for count in (1, 2, 5)]
    assert power[0] + 0.01 < power[1] < power[2]


@pytest.mark.parametrize("factor", [0.5, 0.3, 0.125, 0.75])
def test_items_that_all_fall_by_one_factor_have_two_bounds(factor: float) -> None:
    """A loss without any variance is not known more surely than its items allow."""
    stratum = Stratum([1.0] * 100, [factor] * 100)
    bound = pooled_retention([stratum], confidence=0.95, sides=1)
    assert bound.high == pytest.approx(factor + 0.027, abs=0.001)
    assert bound.low == pytest.approx(factor * 0.9737, abs=0.001)
