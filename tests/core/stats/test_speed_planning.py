"""What speed gates can see: counts by definition, powers by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pytest_quantreg.core.stats import (
    detectable_ratio,
    least_units,
    quantile_interval,
    speedup_interval,
    timing_spread,
    typical,
    units_needed,
)


@pytest.mark.parametrize("confidence", [0.5, 0.75, 0.9, 0.95, 0.99, 0.9975])
def test_least_units_are_the_first_with_bounds(confidence: float) -> None:
    """With one unit fewer both bounds are unknown, with so many they are known."""
    n = least_units(confidence)
    for units, known in ((n - 1, False), (n, True)):
        if units == 0:
            continue
        for bounds in (
            speedup_interval(np.ones(units), np.ones(units), confidence=confidence, sides=1),
            typical(np.ones(units), confidence=confidence, sides=1),
        ):
            assert (bounds.low > 0.0, math.isfinite(bounds.high)) == (known, known)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.9975])
@pytest.mark.parametrize("percentile", [1.0, 50.0, 90.0, 99.0, 99.9])
def test_least_units_of_percentiles_differ_by_side(confidence: float, percentile: float) -> None:
    """The low bound of a high percentile comes with few rounds, the high one with hundreds."""
    for side in ("low", "high"):
        n = least_units(confidence, percentile, side=side)
        for units in {n - 1, n} - {0}:
            interval = quantile_interval(
                [[1.0]] * units, percentile, confidence=confidence, sides=1
            )
            bounded = interval.low > 0.0 if side == "low" else math.isfinite(interval.high)
            assert bounded == (units == n)


def test_least_units_one_knows_by_heart() -> None:
    """Five units at 95 %, nine for one of twenty gates, 299 to bound a p99."""
    assert [least_units(x) for x in (0.95, 0.9975)] == [5, 9]
    assert [least_units(0.95, p, side="high") for p in (50, 90, 99)] == [5, 29, 299]
    assert [least_units(0.95, p, side="low") for p in (50, 90, 99)] == [5, 2, 1]
    with pytest.raises(ValueError, match="percentile=100"):
        least_units(0.95, 100.0)
    with pytest.raises(ValueError, match=r"confidence=0\.2"):
        least_units(0.2)


@pytest.mark.parametrize("n", [3, 5, 10, 11, 30])
def test_the_spread_is_cautious(n: int) -> None:
    """At 95 % it exceeds the true one in 93 of 100 samples or more; at 50 % it is right."""
    rng = np.random.default_rng(n)
    series = np.exp(rng.normal(0.0, 1.0, (2000, n)))
    cautious = np.array([timing_spread(row) for row in series])
    assert np.mean(cautious >= 1.0) >= 0.93
    if n > 3:
        usual = np.array([timing_spread(row, confidence=0.5) for row in series])
        assert float(np.median(usual)) == pytest.approx(1.0, abs=0.15)


def test_the_spread_of_pairs_ignores_what_both_share_and_spikes() -> None:
    """A common drift cancels, and a quarter of the units may be anything."""
    rng = np.random.default_rng(1)
    common = rng.normal(0.0, 3.0, 200)
    before, after = (np.exp(common + rng.normal(0.0, 0.02, 200)) for _ in range(2))
    plain = timing_spread(before, after)
    assert 0.025 < plain < 0.036
    after[::5] *= 50.0
    assert timing_spread(before, after) < 2.0 * plain
    many = timing_spread(np.exp(rng.normal(0.0, 0.02, 20_000)))
    assert many == pytest.approx(0.02, rel=0.04)
    assert timing_spread([3.0]) == math.inf
    with pytest.raises(ValueError, match="2 baseline and 1 quantized"):
        timing_spread([1.0, 2.0], [1.0])


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("n", [5, 6, 10, 20])
def test_the_ratio_named_turns_red_four_times_in_five(n: int, alone: bool) -> None:
    """Simulated with normal noise; the approximation errs by a few points, and on the safe side."""
    rng, draws, spread = np.random.default_rng(n), 2000, 0.04
    ratio = detectable_ratio(spread, n, 1.5, alone=alone)
    assert ratio is not None
    noise = np.exp(rng.normal(math.log(ratio), spread, (draws, n)))
    highs = [
        (typical(row, sides=1) if alone else speedup_interval(np.ones(n), row, sides=1)).high
        for row in noise
    ]
    assert 0.77 <= np.mean(np.array(highs) < 1.5) <= 0.88


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("confidence", [0.95, 0.9975])
@pytest.mark.parametrize("distance", [0.005, 0.02, 0.1])
def test_both_plans_agree(distance: float, confidence: float, alone: bool) -> None:
    """With the units needed for a distance, that distance is what is detectable."""
    n = units_needed(0.03, distance, confidence, alone=alone)
    assert n is not None
    seen = detectable_ratio(0.03, n, 1.0, confidence, alone=alone)
    assert seen is not None
    assert -math.log(seen) <= distance * (1 + 1e-5)
    if n > least_units(confidence):
        fewer = detectable_ratio(0.03, n - 1, 1.0, confidence, alone=alone)
        assert fewer is not None
        assert -math.log(fewer) > distance


def test_more_units_see_more_and_a_median_alone_sees_less() -> None:
    """Smaller losses with more pairs; a series alone, with its order statistics, needs more."""
    seen = [detectable_ratio(0.05, n, 1.0) or 0.0 for n in (5, 10, 20, 50, 200, 2000)]
    assert seen == sorted(seen)
    paired, alone = (units_needed(0.05, 0.02, alone=alone) or 0 for alone in (False, True))
    assert paired < alone < 2 * paired


def test_what_can_never_be_seen() -> None:
    """Too few units, no distance, no idea of the spread; no noise at all needs the fewest."""
    assert detectable_ratio(0.05, 4, 1.0) is None
    assert detectable_ratio(math.inf, 10, 1.0) is None
    assert detectable_ratio(0.0, 5, 1.8) == 1.8
    assert units_needed(0.05, 0.0) is None
    assert units_needed(0.05, 1e-5) is None
    assert units_needed(math.inf, 0.1) is None
    assert units_needed(0.0, 0.1) == 5


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: detectable_ratio(-1.0, 5, 1.0), r"spread=-1\.0"),
        (lambda: detectable_ratio(math.nan, 5, 1.0), "spread=nan"),
        (lambda: detectable_ratio(0.1, 0, 1.0), "n=0"),
        (lambda: detectable_ratio(0.1, 5, -1.0), r"minimum=-1\.0"),
        (lambda: detectable_ratio(0.1, 5, 1.0, power=80), "4 times in 5"),
        (lambda: units_needed(0.1, -0.1), r"distance=-0\.1"),
        (lambda: units_needed(0.1, math.inf), "distance=inf"),
        (lambda: units_needed(0.1, 0.1, 95), r"confidence=95"),
    ],
)
def test_impossible_plans_are_named(call: object, said: str) -> None:
    """Each wrong argument is told with its value."""
    assert callable(call)
    with pytest.raises(ValueError, match=said):
        call()
