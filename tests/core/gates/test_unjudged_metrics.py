"""Which metrics that no gate judges are lost: the confidence they share, and what is no score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_quantreg.core import stats
from pytest_quantreg.core.comparison.accuracy import Comparison
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.gates.unjudged_metrics import is_score, surely_lost
from pytest_quantreg.core.records.run import Metric

from ..comparison.comparisons import paired


def cells(lost: int) -> Callable[[float], Comparison]:
    """A metric of 1,000 items that lost so many of 900 right answers."""
    return lambda confidence: paired(900 - lost, 0, lost, 100, confidence=confidence)


def lost_of(others: list[Callable[[float], Comparison]]) -> tuple[Comparison, ...]:
    """The lost ones of these under a minimum of 0.955."""
    losses = surely_lost(others, 0.955, confidence=0.95)
    return () if losses is None else losses.comparisons


def test_the_metrics_share_one_error() -> None:
    """Of K metrics each is lost at 1 - alpha/K, so that K looks err no more often than one."""
    alone = lost_of([cells(54)])
    assert [comparison.confidence for comparison in alone] == [0.95]
    assert alone[0].high is not None
    assert alone[0].high < 0.955
    # The same figures are no sure loss among ten.
    assert lost_of([cells(54), *[cells(0)] * 9]) == ()
    among = lost_of([cells(200), *[cells(0)] * 9])
    assert [comparison.confidence for comparison in among] == [pytest.approx(0.995)]
    assert lost_of([]) == ()


def test_what_cannot_be_judged_is_passed_over() -> None:
    """No bounds, too little for an interval that leans on averages, not comparable."""

    def refused(_: float) -> Comparison:
        raise Refusal(Category.WRONG_USE, "has scores below 0")

    def boundless(confidence: float) -> Comparison:
        return replace(cells(300)(confidence), low=None, high=None)

    def sparse(confidence: float) -> Comparison:
        few = stats.Support(5, 4.0)
        return replace(cells(300)(confidence), exact=False, support=few)

    assert surely_lost([refused, boundless, sparse], 0.9, confidence=0.95) is None


@pytest.mark.parametrize(
    ("metric", "scored"),
    [
        (Metric("acc", True, "binary"), True),
        (Metric("brier", False, "mean"), True),
        (Metric("odd", None, "mean"), False),  # nobody knows
        (Metric("word_perplexity", False, "perplexity"), False),
        (Metric("bleu", True, "aggregate"), False),
    ],
)
def test_which_metrics_are_scores(metric: Metric, scored: bool) -> None:
    """Perplexities, figures over all items and those of unknown direction are none."""
    assert is_score(metric) is scored
