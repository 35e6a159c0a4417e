"""Drift since the first acceptance, which measurement counts, and what stands against accepting."""

from __future__ import annotations

import math

import pytest

from pytest_quantreg.core.gates.acceptance_blockers import findings
from pytest_quantreg.core.gates.selection import Gate, has_same_target
from pytest_quantreg.core.records.acceptance import CandidateRun, Drift, largest_judged
from pytest_quantreg.core.records.outcome_row import (
    KEPT,
    LOST,
    NOT_APPLICABLE,
    REFUSED,
    UNDECIDED,
    OutcomeRow,
)
from pytest_quantreg.core.records.run import Metric

ACC = Metric("acc,none", True, "binary")
PPL = Metric("word_perplexity,none", False, "perplexity")
INT8 = "w8a8-int8"


def kept(*, items: int = 100, minimum: float | None = 0.9, scheme: str = INT8) -> CandidateRun:
    """A measurement of the task sum."""
    return CandidateRun(
        "s", "m", scheme, "e", "sum.0shot", "sum", items, {"acc,none": 0.8}, minimum
    )


def outcome(result: str, *, fails: bool = False, category: str | None = None) -> OutcomeRow:
    """An outcome of the task sum."""
    return OutcomeRow(
        result, fails, INT8, "", task="sum", gate="min_retention(0.9)", category=category
    )


@pytest.mark.parametrize(
    ("metric", "now", "then", "left"),
    [
        (ACC, (0.72, 0.8), (0.76, 0.8), 0.72 / 0.76),
        # Other items, with another baseline score: each by its own.
        (ACC, (0.72, 0.8), (0.45, 0.5), 1.0),
        (PPL, (11.0, 10.0), (10.5, 10.0), 10.5 / 11.0),
        (ACC, (0.7, 0.8), (0.0, 0.8), math.nan),
    ],
)
def test_drift(
    metric: Metric, now: tuple[float, float], then: tuple[float, float], left: float
) -> None:
    """The share that is left of the first run's retention; less is worse for every metric."""
    made = Drift("sum", "2026-01-02T03:04:05Z", metric, *now, *then)
    assert made.retention == pytest.approx(left, nan_ok=True)


def test_drift_is_rounded_down() -> None:
    """What is printed holds."""
    made = Drift("sum", "2026-01-02T03:04:05Z", ACC, 0.7999, 0.8, 0.8, 0.8)
    assert str(made) == "sum: 0.999 of the first accepted run (2026-01-02)"


def test_the_drift_of_a_group_is_weighed() -> None:
    """As lm-eval weighs its tasks, from the earliest of their acceptances."""
    parts = [
        Drift("a", "2026-02-01T00:00:00Z", ACC, 0.4, 0.8, 0.8, 0.8),
        Drift("b", "2026-01-01T00:00:00Z", ACC, 0.8, 0.8, 0.8, 0.8),
    ]
    made = Drift.of("both", ACC, parts, (0.25, 0.75))
    assert made.retention == pytest.approx(0.875)
    assert made.since == "2026-01-01T00:00:00Z"


def test_the_most_items_that_were_judged() -> None:
    """More items without a gate do not count, and of equals the strictest gate does."""
    many, few = kept(items=400, minimum=None), kept(items=100)
    assert largest_judged([many, few]) == [few]
    strict = kept(items=200, minimum=0.95)
    assert largest_judged([few, strict, kept(items=200)]) == [strict]
    assert largest_judged([many]) == []


@pytest.mark.parametrize(
    ("outcomes", "never", "undecided"),
    [
        ([outcome(KEPT)], 0, 0),
        ([outcome(KEPT), outcome(UNDECIDED)], 0, 1),
        ([outcome(KEPT), outcome(LOST, fails=True)], 1, 0),
        ([outcome(KEPT), outcome(LOST).excuse()], 1, 0),
        ([outcome(KEPT), outcome(REFUSED, fails=True)], 1, 0),
        # Under certify an undecided gate is a failure, which nothing overrules.
        ([outcome(KEPT), outcome(UNDECIDED, fails=True)], 1, 1),
        ([outcome(KEPT), outcome(NOT_APPLICABLE)], 0, 0),
        ([outcome(KEPT), outcome(NOT_APPLICABLE, category="not comparable")], 0, 1),
        ([outcome(NOT_APPLICABLE)], 1, 0),
        ([], 1, 0),
    ],
)
def test_what_stands_against_it(outcomes: list[OutcomeRow], never: int, undecided: int) -> None:
    """What was lost or refused, excused or not, never; what is open needs --force."""
    result = findings(INT8, outcomes, [kept()])
    assert (len(result.never), len(result.undecided)) == (never, undecided)


def test_another_scheme_counts_for_itself() -> None:
    """Runs and outcomes of one scheme say nothing of another."""
    result = findings("w8a8-fp8", [outcome(KEPT)], [kept()])
    assert len(result.never) == 2


@pytest.mark.parametrize(
    ("baseline", "accepted", "fits"),
    [
        ((None, None), (None, None), True),
        (("sum", None), (None, None), True),
        (("*", None), (None, None), False),
        (("*", None), ("*", None), True),
        ((None, None), ("*", None), True),
        (("sum", None), ("sum", "acc"), True),
        (("pick", None), ("sum", None), False),
        ((None, "acc"), (None, "acc_norm"), False),
        ((None, "acc"), (None, None), True),
    ],
)
def test_what_may_cover_what(
    baseline: tuple[str | None, str | None], accepted: tuple[str | None, str | None], fits: bool
) -> None:
    """A gate on the baseline covers one on accepted runs if both may judge the same."""
    gates = Gate("min_retention", 0.9, *baseline, 1), Gate("no_regression", 0.99, *accepted, 1)
    assert has_same_target(*gates) is fits
