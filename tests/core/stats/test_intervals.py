"""Intervals and p-values agree with implementations and publications not our own."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_quantreg.core.stats import (
    DEFAULT_METHOD,
    Interval,
    IntervalVerdict,
    Method,
    PairedCounts,
    evidence,
    mcnemar,
    planning_discordance,
    retention_interval,
    retention_intervals,
    score_statistic,
    wilson,
)

REFERENCE = Path(__file__).parents[2] / "data" / "reference"


def _read(name: str) -> Any:
    return json.loads((REFERENCE / name).read_text(encoding="utf-8"))


def _cases() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = _read("paired_ratio_intervals.json")["cases"]
    return cases


def _cells(case: dict[str, Any]) -> tuple[int, int, int, int]:
    return (
        case["both_correct"],
        case["quantized_only"],
        case["baseline_only"],
        case["neither"],
    )


@pytest.mark.parametrize(("method", "column"), [("tang", "tang_score"), ("scas", "scas")])
def test_every_reference_interval(method: Method, column: str) -> None:
    """Both methods agree with the R package's bounds in every case, to its printed digits."""
    cases = _cases()
    assert len(cases) == 60
    for case in cases:
        interval = retention_interval(*_cells(case), confidence=case["level"], method=method)
        assert interval == pytest.approx(case[column], abs=1e-7), case


def test_published_interval() -> None:
    """Tang's method gives the interval printed in Fagerland, Lydersen and Laake (2014)."""
    check = _read("paired_ratio_intervals.json")["published_check"]
    interval = retention_interval(*check["table"], method="tang")
    assert tuple(round(bound, 3) for bound in interval) == tuple(check["tang_score_95"])


def test_default_takes_the_more_cautious_bound_on_each_side() -> None:
    """The default's bounds are the outer ones of the two published methods."""
    assert DEFAULT_METHOD == "widest"
    for case in _cases():
        level = case["level"]
        widest = retention_interval(*_cells(case), confidence=level)
        scas = retention_interval(*_cells(case), confidence=level, method="scas")
        tang = retention_interval(*_cells(case), confidence=level, method="tang")
        assert widest.low == pytest.approx(min(scas.low, tang.low), rel=1e-12)
        assert widest.high == pytest.approx(max(scas.high, tang.high), rel=1e-12)


def test_one_side_at_95_is_two_sides_at_90() -> None:
    """One-sided bounds are those of the interval that errs twice as often."""
    interval = retention_interval(900, 20, 45, 354, confidence=0.95, sides=1)
    two = retention_interval(900, 20, 45, 354, confidence=0.90, sides=2)
    assert interval == pytest.approx(two, rel=1e-12)


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [
        # Without flips Tang's interval is both/(both+z^2) and its reciprocal; with
        # nothing right on one side the bound is z^2 over the other side's count.
        ((100, 0, 0, 20), 100 / (100 + 1.959963985**2), (100 + 1.959963985**2) / 100),
        ((0, 8, 0, 3), 8 / 1.959963985**2, math.inf),
        ((0, 0, 8, 3), 0.0, 1.959963985**2 / 8),
        ((0, 0, 0, 0), 0.0, math.inf),
        ((0, 0, 0, 9), 0.0, math.inf),
    ],
)
def test_zero_cells_have_their_closed_forms(
    cells: tuple[int, int, int, int], low: float, high: float
) -> None:
    """Tables with empty cells give the bounds that algebra gives, infinite ones included."""
    assert retention_interval(*cells, method="tang") == pytest.approx((low, high), rel=1e-8)


def test_many_tables_at_once_equal_one_by_one() -> None:
    """The vectorised bounds are those of the single tables."""
    cells = np.array([_cells(case) for case in _cases()]).T
    intervals = retention_intervals(*(cells[i] for i in range(4)))
    for i in range(cells.shape[1]):
        alone = retention_interval(*(int(x) for x in cells[:, i]))
        assert (intervals.low[i], intervals.high[i]) == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize(
    "cells", [(10**6, 0, 0, 0), (10**6, 1, 0, 0), (5 * 10**5, 100, 90, 10**5), (0, 0, 10**6, 0)]
)
def test_a_million_items_keep_their_precision(cells: tuple[int, int, int, int]) -> None:
    """At both bounds of a huge table the statistic is at the quantile, to eight digits."""
    low, high = retention_interval(*cells)
    if low > 0:
        at_low = score_statistic(*cells, low, sides=2)
        assert float(at_low) == pytest.approx(1.959963985, abs=1e-6)
    at_high = score_statistic(*cells, high, sides=2)
    assert float(at_high) == pytest.approx(-1.959963985, abs=1e-6)


def test_mcnemar_agrees_with_the_published_counts() -> None:
    """The exact p of all published task and group counts is reproduced."""
    oracle = _read("mcnemar_bf16_vs_w4a16_nvfp4.json")
    rows = [*oracle["per_task"].values(), *oracle["groups"].values()]
    assert len(rows) == 79
    for row in rows:
        p = mcnemar(row["nvfp4_only_right"], row["bf16_only_right"])
        assert p == pytest.approx(row["mcnemar_p"], abs=1e-9)


def test_published_counts_are_read_as_pairs() -> None:
    """Accuracy differences follow from the published counts, so the columns are ours."""
    for row in _read("mcnemar_bf16_vs_w4a16_nvfp4.json")["per_task"].values():
        counts = PairedCounts(
            row["both_right"], row["nvfp4_only_right"], row["bf16_only_right"], row["both_wrong"]
        )
        assert counts.n == row["n"]
        change = counts.quantized_accuracy - counts.baseline_accuracy
        assert change == pytest.approx(row["delta_acc"], abs=1e-12)


def test_mcnemar_at_its_ends() -> None:
    """No flips say nothing, one flip neither, and six of one kind give 2/64."""
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 1) == 1.0
    assert mcnemar(6, 0) == pytest.approx(2 / 64)
    with pytest.raises(ValueError, match="-1"):
        mcnemar(-1, 3)


def test_wilson() -> None:
    """The textbook interval for 5 of 10, and exact ends for none, all and no items."""
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=5e-5)
    assert wilson(0, 10).low == 0.0
    assert wilson(10, 10).high == 1.0
    assert wilson(0, 0) == Interval(0.0, 1.0)
    assert wilson(3, 50, confidence=0.95, sides=1) == pytest.approx(wilson(3, 50, confidence=0.9))
    with pytest.raises(ValueError, match="11 successes of 10"):
        wilson(11, 10)


def test_planning_discordance() -> None:
    """Flips are planned with at their upper bound, and with the default when none was seen."""
    seen = planning_discordance(PairedCounts(180, 4, 6, 60), default=0.2)
    assert seen == wilson(10, 250, sides=1).high
    assert seen > 10 / 250
    assert planning_discordance(PairedCounts(190, 0, 0, 60), default=0.2) == 0.2
    assert planning_discordance(PairedCounts(0, 0, 0, 0), default=0.2) == 0.2


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (Interval(0.98, 1.1), IntervalVerdict.KEPT),
        (Interval(0.9799999, 1.1), IntervalVerdict.UNDECIDED),
        (Interval(0.9, 0.98), IntervalVerdict.UNDECIDED),
        (Interval(0.9, 0.9799999), IntervalVerdict.LOST),
        (Interval(0.0, math.inf), IntervalVerdict.UNDECIDED),
    ],
)
def test_evidence_is_not_rounded(interval: Interval, expected: IntervalVerdict) -> None:
    """A bound decides on its own side of the minimum, however near it lies."""
    assert evidence(interval, 0.98) is expected


@pytest.mark.parametrize("minimum", [0.0, -1.0, math.nan])
def test_evidence_refuses_a_minimum_that_is_none(minimum: float) -> None:
    """A minimum that every model meets, or no number, is refused."""
    with pytest.raises(ValueError, match="minimum="):
        evidence(Interval(0.9, 1.1), minimum)


def test_whole_numbers_of_any_kind_are_counts() -> None:
    """Counts from numpy or JSON, whole floats included, give the interval of the integers."""
    expected = retention_interval(180, 4, 6, 60)
    assert retention_interval(*np.array([180, 4, 6, 60], dtype=np.int32)) == expected
    assert retention_interval(*np.array([180.0, 4.0, 6.0, 60.0])) == expected
    with pytest.raises(ValueError, match="nan is not a count"):
        retention_interval(1, 1, 1, math.nan)  # type: ignore[arg-type]


def test_bad_arguments_name_the_value() -> None:
    """Impossible confidences, sides, methods, counts and ratios are refused by value."""
    with pytest.raises(ValueError, match=r"confidence=95.*0\.95"):
        retention_interval(1, 1, 1, 1, confidence=95)
    with pytest.raises(ValueError, match=r"confidence=0\.3 "):
        retention_interval(1, 1, 1, 1, confidence=0.3, sides=1)
    with pytest.raises(ValueError, match="sides=3"):
        retention_interval(1, 1, 1, 1, sides=3)
    with pytest.raises(ValueError, match="method='wald'"):
        retention_interval(1, 1, 1, 1, method="wald")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="-1 is not a count"):
        retention_interval(1, -1, 1, 1)
    with pytest.raises(ValueError, match="ratio=0"):
        score_statistic(1, 1, 1, 1, 0)
    with pytest.raises(ValueError, match="method='wald'"):
        score_statistic(1, 1, 1, 1, 1, method="wald")  # type: ignore[arg-type]


def test_counting_pairs() -> None:
    """Right and wrong answers of eight items fall into the four cells."""
    counts = PairedCounts.of([1, 1, 1, 0, 0, 0, 1, 0], np.array([1.0, 1, 0, 1, 0, 0, 1, 0]))
    assert counts == PairedCounts(both=3, quantized_only=1, baseline_only=1, neither=3)
    assert (counts.n, counts.flips, counts.retention) == (8, 0.25, 1.0)
    assert (counts.baseline_accuracy, counts.quantized_accuracy) == (0.5, 0.5)


@pytest.mark.parametrize("score", [0.5, 2, -1, math.nan])
def test_scores_other_than_0_and_1_are_named(score: float) -> None:
    """A score between, beyond or no number is refused with its value and its item."""
    with pytest.raises(ValueError, match=rf"quantized score {score!s} of item 1 is neither"):
        PairedCounts.of([1, 0, 1], [1, score, 0])


def test_pairs_need_partners() -> None:
    """Unequal lengths and tables instead of columns are refused."""
    with pytest.raises(ValueError, match="3 baseline scores and 2 quantized scores"):
        PairedCounts.of([1, 0, 1], [1, 0])
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        PairedCounts.of([[1, 0]], [1, 0])
    with pytest.raises(ValueError, match="baseline_only=-2"):
        PairedCounts(1, 1, -2, 1)


def test_counts_without_a_ratio() -> None:
    """A baseline with nothing right makes retention infinite, or nothing at all."""
    assert PairedCounts(0, 3, 0, 4).retention == math.inf
    assert math.isnan(PairedCounts(0, 0, 0, 4).retention)
    assert math.isnan(PairedCounts(0, 0, 0, 0).baseline_accuracy)
