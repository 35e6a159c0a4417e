"""What a pooled gate can see: planned chances against simulation, plans that keep their word."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_quantreg.core.stats import (
    IntervalVerdict,
    Layer,
    Stratum,
    detectable_retention,
    detection_power,
    items_needed,
    normal_quantile,
    paired_truth,
    pooled_detectable_retention,
    pooled_items_needed,
    pooled_power,
    pooled_statistic,
    pooled_verdict_chance,
)

MINIMUM = 0.98
GSM8K = [Layer(1319, 0.75, 0.04)]
FOUR = [Layer(1319, 0.75, 0.05, 1.0, 1319)] * 4


def _simulated_chances(
    layers: list[Layer], retention: float, confidence: float, draws: int
) -> list[float]:
    """Shares of lost and kept among simulated pools."""
    rng, z = np.random.default_rng(12), normal_quantile(confidence, 1)
    lost = kept = 0
    for _ in range(draws):
        strata = []
        for layer in layers:
            p = layer.baseline_accuracy
            truth = paired_truth(retention, baseline_accuracy=p, discordance=layer.discordance)
            shares = np.clip([p - truth.lost, truth.won, truth.lost, 1 - p - truth.won], 0.0, 1.0)
            cells = rng.multinomial(int(layer.n), shares / shares.sum())
            before, after = (np.repeat(x, cells) for x in ([1, 0, 1, 0], [1, 1, 0, 0]))
            strata.append(Stratum(before, after, layer.weight))
        score = pooled_statistic(strata, MINIMUM, z)
        lost, kept = lost + (score < -z), kept + (score > z)
    return [lost / draws, kept / draws]


@pytest.mark.parametrize(
    ("layers", "retention", "confidence"),
    [
        ([Layer(250, 0.75, 0.05)] * 4, 0.94, 0.95),
        ([Layer(250, 0.3, 0.0)] * 4, 0.93, 0.9975),
        ([Layer(40, 0.95, 0.005)] * 4, 0.93, 0.95),
        ([Layer(120, 0.5, 0.05), Layer(300, 0.9, 0.05), Layer(600, 0.7, 0.05)], 0.93, 0.95),
        ([Layer(n, 0.7, 0.05, n) for n in (60, 90, 150, 240)], 1.01, 0.95),
    ],
)
def test_planned_chances_agree_with_simulation(
    layers: list[Layer], retention: float, confidence: float
) -> None:
    """Lost and kept come as often as planned, within 3 points and the simulation's error."""
    planned = [
        pooled_verdict_chance(verdict, retention, layers, minimum=MINIMUM, confidence=confidence)
        for verdict in (IntervalVerdict.LOST, IntervalVerdict.KEPT)
    ]
    seen = _simulated_chances(layers, retention, confidence, 1200)
    assert max(seen) > 0.15
    assert planned == pytest.approx(seen, abs=0.03 + 3 * 0.5 / 1200**0.5)


def test_one_small_heavy_task_is_planned_with_caution() -> None:
    """Where an item weighs like fifty others the plan no longer promises a green build."""
    uneven = [Layer(n, 0.75, 0.005) for n in (100, 300, 1319, 5000)]
    planned = pooled_verdict_chance(
        IntervalVerdict.KEPT, 1.0, uneven, minimum=MINIMUM, confidence=0.9975
    )
    assert planned == pytest.approx(_simulated_chances(uneven, 1.0, 0.9975, 300)[1], abs=0.1)
    even = [Layer(1319, 0.75, 0.005)] * 4
    assert pooled_verdict_chance(
        IntervalVerdict.KEPT, 1.0, even, minimum=MINIMUM, confidence=0.9975
    ) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("retention", [1.0, 0.98, 0.96, 0.9, 0.0])
def test_one_layer_is_planned_as_one_task(retention: float) -> None:
    """Power, detectable retention and items of a single layer are those of the task."""
    task = {"baseline_accuracy": 0.75, "discordance": 0.04, "minimum": MINIMUM}
    power = detection_power(
        retention, n=1319, baseline_accuracy=0.75, discordance=0.04, minimum=MINIMUM
    )
    assert pooled_power(retention, GSM8K, minimum=MINIMUM) == pytest.approx(power, abs=1e-6)
    seen = detectable_retention(n=1319, **task)  # type: ignore[arg-type]
    assert pooled_detectable_retention(GSM8K, minimum=MINIMUM) == pytest.approx(seen, abs=2e-6)
    if retention != MINIMUM and retention > 0:
        plan = items_needed(truth=retention, **task)  # type: ignore[arg-type]
        pooled = pooled_items_needed(retention, GSM8K, minimum=MINIMUM)
        assert plan.needed is not None
        assert pooled.needed == pytest.approx(plan.needed, rel=0.03, abs=8)


def test_four_tasks_see_what_four_times_the_items_see() -> None:
    """Pooling four equal tasks detects what one task of all their items does."""
    pooled = pooled_detectable_retention(FOUR, minimum=MINIMUM)
    alone = detectable_retention(
        n=4 * 1319, baseline_accuracy=0.75, discordance=0.05, minimum=MINIMUM
    )
    assert pooled == pytest.approx(alone, abs=1e-4)


def test_the_detectable_retention_is_detected() -> None:
    """At the stated retention the power is four in five, and a little above it is less."""
    seen = pooled_detectable_retention(FOUR, minimum=MINIMUM)
    assert seen is not None
    assert pooled_power(seen, FOUR, minimum=MINIMUM) >= 0.8
    assert pooled_power(seen + 0.001, FOUR, minimum=MINIMUM) < 0.8


def test_chances_add_up() -> None:
    """Kept, lost and undecided share out the whole probability."""
    chances = [
        pooled_verdict_chance(verdict, 0.975, FOUR, minimum=MINIMUM) for verdict in IntervalVerdict
    ]
    assert sum(chances) == pytest.approx(1.0)
    assert min(chances) > 0.0


def test_items_needed_are_totals_capped_by_what_all_have() -> None:
    """The plan counts the items of all layers, and says when the tasks have fewer."""
    plan = pooled_items_needed(0.96, FOUR, minimum=MINIMUM)
    assert plan.needed is not None
    assert plan.verdict is IntervalVerdict.LOST
    grown = [Layer(plan.needed / 4, 0.75, 0.05)] * 4
    assert pooled_power(0.96, grown, minimum=MINIMUM) >= 0.8
    fewer = [Layer(0.9 * plan.needed / 4, 0.75, 0.05)] * 4
    assert pooled_power(0.96, fewer, minimum=MINIMUM) < 0.8
    small = [Layer(100, 0.75, 0.05, 1.0, 200)] * 4
    capped = pooled_items_needed(0.96, small, minimum=MINIMUM)
    assert (capped.n, capped.capped) == (800, True)
    assert capped.needed == pytest.approx(plan.needed, rel=0.02)
    partly = [small[0], Layer(100, 0.75, 0.05)]
    assert not pooled_items_needed(0.96, partly, minimum=MINIMUM).capped


def test_nothing_is_decided_at_the_minimum_or_without_right_answers() -> None:
    """At the boundary, with nothing to lose and with no items, no number of items will do."""
    at = pooled_items_needed(MINIMUM, FOUR, minimum=MINIMUM)
    assert (at.needed, at.n, at.capped) == (None, 5276, True)
    nothing = [Layer(500, 0.0, 0.05)] * 2
    assert pooled_items_needed(0.9, nothing, minimum=MINIMUM).needed is None
    assert pooled_detectable_retention(nothing, minimum=MINIMUM) is None
    assert pooled_detectable_retention([Layer(1, 0.75, 0.05)], minimum=MINIMUM) is None
    empty = [Layer(0, 0.75, 0.05)]
    assert pooled_detectable_retention(empty, minimum=MINIMUM) is None
    assert pooled_verdict_chance(IntervalVerdict.UNDECIDED, 1.0, empty, minimum=MINIMUM) == 1.0


def test_a_minimum_above_what_is_possible() -> None:
    """Asking for more than every answer right, even a perfect model is caught."""
    layers = [Layer(500, 0.9, 0.02)] * 3
    assert pooled_detectable_retention(layers, minimum=1.2) == pytest.approx(1 / 0.9)


def test_bad_plans_name_the_value() -> None:
    """Impossible layers, minimums, powers and pools of nothing are refused by value."""
    with pytest.raises(ValueError, match="n=-1"):
        Layer(-1, 0.5, 0.1)
    with pytest.raises(ValueError, match="weight=0"):
        Layer(1, 0.5, 0.1, 0.0)
    with pytest.raises(ValueError, match="available=-3"):
        Layer(1, 0.5, 0.1, 1.0, -3)
    with pytest.raises(ValueError, match="baseline_accuracy=50"):
        Layer(1, 50, 0.1)
    with pytest.raises(ValueError, match="nothing to plan"):
        pooled_power(0.9, [], minimum=MINIMUM)
    with pytest.raises(ValueError, match="minimum=0"):
        pooled_power(0.9, FOUR, minimum=0)
    with pytest.raises(ValueError, match="power=80"):
        pooled_detectable_retention(FOUR, minimum=MINIMUM, power=80)
    with pytest.raises(ValueError, match="retention=2"):
        pooled_power(2, FOUR, minimum=MINIMUM)
