"""What is noted of a recorded baseline beside the one that it replaces."""

from __future__ import annotations

from dataclasses import replace

from pytest_quantreg.core.comparison.baseline_diff import replacement_note
from pytest_quantreg.core.comparison.pairs import compare_items
from pytest_quantreg.core.records.run import Accuracy, Metric

from ...wording import shown
from .comparisons import ACC, accuracy


def noted(old: Accuracy, new: Accuracy, metric: Metric = ACC) -> str:
    """The words of the note."""
    return shown(replacement_note(old, new, metric, confidence=0.95))


def test_bounds_are_rounded_outwards() -> None:
    """What is printed is still true."""
    old, new = accuracy([1.0] * 300 + [0.0] * 100), accuracy([1.0] * 290 + [0.0] * 110)
    said = noted(old, new)
    opening, _, bounds = said.rpartition(", ")
    assert opening == "sum: 0.750 -> 0.725 (10 lost, 0 won, retention 0.967"
    low, high = map(float, bounds.removesuffix(")").split("-"))
    comparison = compare_items(old, new, ACC, scheme="sum", confidence=0.95)
    assert comparison.low is not None
    assert comparison.high is not None
    assert low <= comparison.low < low + 0.001
    assert high - 0.001 < comparison.high <= high


def test_a_baseline_with_nothing_right_was_an_internal_error() -> None:
    """Nothing bounds what was gained over nothing."""
    said = noted(accuracy([0.0] * 40), accuracy([1.0] * 10 + [0.0] * 30))
    assert said.startswith("sum: 0.000 -> 0.250 (0 lost, 10 won, retention inf, ")
    assert said.endswith("-inf)")


def test_what_cannot_be_paired_says_why() -> None:
    """Another metric, one without scores, one that is missing for some answers, other items."""
    opening = "sum: not paired with what it replaces: "
    other = Metric("f1,none", True, "mean")
    assert noted(accuracy([1.0]), accuracy([1.0], other), other) == (
        f"{opening}it had no f1,none, but acc,none"
    )
    whole = replace(ACC, kind="aggregate")
    assert noted(accuracy([1.0], whole), accuracy([1.0], whole), whole) == (
        f"{opening}acc,none has no score per item"
    )
    unscored = replace(accuracy([1.0]), items=replace(accuracy([1.0]).items, scores={}))
    assert noted(unscored, accuracy([1.0])) == (
        f"{opening}acc,none of sum is missing for some of the baseline's answers"
    )
    asked = accuracy([1.0]).items
    moved = replace(accuracy([1.0]), items=replace(asked, digests=("f" * 64,)))
    assert noted(accuracy([1.0]), moved) == f"{opening}no item asks the same as before"
