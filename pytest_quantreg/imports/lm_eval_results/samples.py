"""Sample logs of lm-eval: one row per item and filter becomes one item with several metrics."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.codes import ImportCode
from ...core.comparison.generated_answers import kept_facts, mark, tokens_about
from ...core.comparison.item_clusters import copy_column, copy_keys
from ...core.records.run import Items
from ...core.strict_json import LARGEST, CorruptFile
from ..foreign_files import blaming, list_of, number_of, object_of, read_rows, whole_of
from .results import NO_FILTER, PERPLEXITIES, is_name

DIGITS = 20
"""Of an item's digest: two of a million items collide once in 10^12 tasks."""

LONGEST_ANSWER = 64
MOST_EQUAL = 0.01
"""Of a task's items, those whose choices may all have the same log-probability."""

NOT_SCORES = frozenset(
    {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"}
    | {"doc_hash", "prompt_hash", "target_hash", "storage"}
)

_WRITTEN = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")

Value = tuple[float, float | None]
"""A score, and its weight where it has one."""


@dataclass
class _Item:
    digest: str
    copy_keys: tuple[str, str]
    target: str
    choices: int
    empty: float | None
    equal: bool
    likelihood: float | None
    texts: tuple[str, ...]
    scores: dict[tuple[str, str], Value | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Samples:
    """The items of one task: columns named ``metric,filter``, in ascending ``doc_id``.

    ``unscored`` are metrics without one number per item. ``chance`` is what guessing would
    score on them, ``equal`` the share of items all of whose choices came out the same.
    """

    items: Items
    unscored: tuple[str, ...]
    chance: float
    equal: float


def read_samples(path: Path, filters: Sequence[str], metrics: Sequence[str]) -> Samples:
    """The items in a sample log.

    ``filters`` are the task's filters in the order of its file and ``metrics`` what its
    results name (``acc,none``), both empty where they are not known: rows of before lm-eval
    0.4.7 tell neither. Raises Refusal for rows that are damaged, twice there, missing under
    one of the filters, or that nobody can attribute to a filter.
    """
    bare = tuple(dict.fromkeys(name.partition(",")[0] for name in metrics))
    with blaming(path):
        return _to_samples(_read_items(path, filters, bare))


def _read_items(path: Path, filters: Sequence[str], metrics: Sequence[str]) -> dict[int, _Item]:
    items: dict[int, _Item] = {}
    unnamed: Counter[int] = Counter()
    for number, row in enumerate(read_rows(path), 1):
        doc = whole_of(row.get("doc_id"))
        if doc is None:
            raise CorruptFile(ImportCode.NO_DOC_ID, row=number)
        item = _read_item(row)
        first_item = items.setdefault(doc, item)
        if first_item.digest != item.digest:
            raise CorruptFile(ImportCode.ASKED_IN_TWO_WAYS, doc=doc)
        named = row.get("filter")
        if not isinstance(named, str):
            named = _filter_by_order(filters, unnamed[doc])
            unnamed[doc] += 1
        _add_scores(first_item, doc, named, row, metrics)
    if not items:
        raise CorruptFile(ImportCode.LOG_WITHOUT_ITEMS)
    return items


def _filter_by_order(filters: Sequence[str], place: int) -> str:
    """The filter of a row that does not say: an item's rows come in the order of the filters."""
    if place < len(filters):
        return filters[place]
    if not filters and place == 0:
        return NO_FILTER
    if not filters:
        raise CorruptFile(ImportCode.UNNAMED_FILTERS)
    raise CorruptFile(ImportCode.MORE_ROWS_THAN_FILTERS)


def _read_item(row: Mapping[str, Any]) -> _Item:
    generates = _generates(row)
    arguments = row.get("arguments")
    requests, doc, target = _requests(arguments), row.get("doc"), row.get("target")
    parts = [requests, doc, str(target)]
    keys = copy_keys(doc, str(target), [list_of(request) for request in list_of(requests)])
    if not arguments and isinstance(row.get("prompt_hash"), str):
        # Logs whose texts were taken out still hold lm-eval's own digests.
        parts = [row.get(name) for name in ("doc_hash", "prompt_hash", "target_hash")]
        keys = copy_keys(parts[0], parts[2], [[parts[1]]])
    question = json.dumps(parts, sort_keys=True)
    return _Item(
        digest=hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS],
        copy_keys=keys,
        target=str(target).strip(),
        choices=len(arguments) if isinstance(arguments, dict | list) else 0,
        # A server that did not answer leaves null where the text would be.
        empty=_share_empty(list(_flatten(row.get("resps")))) if generates else None,
        equal=_all_equal(row.get("filtered_resps")),
        likelihood=None if generates else _likelihood(row.get("resps")),
        texts=tuple(map(str, _flatten(row.get("resps")))) if generates else (),
    )


def _requests(arguments: object) -> object:
    """The arguments of an item's requests in one form: before lm-eval 0.4.3 they were lists."""
    if not isinstance(arguments, dict):
        return arguments
    return [
        list(request.values()) if isinstance(request, dict) else request
        for request in arguments.values()
    ]


def _add_scores(
    item: _Item, doc: int, named: str, row: Mapping[str, Any], metrics: Sequence[str]
) -> None:
    listed = [name for name in list_of(row.get("metrics")) if isinstance(name, str)]
    names = listed or [name for name in metrics if name in row] or _numeric_fields(row)
    if not names:
        raise CorruptFile(ImportCode.NO_SCORE, doc=doc)
    if bad_names := [text for text in (named, *names) if not is_name(text)]:
        raise CorruptFile(ImportCode.NOT_A_NAME, name=bad_names[0][:60])
    for name in names:
        if (name, named) in item.scores:
            raise CorruptFile(ImportCode.LOGGED_TWICE, doc=doc, filter=named)
        value = _score_value(name, row.get(name))
        if value is not None and max(abs(value[0]), abs(value[1] or 0.0)) > LARGEST:
            raise CorruptFile(ImportCode.SCORE_TOO_LARGE, metric=name, score=value[0], doc=doc)
        item.scores[name, named] = value


def _numeric_fields(row: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, value in row.items()
        if name not in NOT_SCORES and isinstance(value, bool | int | float | list)
    ]


def _score_value(metric: str, value: Any) -> Value | None:
    if isinstance(value, bool):
        return float(value), None
    number = number_of(value)
    if number is not None:
        return number, 1.0 if metric in PERPLEXITIES else None
    pair = [number_of(number) for number in list_of(value)]
    if metric in PERPLEXITIES and len(pair) == 2 and None not in pair:
        return pair[0] or 0.0, pair[1]
    return None


def _to_samples(items_by_doc: Mapping[int, _Item]) -> Samples:
    docs = sorted(items_by_doc)
    columns = list(items_by_doc[docs[0]].scores)
    for doc in docs:
        if set(items_by_doc[doc].scores) != set(columns):
            missing = sorted({*columns} ^ {*items_by_doc[doc].scores})[0]
            raise CorruptFile(
                ImportCode.SCORES_OF_SOME_ITEMS, metric=missing[0], filter=missing[1], doc=doc
            )
    items = [items_by_doc[doc] for doc in docs]
    scores, weights, unscored = {}, {}, []
    for key in columns:
        name = ",".join(key)
        values = [value for value in (item.scores[key] for item in items) if value is not None]
        if len(values) != len(items):
            unscored.append(name)
            continue
        scores[name] = tuple(score for score, _ in values)
        if key[0] in PERPLEXITIES:
            weights[name] = tuple(weight or 0.0 for _, weight in values)
    digests = tuple(item.digest for item in items)
    lengths = [min(map(tokens_about, item.texts)) if item.texts else None for item in items]
    facts: dict[str, list[float | None]] = {
        "answer": [
            None if length is None else mark(item.texts, length)
            for item, length in zip(items, lengths, strict=True)
        ],
        "empty": [item.empty for item in items],
        "length": [None if length is None else float(length) for length in lengths],
        "likelihood": [item.likelihood for item in items],
    }
    copies = copy_column([item.copy_keys for item in items])
    fact_columns = {
        name: tuple(value for value in column if value is not None)
        for name, column in facts.items()
    }
    complete = kept_facts(
        {name: column for name, column in fact_columns.items() if len(column) == len(items)}
    )
    return Samples(
        Items(tuple(docs), digests, scores, weights, {**complete, **copies}),
        tuple(unscored),
        _chance(items, doubled=any("mutual_info" in name for name, _ in columns)),
        math.fsum(item.equal for item in items) / len(items),
    )


def _chance(items: Sequence[_Item], *, doubled: bool) -> float:
    """What guessing scores: one of the choices at random, or always the commonest answer."""
    choices = [item.choices // 2 if doubled else item.choices for item in items]
    counts = Counter(item.target for item in items if len(item.target) <= LONGEST_ANSWER)
    commonest = max(counts.values(), default=0)
    share = commonest / len(items) if commonest > 1 else 0.0
    if min(choices) < 2:
        return share
    return max(share, math.fsum(1.0 / count for count in choices) / len(items))


def _generates(row: Mapping[str, Any]) -> bool:
    """Whether the answers are texts: log-probabilities come as [number, was it the likeliest]."""
    arguments = row.get("arguments")
    if isinstance(arguments, dict):
        first = object_of(next(iter(arguments.values()), None)).get("arg_1")
    else:  # before lm-eval 0.4.3
        first = next(iter(list_of(next(iter(list_of(arguments)), None))[1:]), None)
    return isinstance(first, dict)


def _share_empty(answers: Sequence[object]) -> float:
    if not answers:
        return 1.0  # asked, and there is no answer
    empty = [not isinstance(answer, str) or not answer.strip() for answer in answers]
    return sum(empty) / len(answers)


def _likelihood(responses: Any) -> float | None:
    """The sum of the log-likelihoods of all choices; None where the answers are others.

    Those that are no usable number, such as -inf, are left out of it: one odd choice must not
    hide that all others are somebody else's.
    """
    pairs = [pair for pair in _innermost_lists(responses) if len(pair) == 2]
    if not pairs:
        return None
    likelihoods = [_number(pair[0]) for pair in pairs]
    return math.fsum(
        likelihood
        for likelihood in likelihoods
        if likelihood is not None and abs(likelihood) <= LARGEST
    )


def _innermost_lists(value: Any) -> Iterator[list[Any]]:
    """The innermost lists: lm-eval nests them once per request, or not."""
    for inner in list_of(value):
        if isinstance(inner, list):
            if inner and not isinstance(inner[0], list):
                yield inner
            else:
                yield from _innermost_lists(inner)


def _number(value: object) -> float | None:
    """A number that lm-eval may have written as a text."""
    if isinstance(value, str) and _WRITTEN.fullmatch(value):
        return float(value)
    return number_of(value)


def _all_equal(responses: Any) -> bool:
    """Whether two choices or more all have the same log-probability."""
    likely = [pair[0] for pair in list_of(responses) if isinstance(pair, list) and len(pair) == 2]
    return len(likely) > 1 and len({str(likelihood) for likelihood in likely}) == 1


def _flatten(value: Any) -> Iterator[Any]:
    for inner in list_of(value):
        if isinstance(inner, list):
            yield from _flatten(inner)
        else:
            yield inner
