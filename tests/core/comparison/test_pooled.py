"""Comparisons beyond one 0/1 column: pools, means, several runs, passages, perplexities."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pytest_quantreg.core import stats
from pytest_quantreg.core.comparison.accuracy import Comparison, Pair
from pytest_quantreg.core.comparison.pairs import compare_items, pool
from pytest_quantreg.core.comparison.perplexity import compare_tokens
from pytest_quantreg.core.gates.power import observed_power
from pytest_quantreg.core.records.run import Accuracy, Metric

from ...wording import refused
from .comparisons import ACC, accuracy

MEAN = Metric("f1,none", True, "mean")
PERPLEXITY = Metric("word_perplexity,none", False, "perplexity")


def made(
    baseline: Accuracy, candidate: Accuracy, metric: Metric = ACC, confidence: float = 0.95
) -> Comparison:
    """A comparison of two measurements."""
    return compare_items(baseline, candidate, metric, scheme="w8a8-int8", confidence=confidence)


def drawn(rng: np.random.Generator, n: int, share: float) -> list[float]:
    """Random right and wrong answers."""
    return [float(right) for right in rng.random(n) < share]


def test_a_pool_of_one_task_is_that_task() -> None:
    """Weights of a single task change nothing: the interval is the task's own."""
    rng = np.random.default_rng(1)
    before, after = accuracy(drawn(rng, 300, 0.8)), accuracy(drawn(rng, 300, 0.8))
    alone = made(before, after)
    pooled = pool(
        [Pair(before, after, ACC, 3.0)],
        task="*",
        metric="acc,none",
        scheme="w8a8-int8",
        confidence=0.95,
    )
    assert (pooled.low, pooled.high, pooled.surely) == (alone.low, alone.high, alone.surely)
    assert pooled.retention == pytest.approx(alone.retention)
    assert (pooled.lost, pooled.won) == (alone.lost, alone.won)


def test_a_pool_weighs_its_tasks() -> None:
    """Retention is the ratio of weighted means, not the mean of ratios nor that of all items."""
    big = Pair(accuracy([1] * 80 + [0] * 20), accuracy([1] * 70 + [0] * 30), ACC, 1.0)
    small = Pair(
        accuracy([1] * 10 + [0] * 10, task="b"), accuracy([1] * 10 + [0] * 10, task="b"), ACC, 3.0
    )
    comparison = pool([big, small], task="*", metric="m", scheme="w8a8-int8", confidence=0.95)
    assert comparison.baseline == pytest.approx((0.8 + 3 * 0.5) / 4)
    assert comparison.quantized == pytest.approx((0.7 + 3 * 0.5) / 4)
    assert comparison.retention == pytest.approx((0.7 + 1.5) / (0.8 + 1.5))
    assert (comparison.n, comparison.lost, comparison.won, comparison.lost_items) == (
        120,
        10,
        0,
        (),
    )
    assert [piece.task for piece in comparison.slices] == ["sum", "b"]


def pool_of(*measured: Accuracy, metric: Metric = ACC) -> Comparison:
    """A pool of measurements, each with itself."""
    return pool(
        [Pair(run, run, metric) for run in measured],
        task="*",
        metric="m",
        scheme="w8a8-int8",
        confidence=0.95,
    )


def test_an_empty_pool_is_an_error() -> None:
    """There is no ratio of nothing."""
    with pytest.raises(ValueError, match="nothing to pool"):
        pool([], task="*", metric="m", scheme="x", confidence=0.95)


def test_scores_between_0_and_1_get_an_interval() -> None:
    """A mean of scores is judged by items that fell and rose, without counts."""
    rng = np.random.default_rng(2)
    before = rng.random(500)
    after = np.clip(before - 0.1 * (rng.random(500) < 0.5), 0, 1)
    comparison = made(accuracy(list(before), MEAN), accuracy(list(after), MEAN), MEAN)
    assert comparison.counts is None
    assert not comparison.exact
    assert comparison.low is not None
    assert comparison.high is not None
    assert comparison.low < comparison.retention < comparison.high < 1
    assert comparison.lost == len(comparison.lost_items)
    assert comparison.won == 0


def test_items_that_two_tasks_share_are_not_pooled() -> None:
    """The same items under two names would count twice; a repetition here and there is let be."""
    measured = accuracy([1.0] * 80 + [0.0] * 20)
    copy = replace(measured, protocol=replace(measured.protocol, task="copy"))
    with refused("copy and sum hold the same items"):
        pool_of(measured, copy)
    names = (*measured.items.digests[:4], *(f"own-{i}" for i in range(96)))
    few = replace(copy, items=replace(copy.items, digests=names))
    assert pool_of(measured, few).n == 200


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (Metric("bleu,none", True, "aggregate"), "no score per item"),
        (Metric("error,none", False, "mean"), "better when it is lower"),
    ],
)
def test_what_cannot_be_averaged_is_refused(metric: Metric, text: str) -> None:
    """Figures over all items, and errors, make no pool."""
    with refused(text):
        pool_of(accuracy([1.0, 0.0], metric), metric=metric)


def test_passages_are_known_from_the_candidate_too() -> None:
    """A baseline of an older version that noted none loses nothing of the interval's width."""
    rng = np.random.default_rng(6)
    before = np.repeat(rng.random(60) < 0.8, 5).astype(float)
    after = np.where(np.repeat(rng.random(60) < 0.1, 5), 1 - before, before)
    facts = {"cluster": [float(number) for number in np.repeat(np.arange(60), 5)]}
    both = made(accuracy(list(before), facts=facts), accuracy(list(after), facts=facts))
    fresh = made(accuracy(list(before)), accuracy(list(after), facts=facts))
    assert (fresh.low, fresh.high, fresh.own_width) == (both.low, both.high, True)


def test_a_plan_with_passages_goes_by_the_width_of_the_interval() -> None:
    """What would have been seen is less than the items alone promise."""
    rng = np.random.default_rng(7)
    before = np.repeat(rng.random(100) < 0.8, 10).astype(float)
    after = np.where(np.repeat(rng.random(100) < 0.06, 10), 1 - before, before)
    facts = {"cluster": [float(number) for number in np.repeat(np.arange(100), 10)]}
    clustered = made(accuracy(list(before)), accuracy(list(after), facts=facts))
    plain = made(accuracy(list(before)), accuracy(list(after)))
    seen = [
        observed_power(comparison, 0.9, confidence=0.95).detectable
        for comparison in (clustered, plain)
    ]
    assert seen[0] is not None
    assert seen[1] is not None
    assert seen[0] < seen[1] - 0.02


def test_scores_below_0_have_no_interval() -> None:
    """A share of a negative score means nothing: listed, and no gate can judge it."""
    comparison = made(accuracy([-1.0, 0.5], MEAN), accuracy([-1.0, 0.25], MEAN), MEAN)
    assert (comparison.low, comparison.high, comparison.lost, comparison.slices) == (
        None,
        None,
        1,
        (),
    )


def test_runs_of_the_baseline_are_averaged_and_make_a_floor() -> None:
    """Two runs that differ on 8 % of the items: a candidate like them is within the floor."""
    n = 500
    first = [1.0] * 400 + [0.0] * 100
    second = [1.0] * 380 + [0.0] * 100 + [1.0] * 20
    like = [1.0] * 390 + [0.0] * 100 + [1.0] * 10
    comparison = made(accuracy(first, reruns=[second]), accuracy(like))
    assert comparison.baseline == pytest.approx(400 / n)
    assert comparison.floor is not None
    assert comparison.floor.noise.floor == pytest.approx(40 / n)
    assert comparison.floor.candidate == pytest.approx(20 / n)
    assert comparison.floor.within
    assert comparison.flips == comparison.floor.candidate
    assert comparison.counts is None
    alone = made(accuracy(first), accuracy(like))
    assert comparison.high is not None
    assert comparison.low is not None
    assert alone.high is not None
    assert alone.low is not None
    assert comparison.high - comparison.low < alone.high - alone.low


@pytest.mark.parametrize("change", ["lost", "flipped"])
def test_what_is_beyond_the_floor_is_not_called_the_same(change: str) -> None:
    """A one-sided loss within the share of noise, and far more flips to and fro."""
    first = [1.0] * 400 + [0.0] * 100
    second = [1.0] * 380 + [0.0] * 100 + [1.0] * 20
    lost = [0.0] * 35 + [1.0] * 365 + [0.0] * 100
    flipped = [0.0] * 60 + [1.0] * 400 + [0.0] * 40
    candidate = {"lost": lost, "flipped": flipped}[change]
    comparison = made(accuracy(first, reruns=[second]), accuracy(candidate))
    assert comparison.floor is not None
    assert not comparison.floor.within


def test_a_floor_of_nothing_is_no_floor_for_changes() -> None:
    """Runs that agree on every item call a candidate the same only if it agrees, too."""
    first = [1.0] * 400 + [0.0] * 100
    other = [0.0] * 2 + first[2:]
    for candidate, same in ((first, True), (other, False)):
        floor = made(accuracy(first, reruns=[first, first]), accuracy(candidate)).floor
        assert floor is not None
        assert floor.within is same


def test_scores_between_0_and_1_have_a_floor_of_their_size() -> None:
    """A change of 0.4 on every item is not within runs that differ by a thousandth on each."""
    rng = np.random.default_rng(8)
    first = rng.uniform(0.4, 0.6, 300)
    second = first + 0.001
    change = np.where(np.arange(300) % 2, 0.4, -0.4)
    comparison = made(
        accuracy(list(first), MEAN, reruns=[list(second)]),
        accuracy(list(first + change), MEAN),
        MEAN,
    )
    assert comparison.floor is not None
    assert comparison.floor.noise.floor == pytest.approx(0.001)
    assert not comparison.floor.of_items
    assert not comparison.floor.within


def test_a_pool_has_the_floor_of_its_tasks() -> None:
    """Tasks with as many runs each; one without makes the pool have none."""
    first, second = [1.0] * 60 + [0.0] * 40, [1.0] * 50 + [0.0] * 50
    measured = accuracy(first, reruns=[second])
    two = accuracy(first, task="b", reruns=[second])
    floor = pool_of(measured, two).floor
    assert floor is not None
    assert floor.noise.floor == pytest.approx(0.1)
    assert pool_of(measured, accuracy(first, task="b")).floor is None


def test_errors_with_several_runs_are_on_the_safe_side() -> None:
    """Where less is better the excess of the runs widens the interval as well."""
    metric = Metric("error,none", False, "mean")
    first = [1.0] * 100 + [0.0] * 300
    shifted = [1.0] * 180 + [0.0] * 220
    plain = made(accuracy(first, metric), accuracy(first, metric), metric)
    comparison = made(accuracy(first, metric, reruns=[shifted]), accuracy(first, metric), metric)
    assert comparison.own_width
    assert comparison.high is not None
    assert plain.high is not None
    assert comparison.high > plain.high


def test_shared_passages_are_the_units() -> None:
    """Answers that stand and fall with their passage widen the interval."""
    rng = np.random.default_rng(3)
    passage = np.repeat(np.arange(60), 5)
    before = np.repeat(rng.random(60) < 0.8, 5).astype(float)
    after = np.where(np.repeat(rng.random(60) < 0.1, 5), 1 - before, before)
    plain = made(accuracy(list(before)), accuracy(list(after)))
    facts = {"cluster": [float(number) for number in passage]}
    comparison = made(accuracy(list(before), facts=facts), accuracy(list(after), facts=facts))
    assert comparison.support == stats.Support(60, float(before.sum()))
    assert not comparison.exact
    assert comparison.low is not None
    assert comparison.high is not None
    assert plain.low is not None
    assert plain.high is not None
    assert comparison.low < plain.low
    assert comparison.high > plain.high


def test_perplexity_is_compared_per_token_whatever_the_unit() -> None:
    """Words, bytes and bits of one text give one and the same ratio per token."""
    rng = np.random.default_rng(4)
    tokens = rng.integers(5, 50, 80).astype(float)
    nats = -tokens * rng.uniform(1.0, 2.0, 80)
    worse = nats - 0.03 * tokens

    def of(scores: np.ndarray[tuple[int], np.dtype[np.float64]], units: float) -> Accuracy:
        value = math.exp(-scores.sum() / (units * 80))
        return accuracy(
            list(scores),
            PERPLEXITY,
            value=value,
            weights=[units] * 80,
            facts={"tokens": list(tokens)},
        )

    comparisons = [
        compare_tokens(
            of(nats, units), of(worse, units), PERPLEXITY, scheme="w8a8-int8", confidence=0.95
        )
        for units in (10.0, 60.0)
    ]
    assert comparisons[0] == comparisons[1]
    assert comparisons[0] is not None
    assert comparisons[0].metric == "token_perplexity"
    assert 1 / comparisons[0].retention == pytest.approx(math.exp(0.03))
    assert comparisons[0].baseline == pytest.approx(math.exp(-nats.sum() / tokens.sum()))


def test_perplexity_per_token_needs_the_tokens_of_both() -> None:
    """Without them, or with other ones, there is nothing to compare."""
    some = {"tokens": [3.0, 4.0]}
    base = accuracy([-1.0, -2.0], PERPLEXITY, value=2.0, weights=[1, 1], facts=some)
    none = accuracy([-1.0, -2.0], PERPLEXITY, value=2.0, weights=[1, 1])
    for pair in ((base, none), (none, base), (none, none)):
        assert compare_tokens(*pair, PERPLEXITY, scheme="x", confidence=0.95) is None


def test_bits_per_byte_are_a_ratio_of_bits() -> None:
    """A model that needs a tenth more bits keeps ten elevenths, with bounds around that."""
    rng = np.random.default_rng(5)
    metric = Metric("bits_per_byte,none", False, "perplexity")
    nats = -rng.uniform(50, 150, 60)
    size = 100.0

    def of(scores: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Accuracy:
        value = -scores.sum() / (60 * size) / math.log(2)
        return accuracy(list(scores), metric, value=value, weights=[size] * 60)

    comparison = made(of(nats), of(nats * 1.1 + rng.normal(0, 2, 60)), metric)
    assert comparison.retention == pytest.approx(1 / 1.1, rel=0.02)
    assert comparison.low is not None
    assert comparison.high is not None
    assert comparison.low < comparison.retention < comparison.high < 1
