"""What must hold of items before they are stored and after they are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.record import Items, Metric
from .strict import Damage

Numbers: TypeAlias = "NDArray[np.float64]"
Rule: TypeAlias = "tuple[str, Callable[[Numbers], NDArray[np.bool_]]]"

_HEX = re.compile(r"[0-9a-f]*")


def _counts(values: Numbers) -> NDArray[np.bool_]:
    whole: NDArray[np.bool_] = values == np.floor(values)
    return (values >= 0) & whole


def _is_share(values: Numbers) -> NDArray[np.bool_]:
    return (values >= 0) & (values <= 1)


COUNT: Rule = ("a whole number from 0", _counts)
SHARE: Rule = ("from 0 to 1", _is_share)
LOGARITHM: Rule = ("finite", np.isfinite)
FACTS: Mapping[str, Rule] = MappingProxyType(
    {
        "cluster": COUNT,
        "empty": SHARE,
        "likelihood": LOGARITHM,
        "tokens": COUNT,
        "truncated": SHARE,
    }
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
    wrong = ~holds(np.asarray(column))
    if wrong.any():
        at, value = _first(column, ids, wrong)
        raise Damage(f"has {name} = {value} for doc {at}, which must be {rule}")


def _check_names(items: Items) -> None:
    ids = items.doc_ids
    if set(map(type, ids)) != {int} or min(ids) < 0:
        raise Damage("has a doc_id that is no whole number from 0")
    if len(set(ids)) != len(ids):
        raise Damage("holds the same doc_id twice")
    if set(map(type, items.digests)) != {str}:
        raise Damage("has an item digest that is no text")
    length, even = len(items.digests[0]), len(set(map(len, items.digests))) == 1
    if not even or length not in range(16, 65, 2) or not _HEX.fullmatch("".join(items.digests)):
        raise Damage("has an item digest that is not 16 to 64 hex digits, all equally long")


def _check_scores(name: str, column: Sequence[float], ids: Sequence[int], *, binary: bool) -> None:
    values = np.asarray(column, dtype=np.float64)
    if (wrong := ~np.isfinite(values)).any():
        at, value = _first(column, ids, wrong)
        raise Damage(f"has {name} = {value} for doc {at}, which is no finite number")
    if binary and (wrong := (values != 0) & (values != 1)).any():
        at, value = _first(column, ids, wrong)
        raise Damage(f"has {name} = {value} for doc {at}, which must be 0 or 1")


def _first(
    column: Sequence[float], ids: Sequence[int], wrong: NDArray[np.bool_]
) -> tuple[int, float]:
    at = int(np.argmax(wrong))
    return ids[at], column[at]
