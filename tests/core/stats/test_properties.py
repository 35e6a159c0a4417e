"""What must hold for every table, whatever its counts."""

from __future__ import annotations

import itertools
import math
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pytest_quantreg.core.stats import (
    METHODS,
    IntervalVerdict,
    Method,
    PairedCounts,
    evidence,
    normal_quantile,
    retention_interval,
    retention_intervals,
    score_statistic,
)

Cells: TypeAlias = tuple[int, int, int, int]

# Few as well as many: small cells are where the formulas could break.
COUNT = st.one_of(st.integers(0, 4), st.integers(0, 60), st.integers(0, 1500))
TABLES = st.tuples(COUNT, COUNT, COUNT, COUNT)
CONFIDENCES = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.9975])
ANY_METHOD = st.sampled_from(METHODS)

every_table = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def _small_tables(most: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    cells = (c for c in itertools.product(range(most + 1), repeat=4) if sum(c) <= most)
    return np.array(list(cells), dtype=np.int64).T


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.9975, 0.99999])
def test_all_tables_of_six_items(method: Method, confidence: float) -> None:
    """Of every table up to six items the bounds are numbers, in order, around the estimate."""
    a, b, c, d = _small_tables(6)
    low, high = retention_intervals(a, b, c, d, confidence=confidence, method=method)
    assert low.size == 210
    assert not np.isnan(low).any()
    assert not np.isnan(high).any()
    assert ((low >= 0) & np.isfinite(low)).all()
    known = a + c > 0
    estimate = (a + b)[known] / (a + c)[known]
    assert (low[known] <= estimate * (1 + 1e-12)).all()
    assert (high[known] >= estimate * (1 - 1e-12)).all()
    assert np.isinf(high[~known]).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.9975])
def test_rejected_ratios_are_one_piece(method: Method, confidence: float) -> None:
    """Along the ratios the statistic crosses each bound once, so halving finds the bound."""
    z = normal_quantile(confidence, 1)
    ratios = np.exp(np.linspace(math.log(1e-4), math.log(1e4), 2001))[:, None]
    a, b, c, d = _small_tables(6)
    few = np.array([(1200, b, c, 119) for b in (0, 1, 5, 30) for c in (0, 1, 5, 30)]).T
    for cells in ((a, b, c, d), few):
        both, won, lost, neither = cells
        score = score_statistic(
            both, won, lost, neither, ratios, confidence=confidence, method=method
        )
        above, below = (score > z).astype(int), (score < -z).astype(int)
        assert (np.diff(above, axis=0) <= 0).all()
        assert (np.diff(below, axis=0) >= 0).all()


@given(TABLES, CONFIDENCES, ANY_METHOD)
@every_table
def test_swapping_the_models_inverts_the_interval(
    cells: Cells, confidence: float, method: Method
) -> None:
    """With the roles exchanged the bounds are the reciprocals, in reverse order."""
    a, b, c, d = cells
    low, high = retention_interval(a, b, c, d, confidence=confidence, method=method)
    back = retention_interval(a, c, b, d, confidence=confidence, method=method)
    assert back.low == pytest.approx(0.0 if math.isinf(high) else 1 / high, rel=1e-9)
    assert back.high == pytest.approx(1 / low if low > 0 else math.inf, rel=1e-9)


@given(TABLES, ANY_METHOD)
@every_table
def test_more_confidence_is_a_wider_interval(cells: Cells, method: Method) -> None:
    """Each bound moves outwards, or stays, as the confidence rises."""
    levels = (0.5, 0.7, 0.85, 0.9, 0.95, 0.99, 0.999)
    intervals = [retention_interval(*cells, confidence=x, method=method) for x in levels]
    for narrow, wide in itertools.pairwise(intervals):
        assert wide.low <= narrow.low + 1e-12
        assert wide.high >= narrow.high * (1 - 1e-12)


@given(TABLES, st.integers(2, 6), ANY_METHOD)
@every_table
def test_more_items_of_the_same_kind_narrow_it(cells: Cells, times: int, method: Method) -> None:
    """The same table several times over never widens the interval."""
    low, high = retention_interval(*cells, method=method)
    a, b, c, d = (count * times for count in cells)
    more = retention_interval(a, b, c, d, method=method)
    assert more.low >= low - 1e-9
    assert more.high <= high * (1 + 1e-9)


@given(st.lists(st.sampled_from([0, 1]), max_size=300), ANY_METHOD)
@every_table
def test_the_same_scores_twice_give_an_interval_around_1(scores: list[int], method: Method) -> None:
    """A model against itself retains everything, and the interval is symmetric about that."""
    counts = PairedCounts.of(scores, scores)
    low, high = retention_interval(*counts.cells, method=method)
    assert low <= 1 <= high
    assert low * high == pytest.approx(1.0) or (low == 0 and math.isinf(high))


@given(st.data())
@every_table
def test_the_order_of_the_items_changes_nothing(data: st.DataObject) -> None:
    """Shuffled pairs count the same."""
    pairs = data.draw(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
    shuffled = data.draw(st.permutations(pairs))
    first, second = (
        PairedCounts.of([p for p, _ in items], [q for _, q in items]) for items in (pairs, shuffled)
    )
    assert first == second


@given(TABLES, st.floats(0.3, 2.0), st.sampled_from([0.9, 0.95, 0.9975]), ANY_METHOD)
@every_table
def test_the_statistic_decides_as_the_interval_does(
    cells: Cells, minimum: float, confidence: float, method: Method
) -> None:
    """The statistic at the minimum passes z exactly when the bound passes the minimum."""
    interval = retention_interval(*cells, confidence=confidence, sides=1, method=method)
    assume(all(abs(bound / minimum - 1) > 1e-9 for bound in interval))
    z = normal_quantile(confidence, 1)
    score = float(score_statistic(*cells, minimum, confidence=confidence, method=method))
    verdict = (
        IntervalVerdict.KEPT
        if score > z
        else IntervalVerdict.LOST
        if score < -z
        else IntervalVerdict.UNDECIDED
    )
    assert verdict is evidence(interval, minimum)


@given(TABLES, st.floats(0.5, 1.5), ANY_METHOD)
@every_table
def test_one_answer_more_lost_never_looks_better(
    cells: Cells, minimum: float, method: Method
) -> None:
    """Turning one answer of both right into one lost lowers the statistic."""
    a, b, c, d = cells
    assume(a > 0)
    before = score_statistic(a, b, c, d, minimum, method=method)
    after = score_statistic(a - 1, b, c + 1, d, minimum, method=method)
    z = normal_quantile(0.95, 1)
    assert not (before < -z and after >= -z)
    assert not (before <= z and after > z)
