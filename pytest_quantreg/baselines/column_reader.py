"""Lines of JSON to columns: rows are read in chunks, and each chunk is packed at once."""

from __future__ import annotations

import gc
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from ..core.codes import StoredCode
from ..core.facts import Problem
from ..core.records.columns import Numbers, Texts
from ..core.strict_json import CorruptFile, parse

CHUNK = 1 << 18
"""Bytes of rows parsed at once: fast, and no more than these stand in memory as objects."""


def columns_of(data: bytes, names: Sequence[str], used: Sequence[str]) -> dict[str, Any]:
    """The columns ``used`` of the ``names`` that each row has: doc_id, digest, and numbers.

    ``doc_id`` comes as int64, ``digest`` as `Texts`, numbers as float64. Raises CorruptFile for
    lines that are no such row; other columns may hold anything.
    """
    width = len(names)
    parts: dict[str, list[Any]] = {name: [] for name in used}
    source, done = io.BytesIO(data), 0
    with _garbage_collection_paused():
        while chunk := source.read(CHUNK):
            chunk += source.readline()
            values = _parse_flat(chunk, width)
            if values is None:
                values = _parse_rows(chunk, done, width)
            done += len(values) // width
            for at, name in enumerate(names):
                if name in parts:
                    parts[name].append(_pack(values[at::width], name))
    return {name: _join(part) for name, part in parts.items()}


def _pack(part: list[Any], name: str) -> Any:
    kinds = set(map(type, part))
    try:
        if name == "digest":
            return _pack_texts(part, kinds)
        if name == "doc_id":
            if kinds != {int}:
                raise CorruptFile(StoredCode.DOC_ID_NOT_WHOLE)
            return np.array(part, dtype=np.int64)
        if not kinds <= {int, float}:
            raise CorruptFile(StoredCode.COLUMN_NOT_NUMBERS, column=name)
        if kinds == {int}:
            # Most scores are 0 or 1, and what fits into bytes is taken twice as fast.
            with suppress(ValueError):
                return np.frombuffer(bytes(part), dtype=np.uint8).astype(np.float64)
        return np.array(part, dtype=np.float64)
    except OverflowError:
        raise CorruptFile(StoredCode.COLUMN_TOO_LARGE, column=name) from None


def _pack_texts(part: list[Any], kinds: set[type]) -> Texts:
    if kinds != {str}:
        raise CorruptFile(StoredCode.DIGEST_NOT_TEXT)
    if len(set(map(len, part))) != 1 or not part[0]:
        raise CorruptFile(StoredCode.DIGEST_NOT_HEX)
    return Texts("".join(part), len(part[0]))


def _join(parts: list[Any]) -> Any:
    if not isinstance(parts[0], Texts):
        return Numbers(np.concatenate(parts))
    if len({part.width for part in parts}) != 1:
        raise CorruptFile(StoredCode.DIGEST_NOT_HEX)
    return Texts("".join(part.joined for part in parts), parts[0].width)


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    # So many fresh objects make the collector look through all of them again and again, and
    # nothing here refers to itself.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _parse_flat(chunk: bytes, width: int) -> list[Any] | None:
    """The values of all rows, one after the other; None where a line may be no row.

    A million rows that are no lists of their own are read in half the time. With as many
    commas in each line as a row has, and as many values in all, no comma is inside a value:
    each line is a row of ``width``.
    """
    count = chunk.count(b"\n")
    if chunk[:1] + chunk[-2:] != b"[]\n" or chunk.count(b"]\n[") != count - 1:
        return None
    inner = chunk[1:-2].replace(b"]\n[", b",")
    if b"[" in inner or b"]" in inner:
        return None
    raw = np.frombuffer(chunk, dtype=np.uint8)
    commas, ends = (np.flatnonzero(raw == ord(sign)) for sign in ",\n")
    if not np.array_equal(np.searchsorted(commas, ends), np.arange(1, count + 1) * (width - 1)):
        return None
    try:
        values = parse(b"[" + inner + b"]")
    except CorruptFile:
        return None
    return values if isinstance(values, list) and len(values) == count * width else None


def _parse_rows(chunk: bytes, start: int, width: int) -> list[Any]:
    """The same line by line, to name the line that is damaged, if any is."""
    values: list[Any] = []
    for number, line in enumerate(chunk.removesuffix(b"\n").split(b"\n"), start + 1):
        try:
            row = parse(line)
        except CorruptFile as error:
            raise CorruptFile(StoredCode.DAMAGED_LINE, line=number, cause=error.problem) from None
        if not isinstance(row, list) or len(row) != width:
            no_row = Problem(StoredCode.NOT_A_ROW, {"width": width})
            raise CorruptFile(StoredCode.DAMAGED_LINE, line=number, cause=no_row)
        values += row
    return values
