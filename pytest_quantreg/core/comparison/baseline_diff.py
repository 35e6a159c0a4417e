"""A recorded baseline beside the one it replaces: what changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..codes import GateCode
from ..errors import Refusal
from ..facts import Fact, Problem
from ..records.run import Accuracy, Items, Metric
from .alignment import items_at, refuse_partial, same_kinds, value_of_few
from .pairs import compare_items


def replacement_note(old: Accuracy, new: Accuracy, metric: Metric, *, confidence: float) -> Problem:
    """``sum: 0.816 -> 0.811 (12 lost, 4 won, retention 0.994, 0.982-1.006)``.

    Of the items that both hold, by their digests; where they cannot be paired, why.
    """
    task = new.protocol.task
    before, after = _shared_items(old, new)
    unlike = _reason_unpaired(before, after, metric)
    if unlike is not None:
        return unpaired_note(task, unlike)
    before, after = same_kinds(before, after)
    named = next(entry for entry in after.protocol.metrics if entry.name == metric.name)
    comparison = compare_items(before, after, named, scheme=task, confidence=confidence)
    n = len(before.items)
    facts: dict[str, Fact] = {
        "task": task,
        "before": comparison.baseline,
        "after": comparison.quantized,
        "shared": None if n == len(new.items) == len(old.items) else n,
        "lost": comparison.lost,
        "won": comparison.won,
        "retention": comparison.retention,
        "low": _rounded(comparison.low, math.floor),
        "high": _rounded(comparison.high, math.ceil),
    }
    return Problem(GateCode.BASELINE_REPLACED, facts)


def _rounded(bound: float | None, whole: Callable[[float], int]) -> float | None:
    """A bound to three digits, outwards, so that what is printed is still true."""
    if bound is None or not math.isfinite(bound):
        return bound
    return whole(bound * 1000) / 1000


def unpaired_note(task: str, why: Problem) -> Problem:
    """Why a recorded baseline was not compared with the one it replaces."""
    return Problem(GateCode.NOT_PAIRED_WITH_REPLACED, {"task": task, "cause": why})


def _reason_unpaired(before: Accuracy, after: Accuracy, metric: Metric) -> Problem | None:
    if not len(before.items):
        return Problem(GateCode.NO_ITEM_AS_BEFORE, {})
    names = {entry.name for entry in before.protocol.metrics}
    if metric.name not in names:
        had: dict[str, Fact] = {"metric": metric.name, "others": tuple(sorted(names))}
        return Problem(GateCode.HAD_NO_SUCH_METRIC, had)
    if metric.kind == "aggregate":
        return Problem(GateCode.METRIC_WITHOUT_SCORES, {"metric": metric.name})
    try:
        refuse_partial(before, after)
    except Refusal as error:
        return error.problem
    return None


def _shared_items(old: Accuracy, new: Accuracy) -> tuple[Accuracy, Accuracy]:
    """Both cut to the items that ask the same, in the order of the new one."""
    old_rows = {key: row for row, key in enumerate(_item_keys(old.items))}
    shared = [
        (old_rows[key], new_row)
        for new_row, key in enumerate(_item_keys(new.items))
        if key in old_rows
    ]
    return (
        _subset(old, [old_row for old_row, _ in shared]),
        _subset(new, [new_row for _, new_row in shared]),
    )


def _item_keys(items: Items) -> list[tuple[int, str]]:
    return list(zip(items.doc_ids, items.digests, strict=True))


def _subset(accuracy: Accuracy, rows: Sequence[int]) -> Accuracy:
    items = accuracy.items
    if not rows or list(rows) == list(range(len(items))):
        return accuracy if rows else replace(accuracy, items=items.first(0))

    subset = replace(accuracy, items=items_at(items, rows))
    metrics = [metric for metric in accuracy.protocol.metrics if metric.name in accuracy.values]
    return replace(
        subset, values={metric.name: value_of_few(subset, metric, accuracy) for metric in metrics}
    )
