"""Percentiles of latencies: order statistics as a witness, corners, error rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.stats import binom

from pytest_quantreg.core.stats import Estimate, quantile_interval
from pytest_quantreg.core.stats.quantiles import at_least
from pytest_quantreg.core.stats.score import FloatArray


@pytest.mark.parametrize("n", [1, 5, 20, 100, 400])
@pytest.mark.parametrize("percentile", [1.0, 50.0, 90.0, 99.0])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.9975])
def test_one_request_per_unit_is_the_order_statistic_interval(
    n: int, percentile: float, confidence: float
) -> None:
    """Bounds are the r-th and s-th smallest value, from sums of the binomial distribution."""
    times = np.random.default_rng(n).permutation(n) + 1.0
    interval = quantile_interval(
        [[time] for time in times], percentile, confidence=confidence, sides=1
    )
    below = binom.cdf(np.arange(n + 1) - 1, n, percentile / 100.0)
    low = int(np.flatnonzero(below <= 1.0 - confidence)[-1])
    enough = np.flatnonzero(below >= confidence)
    assert interval.low == low
    assert interval.high == (enough[0] if enough.size else math.inf)


@pytest.mark.parametrize("percentile", [0.1, 1.0, 7.0, 50.0, 90.0, 99.0, 99.9])
@pytest.mark.parametrize("n", [1, 2, 10, 100, 1000])
def test_the_estimate_is_an_attained_percentile(percentile: float, n: int) -> None:
    """numpy's inverted_cdf, but for percentages that binary fractions miss (7 % of 100 is 7)."""
    times = np.random.default_rng(n).permutation(n) + 1.0
    estimate = quantile_interval([times], percentile).estimate
    exact = -(-round(percentile * 10) * n // 1000)
    assert estimate == max(exact, 1)
    assert abs(estimate - float(np.quantile(times, percentile / 100, method="inverted_cdf"))) <= 1.0


def test_requests_of_one_round_are_not_independent() -> None:
    """A hundred equal requests in each of five rounds know no more than one in each."""
    single = [[1.0], [2.0], [3.0], [4.0], [5.0]]
    many = [100 * time for time in single]
    assert quantile_interval(many, 50.0, sides=1) == quantile_interval(single, 50.0, sides=1)
    assert quantile_interval(single, 50.0, sides=1) == Estimate(3.0, 1.0, 5.0)


def test_unknown_sides_are_0_and_infinite() -> None:
    """One round knows a lower bound of the 99th percentile and none above."""
    interval = quantile_interval([[0.5, 0.6, 0.7]], 99.0, sides=1)
    assert interval == Estimate(0.7, 0.5, math.inf)
    assert quantile_interval([[0.5, 0.6, 0.7]], 1.0, sides=1) == Estimate(0.5, 0.0, 0.7)
    assert quantile_interval([[0.5, 0.6, 0.7]], 50.0, sides=1) == Estimate(0.6, 0.0, math.inf)


def test_unequal_rounds_enclose_the_estimate() -> None:
    """A long round outvotes the others in the estimate, and the bounds reach to it."""
    rounds: list[ArrayLike] = [np.full(1000, 9.0), *([1.0] for _ in range(20))]
    assert quantile_interval(rounds, 50.0, sides=1) == Estimate(9.0, 1.0, 9.0)


@pytest.mark.parametrize(
    ("groups", "percentile", "said"),
    [
        ([[1.0]], 0.0, "percentile=0.0 is not between 0 and 100"),
        ([[1.0]], 101.0, "percentile=101.0"),
        ([[1.0]], math.nan, "percentile=nan"),
        ([], 50.0, "no latencies"),
        ([[1.0], []], 50.0, r"unit 2 has latencies of shape \(0,\)"),
        ([[1.0], [2.0, math.nan]], 50.0, "latency nan in unit 2 .*single token"),
        ([[-1.0]], 50.0, "latency -1 in unit 1"),
        ([[math.inf]], 50.0, "latency inf in unit 1"),
    ],
)
def test_what_is_no_latency_is_named(
    groups: list[list[float]], percentile: float, said: str
) -> None:
    """A percentile out of range, nothing measured, and times that are none."""
    with pytest.raises(ValueError, match=said):
        quantile_interval(groups, percentile)


def _shares(rng: np.random.Generator, mean: float, shape: tuple[int, int]) -> dict[str, FloatArray]:
    """Shares with one mean and many shapes: nearly all or nothing, spread out, in steps."""
    odd = 1.0 - (1.0 - mean) / 2.0
    return {
        "all or nothing": np.asarray(rng.random(shape) < mean, dtype=np.float64),
        "nothing or most": np.where(rng.random(shape) < mean / odd, odd, 0.0),
        "few or all": np.where(rng.random(shape) < (mean - 0.05) / 0.95, 1.0, 0.05),
        "beta": rng.beta(mean * 0.3, (1.0 - mean) * 0.3, shape),
        "flat": rng.beta(mean * 5.0, (1.0 - mean) * 5.0, shape),
        "of four": rng.binomial(4, mean, shape) / 4.0,
    }


@pytest.mark.parametrize("mean", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("n", [5, 10, 40])
def test_shares_of_any_shape_keep_the_promise(n: int, mean: float) -> None:
    """Either test of a true share is wrong at most 5 times in 100, within three standard errors."""
    draws = 4000
    most = 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)
    for name, shares in _shares(np.random.default_rng(n), mean, (draws, n)).items():
        total = shares.sum(axis=1)
        assert np.mean(at_least(total, n, mean) <= 0.05) <= most, name
        assert np.mean(at_least(n - total, n, 1.0 - mean) <= 0.05) <= most, name


def test_rounds_that_are_slow_as_a_whole_keep_the_promise() -> None:
    """Latencies that share their round's delay: taking each for itself would be wrong often."""
    rng, draws, n = np.random.default_rng(9), 1500, 12

    def rounds(count: int) -> FloatArray:
        return np.asarray(np.exp(rng.normal(0, 0.3, (count, 1)) + rng.normal(0, 0.1, (count, 16))))

    truth = float(np.quantile(rounds(100_000), 0.5))
    together, apart = np.zeros(2), np.zeros(2)
    for _ in range(draws):
        times = rounds(n)
        interval = quantile_interval(list(times), 50.0, sides=1)
        other = quantile_interval(list(times.reshape(-1, 1)), 50.0, sides=1)
        together += (interval.low > truth, interval.high < truth)
        apart += (other.low > truth, other.high < truth)
    assert max(together / draws) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)
    assert min(apart / draws) > 0.2
