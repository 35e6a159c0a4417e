"""Item rows: the columns of `Items` to and from JSON lines."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.codes import StoredCode
from ..core.records.run import Columns, Items, Metric
from ..core.strict_json import CorruptFile, dump
from .column_reader import columns_of
from .validation import FACTS, check_items, rerun_metric_names, scored_names

FIRST_RERUN = 2
"""What the first of the further runs is called: ``score:`` holds run 1."""

_KNOWN_COLUMN = re.compile(
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
    """The rows as one file, and what to write about it; raises CorruptFile for unsound items."""
    check_items(items, metrics)
    names = scored_names(metrics)
    weighed = [name for name in names if name in items.weights]
    rerun_names = rerun_metric_names(metrics)
    numbers = [
        *(items.scores[name] for name in names),
        *(items.weights[name] for name in weighed),
        *(items.facts[name] for name in sorted(items.facts)),
        *(rerun[name] for rerun in items.reruns for name in rerun_names),
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
        columns=_column_names(names, weighed, sorted(items.facts), rerun_names, len(items.reruns)),
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
    """The items in ``data``; raises CorruptFile for rows that break any rule.

    Columns of kinds that a newer minor version added are passed over.
    """
    known_columns = tuple(name for name in info.columns if _KNOWN_COLUMN.fullmatch(name))
    if known_columns != _expected_columns(known_columns, metrics):
        raise CorruptFile(StoredCode.COLUMNS_NOT_OF_METRICS)
    if not data.endswith(b"\n") or data.count(b"\n") != info.count:
        raise CorruptFile(StoredCode.NOT_WHOLE_LINES, count=info.count)
    columns = columns_of(data, info.columns, known_columns)
    rerun_names = rerun_metric_names(metrics)
    items = Items(
        columns["doc_id"],
        columns["digest"],
        _select_columns(columns, "score", scored_names(metrics)),
        _select_columns(
            columns,
            "weight",
            [name for name in scored_names(metrics) if f"weight:{name}" in known_columns],
        ),
        _select_columns(columns, "fact", _fact_names(known_columns)),
        tuple(
            _select_columns(columns, f"rerun{run}", rerun_names)
            for run in range(FIRST_RERUN, FIRST_RERUN + _count_reruns(known_columns, rerun_names))
        ),
    )
    check_items(items, metrics)
    if len(items.digests[0]) != info.digest_length:
        raise CorruptFile(StoredCode.DIGEST_LENGTH, length=info.digest_length)
    return items


def _expected_columns(columns: Sequence[str], metrics: Sequence[Metric]) -> tuple[str, ...]:
    """The columns as `encode` would name them, given which of the optional ones are there."""
    names, rerun_names = scored_names(metrics), rerun_metric_names(metrics)
    weighed = [name for name in names if f"weight:{name}" in columns]
    return _column_names(
        names, weighed, _fact_names(columns), rerun_names, _count_reruns(columns, rerun_names)
    )


def _fact_names(columns: Sequence[str]) -> list[str]:
    return sorted(name.removeprefix("fact:") for name in columns if name.startswith("fact:"))


def _count_reruns(columns: Sequence[str], rerun_names: Sequence[str]) -> int:
    count = sum(name.startswith("rerun") for name in columns)
    return count // len(rerun_names) if rerun_names else 0


def _select_columns(columns: Mapping[str, Any], kind: str, names: Sequence[str]) -> Columns:
    return {name: columns[f"{kind}:{name}"] for name in names}


def _column_names(
    names: Sequence[str],
    weighed: Sequence[str],
    facts: Sequence[str],
    rerun_names: Sequence[str],
    reruns: int,
) -> tuple[str, ...]:
    runs = range(FIRST_RERUN, FIRST_RERUN + reruns)
    return (
        "doc_id",
        "digest",
        *(f"score:{name}" for name in names),
        *(f"weight:{name}" for name in weighed),
        *(f"fact:{name}" for name in facts),
        *(f"rerun{run}:{name}" for run in runs for name in rerun_names),
    )


def _number(value: float) -> str:
    # Whole numbers without ".0"; -0.0 and what a float cannot count stay as they are.
    number = float(value)
    is_whole = number.is_integer() and abs(number) < 2**53 and (number or str(number) == "0.0")
    return str(int(number)) if is_whole else dump(number)
