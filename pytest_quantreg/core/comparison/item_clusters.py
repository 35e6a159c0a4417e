"""Which items stand or fall together: copies of one item, and items that share a passage."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from ..records.run import Columns, Items

COPY = "copy"
CLUSTER = "cluster"
"""Facts of items that number what they share."""

TAIL = 40
"""Characters of the last paragraph of a prompt, which examples before it do not change."""

NUMBERING = frozenset(
    {"id", "_id", "idx", "index", "doc_id", "docid", "example_id", "sample_id", "row"}
    | {"key", "guid", "qid", "question_id", "uid", "uuid"}
)
"""Fields of a document that number it and ask nothing."""


def group_numbers(*labels: Sequence[Hashable] | None) -> tuple[int, ...] | None:
    """The number of each item's unit; None where every item stands for itself.

    Items belong to one unit if any of ``labels``, one entry per item, is equal for them, or
    a chain of such items links them.
    """
    repeating = [
        column for column in labels if column is not None and len(set(column)) < len(column)
    ]
    if not repeating:
        return None
    above = list(range(len(repeating[0])))

    def root(at: int) -> int:
        while above[at] != at:
            above[at] = above[above[at]]
            at = above[at]
        return at

    for column in repeating:
        first: dict[Hashable, int] = {}
        for at, label in enumerate(column):
            above[root(at)] = root(first.setdefault(label, at))
    return tuple(root(at) for at in range(len(above)))


def units_of(*measured: Items) -> tuple[int, ...] | None:
    """The units of items that were measured on one or more models, in the same order.

    A baseline of an older version does not know all that a fresh candidate does, so what
    either of them knows counts.
    """
    return group_numbers(measured[0].digests, *_facts(measured, COPY), *_facts(measured, CLUSTER))


def copies_of(*measured: Items) -> tuple[int, ...] | None:
    """As `units_of`, without passages: the items that are one and the same."""
    return group_numbers(measured[0].digests, *_facts(measured, COPY))


def _facts(measured: Sequence[Items], name: str) -> list[Sequence[float] | None]:
    return [items.facts.get(name) for items in measured]


def share_passages(*measured: Items) -> bool:
    """Whether items share passages."""
    return any(column is not None for column in _facts(measured, CLUSTER))


def repetition(codes: Sequence[int] | None) -> float:
    """By how much copies inflate the variance of a mean: the sum of n_i^2 over n; 1 for none."""
    if not codes:
        return 1.0
    return sum(size * size for size in Counter(codes).values()) / len(codes)


def copy_notes(task: str, *measured: Items) -> tuple[str, ...]:
    """``t: 1,200 items, 60 distinct: copies count as one``; nothing without copies."""
    codes = copies_of(*measured)
    if codes is None:
        return ()
    return (f"{task}: {len(codes):,} items, {len(set(codes)):,} distinct: copies count as one",)


def copy_keys(doc: Any, target: Any, requests: Sequence[Sequence[Any]]) -> tuple[str, str]:
    """Two digests, one of which at least copies of an item share; all of it plain JSON.

    The first covers all arguments of all requests and the target. The second finds copies
    whose examples differ: the document without its number, the target, and how each request
    ends.
    """
    content = doc
    if isinstance(doc, Mapping):
        content = {name: value for name, value in doc.items() if name.lower() not in NUMBERING}
    ends = [[_end(request[0]), *request[1:]] for request in requests if request]
    return _digest([requests, target]), _digest([content, target, ends])


def copy_column(keys: Sequence[tuple[str, str]]) -> Columns:
    """The fact of which items are copies of each other; empty if none is."""
    codes = group_numbers([digest for digest, _ in keys], [digest for _, digest in keys])
    return {} if codes is None else {COPY: tuple(map(float, codes))}


def _end(prompt: Any) -> Any:
    return prompt.strip().rpartition("\n\n")[2][-TAIL:] if isinstance(prompt, str) else prompt


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]
