"""A recorded baseline beside the one it replaces: what changed, in one line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ..errors import Refusal
from ..records.run import Accuracy, Items, Metric
from .alignment import items_at, refuse_partial, same_kinds, value_of_few
from .pairs import compare_items


def replaced(old: Accuracy, new: Accuracy, metric: Metric, *, confidence: float) -> str:
    """``sum: 0.816 -> 0.811 (12 lost, 4 won, retention 0.994, 0.982-1.006)``.

    Of the items that both hold, by their digests; where they cannot be paired, why.
    """
    task = new.protocol.task
    before, after = _shared(old, new)
    if not len(before.items):
        return f"{task}: not paired with what it replaces: no item asks the same as before"
    unlike = _unlike(before, after, metric)
    if unlike is not None:
        return f"{task}: not paired with what it replaces: {unlike}"
    before, after = same_kinds(before, after)
    named = next(one for one in after.protocol.metrics if one.name == metric.name)
    made = compare_items(before, after, named, scheme=new.protocol.task, confidence=confidence)
    counts = [] if made.lost is None else [f"{made.lost:,} lost", f"{made.won:,} won"]
    ratio = f"retention {made.retention:.3f}"
    if made.low is not None and made.high is not None:
        # Outwards, so that what is printed is still true.
        ratio += (
            f", {math.floor(made.low * 1000) / 1000:.3f}-{math.ceil(made.high * 1000) / 1000:.3f}"
        )
    few = len(before.items)
    of = "" if few == len(new.items) == len(old.items) else f" on {few:,} shared items"
    return (
        f"{task}: {made.baseline:.3f} -> {made.quantized:.3f}{of} ({', '.join([*counts, ratio])})"
    )


def _unlike(before: Accuracy, after: Accuracy, metric: Metric) -> str | None:
    names = {one.name for one in before.protocol.metrics}
    if metric.name not in names:
        return f"it had no {metric.name}, but {', '.join(sorted(names))}"
    if metric.kind == "aggregate":
        return f"{metric.name} has no score per item"
    try:
        refuse_partial(before, after)
    except Refusal as error:
        return error.what
    return None


def _shared(old: Accuracy, new: Accuracy) -> tuple[Accuracy, Accuracy]:
    """Both cut to the items that ask the same, in the order of the new one."""
    there = {pair: at for at, pair in enumerate(_asked(old.items))}
    at = [(there[pair], here) for here, pair in enumerate(_asked(new.items)) if pair in there]
    return (
        _cut(old, [one for one, _ in at]),
        _cut(new, [other for _, other in at]),
    )


def _asked(items: Items) -> list[tuple[int, str]]:
    return list(zip(items.doc_ids, items.digests, strict=True))


def _cut(accuracy: Accuracy, rows: Sequence[int]) -> Accuracy:
    items = accuracy.items
    if not rows or list(rows) == list(range(len(items))):
        return accuracy if rows else replace(accuracy, items=items.first(0))

    few = replace(accuracy, items=items_at(items, rows))
    metrics = [one for one in accuracy.protocol.metrics if one.name in accuracy.values]
    return replace(few, values={one.name: value_of_few(few, one, accuracy) for one in metrics})
