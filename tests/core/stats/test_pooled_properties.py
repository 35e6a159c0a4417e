"""What must hold for every pool and every ratio of means, whatever the scores."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_quantreg.core.stats import (
    Interval,
    Stratum,
    evidence,
    mean_ratio_interval,
    normal_quantile,
    perplexity_ratio_interval,
    pooled_estimate,
    pooled_retention,
    pooled_statistic,
)

every_pool = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

# Right and wrong, means of four answers, and shares of every kind.
SCORE = st.one_of(
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
    st.floats(0.0, 1.0, width=16),
)
CONFIDENCES = (0.6, 0.8, 0.95, 0.99, 0.999)


@st.composite
def _strata(draw: st.DrawFn) -> Stratum:
    pairs = draw(st.lists(st.tuples(SCORE, SCORE), min_size=1, max_size=25))
    names = draw(st.lists(st.integers(0, 9), min_size=len(pairs), max_size=len(pairs)))
    runs = draw(st.integers(1, 3))
    return Stratum(
        [before for before, _ in pairs],
        [after for _, after in pairs],
        draw(st.sampled_from([0.5, 1.0, 3.0])),
        draw(st.sampled_from([None, names])),
        runs,
        draw(st.sampled_from([0.0, 0.0, 2.5])),
    )


POOLS = st.lists(_strata(), min_size=1, max_size=4)


def _near(interval: Interval, expected: Interval, tolerance: float = 1e-6) -> bool:
    """Equal up to rounding, on the scale of ratio/(1+ratio) that has no infinity."""
    return all(
        math.isclose(_bent(a), _bent(b), rel_tol=0.0, abs_tol=tolerance)
        for a, b in zip(interval, expected, strict=True)
    )


def _bent(ratio: float) -> float:
    return 1.0 if math.isinf(ratio) else ratio / (1.0 + ratio)


@given(POOLS)
@every_pool
def test_bounds_are_numbers_in_order_around_the_estimate(pool: list[Stratum]) -> None:
    """Whatever is pooled, 0 <= low <= estimate <= high, and none is NaN."""
    low, high = pooled_retention(pool)
    assert 0.0 <= low <= high
    estimate = pooled_estimate(pool)
    if math.isfinite(estimate):
        assert low <= estimate * (1 + 1e-9)
        assert high >= estimate * (1 - 1e-9)


@given(POOLS)
@every_pool
def test_more_confidence_is_a_wider_interval(pool: list[Stratum]) -> None:
    """Each bound moves outwards, or stays, as the confidence rises."""
    intervals = [pooled_retention(pool, confidence=level) for level in CONFIDENCES]
    for narrow, wide in itertools.pairwise(intervals):
        assert _bent(wide.low) <= _bent(narrow.low) + 1e-9
        assert _bent(wide.high) >= _bent(narrow.high) - 1e-9


@given(POOLS)
@every_pool
def test_swapping_the_models_inverts_the_interval(pool: list[Stratum]) -> None:
    """With the roles exchanged and one run each, the bounds are the reciprocals."""
    plain = [replace(stratum, runs=1) for stratum in pool]
    swapped = [
        replace(stratum, baseline=stratum.quantized, quantized=stratum.baseline)
        for stratum in plain
    ]
    low, high = pooled_retention(plain)
    back = pooled_retention(swapped)
    inverse = [0.0 if math.isinf(x) else math.inf if x == 0.0 else 1.0 / x for x in (high, low)]
    assert _near(back, Interval(*inverse))


@given(POOLS, st.randoms(use_true_random=False))
@every_pool
def test_no_order_matters(pool: list[Stratum], random: Random) -> None:
    """Shuffling the items of each stratum, and the strata, changes nothing."""
    mixed = []
    for stratum in pool:
        order = list(range(stratum.n))
        random.shuffle(order)
        before, after = stratum.scores
        codes = stratum.codes
        mixed.append(
            replace(
                stratum,
                baseline=before[order],
                quantized=after[order],
                clusters=None if codes is None else codes[order],
            )
        )
    random.shuffle(mixed)
    assert _near(pooled_retention(mixed), pooled_retention(pool))


@given(POOLS, st.sampled_from([1e-3, 0.3, 7.0, 1e4]))
@every_pool
def test_only_the_proportion_of_weights_matters(pool: list[Stratum], factor: float) -> None:
    """All weights times one number give the same bounds."""
    scaled = [replace(stratum, weight=stratum.weight * factor) for stratum in pool]
    assert _near(pooled_retention(scaled), pooled_retention(pool))


@given(POOLS, st.sampled_from([0.01, 100.0]))
@every_pool
def test_the_scale_of_the_scores_does_not_matter(pool: list[Stratum], factor: float) -> None:
    """Points out of 100 are judged like shares of 1."""
    scaled = [
        replace(
            stratum,
            baseline=stratum.scores[0] * factor,
            quantized=stratum.scores[1] * factor,
            excess=stratum.excess * factor**2,
        )
        for stratum in pool
    ]
    assert _near(pooled_retention(scaled), pooled_retention(pool))


@given(POOLS)
@every_pool
def test_the_same_scores_twice_give_an_interval_around_1(pool: list[Stratum]) -> None:
    """Models that answered alike have a ratio of 1 within bounds, which are reciprocals."""
    same = [replace(stratum, quantized=stratum.baseline, runs=1) for stratum in pool]
    low, high = pooled_retention(same)
    assert low <= 1.0 <= high
    assert low * high == pytest.approx(1.0) or (low == 0.0 and math.isinf(high))


@given(POOLS, st.floats(0.3, 2.0), st.sampled_from([0.9, 0.9975]))
@every_pool
def test_the_statistic_decides_as_the_interval_does(
    pool: list[Stratum], minimum: float, confidence: float
) -> None:
    """Outside the bounds the statistic is beyond the quantile, inside it is not."""
    items = [replace(stratum, clusters=None) for stratum in pool]
    interval = pooled_retention(items, confidence=confidence, sides=1)
    if any(abs(bound / minimum - 1) < 1e-6 for bound in interval):
        return
    z = normal_quantile(confidence, 1)
    score = pooled_statistic(items, minimum, z)
    verdict = "kept" if score > z else "lost" if score < -z else "undecided"
    assert verdict == evidence(interval, minimum).value


@given(_strata(), st.sampled_from([0.8, 0.95]))
@every_pool
def test_ratios_of_means(stratum: Stratum, confidence: float) -> None:
    """Fieller's bounds are ordered, widen with confidence, invert, and ignore order."""
    before, after = stratum.scores
    names = stratum.codes
    interval = mean_ratio_interval(before, after, confidence=confidence, clusters=names)
    assert 0.0 <= interval.low <= interval.high
    wider = mean_ratio_interval(before, after, confidence=0.99, clusters=names)
    assert wider.low <= interval.low * (1 + 1e-9)
    assert wider.high >= interval.high * (1 - 1e-9)
    back = mean_ratio_interval(after, before, confidence=confidence, clusters=names)
    turned = mean_ratio_interval(
        before[::-1],
        after[::-1],
        confidence=confidence,
        clusters=None if names is None else names[::-1],
        weights=np.full(before.size, 7.0),
    )
    assert _near(turned, interval)
    inverse = [0.0 if math.isinf(x) else math.inf if x == 0.0 else 1.0 / x for x in interval[::-1]]
    if before.any() or after.any():
        assert _near(back, Interval(*inverse))
    low, high = mean_ratio_interval(before, before, confidence=confidence, clusters=names)
    assert low <= 1 + 1e-9
    assert high >= 1 - 1e-9


@given(
    st.lists(
        st.tuples(st.floats(-500, 0), st.floats(-500, 0), st.integers(1, 300)),
        min_size=1,
        max_size=30,
    )
)
@every_pool
def test_ratios_of_perplexities(documents: list[tuple[float, float, int]]) -> None:
    """Bounds are ordered, invert with the roles, and hold 1 for the same model twice."""
    before, after, tokens = (list(column) for column in zip(*documents, strict=True))
    low, high = perplexity_ratio_interval(before, after, tokens)
    assert 0.0 <= low <= high
    back = perplexity_ratio_interval(after, before, tokens)
    if low > 0.0 and math.isfinite(high):
        assert (1 / back.high, 1 / back.low) == pytest.approx((low, high), rel=1e-6)
    same = perplexity_ratio_interval(before, before, tokens)
    assert same.low <= 1.0 <= same.high
