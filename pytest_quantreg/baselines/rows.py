"""Item rows: the columns of `Items` to and from JSON lines, checked without a schema."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from typing import Any

from ..core.record import Items, Metric
from .strict import Damage, dump, parse

CHUNK = 8192
"""Rows parsed at once: fast, and a million rows never stand in memory twice."""

_HEX = re.compile(r"[0-9a-f]*")


@dataclass(frozen=True)
class RowsInfo:
    """What the meta file says about the rows: enough to prove they are the right ones.

    ``bytes`` and ``sha256`` are those of the file with ``\\n`` line ends.
    """

    count: int
    bytes: int
    sha256: str
    digest_length: int
    columns: tuple[str, ...]


def encode(items: Items, metrics: Sequence[Metric]) -> tuple[bytes, RowsInfo]:
    """The rows as one file, and what to write about it; raises Damage for unsound items."""
    check(items, metrics)
    names = _scored(metrics)
    weighed = [name for name in names if name in items.weights]
    columns = [
        map(str, items.doc_ids),
        (f'"{digest}"' for digest in items.digests),
        *(map(_number, items.scores[name]) for name in names),
        *(map(_number, items.weights[name]) for name in weighed),
    ]
    data = "".join(f"[{','.join(row)}]\n" for row in zip(*columns, strict=True)).encode()
    info = RowsInfo(
        count=len(items),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        digest_length=len(items.digests[0]),
        columns=_column_names(names, weighed),
    )
    return data, info


def matches(data: bytes, info: RowsInfo) -> bytes | None:
    """The rows with ``\\n`` line ends if they are the ones that ``info`` means.

    A checkout with converted line ends holds the same rows, so those are undone first.
    """
    if len(data) == info.bytes + info.count and data.count(b"\r\n") == info.count:
        data = data.replace(b"\r\n", b"\n")
    right = len(data) == info.bytes and hashlib.sha256(data).hexdigest() == info.sha256
    return data if right else None


def decode(data: bytes, info: RowsInfo, metrics: Sequence[Metric]) -> Items:
    """The items in ``data``; raises Damage for rows that break any rule."""
    names = _scored(metrics)
    weighed = [name for name in names if f"weight:{name}" in info.columns]
    if info.columns != _column_names(names, weighed):
        raise Damage("names columns that do not fit its metrics")
    lines = data.split(b"\n")
    if lines.pop() != b"" or len(lines) != info.count:
        raise Damage(f"does not hold {info.count} whole lines")
    columns: list[list[Any]] = [[] for _ in info.columns]
    for start in range(0, len(lines), CHUNK):
        rows = _parse_rows(lines[start : start + CHUNK], start, len(columns))
        for column, part in zip(columns, zip(*rows, strict=True), strict=True):
            column.extend(part)
    scores = [_floats(column, name) for column, name in zip(columns, info.columns, strict=True)][2:]
    items = Items(
        tuple(columns[0]),
        tuple(columns[1]),
        dict(zip(names, scores, strict=False)),
        dict(zip(weighed, scores[len(names) :], strict=True)),
    )
    check(items, metrics)
    if len(items.digests[0]) != info.digest_length:
        raise Damage(f"has digests that are not {info.digest_length} digits long")
    return items


def _scored(metrics: Sequence[Metric]) -> list[str]:
    """The metrics with a column; an aggregate (F1) has a value and no score per item."""
    return [metric.name for metric in metrics if metric.kind != "aggregate"]


def check(items: Items, metrics: Sequence[Metric]) -> None:
    """Raises Damage unless the items are complete, unique, finite and of their kind."""
    kinds = {metric.name: metric.kind for metric in metrics}
    if len(items) == 0:
        raise Damage("holds no items")
    if len(kinds) != len(metrics) or set(items.scores) != set(_scored(metrics)):
        raise Damage("does not hold one score for each of its metrics")
    if any(kinds.get(name) != "perplexity" for name in items.weights):
        raise Damage("holds weights for a metric that takes none")
    every = chain([items.doc_ids], items.scores.values(), items.weights.values())
    if any(len(column) != len(items) for column in every):
        raise Damage("has columns of unequal length")
    _check_names(items)
    for name, column in items.scores.items():
        _check_scores(name, column, items.doc_ids, binary=kinds[name] == "binary")
    for name, column in items.weights.items():
        _check_scores(name, column, items.doc_ids, binary=False)
        if min(column) < 0:
            raise Damage(f"has a negative weight for {name}")


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


def _parse_rows(lines: list[bytes], start: int, width: int) -> list[list[Any]]:
    rows: Any
    try:
        rows = parse(b"[" + b",".join(lines) + b"]")
    except Damage:
        rows = None
    # One parse for all is three times as fast; line by line only to name the line.
    if not isinstance(rows, list) or len(rows) != len(lines) or _odd(rows, width):
        for number, line in enumerate(lines, start + 1):
            _parse_row(line, number, width)
        raise Damage(f"does not hold one row per line after line {start}")
    found: list[list[Any]] = rows
    return found


def _parse_row(line: bytes, number: int, width: int) -> None:
    try:
        row = parse(line)
    except Damage as error:
        raise Damage(f"is damaged in line {number}: it {error}") from None
    if _odd([row], width):
        raise Damage(f"is damaged in line {number}: it is no row of {width} values")


def _odd(rows: Iterable[Any], width: int) -> bool:
    return any(type(row) is not list or len(row) != width for row in rows)


def _floats(column: list[Any], name: str) -> tuple[float, ...]:
    if name in ("doc_id", "digest"):
        return ()
    if not set(map(type, column)) <= {int, float}:
        raise Damage(f"has a {name} that is no number")
    try:
        if set(column) <= {0, 1} and float not in set(map(type, column)):
            # Two shared objects instead of a million.
            zero, one = 0.0, 1.0
            return tuple([one if value else zero for value in column])
        return tuple(map(float, column))
    except OverflowError:
        raise Damage(f"has a {name} that is too large") from None


def _column_names(names: Sequence[str], weighed: Sequence[str]) -> tuple[str, ...]:
    return (
        "doc_id",
        "digest",
        *(f"score:{name}" for name in names),
        *(f"weight:{name}" for name in weighed),
    )


def _number(value: float) -> str:
    # Whole numbers without ".0"; -0.0 and what a float cannot count stay as they are.
    number = float(value)
    whole = number.is_integer() and abs(number) < 2**53 and (number or str(number) == "0.0")
    return str(int(number)) if whole else dump(number)
