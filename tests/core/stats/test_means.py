"""Ratios of means and of perplexities: closed forms, corners, and bootstrap as a witness."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_quantreg.core.stats import (
    Flips,
    Interval,
    flips,
    mean_ratio_interval,
    perplexity_ratio,
    perplexity_ratio_interval,
    rerun_noise,
    wilson,
)
from pytest_quantreg.core.stats.score import FloatArray


def _bootstrap(
    above: FloatArray, below: FloatArray, codes: NDArray[np.int64], draws: int = 4000
) -> Interval:
    """The 5 % and 95 % quantiles of a ratio of sums, drawing whole clusters again."""
    rng = np.random.default_rng(3)
    _, codes_ = np.unique(codes, return_inverse=True)
    sums = [np.bincount(codes_, weights=values) for values in (above, below)]
    picked = rng.integers(0, sums[0].size, (draws, sums[0].size))
    ratios = sums[0][picked].sum(axis=1) / sums[1][picked].sum(axis=1)
    low, high = np.quantile(ratios, [0.05, 0.95])
    return Interval(float(low), float(high))


def _scores(
    seed: int, n: int, *, clusters: int | None = None
) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    """Skewed scores of two models and, if asked for, clusters whose items change together."""
    rng = np.random.default_rng(seed)
    before = rng.beta(2.0, 1.0, n)
    codes = np.arange(n) if clusters is None else rng.integers(0, clusters, n)
    shift = rng.normal(-0.02, 0.1, codes.max() + 1)[codes]
    after = np.clip(before + shift + rng.normal(0.0, 0.05, n), 0.0, 1.0)
    return before, np.asarray(after), np.asarray(codes, dtype=np.int64)


def test_the_textbook_formula() -> None:
    """Both bounds solve (xbar - m*ybar)^2 = t^2 var/n with the t of n-1 = 4 degrees."""
    before, after = np.array([4.0, 6, 5, 7, 8]), np.array([3.0, 6, 4, 7, 6])
    for bound in mean_ratio_interval(before, after):
        rest = after - bound * before
        reach = 2.7764451 * float(np.std(rest, ddof=1)) / math.sqrt(5)
        assert abs(float(rest.mean())) == pytest.approx(reach, rel=1e-7)


@pytest.mark.parametrize("clusters", [None, 60])
def test_bootstrap_agrees(clusters: int | None) -> None:
    """Resampling items, or whole clusters, gives the same bounds to a tenth of the width."""
    before, after, codes = _scores(7, 900, clusters=clusters)
    interval = mean_ratio_interval(
        before, after, sides=1, clusters=None if clusters is None else codes
    )
    witness = _bootstrap(after, before, codes)
    assert interval == pytest.approx(witness, abs=0.1 * (interval.high - interval.low))


def test_clusters_that_change_together_widen_it() -> None:
    """Ignoring the clusters claims far more than the data hold."""
    before, after, codes = _scores(11, 900, clusters=60)
    alone, together = (
        mean_ratio_interval(before, after, clusters=names) for names in (None, codes)
    )
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_clusters_of_one_are_items_and_names_may_be_anything() -> None:
    """A name per item changes nothing, and strings name clusters as well as numbers."""
    before, after, codes = _scores(5, 50, clusters=9)
    assert mean_ratio_interval(before, after, clusters=range(50)) == pytest.approx(
        mean_ratio_interval(before, after)
    )
    words = [f"passage {code}" for code in codes.tolist()]
    assert mean_ratio_interval(before, after, clusters=words) == pytest.approx(
        mean_ratio_interval(before, after, clusters=codes)
    )


def test_whole_weights_count_and_zero_weights_are_not_there() -> None:
    """A cluster twice as heavy weighs twice in the estimate; weight 0 drops an item."""
    before, after, _ = _scores(2, 30)
    zero = np.r_[np.ones(29), 0.0]
    assert mean_ratio_interval(before, after, weights=zero) == pytest.approx(
        mean_ratio_interval(before[:29], after[:29])
    )
    heavy = mean_ratio_interval([1.0, 1.0], [0.0, 1.0], weights=[1.0, 3.0], confidence=1e-6)
    assert heavy == pytest.approx((0.75, 0.75), abs=1e-5)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [], (0.0, math.inf)),
        ([0.5], [0.25], (0.0, math.inf)),
        ([0.0, 0, 0], [0.0, 0, 0], (0.0, math.inf)),
        ([0.0, 0, 0], [0.5, 0.5, 0.5], (math.inf, math.inf)),
        ([0.5, 0.5, 0.5], [0.0, 0, 0], (0.0, 0.0)),
        ([0.5, 0.5, 0.5], [0.25, 0.25, 0.25], (0.5, 0.5)),
        ([0.0, 0, 0.9], [0.1, 0, 0.8], (0.0, math.inf)),
        ([-1.0, 1, 0.1], [1.0, -1, 0.2], (-math.inf, math.inf)),
    ],
)
def test_corners_are_numbers(
    before: list[float], after: list[float], expected: tuple[float, float]
) -> None:
    """Nothing, one item, nothing right and no spread give exact or infinite bounds."""
    assert mean_ratio_interval(before, after) == pytest.approx(expected)


def test_a_baseline_near_zero_leaves_the_upper_side_open() -> None:
    """Where the baseline may be 0 the lower bound is the reciprocal of the swapped upper one."""
    before, after = np.r_[np.zeros(17), 0.2, 0.1, 0.05], np.full(20, 0.9)
    low, high = mean_ratio_interval(before, after, confidence=0.99)
    assert high == math.inf
    assert low == pytest.approx(1 / mean_ratio_interval(after, before, confidence=0.99).high)


def test_the_ratio_of_perplexities_and_its_bootstrap() -> None:
    """exp of the nats lost per token, and bounds that resampled documents confirm."""
    rng = np.random.default_rng(4)
    tokens = rng.integers(50, 2000, 200).astype(float)
    before = -tokens * rng.normal(2.0, 0.2, 200)
    after = before - tokens * rng.normal(0.02, 0.03, 200)
    ratio = perplexity_ratio(before, after, tokens)
    assert ratio == pytest.approx(math.exp((before - after).sum() / tokens.sum()))
    interval = perplexity_ratio_interval(before, after, tokens, sides=1)
    assert interval.low < ratio < interval.high
    witness = _bootstrap(before - after, tokens, np.arange(200, dtype=np.int64))
    logs = [math.log(bound) for bound in interval]
    assert logs == pytest.approx(list(witness), abs=0.1 * (logs[1] - logs[0]))


def test_perplexity_corners() -> None:
    """The same twice is exactly 1; one document, no tokens and infinities are no crash."""
    nats, tokens = [-10.0, -20, -13] * 9, [4, 9, 6] * 9
    assert perplexity_ratio_interval(nats, nats, tokens) == (1.0, 1.0)
    assert perplexity_ratio_interval(nats[:2], nats[:2], [1, 99]) == (0.0, math.inf)
    assert perplexity_ratio([-10], [-12], [4]) == pytest.approx(math.exp(0.5))
    assert perplexity_ratio_interval([-10], [-12], [4]) == (0.0, math.inf)
    assert math.isnan(perplexity_ratio([], [], []))
    assert perplexity_ratio_interval([], [], []) == (0.0, math.inf)
    assert perplexity_ratio([0.0], [-1e6], [1]) == math.inf
    worse = [-11, -20, -14] * 9
    whole = perplexity_ratio_interval(nats, worse, tokens, clusters=list("abcabcabc") * 3)
    assert whole.low < perplexity_ratio(nats, worse, tokens) < whole.high


def test_bad_scores_name_what_is_wrong() -> None:
    """Shapes, NaN, negative weights and tokens, and missing clusters are refused."""
    with pytest.raises(ValueError, match="3 baseline scores and 2 quantized"):
        mean_ratio_interval([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        mean_ratio_interval([[1, 2]], [1, 2])
    with pytest.raises(ValueError, match="quantized score nan of item 1"):
        mean_ratio_interval([1, 2], [1, math.nan])
    with pytest.raises(ValueError, match="weights must be finite"):
        mean_ratio_interval([1, 2], [1, 2], weights=[1, -1])
    with pytest.raises(ValueError, match="weights have the shape"):
        mean_ratio_interval([1, 2], [1, 2], weights=[1])
    with pytest.raises(ValueError, match="1 clusters for 2 items"):
        mean_ratio_interval([1, 2], [1, 2], clusters=[0])
    with pytest.raises(ValueError, match=r"95 % is written 0\.95"):
        mean_ratio_interval([1, 2], [1, 2], confidence=95)
    with pytest.raises(ValueError, match="token counts"):
        perplexity_ratio_interval([1, 2], [1, 2], [3, -1])
    with pytest.raises(ValueError, match="tokens have the shape"):
        perplexity_ratio([1, 2], [1, 2], [3])


def test_flips_are_the_share_that_changed() -> None:
    """Won and lost answers together, with their Wilson interval; NaN without items."""
    assert flips(180, 4, 6, 60) == Flips(0.04, *wilson(10, 250))
    assert flips(180, 4, 6, 60, sides=1)[1:] == wilson(10, 250, sides=1)
    empty = flips(0, 0, 0, 0)
    assert math.isnan(empty.share)
    assert empty[1:] == (0.0, 1.0)
    with pytest.raises(ValueError, match="baseline_only=-1"):
        flips(1, 1, -1, 1)


def test_rerun_noise_by_hand() -> None:
    """Three runs of four items: pairs differ on 1, 2 and 1 of 4, totals are 2, 3 and 4."""
    noise = rerun_noise([[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]])
    assert noise.runs == 3
    assert noise.floor == pytest.approx((1 + 2 + 1) / 12)
    assert noise.highest == 0.5
    # Two items have mean 2/3 or 1/3: 3/2 * 2/9 each.
    assert noise.expected == pytest.approx(2 * 1.5 * 2 / 9)
    assert noise.observed == pytest.approx(1.0)
    assert noise.excess == 0.0


def test_only_variance_beyond_independent_flips_is_excess() -> None:
    """Items flipping by themselves give none; a shift of all of them together is found."""
    rng = np.random.default_rng(1)
    noises = [rerun_noise((rng.random((2, 300)) < 0.5).astype(float)) for _ in range(400)]
    assert np.mean([noise.excess > 0 for noise in noises]) < 0.025
    ratios = np.mean([noise.observed for noise in noises]) / np.mean([n.expected for n in noises])
    assert ratios == pytest.approx(1.0, abs=0.2)
    together = np.repeat(rng.random((4, 1)) < 0.5, 200, axis=1).astype(float)
    together[0], together[1] = 1.0, 0.0
    assert rerun_noise(together).excess > 1000


def test_runs_that_agree_or_only_swap() -> None:
    """Equal runs are without noise; runs with equal totals flip but have no excess."""
    still = rerun_noise([[1, 0, 1], [1, 0, 1]])
    assert (still.floor, still.expected, still.observed, still.excess) == (0, 0, 0, 0)
    swapped = rerun_noise([[1, 0], [0, 1]])
    assert (swapped.floor, swapped.observed, swapped.excess) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("runs", [[[1, 0]], [1, 0], [[], []], [[1.0], [math.nan]]])
def test_runs_that_are_none(runs: list[list[float]]) -> None:
    """One run, a flat list, no items and NaN are refused."""
    with pytest.raises(ValueError, match="runs"):
        rerun_noise(runs)
