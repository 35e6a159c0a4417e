"""What a gate can see: computed chances against simulation, and plans that keep their word."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import pytest

from pytest_quantreg.core.stats import (
    IntervalVerdict,
    can_turn_red,
    detectable_retention,
    detection_power,
    evidence,
    items_needed,
    normal_quantile,
    paired_truth,
    retention_interval,
    score_statistic,
    verdict_chance,
)


class Task(TypedDict):
    """The arguments that every plan below shares."""

    baseline_accuracy: float
    discordance: float
    minimum: float


GSM8K: Task = {"baseline_accuracy": 0.75, "discordance": 0.04, "minimum": 0.98}


@pytest.mark.parametrize(
    ("n", "accuracy", "discordance", "retention"),
    [
        (50, 0.75, 0.10, 0.90),
        (250, 0.75, 0.005, 0.98),
        (250, 0.95, 0.15, 0.96),
        (1319, 0.05, 0.02, 0.90),
        (1319, 0.78, 0.05, 0.96),
        (1319, 1.0, 0.05, 0.97),
        (10042, 0.5, 0.10, 1.0),
        (10042, 0.6, 0.02, 1.01),
    ],
)
def test_chances_agree_with_simulation(
    n: int, accuracy: float, discordance: float, retention: float
) -> None:
    """The computed chances of lost and kept are those of 40,000 simulated gates."""
    truth = paired_truth(retention, baseline_accuracy=accuracy, discordance=discordance)
    shares = np.clip(
        [accuracy - truth.lost, truth.won, truth.lost, 1 - accuracy - truth.won], 0.0, 1.0
    )
    rng = np.random.default_rng(11)
    a, b, c, d = rng.multinomial(n, shares / shares.sum(), size=40_000).T
    score, z = score_statistic(a, b, c, d, 0.98), normal_quantile(0.95, 1)
    for verdict, seen in ((IntervalVerdict.LOST, score < -z), (IntervalVerdict.KEPT, score > z)):
        computed = verdict_chance(
            verdict,
            retention,
            n=n,
            baseline_accuracy=accuracy,
            discordance=discordance,
            minimum=0.98,
        )
        # Five standard errors of the simulation, and half a point for shared nodes.
        assert computed == pytest.approx(seen.mean(), abs=0.005 + 0.0025 * 5)


def _error_rate(
    verdict: IntervalVerdict, n: int, accuracy: float, flips: float, alpha: float
) -> float:
    # Flips include the loss itself; what it leaves goes to and fro.
    return verdict_chance(
        verdict,
        0.98,
        n=n,
        baseline_accuracy=accuracy,
        discordance=max(flips - accuracy * 0.02, 0.0),
        minimum=0.98,
        confidence=1 - alpha,
    )


@pytest.mark.parametrize("verdict", [IntervalVerdict.LOST, IntervalVerdict.KEPT])
@pytest.mark.parametrize("n", [50, 250, 500, 1319, 10042])
def test_errors_stay_within_a_point_of_alpha(n: int, verdict: IntervalVerdict) -> None:
    """At the boundary both gates err at most alpha + 1 point, in every cell of the grid."""
    rates = [
        (_error_rate(verdict, n, accuracy, flips, alpha) - alpha, accuracy, flips, alpha)
        for accuracy in (0.25, 0.5, 0.75, 0.95)
        for flips in (0.005, 0.02, 0.05, 0.10, 0.15)
        for alpha in (0.05, 0.05 / 20)
    ]
    assert max(rates)[0] <= 0.01, max(rates)


def test_power_at_the_size_of_gsm8k() -> None:
    """Retention 0.96 against 0.98 on 1,319 items, 4 % flips in all: caught 9 times in 10."""
    power = detection_power(
        0.96, n=1319, baseline_accuracy=0.75, discordance=0.04 - 0.03, minimum=0.98
    )
    assert power == pytest.approx(0.90, abs=0.01)


def test_chances_add_up() -> None:
    """Kept, lost and undecided share out the whole probability."""
    chances = [verdict_chance(verdict, 0.97, n=400, **GSM8K) for verdict in IntervalVerdict]
    assert sum(chances) == pytest.approx(1.0)


def test_power_rises_with_the_loss() -> None:
    """The more a model loses, the oftener the gate turns red, from about alpha to always."""
    powers = [detection_power(r, n=1000, **GSM8K) for r in (1.0, 0.98, 0.96, 0.93, 0.9, 0.5, 0.0)]
    assert powers == sorted(powers)
    assert powers[1] < 0.06
    assert powers[-1] > 0.999


@pytest.mark.parametrize("n", [60, 250, 1319, 10042])
def test_the_detectable_retention_is_detected(n: int) -> None:
    """At the stated retention the power is four in five, and a little above it is less."""
    seen = detectable_retention(n=n, **GSM8K)
    assert seen is not None
    assert detection_power(seen, n=n, **GSM8K) == pytest.approx(0.8, abs=1e-3)
    assert detection_power(seen + 0.001, n=n, **GSM8K) < 0.8


@pytest.mark.parametrize(("n", "accuracy"), [(0, 0.75), (1, 0.75), (3, 0.9), (50, 0.0), (50, 0.02)])
def test_nothing_is_detectable_with_too_few_right_answers(n: int, accuracy: float) -> None:
    """Where even losing everything would pass, no retention is stated."""
    assert (
        detectable_retention(n=n, baseline_accuracy=accuracy, discordance=0.05, minimum=0.98)
        is None
    )


def test_more_items_see_smaller_losses() -> None:
    """The detectable retention rises towards the minimum with the number of items."""
    seen = [detectable_retention(n=n, **GSM8K) for n in (50, 200, 1000, 10_000, 1_000_000)]
    values = [x for x in seen if x is not None]
    assert len(values) == 5
    assert values == sorted(values)
    assert 0.979 < values[-1] < 0.98


def test_a_minimum_above_what_is_possible() -> None:
    """Asking for more than every answer right, even a perfect model is caught."""
    seen = detectable_retention(n=500, baseline_accuracy=0.9, discordance=0.02, minimum=1.2)
    assert seen == pytest.approx(1 / 0.9)


@pytest.mark.parametrize(
    ("truth", "verdict"),
    [(1.0, IntervalVerdict.KEPT), (0.96, IntervalVerdict.LOST), (0.5, IntervalVerdict.LOST)],
)
def test_the_items_needed_are_enough_and_not_many_too_many(
    truth: float, verdict: IntervalVerdict
) -> None:
    """With the count returned the gate decides four times in five, with a tenth less not."""
    plan = items_needed(truth=truth, **GSM8K)
    assert plan.verdict is verdict
    assert plan.needed is not None
    assert (plan.n, plan.capped) == (plan.needed, False)
    assert verdict_chance(verdict, truth, n=plan.needed, **GSM8K) >= 0.8
    assert verdict_chance(verdict, truth, n=int(plan.needed * 0.9), **GSM8K) < 0.8


def test_items_are_capped_by_what_the_task_has() -> None:
    """Needing more than there are is said, with both numbers."""
    plan = items_needed(truth=0.97, available=1319, **GSM8K)
    assert plan.capped
    assert plan.n == 1319
    assert plan.needed is not None
    assert plan.needed > 1319
    enough = items_needed(truth=0.5, available=1319, **GSM8K)
    assert not enough.capped
    assert enough.n == enough.needed


def test_a_truth_at_the_minimum_is_never_decided() -> None:
    """No number of items tells a model at the boundary from one on either side."""
    plan = items_needed(truth=0.98, available=500, **GSM8K)
    assert plan.needed is None
    assert plan.capped
    assert plan.n == 500
    assert items_needed(truth=0.98, **GSM8K).n is None
    assert items_needed(truth=0.98 + 1e-7, **GSM8K).needed is None


def test_a_baseline_with_nothing_right_needs_no_items() -> None:
    """Nothing can be decided when there is nothing to lose."""
    plan = items_needed(truth=0.9, baseline_accuracy=0.0, discordance=0.1, minimum=0.98)
    assert plan.needed is None


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.9975])
@pytest.mark.parametrize("minimum", [0.5, 0.98, 1.2])
def test_can_turn_red_is_what_the_interval_says(minimum: float, confidence: float) -> None:
    """It holds exactly when the interval of a total loss lies below the minimum."""
    outcomes = set()
    for right in range(40):
        interval = retention_interval(0, 0, right, 7, confidence=confidence, sides=1)
        expected = evidence(interval, minimum) is IntervalVerdict.LOST
        assert can_turn_red(right, 7, minimum=minimum, confidence=confidence) is expected
        outcomes.add(expected)
    assert outcomes == {True, False}


@pytest.mark.parametrize("accuracy", [0.0, 0.01, 0.3, 0.97, 1.0])
@pytest.mark.parametrize("discordance", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("retention", [0.0, 0.3, 0.98, 1.0, 1.02])
def test_the_truth_is_a_distribution_with_that_retention(
    accuracy: float, discordance: float, retention: float
) -> None:
    """In every corner the four shares are probabilities and the accuracies what was asked."""
    if retention * accuracy > 1:
        with pytest.raises(ValueError, match="impossible"):
            paired_truth(retention, baseline_accuracy=accuracy, discordance=discordance)
        return
    truth = paired_truth(retention, baseline_accuracy=accuracy, discordance=discordance)
    shares = (truth.baseline - truth.lost, truth.won, truth.lost, 1 - accuracy - truth.won)
    assert min(shares) >= -1e-12
    assert accuracy - truth.lost + truth.won == pytest.approx(retention * accuracy)
    assert min(truth.won, truth.lost) <= discordance / 2


def test_bad_plans_name_the_value() -> None:
    """Impossible shares, powers, sizes and minimums are refused by value."""
    with pytest.raises(ValueError, match=r"baseline_accuracy=78"):
        detection_power(0.9, n=10, baseline_accuracy=78, discordance=0.1, minimum=0.98)
    with pytest.raises(ValueError, match=r"discordance=-0\.1"):
        detection_power(0.9, n=10, baseline_accuracy=0.7, discordance=-0.1, minimum=0.98)
    with pytest.raises(ValueError, match="n=-1"):
        detection_power(0.9, n=-1, **GSM8K)
    with pytest.raises(ValueError, match="minimum=0"):
        can_turn_red(3, 3, minimum=0)
    with pytest.raises(ValueError, match="power=80"):
        detectable_retention(n=10, power=80, **GSM8K)
    with pytest.raises(ValueError, match="available=-5"):
        items_needed(truth=1.0, available=-5, **GSM8K)
