"""Item rows: the columns of `Items` to and from JSON lines."""

from __future__ import annotations

import gc
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..core.record import Columns, Items, Metric
from .sound import FACTS, check, repeated, scored
from .strict import Damage, dump, parse

CHUNK = 1 << 18
"""Bytes of rows parsed at once: fast, and a million rows never stand in memory twice."""

FIRST_RERUN = 2
"""What the first of the further runs is called: ``score:`` holds run 1."""

_OURS = re.compile(
    r"doc_id|digest|(?:score|weight|rerun(?:[2-9]|[1-9][0-9]+)):.+"
    rf"|fact:(?:{'|'.join(FACTS)})"
)


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
    names = scored(metrics)
    weighed = [name for name in names if name in items.weights]
    again = repeated(metrics)
    numbers = [
        *(items.scores[name] for name in names),
        *(items.weights[name] for name in weighed),
        *(items.facts[name] for name in sorted(items.facts)),
        *(rerun[name] for rerun in items.reruns for name in again),
    ]
    columns = [
        map(str, items.doc_ids),
        (f'"{digest}"' for digest in items.digests),
        *(map(_number, column) for column in numbers),
    ]
    data = "".join(f"[{','.join(row)}]\n" for row in zip(*columns, strict=True)).encode()
    info = RowsInfo(
        count=len(items),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        digest_length=len(items.digests[0]),
        columns=_column_names(names, weighed, sorted(items.facts), again, len(items.reruns)),
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
    """The items in ``data``; raises Damage for rows that break any rule.

    Columns of kinds that a newer minor version added are passed over.
    """
    ours = tuple(name for name in info.columns if _OURS.fullmatch(name))
    if ours != _expected(ours, metrics):
        raise Damage("names columns that do not fit its metrics")
    columns = _columns_of(data, info)
    # Each list goes when its tuple is there: a million items are not held twice.
    numbers = {name: _floats(columns.pop(name), name) for name in ours[2:]}
    again = repeated(metrics)
    items = Items(
        tuple(columns.pop("doc_id")),
        tuple(columns.pop("digest")),
        _taken(numbers, "score", scored(metrics)),
        _taken(numbers, "weight", [name for name in scored(metrics) if f"weight:{name}" in ours]),
        _taken(numbers, "fact", _facts(ours)),
        tuple(
            _taken(numbers, f"rerun{run}", again)
            for run in range(FIRST_RERUN, FIRST_RERUN + _reruns(ours, again))
        ),
    )
    check(items, metrics)
    if len(items.digests[0]) != info.digest_length:
        raise Damage(f"has digests that are not {info.digest_length} digits long")
    return items


def _columns_of(data: bytes, info: RowsInfo) -> dict[str, list[Any]]:
    if not data.endswith(b"\n") or data.count(b"\n") != info.count:
        raise Damage(f"does not hold {info.count} whole lines")
    columns: list[list[Any]] = [[] for _ in info.columns]
    source, start = io.BytesIO(data), 0
    with _collecting_paused():
        while lines := source.readlines(CHUNK):
            for column, part in zip(
                columns,
                zip(*_parse_rows(lines, start, len(columns)), strict=True),
                strict=True,
            ):
                column.extend(part)
            start += len(lines)
    return dict(zip(info.columns, columns, strict=True))


@contextmanager
def _collecting_paused() -> Iterator[None]:
    # A million fresh lists make the collector look through all of them again and again: two
    # thirds of the time went there, and nothing here refers to itself.
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _expected(ours: Sequence[str], metrics: Sequence[Metric]) -> tuple[str, ...]:
    """The columns as `encode` would name them, given which of the optional ones are there."""
    names, again = scored(metrics), repeated(metrics)
    weighed = [name for name in names if f"weight:{name}" in ours]
    return _column_names(names, weighed, _facts(ours), again, _reruns(ours, again))


def _facts(ours: Sequence[str]) -> list[str]:
    return sorted(name.removeprefix("fact:") for name in ours if name.startswith("fact:"))


def _reruns(ours: Sequence[str], again: Sequence[str]) -> int:
    found = sum(name.startswith("rerun") for name in ours)
    return found // len(again) if again else 0


def _taken(numbers: Columns, kind: str, names: Sequence[str]) -> Columns:
    return {name: numbers[f"{kind}:{name}"] for name in names}


def _parse_rows(lines: list[bytes], start: int, width: int) -> list[list[Any]]:
    rows: Any
    try:
        rows = parse(b"[" + b",".join(lines) + b"]")
    except Damage:
        rows = None
    # One parse for all is three times as fast; line by line only to name the line.
    if not isinstance(rows, list) or len(rows) != len(lines) or _odd(rows, width):
        for number, line in enumerate(lines, start + 1):
            _parse_row(line.removesuffix(b"\n"), number, width)
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


def _odd(rows: Sequence[Any], width: int) -> bool:
    return set(map(type, rows)) != {list} or set(map(len, rows)) != {width}


def _floats(column: list[Any], name: str) -> tuple[float, ...]:
    kinds = set(map(type, column))
    if not kinds <= {int, float}:
        raise Damage(f"has a {name} that is no number")
    try:
        if kinds == {int} and set(column) <= {0, 1}:
            # Two shared objects instead of a million.
            zero, one = 0.0, 1.0
            return tuple([one if value else zero for value in column])
        return tuple(map(float, column))
    except OverflowError:
        raise Damage(f"has a {name} that is too large") from None


def _column_names(
    names: Sequence[str],
    weighed: Sequence[str],
    facts: Sequence[str],
    again: Sequence[str],
    reruns: int,
) -> tuple[str, ...]:
    runs = range(FIRST_RERUN, FIRST_RERUN + reruns)
    return (
        "doc_id",
        "digest",
        *(f"score:{name}" for name in names),
        *(f"weight:{name}" for name in weighed),
        *(f"fact:{name}" for name in facts),
        *(f"rerun{run}:{name}" for run in runs for name in again),
    )


def _number(value: float) -> str:
    # Whole numbers without ".0"; -0.0 and what a float cannot count stay as they are.
    number = float(value)
    whole = number.is_integer() and abs(number) < 2**53 and (number or str(number) == "0.0")
    return str(int(number)) if whole else dump(number)
