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


def united(*labels: Sequence[Hashable] | None) -> tuple[int, ...] | None:
    """The number of each item's unit; None where every item stands for itself.

    Items belong to one unit if any of ``labels``, one entry per item, is equal for them, or
    a chain of such items links them.
    """
    held = [one for one in labels if one is not None and len(set(one)) < len(one)]
    if not held:
        return None
    above = list(range(len(held[0])))

    def root(at: int) -> int:
        while above[at] != at:
            above[at] = above[above[at]]
            at = above[at]
        return at

    for column in held:
        first: dict[Hashable, int] = {}
        for at, label in enumerate(column):
            above[root(at)] = root(first.setdefault(label, at))
    return tuple(root(at) for at in range(len(above)))


def units_of(*measured: Items) -> tuple[int, ...] | None:
    """The units of items that were measured on one or more models, in the same order.

    A baseline of an older version does not know all that a fresh candidate does, so what
    either of them knows counts.
    """
    return united(measured[0].digests, *_facts(measured, COPY), *_facts(measured, CLUSTER))


def copies_of(*measured: Items) -> tuple[int, ...] | None:
    """As `units_of`, without passages: the items that are one and the same."""
    return united(measured[0].digests, *_facts(measured, COPY))


def _facts(measured: Sequence[Items], name: str) -> list[Sequence[float] | None]:
    return [one.facts.get(name) for one in measured]


def share_passages(*measured: Items) -> bool:
    """Whether items share passages."""
    return any(column is not None for column in _facts(measured, CLUSTER))


def repetition(codes: Sequence[int] | None) -> float:
    """By how much copies inflate the variance of a mean: the sum of n_i^2 over n; 1 for none."""
    if not codes:
        return 1.0
    return sum(size * size for size in Counter(codes).values()) / len(codes)


def told(task: str, *measured: Items) -> tuple[str, ...]:
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
    asked = doc
    if isinstance(doc, Mapping):
        asked = {name: value for name, value in doc.items() if name.lower() not in NUMBERING}
    ends = [[_end(one[0]), *one[1:]] for one in requests if one]
    return _digest([requests, target]), _digest([asked, target, ends])


def copy_column(keys: Sequence[tuple[str, str]]) -> Columns:
    """The fact of which items are copies of each other; empty if none is."""
    codes = united([one for one, _ in keys], [one for _, one in keys])
    return {} if codes is None else {COPY: tuple(map(float, codes))}


def _end(prompt: Any) -> Any:
    return prompt.strip().rpartition("\n\n")[2][-TAIL:] if isinstance(prompt, str) else prompt


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]
