"""What must hold for every series of throughputs, whatever its values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_quantreg.core.stats import (
    Estimate,
    quantile_interval,
    session_ratio,
    speedup_interval,
    typical,
)

SPEED = st.one_of(st.floats(0.01, 1e6), st.sampled_from([1.0, 2.0, 50.0, 1e-70, 1e70]))
PAIRS = st.lists(st.tuples(SPEED, SPEED), min_size=1, max_size=30)
SERIES = st.lists(SPEED, min_size=1, max_size=30)
LATENCIES = st.lists(
    st.lists(st.one_of(st.floats(0.0, 10.0), st.sampled_from([0.0, 1.0])), min_size=1, max_size=6),
    min_size=1,
    max_size=20,
)
LEVELS = (0.5, 0.7, 0.9, 0.95, 0.99, 0.999)

every_series = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def _unzip(pairs: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [before for before, _ in pairs], [after for _, after in pairs]


def _check(interval: Callable[..., Estimate], *given: Any) -> None:
    """In order, no NaN, and wider with more confidence round one estimate."""
    for sides in (1, 2):
        intervals = [interval(*given, confidence=level, sides=sides) for level in LEVELS]
        for bounds in intervals:
            assert 0.0 <= bounds.low <= bounds.estimate * (1 + 1e-12)
            assert bounds.estimate <= bounds.high * (1 + 1e-12)
        for narrow, wide in itertools.pairwise(intervals):
            assert wide.estimate == narrow.estimate
            assert wide.low <= narrow.low
            assert wide.high >= narrow.high


@given(PAIRS)
@every_series
def test_speedups_are_in_order_and_widen(pairs: list[tuple[float, float]]) -> None:
    """low <= estimate <= high, and each bound moves outwards as the confidence rises."""
    _check(speedup_interval, *_unzip(pairs))


@given(SERIES, SPEED)
@every_series
def test_series_and_sessions_are_in_order_and_widen(series: list[float], today: float) -> None:
    """The same of one series, and of stored sessions."""
    _check(typical, series)
    _check(session_ratio, series, today)


@given(LATENCIES, st.floats(0.5, 99.5))
@every_series
def test_percentiles_are_in_order_and_widen(groups: list[list[float]], percentile: float) -> None:
    """The same of latencies; estimate and finite bounds are latencies that were seen."""
    _check(quantile_interval, groups, percentile)
    seen = {number for group in groups for number in group} | {0.0, math.inf}
    assert set(quantile_interval(groups, percentile, confidence=0.9)) <= seen


@given(PAIRS, st.floats(0.1, 10.0))
@every_series
def test_a_faster_model_moves_everything_alike(
    pairs: list[tuple[float, float]], factor: float
) -> None:
    """Doubling all quantized throughputs doubles the estimate and both bounds."""
    before, after = _unzip(pairs)
    plain = speedup_interval(before, after, confidence=0.9)
    doubled = speedup_interval(before, [2.0 * value for value in after], confidence=0.9)
    assert doubled == pytest.approx([2.0 * value for value in plain], rel=1e-15)
    assert (doubled.low, doubled.high) == (2.0 * plain.low, 2.0 * plain.high)
    scaled = speedup_interval(before, np.multiply(after, factor), confidence=0.9)
    assert scaled == pytest.approx([factor * value for value in plain], rel=1e-12)
    alone = typical(np.multiply(after, factor))
    assert alone == pytest.approx([factor * value for value in typical(after)], rel=1e-12)
    sessions = session_ratio(before, factor * after[0])
    wanted = [factor * value for value in session_ratio(before, after[0])]
    assert sessions == pytest.approx(wanted, rel=1e-9)


@given(PAIRS)
@every_series
def test_swapping_the_models_inverts(pairs: list[tuple[float, float]]) -> None:
    """With the roles exchanged estimate and bounds are the reciprocals, in reverse order."""
    before, after = _unzip(pairs)
    plain = speedup_interval(before, after, confidence=0.9)
    swapped = speedup_interval(after, before, confidence=0.9)
    assert swapped.estimate == pytest.approx(1 / plain.estimate, rel=1e-12)
    assert swapped.high == pytest.approx(1 / plain.low if plain.low else math.inf, rel=1e-12)
    assert swapped.low == pytest.approx(1 / plain.high, rel=1e-12)


@given(PAIRS, st.randoms(use_true_random=False))
@every_series
def test_the_order_of_the_units_changes_nothing(
    pairs: list[tuple[float, float]], random: Any
) -> None:
    """Pairs, and rounds of latencies, may come in any order."""
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert speedup_interval(*_unzip(shuffled)) == speedup_interval(*_unzip(pairs))
    ordered, reordered = (quantile_interval(groups, 90.0) for groups in (pairs, shuffled))
    assert ordered == reordered


@given(SERIES)
@every_series
def test_a_series_against_itself_is_1(series: list[float]) -> None:
    """The same throughputs give 1 exactly, bounds round it."""
    interval = speedup_interval(series, series, confidence=0.9)
    assert interval.estimate == 1.0
    assert (interval.low, interval.high) in {(1.0, 1.0), (0.0, math.inf)}
