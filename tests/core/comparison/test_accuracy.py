"""Pairing two measurements: counts, ratios, and values on a part of the items."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_quantreg.core.comparison.alignment import first_items, refuse_partial, same_kinds
from pytest_quantreg.core.comparison.pairs import compare_items
from pytest_quantreg.core.records.run import Metric

from ...wording import refused
from .comparisons import ACC, accuracy, paired


def test_counts_and_items() -> None:
    """Lost and won items are named by document, ascending, whatever the order measured in."""
    comparison = paired(5, 2, 3, 4)
    assert comparison.counts is not None
    assert comparison.counts.cells == (5, 2, 3, 4)
    assert (comparison.n, comparison.baseline, comparison.quantized) == (14, 8 / 14, 7 / 14)
    assert comparison.retention == (7 / 14) / (8 / 14)
    assert comparison.flips == 5 / 14
    assert comparison.lost_items == (4, 5, 6)
    assert comparison.won_items == (7, 8)
    assert comparison.low is not None
    assert comparison.high is not None
    assert comparison.low < comparison.retention < comparison.high


def test_a_print_of_it_stays_short() -> None:
    """Thousands of lost items do not flood a test's output."""
    assert len(repr(paired(0, 0, 5000, 0))) < 600


def test_other_items_are_a_bug() -> None:
    """Comparability is checked before; here unequal items raise."""
    with pytest.raises(ValueError, match="same items"):
        compare_items(accuracy([1, 0]), accuracy([1]), ACC, scheme="x", confidence=0.95)


def test_lower_is_better_is_inverted() -> None:
    """A perplexity that grows by a quarter keeps 80 %."""
    metric = Metric("word_perplexity,none", False, "perplexity")
    base = accuracy([-math.log(4.0)], metric, value=4.0, weights=[1.0])
    worse = accuracy([-math.log(5.0)], metric, value=5.0, weights=[1.0])
    comparison = compare_items(base, worse, metric, scheme="x", confidence=0.95)
    assert comparison.retention == pytest.approx(0.8)
    assert (comparison.low, comparison.high, comparison.counts, comparison.flips) == (
        0.0,
        math.inf,
        None,
        None,
    )


def test_a_0_1_metric_where_lower_is_better_is_not_counted_upside_down() -> None:
    """A rate of errors that doubles keeps half, and its 1s are never taken for right answers."""
    metric = Metric("error_rate,none", False, "binary")
    base = accuracy([1] * 100 + [0] * 300, metric)
    worse = accuracy([1] * 200 + [0] * 200, metric)
    comparison = compare_items(base, worse, metric, scheme="x", confidence=0.95)
    assert (comparison.retention, comparison.counts, comparison.won) == (0.5, None, 0)
    assert comparison.lost == len(comparison.lost_items) == 100
    assert comparison.low is not None
    assert comparison.high is not None
    assert 0.4 < comparison.low < 0.5 < comparison.high < 0.6


def test_a_metric_that_some_answers_lack_is_refused() -> None:
    """A task's scoring that leaves a metric out for empty answers hides them from the mean."""
    partial = accuracy([1, 1])
    partial = replace(partial, items=replace(partial.items, scores={}))
    for base, other in ((accuracy([1, 1]), partial), (partial, accuracy([1, 1]))):
        with refused("missing for some"):
            refuse_partial(base, other)
    refuse_partial(accuracy([1, 1]), accuracy([1, 0]))


@pytest.mark.parametrize(("base", "other", "ratio"), [(0, 0, 1.0), (0, 1, math.inf), (1, 0, 0.0)])
def test_ratios_without_a_right_answer(base: int, other: int, ratio: float) -> None:
    """No division by zero: nothing of nothing is kept, something of nothing is infinite."""
    comparison = compare_items(
        accuracy([base]), accuracy([other]), ACC, scheme="x", confidence=0.95
    )
    assert comparison.retention == ratio


@pytest.mark.parametrize("swap", [False, True])
def test_a_metric_is_binary_only_if_it_is_in_both(swap: bool) -> None:
    """Shares that happen to be 0 or 1 in one of the two are compared as means."""
    share = Metric("acc,none", True, "mean")
    pair = [accuracy([1, 0]), accuracy([1, 0.5], share)]
    first, second = same_kinds(*(reversed(pair) if swap else pair))
    assert first.protocol == second.protocol
    comparison = compare_items(
        first, second, first.protocol.metrics[0], scheme="x", confidence=0.95
    )
    assert comparison.counts is None
    assert {comparison.baseline, comparison.quantized} == {0.5, 0.75}
    assert same_kinds(pair[0], pair[0]) == (pair[0], pair[0])


def test_first_items_recompute_means() -> None:
    """The value of a part is the mean of the part."""
    part = first_items(accuracy([1, 1, 0, 0, 0]), 2)
    assert (len(part.items), part.values) == (2, {"acc,none": 1.0})
    whole = accuracy([1, 0])
    assert first_items(whole, 2) is whole
    assert first_items(whole, 7) is whole


@pytest.mark.parametrize("bits", [False, True])
def test_first_items_recompute_perplexities(bits: bool) -> None:
    """From log-likelihoods and weights, by the formula that gives the whole's own value."""

    def form(loss: float) -> float:
        return loss / math.log(2) if bits else math.exp(loss)

    metric = Metric("p,none", False, "perplexity")
    whole = accuracy([-3.0, -1.0, -9.0], metric, value=form(13 / 6), weights=[2.0, 1.0, 3.0])
    assert first_items(whole, 2).values["p,none"] == pytest.approx(form(4 / 3), rel=1e-12)


def test_first_items_leave_unknown_what_scores_cannot_give() -> None:
    """An aggregate such as BLEU, or a formula of a task's own, is NaN on a part."""
    bleu = Metric("bleu,none", True, "aggregate")
    assert math.isnan(first_items(accuracy([1, 2], bleu, value=30.0), 1).values["bleu,none"])
    own = Metric("p,none", False, "perplexity")
    odd = accuracy([-3.0, -1.0], own, value=99.0, weights=[1.0, 1.0])
    assert math.isnan(first_items(odd, 1).values["p,none"])
