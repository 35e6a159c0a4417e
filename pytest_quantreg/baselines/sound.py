"""What must hold of items before they are stored and after they are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from math import isfinite
from types import MappingProxyType
from typing import TypeAlias

from ..core.record import Items, Metric
from .strict import Damage

Rule: TypeAlias = "tuple[str, Callable[[float], bool]]"

_HEX = re.compile(r"[0-9a-f]*")


def _counts(value: float) -> bool:
    return value >= 0 and float(value).is_integer()


def _is_share(value: float) -> bool:
    return 0 <= value <= 1


COUNT: Rule = ("a whole number from 0", _counts)
SHARE: Rule = ("from 0 to 1", _is_share)
FACTS: Mapping[str, Rule] = MappingProxyType(
    {"cluster": COUNT, "empty": SHARE, "tokens": COUNT, "truncated": SHARE}
)
"""What may be noted of an item beside its scores; a new one needs a new minor version."""


def scored(metrics: Sequence[Metric]) -> list[str]:
    """The metrics with a column; an aggregate (F1) has a value and no score per item."""
    return [metric.name for metric in metrics if metric.kind != "aggregate"]


def repeated(metrics: Sequence[Metric]) -> list[str]:
    """The metrics whose scores are kept of further runs too."""
    return [metric.name for metric in metrics if metric.kind in ("binary", "mean")]


def check(items: Items, metrics: Sequence[Metric]) -> None:
    """Raises Damage unless the items are complete, unique, finite and of their kind."""
    kinds = {metric.name: metric.kind for metric in metrics}
    if len(items) == 0:
        raise Damage("holds no items")
    if len(kinds) != len(metrics) or set(items.scores) != set(scored(metrics)):
        raise Damage("does not hold one score for each of its metrics")
    if any(kinds.get(name) != "perplexity" for name in items.weights):
        raise Damage("holds weights for a metric that takes none")
    again = set(repeated(metrics))
    if any(set(rerun) != again for rerun in items.reruns) or (items.reruns and not again):
        raise Damage("does not hold one score for each of its metrics in each rerun")
    every = chain(
        [items.doc_ids],
        *(columns.values() for columns in (items.scores, items.weights, items.facts)),
        *(rerun.values() for rerun in items.reruns),
    )
    if any(len(column) != len(items) for column in every):
        raise Damage("has columns of unequal length")
    _check_names(items)
    for name, column in items.scores.items():
        _check_scores(name, column, items.doc_ids, binary=kinds[name] == "binary")
    for name, column in items.weights.items():
        _check_scores(name, column, items.doc_ids, binary=False)
        if min(column) < 0:
            raise Damage(f"has a negative weight for {name}")
    for name, column in items.facts.items():
        _check_fact(name, column, items.doc_ids)
    for rerun in items.reruns:
        for name, column in rerun.items():
            _check_scores(name, column, items.doc_ids, binary=kinds[name] == "binary")


def _check_fact(name: str, column: Sequence[float], ids: Sequence[int]) -> None:
    if name not in FACTS:
        raise Damage(f"notes {name[:60]!r} of its items, which is unknown")
    _check_scores(name, column, ids, binary=False)
    rule, holds = FACTS[name]
    if not all(map(holds, column)):
        at, value = _first(column, ids, lambda fact: not holds(fact))
        raise Damage(f"has {name} = {value} for doc {at}, which must be {rule}")


def _check_names(items: Items) -> None:
    ids = items.doc_ids
    if not all(type(one) is int for one in ids) or min(ids) < 0:
        raise Damage("has a doc_id that is no whole number from 0")
    if len(set(ids)) != len(ids):
        raise Damage("holds the same doc_id twice")
    if not all(type(one) is str for one in items.digests):
        raise Damage("has an item digest that is no text")
    length = len(items.digests[0])
    even = all(len(one) == length for one in items.digests)
    if not even or length not in range(16, 65, 2) or not _HEX.fullmatch("".join(items.digests)):
        raise Damage("has an item digest that is not 16 to 64 hex digits, all equally long")


def _check_scores(name: str, column: Sequence[float], ids: Sequence[int], *, binary: bool) -> None:
    if not all(map(isfinite, column)):
        at, value = _first(column, ids, lambda score: not isfinite(score))
        raise Damage(f"has {name} = {value} for doc {at}, which is no finite number")
    if binary and not set(column) <= {0, 1}:
        at, value = _first(column, ids, lambda score: score not in (0, 1))
        raise Damage(f"has {name} = {value} for doc {at}, which must be 0 or 1")


def _first(
    column: Sequence[float], ids: Sequence[int], wrong: Callable[[float], bool]
) -> tuple[int, float]:
    return next((at, value) for at, value in zip(ids, column, strict=True) if wrong(value))
