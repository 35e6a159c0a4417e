"""Speed-ups and typical speeds: enumeration and scipy as witnesses, corners, error rates."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import numpy as np
import pytest
from scipy.stats import binom, wilcoxon

from pytest_quantreg.core.stats import (
    Estimate,
    quantile_interval,
    session_ratio,
    speedup_interval,
    typical,
)
from pytest_quantreg.core.stats.score import FloatArray
from pytest_quantreg.core.stats.signed_rank import (
    EXACT,
    MOST_LISTED,
    bound_rank,
    null_distribution,
    walsh_averages,
)


def _pairs(seed: int, n: int, ratio: float = 1.0) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    common = rng.normal(0.0, 0.3, n)
    before, after = (np.exp(common + rng.normal(0.0, 0.03, n)) for _ in range(2))
    return np.asarray(before), np.asarray(ratio * after)


@pytest.mark.parametrize("n", range(1, 11))
def test_the_distribution_is_that_of_all_signs(n: int) -> None:
    """Giving every rank every sign yields the same chances for the sum of the positive ones."""
    sums = [
        sum(chosen) for r in range(n + 1) for chosen in itertools.combinations(range(1, n + 1), r)
    ]
    counted = np.bincount(sums, minlength=n * (n + 1) // 2 + 1) / 2.0**n
    assert null_distribution(n) == pytest.approx(counted, abs=1e-15)


@pytest.mark.parametrize(
    ("n", "tail", "rank"),
    # Hollander and Wolfe's table of the signed-rank statistic, and sums done by hand.
    [(4, 0.05, 0), (5, 0.05, 1), (6, 0.05, 3), (8, 0.05, 6), (10, 0.05, 11), (10, 0.025, 9)],
)
def test_ranks_of_known_tables(n: int, tail: float, rank: int) -> None:
    """The bound of ten values at 5 % is the eleventh smallest average, that of four is none."""
    assert bound_rank(n, tail) == rank


@pytest.mark.parametrize("tail", [0.05, 0.01, 0.0025, 0.0001])
def test_the_normal_rank_lies_no_nearer_than_the_counted_one(tail: float) -> None:
    """Where the approximation starts the bound moves outwards, and by little."""
    just_beyond = bound_rank(EXACT + 1, tail)
    chances = np.cumsum(null_distribution(EXACT + 1))
    counted = int(np.searchsorted(chances, tail, side="right"))
    assert counted - 30 <= just_beyond <= counted


@pytest.mark.parametrize("n", [5, 7, 10, 16])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.9975])
def test_scipys_test_rejects_just_outside_the_bounds(n: int, confidence: float) -> None:
    """One-sided exact p-values of scipy cross 1 - confidence where the bounds are."""
    before, after = _pairs(n, n)
    interval = speedup_interval(before, after, confidence=confidence, sides=1)
    logs = np.log(after / before)

    def p(ratio: float, alternative: Literal["greater", "less"]) -> float:
        centred = logs - math.log(ratio)
        return float(wilcoxon(centred, alternative=alternative, method="exact").pvalue)

    if 0.5**n > 1.0 - confidence:
        assert (interval.low, interval.high) == (0.0, math.inf)
        return
    assert (
        p(interval.low * (1 - 1e-9), "greater")
        <= 1.0 - confidence
        < p(interval.low * (1 + 1e-9), "greater")
    )
    assert (
        p(interval.high * (1 + 1e-9), "less")
        <= 1.0 - confidence
        < p(interval.high * (1 - 1e-9), "less")
    )


def test_the_estimate_is_the_median_of_all_pairs() -> None:
    """Hodges and Lehmann's estimate by hand, of three ratios 1, 2 and 8."""
    averages = sorted([1.0, 2.0, 8.0, math.sqrt(2.0), math.sqrt(8.0), math.sqrt(16.0)])
    estimate = speedup_interval([1.0, 1.0, 1.0], [1.0, 2.0, 8.0]).estimate
    assert estimate == pytest.approx(math.sqrt(averages[2] * averages[3]))


def test_two_sides_share_the_doubt() -> None:
    """0.9 on two sides is 0.95 on one, as for retention."""
    before, after = _pairs(1, 12)
    interval = speedup_interval(before, after, confidence=0.95, sides=1)
    assert speedup_interval(before, after, confidence=0.9) == interval
    assert typical(before, confidence=0.9) == typical(before, confidence=0.95, sides=1)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_few_units_have_an_estimate_and_no_bounds(n: int) -> None:
    """Up to four units say nothing at 95 %."""
    before, after = _pairs(n, n, ratio=2.0)
    for interval in (speedup_interval(before, after, sides=1), typical(before, sides=1)):
        assert interval.estimate > 0.0
        assert (interval.low, interval.high) == (0.0, math.inf)


def test_units_without_any_noise_give_their_ratio_itself() -> None:
    """No rounding pushes an exact 2.0 below a minimum of 2.0, in few units or thousands."""
    for n in (5, 6, 151, MOST_LISTED + 1):
        before = np.random.default_rng(n).uniform(1.0, 100.0, n)
        assert speedup_interval(before, 2.0 * before, sides=1) == Estimate(2.0, 2.0, 2.0)
        assert typical(np.full(n, 0.7), sides=1) == Estimate(0.7, 0.7, 0.7)


def test_counting_pairs_finds_what_listing_them_finds() -> None:
    """Beyond the limit for lists the very same averages come out, ties too."""
    rng = np.random.default_rng(4)
    values = np.exp(rng.normal(0.0, 0.5, MOST_LISTED + 1)).round(2) + 0.01
    lower, upper = np.triu_indices(values.size)
    listed = np.sort(np.sqrt(values[lower] * values[upper]))
    ranks = [1, 2, 1000, listed.size // 2, listed.size - 7, listed.size]
    assert walsh_averages(values, ranks) == tuple(listed[rank - 1] for rank in ranks)


def test_thousands_of_units_take_no_time_to_speak_of() -> None:
    """Ten thousand units give a narrow interval round the truth."""
    before, after = _pairs(2, 10_000, ratio=1.5)
    low, high = speedup_interval(before, after)[1:]
    assert 1.49 < low < 1.5 < high < 1.51


def test_a_spike_moves_the_bounds_little() -> None:
    """One unit of twenty a hundred times slower leaves a speed-up of 1.5 a speed-up of 1.5."""
    before, after = _pairs(3, 20, ratio=1.5)
    after[7] /= 100.0
    assert speedup_interval(before, after, sides=1) == pytest.approx((1.5, 1.47, 1.53), abs=0.02)


@pytest.mark.parametrize("n", [5, 8, 20, 41])
def test_typical_is_the_percentile_50_with_its_bounds(n: int) -> None:
    """The sign test's bounds are those of the median of latencies, one request per unit."""
    values = np.random.default_rng(n).uniform(1.0, 2.0, n)
    interval = typical(values, sides=1)
    median = quantile_interval([[value] for value in values], 50.0, sides=1)
    assert (interval.low, interval.high) == (median.low, median.high)
    assert interval.estimate == pytest.approx(float(np.median(values)), rel=0.02)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, 0.0], r"throughput 0 \(unit 2 of 2\) is not a positive number"),
        ([1.0, -2.0, 3.0], r"throughput -2 \(unit 2 of 3\)"),
        ([math.nan], r"throughput nan \(unit 1 of 1\)"),
        ([math.inf, 1.0], r"throughput inf \(unit 1 of 2\)"),
        ([], r"throughputs have the shape \(0,\): one per unit"),
        ([[1.0, 2.0]], r"throughputs have the shape \(1, 2\): one per unit"),
    ],
)
def test_what_is_no_throughput_is_named(values: list[float], said: str) -> None:
    """Zero, negative, NaN, infinite, none at all: the value and its unit are told."""
    with pytest.raises(ValueError, match="quantized " + said):
        speedup_interval([1.0], values)
    with pytest.raises(ValueError, match="measured " + said):
        typical(values)
    with pytest.raises(ValueError, match="stored " + said):
        session_ratio(values, 1.0)


def test_wrong_lengths_and_confidences_are_named() -> None:
    """Units that have no partner, and a confidence written in percent."""
    with pytest.raises(ValueError, match="2 baseline and 3 quantized"):
        speedup_interval([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"95 % is written 0\.95"):
        speedup_interval([1.0], [1.0], confidence=95)
    with pytest.raises(ValueError, match="sides=3"):
        typical([1.0], sides=3)


def _wrong(n: int, draws: int, noise: str, drift: float) -> tuple[float, float]:
    """How often each bound of a true 1.0 is wrong, rounds in the order AB BA AB BA."""
    rng = np.random.default_rng(17)
    wrong = np.zeros(2)
    for _ in range(draws):
        logs = rng.normal(0.0, 0.01, 2 * n) - drift * np.arange(2 * n)
        if noise == "spikes":
            logs -= np.where(rng.random(2 * n) < 0.15, rng.lognormal(-1.0, 1.0, 2 * n), 0.0)
        pairs = logs.reshape(n, 2)
        pairs[1::2] = pairs[1::2, ::-1]
        interval = speedup_interval(*np.exp(pairs.T), sides=1)
        wrong += (interval.low > 1.0, interval.high < 1.0)
    low, high = wrong / draws
    return float(low), float(high)


@pytest.mark.parametrize("noise", ["normal", "spikes"])
@pytest.mark.parametrize("drift", [0.0, 0.003, 0.05])
@pytest.mark.parametrize("n", [5, 10])
def test_bounds_are_wrong_no_more_often_than_promised(n: int, drift: float, noise: str) -> None:
    """One-sided 95 %: at most 5 % of sessions each way, three standard errors allowed."""
    draws = 2000
    assert max(_wrong(n, draws, noise, drift)) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)


def test_typical_holds_for_lopsided_noise() -> None:
    """The median of a series disturbed in 3 of 10 units is within its bounds as promised."""
    rng = np.random.default_rng(8)

    def draw(shape: tuple[int, ...]) -> FloatArray:
        spikes = np.where(rng.random(shape) < 0.3, rng.lognormal(-1.0, 1.0, shape), 0.0)
        return np.asarray(np.exp(rng.normal(0.0, 0.01, shape) - spikes))

    truth, draws = float(np.median(draw((400_000,)))), 3000
    intervals = [typical(row, sides=1) for row in draw((draws, 10))]
    most = 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)
    assert np.mean([interval.low > truth for interval in intervals]) <= most
    assert np.mean([interval.high < truth for interval in intervals]) <= most


def test_session_ratio_by_hand() -> None:
    """Logs 0, 0.1, 0.2: variance 0.01, t of 2 degrees at 95 % 2.919986, times sqrt(4/3)."""
    interval = session_ratio(np.exp([0.0, 0.1, 0.2]), math.exp(0.5), sides=1)
    reach = 2.919986 * math.sqrt(0.01 * 4.0 / 3.0)
    assert interval.estimate == pytest.approx(math.exp(0.4))
    assert interval.low == pytest.approx(math.exp(0.4 - reach), rel=1e-6)
    assert interval.high == pytest.approx(math.exp(0.4 + reach), rel=1e-6)


def test_one_stored_session_knows_no_spread() -> None:
    """The estimate stands, the bounds are 0 and infinite."""
    assert session_ratio([50.0], 100.0) == Estimate(2.0, 0.0, math.inf)
    assert session_ratio([50.0, 50.0, 50.0], 100.0) == Estimate(2.0, 2.0, 2.0)


def test_sessions_that_scatter_are_allowed_for() -> None:
    """Sessions that differ by 5 % give 5 % wrong bounds, three standard errors allowed."""
    rng, draws = np.random.default_rng(21), 4000
    logs = rng.normal(0.0, 0.05, (draws, 5))
    intervals = [session_ratio(np.exp(row[:4]), math.exp(row[4]), sides=1) for row in logs]
    most = 3 * math.sqrt(0.05 * 0.95 / draws)
    assert np.mean([interval.high < 1.0 for interval in intervals]) == pytest.approx(0.05, abs=most)
    assert np.mean([interval.low > 1.0 for interval in intervals]) == pytest.approx(0.05, abs=most)


def test_binomial_ranks_need_no_luck() -> None:
    """The sign test's rank is what the binomial sums say, at every size to 60."""
    for n in range(5, 61):
        low = typical(np.arange(1.0, n + 1), sides=1).low
        assert binom.cdf(low - 1, n, 0.5) <= 0.05 < binom.cdf(low, n, 0.5)
