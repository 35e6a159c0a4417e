"""What must hold of items before they are stored and after they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.codes import StoredCode
from ..core.facts import Problem
from ..core.records.columns import Numbers, Texts, has_duplicates
from ..core.records.run import Items, Metric
from ..core.strict_json import LARGEST, CorruptFile

Floats: TypeAlias = "NDArray[np.float64]"
Rule: TypeAlias = "tuple[Problem, Callable[[Floats], NDArray[np.bool_]]]"

_HEX = b"0123456789abcdef"


def _are_counts(values: Floats) -> NDArray[np.bool_]:
    is_whole: NDArray[np.bool_] = values == np.floor(values)
    return (values >= 0) & is_whole


def _are_shares(values: Floats) -> NDArray[np.bool_]:
    return (values >= 0) & (values <= 1)


COUNT: Rule = (Problem(StoredCode.WHOLE_FROM_ZERO, {}), _are_counts)
SHARE: Rule = (Problem(StoredCode.ZERO_TO_ONE, {}), _are_shares)
LOGARITHM: Rule = (Problem(StoredCode.FINITE, {}), np.isfinite)
FACTS: Mapping[str, Rule] = MappingProxyType(
    {
        "answer": COUNT,
        "cluster": COUNT,
        "copy": COUNT,
        "empty": SHARE,
        "length": COUNT,
        "likelihood": LOGARITHM,
        "tokens": COUNT,
        "truncated": SHARE,
    }
)
"""What may be noted of an item beside its scores; a new one needs a new minor version."""


def scored_names(metrics: Sequence[Metric]) -> list[str]:
    """The metrics with a column; an aggregate (F1) has a value and no score per item."""
    return [metric.name for metric in metrics if metric.kind != "aggregate"]


def rerun_metric_names(metrics: Sequence[Metric]) -> list[str]:
    """The metrics whose scores are kept of further runs too."""
    return [metric.name for metric in metrics if metric.kind in ("binary", "mean")]


def check_items(items: Items, metrics: Sequence[Metric]) -> None:
    """Raises CorruptFile unless the items are complete, unique, finite and of their kind."""
    kinds = {metric.name: metric.kind for metric in metrics}
    _check_columns(items, metrics, kinds)
    _check_names(items)
    for name, column in items.scores.items():
        _check_scores(name, column, items.doc_ids, binary=kinds[name] == "binary")
    for name, column in items.weights.items():
        _check_weights(name, column, items.doc_ids)
    for name, column in items.facts.items():
        _check_fact(name, column, items.doc_ids)
    for rerun in items.reruns:
        for name, column in rerun.items():
            _check_scores(name, column, items.doc_ids, binary=kinds[name] == "binary")


def _check_columns(items: Items, metrics: Sequence[Metric], kinds: Mapping[str, str]) -> None:
    """Raises CorruptFile unless each column that the metrics need is there, and equally long."""
    if len(items) == 0:
        raise CorruptFile(StoredCode.NO_ITEMS)
    if len(kinds) != len(metrics) or set(items.scores) != set(scored_names(metrics)):
        raise CorruptFile(StoredCode.NOT_ONE_SCORE_EACH)
    if any(kinds.get(name) != "perplexity" for name in items.weights):
        raise CorruptFile(StoredCode.WEIGHTS_WITHOUT_PERPLEXITY)
    rerun_names = set(rerun_metric_names(metrics))
    if any(set(rerun) != rerun_names for rerun in items.reruns) or (
        items.reruns and not rerun_names
    ):
        raise CorruptFile(StoredCode.NOT_ONE_SCORE_EACH_RERUN)
    every = chain(
        [items.doc_ids],
        *(columns.values() for columns in (items.scores, items.weights, items.facts)),
        *(rerun.values() for rerun in items.reruns),
    )
    if any(len(column) != len(items) for column in every):
        raise CorruptFile(StoredCode.COLUMN_LENGTHS)


def _check_weights(name: str, column: Sequence[float], ids: Sequence[int]) -> None:
    weights = _check_scores(name, column, ids, binary=False)
    if weights.min() < 0:
        raise CorruptFile(StoredCode.NEGATIVE_WEIGHT, metric=name)
    if weights.max() == 0:
        raise CorruptFile(StoredCode.NO_POSITIVE_WEIGHT, metric=name)


def _check_fact(name: str, column: Sequence[float], ids: Sequence[int]) -> None:
    if name not in FACTS:
        raise CorruptFile(StoredCode.NO_SUCH_ITEM_FACT, name=name[:60])
    values = _check_scores(name, column, ids, binary=False)
    rule, holds = FACTS[name]
    wrong = ~holds(values)
    if wrong.any():
        at, value = _first_wrong(column, ids, wrong)
        raise CorruptFile(StoredCode.ITEM_VALUE, name=name, value=value, doc=at, rule=rule)


def _check_names(items: Items) -> None:
    ids = items.doc_ids
    if not isinstance(ids, Numbers) and set(map(type, ids)) != {int}:
        raise CorruptFile(StoredCode.DOC_ID_NOT_WHOLE)
    try:
        doc_ids = np.asarray(ids, dtype=np.int64)
    except OverflowError:
        raise CorruptFile(StoredCode.COLUMN_TOO_LARGE, column="doc_id") from None
    if doc_ids.min() < 0:
        raise CorruptFile(StoredCode.DOC_ID_NOT_WHOLE)
    if has_duplicates(ids):
        raise CorruptFile(StoredCode.DOC_ID_TWICE)
    digests = items.digests
    if not isinstance(digests, Texts) and set(map(type, digests)) != {str}:
        raise CorruptFile(StoredCode.DIGEST_NOT_TEXT)
    length = len(digests[0])
    even = isinstance(digests, Texts) or len(set(map(len, digests))) == 1
    if not even or length not in range(16, 65, 2) or _characters_beyond_hex(digests):
        raise CorruptFile(StoredCode.DIGEST_NOT_HEX)


def _characters_beyond_hex(digests: Sequence[str]) -> bytes:
    joined = digests.joined if isinstance(digests, Texts) else "".join(digests)
    # Ten times as fast as a regular expression.
    return joined.encode("utf-8", "surrogatepass").translate(None, _HEX)


def _check_scores(
    name: str, column: Sequence[float], ids: Sequence[int], *, binary: bool
) -> Floats:
    """The column as an array."""
    values = np.asarray(column, dtype=np.float64)
    if (wrong := ~np.isfinite(values)).any():
        at, value = _first_wrong(column, ids, wrong)
        raise CorruptFile(StoredCode.ITEM_VALUE_NOT_FINITE, name=name, value=value, doc=at)
    if (wrong := np.abs(values) > LARGEST).any():
        at, value = _first_wrong(column, ids, wrong)
        raise CorruptFile(
            StoredCode.ITEM_VALUE_TOO_LARGE, name=name, value=value, doc=at, most=LARGEST
        )
    if binary and (wrong := (values != 0) & (values != 1)).any():
        at, value = _first_wrong(column, ids, wrong)
        rule = Problem(StoredCode.ZERO_OR_ONE, {})
        raise CorruptFile(StoredCode.ITEM_VALUE, name=name, value=value, doc=at, rule=rule)
    return values


def _first_wrong(
    column: Sequence[float], ids: Sequence[int], wrong: NDArray[np.bool_]
) -> tuple[int, float]:
    at = int(np.argmax(wrong))
    return ids[at], column[at]
