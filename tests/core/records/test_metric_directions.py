"""Only a real boolean, or what lm-eval itself knows, says which way a metric is better."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from pytest_quantreg.baselines.versions import RUN
from pytest_quantreg.core.comparison.pairs import compare_items, refuse_unpoolable
from pytest_quantreg.core.comparison.unpaired import compare_totals
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.evaluation import Aggregate
from pytest_quantreg.core.records.metric_directions import direction, refuse_undirected
from pytest_quantreg.core.records.run import Metric

from ...wording import refused, says
from ..comparison.comparisons import accuracy

BEFORE, AFTER = [1.0] * 77 + [0.0] * 23, [1.0] * 60 + [0.0] * 40


@pytest.mark.parametrize(
    ("name", "declared", "kind", "expected"),
    [
        ("score", True, "mean", True),
        ("score", False, "mean", False),
        ("score", None, "mean", None),
        ("score", "false", "mean", None),
        ("score", "true", "mean", None),
        ("score", "no", "mean", None),
        ("score", 1, "mean", None),
        ("score", 0, "mean", None),
        ("acc", None, "binary", True),
        ("acc", "true", "binary", None),
        ("acc", False, "binary", None),
        ("ter", None, "aggregate", False),
        ("ter", True, "aggregate", None),
        ("my_perplexity", None, "perplexity", False),
        ("my_perplexity", True, "perplexity", None),
        ("word_perplexity", True, "perplexity", None),
    ],
)
def test_texts_and_numbers_were_taken_for_booleans(
    name: str, declared: object, kind: str, expected: bool | None
) -> None:
    """A text, a number, or a contradiction of lm-eval leaves the direction unknown."""
    assert direction(name, declared, kind=kind) is expected


def test_figures_without_a_direction_had_a_retention() -> None:
    """They are listed: no retention, no bounds, nothing counted as lost or won."""
    metric = Metric("score,none", None, "binary")
    made = compare_items(
        accuracy(BEFORE, metric),
        accuracy(AFTER, metric),
        metric,
        scheme="w8a8-int8",
        confidence=0.95,
    )
    assert (made.baseline, made.quantized) == (0.77, 0.6)
    assert math.isnan(made.retention)
    assert made.low is made.high is made.lost is made.won is None
    total = Aggregate(metric, 0.77, None, 100)
    apart = compare_totals(total, total, task="t", total=100, label="b", confidence=0.95)
    assert math.isnan(apart.retention)
    assert apart.low is None


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("score,none", "add `higher_is_better: true (or false)`, without quotes, to the entry of"),
        ("ter,none", "add `higher_is_better: false`, without quotes, to the entry of ter"),
    ],
)
def test_the_refusal_says_what_to_add_to_the_task(name: str, advice: str) -> None:
    """A gate and a pool are refused alike, with the line for the task's YAML."""
    metric = Metric(name, None, "mean")
    refusals: list[Callable[[], None]] = [
        lambda: refuse_undirected(metric, "t"),
        lambda: refuse_unpoolable(metric, task="t"),
    ]
    for refuse in refusals:
        with refused(r"direction of .* of t is unknown") as caught:
            refuse()
        assert caught.value.category is Category.NOT_JUDGED
        assert advice in says(caught.value)


@pytest.mark.parametrize(
    ("name", "stored", "expected"),
    [
        ("score,none", False, None),
        ("score,none", True, True),
        ("acc,none", True, True),
        ("acc,none", False, None),
        ("ter,none", False, False),
        ("score,none", "false", "false"),
    ],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_direction_stored_by_an_older_version_was_trusted(
    version: str, name: str, stored: object, expected: object
) -> None:
    """Such a false stood for None too: without lm-eval's word for it, it is unknown."""
    metric = {"name": name, "higher_is_better": stored, "kind": "mean"}
    old: Any = {"schema_version": version, "protocol": {"metrics": [metric], "task": "t"}}
    now: Any = RUN.upgrade(old)
    assert now["protocol"]["metrics"] == [{**metric, "higher_is_better": expected}]
    assert metric["higher_is_better"] == stored
