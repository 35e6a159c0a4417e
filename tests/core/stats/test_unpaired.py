"""Intervals of ratios from totals: against likelihoods maximized by number, Fieller and chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from scipy.stats.contingency import relative_risk

from pytest_quantreg.core import stats
from pytest_quantreg.core.stats import Means, Shares, unpaired_retention

TABLES = [(583, 600, 580, 600), (48, 80, 56, 70), (16, 80, 36, 40), (158, 164, 157, 164)]


def by_likelihood(x0: int, n0: int, x1: int, n1: int, ratio: float) -> float:
    """The score statistic with restricted shares found by maximizing the likelihood."""

    def loss(p: float) -> float:
        q = ratio * p
        cells = ((x0, p), (n0 - x0, 1 - p), (x1, q), (n1 - x1, 1 - q))
        return -sum(count * math.log(max(share, 1e-300)) for count, share in cells if count)

    most = min(1.0, 1.0 / ratio)
    minimum_ = minimize_scalar(loss, bounds=(1e-12, most - 1e-12), options={"xatol": 1e-12})
    p0 = minimum_.x
    p1 = ratio * p0
    variance = p1 * (1 - p1) / n1 + ratio**2 * p0 * (1 - p0) / n0
    variance *= (n0 + n1) / (n0 + n1 - 1)
    return float((x1 / n1 - ratio * x0 / n0) / math.sqrt(variance))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_bounds_are_where_the_score_test_rejects(
    table: tuple[int, int, int, int], confidence: float
) -> None:
    """At each bound the statistic, by a likelihood maximized numerically, is the quantile."""
    low, high = unpaired_retention([Shares(*table)], confidence=confidence, sides=1)
    z = norm.ppf(confidence)
    assert by_likelihood(*table, low) == pytest.approx(z, abs=2e-4)
    assert by_likelihood(*table, high) == pytest.approx(-z, abs=2e-4)


def test_close_to_the_log_interval_on_many_items() -> None:
    """On 50,000 items each it is scipy's interval of the logarithm, but for a thousandth."""
    mine = unpaired_retention([Shares(40_000, 50_000, 39_500, 50_000)])
    theirs = relative_risk(39_500, 50_000, 40_000, 50_000).confidence_interval(0.95)
    assert mine.low == pytest.approx(theirs.low, rel=1e-4)
    assert mine.high == pytest.approx(theirs.high, rel=1e-4)


def test_means_are_fieller() -> None:
    """Of two means it is the pair of roots of Fieller's quadratic."""
    b, sb, q, sq = 0.6, 0.02, 0.55, 0.03
    z = norm.ppf(0.95)
    roots = np.sort(np.roots([b**2 - z**2 * sb**2, -2 * b * q, q**2 - z**2 * sq**2]).real)
    interval = unpaired_retention([Means(b, sb, q, sq)], confidence=0.95, sides=1)
    assert interval == pytest.approx(tuple(roots), rel=1e-9)


def test_one_task_with_any_weight_is_itself() -> None:
    """A weight alone changes nothing, and a task twice over is narrower."""
    once = unpaired_retention([Shares(80, 100, 78, 100)])
    weighed = unpaired_retention([Shares(80, 100, 78, 100, 7.0)])
    twice = unpaired_retention([Shares(80, 100, 78, 100)] * 2)
    assert weighed == pytest.approx(once)
    assert once.low < twice.low < twice.high < once.high


@pytest.mark.parametrize(
    ("table", "bounds"),
    [
        ((0, 9, 0, 9), (0.0, math.inf)),
        ((5, 9, 0, 9), (0.0, None)),
        ((0, 9, 5, 9), (None, math.inf)),
    ],
)
def test_nothing_right_leaves_a_side_open(
    table: tuple[int, int, int, int], bounds: tuple[float | None, float | None]
) -> None:
    """Where one of the two has nothing right, that side has no bound."""
    interval = unpaired_retention([Shares(*table)])
    for mine, expected in zip(interval, bounds, strict=True):
        assert expected is None or mine == expected
    assert interval.low < interval.high


@pytest.mark.parametrize(
    "task",
    [Shares(5, 4, 1, 4), Shares(-1, 4, 1, 4), Shares(0, 0, 1, 4), Means(0.5, -0.1, 0.5, 0.1)],
)
def test_impossible_totals_are_refused(task: Shares | Means) -> None:
    """More right than there are, no items and negative errors are told as what they are."""
    with pytest.raises(ValueError, match=r"right answers|negative"):
        unpaired_retention([task])


def test_nothing_is_refused() -> None:
    """No task is no comparison."""
    with pytest.raises(ValueError, match="nothing"):
        unpaired_retention([])


@given(
    st.integers(1, 400), st.integers(1, 400), st.floats(0, 1), st.floats(0, 1), st.floats(0.6, 0.99)
)
@settings(max_examples=150, deadline=None)
def test_holds_the_estimate_and_mirrors(
    n0: int, n1: int, share0: float, share1: float, confidence: float
) -> None:
    """The estimate lies inside, and swapping the models inverts the interval."""
    x0, x1 = round(share0 * n0), round(share1 * n1)
    low, high = unpaired_retention([Shares(x0, n0, x1, n1)], confidence=confidence)
    assert 0.0 <= low <= high
    if x0 and x1:
        assert low <= (x1 / n1) / (x0 / n0) * (1 + 1e-9)
        assert high >= (x1 / n1) / (x0 / n0) * (1 - 1e-9)
        swapped = unpaired_retention([Shares(x1, n1, x0, n0)], confidence=confidence)
        assert swapped.high == pytest.approx(1 / low if low else math.inf, rel=1e-6)


@pytest.mark.parametrize(("n", "share"), [(164, 0.96), (600, 0.97), (250, 0.6)])
def test_each_bound_is_wrong_about_as_often_as_promised(n: int, share: float) -> None:
    """With independent answers a one-sided 95 % bound errs in about 5 % of the pairs."""
    rng = np.random.default_rng(5)
    truth = 0.98
    drawn = zip(rng.binomial(n, share, 1500), rng.binomial(n, share * truth, 1500), strict=True)
    intervals = [
        unpaired_retention([Shares(int(a), n, int(b), n)], confidence=0.95, sides=1)
        for a, b in drawn
    ]
    assert np.mean([interval.low > truth for interval in intervals]) == pytest.approx(
        0.05, abs=0.018
    )
    assert np.mean([interval.high < truth for interval in intervals]) == pytest.approx(
        0.05, abs=0.018
    )


def test_repeats_are_welch_on_logarithms() -> None:
    """The ratio's bounds are those of scipy's Welch test on the logarithms."""
    from scipy.stats import ttest_ind

    before, after = [55.4, 55.5, 55.9], [125.9, 126.2, 125.5, 127.0]
    interval = stats.repeats_ratio(before, after, confidence=0.95, sides=2)
    test = ttest_ind(np.log(after), np.log(before), equal_var=False)
    bounds = np.exp(test.confidence_interval(0.95))
    assert (interval.low, interval.high) == pytest.approx(tuple(bounds))
    assert interval.low < interval.estimate < interval.high


def test_a_single_repeat_has_no_bounds() -> None:
    """Of one session nobody knows how much the next would differ."""
    assert stats.repeats_ratio([50.0], [100.0, 101.0])[1:] == (0.0, math.inf)
    assert stats.repeats_ratio([50.0] * 2, [100.0] * 2) == pytest.approx((2.0, 2.0, 2.0))
