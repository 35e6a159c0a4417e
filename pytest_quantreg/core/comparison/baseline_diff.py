"""A recorded baseline beside the one it replaces: what changed, in one line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ..errors import Refusal
from ..records.run import Accuracy, Items, Metric
from .alignment import items_at, refuse_partial, same_kinds, value_of_few
from .pairs import compare_items


def replacement_note(old: Accuracy, new: Accuracy, metric: Metric, *, confidence: float) -> str:
    """``sum: 0.816 -> 0.811 (12 lost, 4 won, retention 0.994, 0.982-1.006)``.

    Of the items that both hold, by their digests; where they cannot be paired, why.
    """
    task = new.protocol.task
    before, after = _shared_items(old, new)
    if not len(before.items):
        return f"{task}: not paired with what it replaces: no item asks the same as before"
    unlike = _reason_unpaired(before, after, metric)
    if unlike is not None:
        return f"{task}: not paired with what it replaces: {unlike}"
    before, after = same_kinds(before, after)
    named = next(entry for entry in after.protocol.metrics if entry.name == metric.name)
    comparison = compare_items(
        before, after, named, scheme=new.protocol.task, confidence=confidence
    )
    counts = (
        [] if comparison.lost is None else [f"{comparison.lost:,} lost", f"{comparison.won:,} won"]
    )
    ratio = f"retention {comparison.retention:.3f}"
    if comparison.low is not None and comparison.high is not None:
        # Outwards, so that what is printed is still true.
        low, high = (
            math.floor(comparison.low * 1000) / 1000,
            math.ceil(comparison.high * 1000) / 1000,
        )
        ratio += f", {low:.3f}-{high:.3f}"
    n = len(before.items)
    shared = "" if n == len(new.items) == len(old.items) else f" on {n:,} shared items"
    return (
        f"{task}: {comparison.baseline:.3f} -> {comparison.quantized:.3f}{shared} "
        f"({', '.join([*counts, ratio])})"
    )


def _reason_unpaired(before: Accuracy, after: Accuracy, metric: Metric) -> str | None:
    names = {entry.name for entry in before.protocol.metrics}
    if metric.name not in names:
        return f"it had no {metric.name}, but {', '.join(sorted(names))}"
    if metric.kind == "aggregate":
        return f"{metric.name} has no score per item"
    try:
        refuse_partial(before, after)
    except Refusal as error:
        return error.what
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
