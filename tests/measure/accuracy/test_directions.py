"""Which way a task's metrics are better, as lm-eval's own objects say it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from lm_eval.api.metrics import mean
from lm_eval.api.registry import higher_is_better_registry

from pytest_quantreg.core.records.metric_directions import KNOWN
from pytest_quantreg.core.records.run import Metric
from pytest_quantreg.measure import PreparedTask, default_metric
from pytest_quantreg.measure.accuracy.metrics import columns, declared


def _task(**higher: object) -> Any:
    names = [*higher]
    return SimpleNamespace(
        _filters=[SimpleNamespace(name="none")],
        aggregation=lambda: dict.fromkeys(names, mean),
        higher_is_better=lambda: higher,
    )


def test_the_table_is_lm_evals_registry() -> None:
    """Every metric that the installed lm-eval registers is in the table, with its direction."""
    assert dict(higher_is_better_registry.items()) == dict(KNOWN)


def test_a_missing_or_quoted_direction_was_a_direction() -> None:
    """None was read as lower, the texts "false" and "true" and a 1 as higher is better."""
    task = _task(left_out=None, quoted="false", other="true", number=1, up=True, down=False)
    directions = {metric.name: metric.higher_is_better for metric in declared(task, averaged=False)}
    assert directions == {
        "left_out,none": None,
        "quoted,none": None,
        "other,none": None,
        "number,none": None,
        "up,none": True,
        "down,none": False,
    }


def test_what_only_the_scoring_names_was_higher_is_better() -> None:
    """A score that a task's code returns and its file does not list has no direction."""
    task = _task(hit=True)
    passes = [{"hit,none": [1.0, 0.0], "errors,none": [3.0, 0.0], "acc,none": [1.0, 1.0]}]
    read = columns(task, declared(task, averaged=False), passes, [0, 1])
    assert {metric.name: metric.higher_is_better for metric in read.metrics} == {
        "hit,none": True,
        "errors,none": None,
        "acc,none": True,
    }


def test_a_metric_listed_by_its_function_has_a_name() -> None:
    """lm-eval keys such an entry by the function where the task scores by itself."""

    def hit() -> None:
        """Never called."""

    task = _task()
    task.aggregation = lambda: {hit: mean}
    task.higher_is_better = lambda: {hit: False}
    assert declared(task, averaged=False) == (Metric("hit,none", False, "mean"),)


@pytest.mark.parametrize(
    ("directions", "chosen"),
    [
        ([True, True, True], "first,a"),
        ([None, False, True], "second,a"),
        ([None, None, True], "first,a"),
    ],
)
def test_the_default_passes_over_metrics_without_a_direction(
    prepared: Callable[..., PreparedTask], directions: list[bool | None], chosen: str
) -> None:
    """The first that a gate can judge under the first filter; none there: the very first."""
    names = ("first,a", "second,a", "first,b")
    metrics = tuple(
        Metric(name, better, "mean") for name, better in zip(names, directions, strict=True)
    )
    protocol = replace(prepared("choose").protocol, metrics=metrics)
    assert default_metric(protocol).name == chosen
