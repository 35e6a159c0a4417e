"""A task's metrics: their kinds, the one a gate judges, and columns of scores from results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...core.codes import TaskCode
from ...core.errors import Refusal
from ...core.records.metric_directions import direction
from ...core.records.run import Metric, Protocol
from ...core.strict_json import LARGEST

ZERO_OR_ONE = ("acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match")

Raw = Mapping[str, Sequence[Any]]
"""What lm-eval's scoring returned, per metric ``name,filter``, one value per item."""


@dataclass(frozen=True)
class Columns:
    """A task's results, item by item and as a whole."""

    metrics: tuple[Metric, ...]
    scores: dict[str, tuple[float, ...]]
    weights: dict[str, tuple[float, ...]]
    values: dict[str, float]


def default_metric(protocol: Protocol) -> Metric:
    """The first metric of known direction under the first filter, in the task's own order.

    The very first where none of them has one.
    """
    if not protocol.metrics:
        raise Refusal(TaskCode.TASK_WITHOUT_METRICS, task=protocol.task)
    first = protocol.metrics[0]
    below = first.name.partition(",")[2]
    candidates = [metric for metric in protocol.metrics if metric.name.partition(",")[2] == below]
    return next((metric for metric in candidates if metric.higher_is_better is not None), first)


def find_metric(protocol: Protocol, name: str) -> Metric:
    """The metric spelled ``acc_norm`` (under the first filter that has it) or in full.

    Raises a Refusal with the task's metrics when it has no such metric.
    """
    for metric in protocol.metrics:
        if name in (metric.name, metric.name.partition(",")[0]):
            return metric
    names = tuple(metric.name for metric in protocol.metrics)
    raise Refusal(TaskCode.NO_SUCH_METRIC, task=protocol.task, metric=name, metrics=names)


def declared(task: Any, *, averaged: bool) -> tuple[Metric, ...]:
    """The metrics that a task's file names, filter by filter.

    ``averaged`` says that an item's score is a mean over several passes, so that no
    score is 0 or 1 by nature. The kinds are what the names promise; `columns` corrects
    them by the scores.
    """
    directions = _declared_directions(task)
    return tuple(
        Metric(f"{name},{ensemble.name}", direction(name, directions.get(name), kind=kind), kind)
        for ensemble in task._filters
        for name, kind in _kinds(task, averaged).items()
        if name != "bypass"
    )


def _declared_directions(task: Any) -> dict[str, object]:
    """Map metric names to the directions the task declares; lm-eval keys some by function."""
    return {getattr(key, "__name__", key): value for key, value in task.higher_is_better().items()}


def _kinds(task: Any, averaged: bool) -> dict[str, str]:
    names = [getattr(key, "__name__", key) for key in task.aggregation()]
    kinds = {name: _kind(task, name) for name in names}
    if averaged:
        return kinds
    return {
        name: "binary" if kind == "mean" and name in ZERO_OR_ONE else kind
        for name, kind in kinds.items()
    }


def _kind(task: Any, name: str) -> str:
    from lm_eval.api.metrics import bits_per_byte, mean, perplexity, weighted_perplexity

    aggregation = task.aggregation().get(name, mean)
    if aggregation is mean:
        return "mean"
    if aggregation in (perplexity, weighted_perplexity, bits_per_byte):
        return "perplexity"
    return "aggregate"


def columns(
    task: Any, expected: Sequence[Metric], passes: Sequence[Raw], doc_ids: Sequence[int]
) -> Columns:
    """Scores per item and lm-eval's own aggregates from the results of every pass.

    ``passes`` holds one mapping per repeat, each with the values of all items in the
    same order as ``doc_ids``. A metric whose aggregate is not made of numbers per
    item (f1, bleu) appears in ``values`` alone, with the kind ``aggregate``.
    """
    result = Columns((), {}, {}, {})
    metrics = []
    for metric in _present_metrics(task, expected, passes):
        raws = [results[metric.name] for results in passes]
        kind = metric.kind
        if kind != "aggregate":
            kind = _add_scores(result, metric, raws, len(doc_ids))
        value = _aggregate(task, metric.name, raws, doc_ids)
        if value is not None:
            result.values[metric.name] = value
            metrics.append(replace(metric, kind=kind))
    return replace(result, metrics=tuple(metrics))


def _present_metrics(task: Any, expected: Sequence[Metric], passes: Sequence[Raw]) -> list[Metric]:
    # A task's own scoring may leave out what the file names, and add what it does not;
    # lm-eval then takes the mean.
    by_name = {metric.name: metric for metric in expected}
    first = passes[0]
    present = [metric for metric in expected if all(metric.name in results for results in passes)]
    directions = _declared_directions(task)
    for name in first:
        plain_name = name.partition(",")[0]
        if name not in by_name and plain_name != "bypass":
            kind = _kind(task, plain_name)
            better = direction(plain_name, directions.get(plain_name), kind=kind)
            present.append(Metric(name, better, kind))
    return present


def _add_scores(result: Columns, metric: Metric, raws: list[Sequence[Any]], items: int) -> str:
    """Adds a column if every item has a number; returns the kind that the scores have."""
    weighted = metric.kind == "perplexity"
    parsed = [[_pair(value, weighted) for value in raw] for raw in raws]
    _refuse_not_finite(metric.name, raws, parsed)
    pairs = [[pair for pair in raw if pair is not None] for raw in parsed]
    if any(len(raw) != items for raw in pairs):
        return "aggregate"
    by_item = list(zip(*pairs, strict=True))
    score = tuple(sum(pair[0] for pair in item) / len(item) for item in by_item)
    result.scores[metric.name] = score
    if weighted:
        result.weights[metric.name] = tuple(item[0][1] for item in by_item)
        return "perplexity"
    # An average of several answers is none of 0 or 1 by nature, also where all agree.
    return "binary" if len(raws) == 1 and set(score) <= {0.0, 1.0} else "mean"


def _pair(value: Any, weighted: bool) -> tuple[float, float] | None:
    """A score and its weight: lm-eval's rolling metrics give both, others a number."""
    try:
        if isinstance(value, (bool, int, float)):
            return float(value), 1.0
        if weighted and isinstance(value, (list, tuple)) and len(value) == 2:
            return float(value[0]), float(value[1])
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf, 1.0
    return None


def _refuse_not_finite(
    name: str, raws: list[Sequence[Any]], parsed: list[list[tuple[float, float] | None]]
) -> None:
    bad = {
        i
        for raw, pairs in zip(raws, parsed, strict=True)
        for i, (value, pair) in enumerate(zip(raw, pairs, strict=True))
        if value is None
        or (pair is not None and not all(abs(number) <= LARGEST for number in pair))
    }
    if bad:
        raise Refusal(
            TaskCode.SCORES_NOT_FINITE,
            metric=name,
            bad=len(bad),
            items=len(raws[0]),
            largest=LARGEST,
        )


def _aggregate(
    task: Any, name: str, raws: list[Sequence[Any]], doc_ids: Sequence[int]
) -> float | None:
    from lm_eval.api.metrics import mean

    function = task.aggregation().get(name.partition(",")[0], mean)
    values = []
    for raw in raws:
        # In the order of the documents, so that sums round as in lm-eval's own run.
        if len(raw) == len(doc_ids):
            raw = [raw[i] for i in sorted(range(len(raw)), key=doc_ids.__getitem__)]
        try:
            values.append(float(function(raw)))
        except (TypeError, ValueError):
            return None  # an aggregate that is no number, such as a table
        except OverflowError as error:
            raise Refusal(TaskCode.METRIC_TOO_LARGE, metric=name) from error
    value = sum(values) / len(values)
    return value if math.isfinite(value) else None


def numbers(value: Any) -> Any:
    """lm-eval's values without numpy types, so that stored and fresh ones are the same."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [numbers(item) for item in value]
    return value
