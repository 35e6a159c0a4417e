"""Reading files that somebody else wrote: whole or line by line, strictly, with clear refusals."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..baselines.atomic_files import read_whole
from ..core.codes import ImportCode, StoredCode
from ..core.errors import Refusal
from ..core.facts import Problem, Quoted
from ..core.records.run import Json
from ..core.strict_json import CorruptFile, parse

MOST_BYTES = 256 * 1024 * 1024
"""Of a file that is read as a whole; results files have up to some MiB."""

MOST_LINE = 64 * 1024 * 1024
"""Bytes of one row of a sample log: real ones have up to some 100 KiB."""

DEEPEST = 100
"""Levels of nesting: real files have about ten, and the parser would take thousands."""

SHOWN = 60


def unusable(path: Path, damage: CorruptFile) -> Refusal:
    """The one error of a file that cannot be used; where its folder lies stays out of it."""
    file = f"{path.parent.name}/{path.name}"
    return Refusal(ImportCode.UNUSABLE_FILE, file=file, cause=damage.problem)


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Turns what is wrong with the contents of ``path`` into the refusal of that file."""
    try:
        yield
    except CorruptFile as damage:
        raise unusable(path, damage) from None
    except FileNotFoundError:
        raise unusable(path, CorruptFile(ImportCode.FILE_ABSENT)) from None


def read_json(path: Path) -> Json:
    """The JSON value in a file. Raises Refusal."""
    with blaming(path):
        return parse_bytes(read_whole(path, MOST_BYTES))


def parse_bytes(data: bytes) -> Json:
    """The JSON value in ``data``; raises CorruptFile."""
    value = parse(data)
    _refuse_deep(value)
    return value


def _refuse_deep(value: Json) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for parent in level for inner in _nested_values(parent)]
        if not level:
            return
    raise CorruptFile(StoredCode.NESTED_TOO_DEEPLY)


def _nested_values(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return [inner for inner in value.values() if isinstance(inner, dict | list)]
    return (
        [inner for inner in value if isinstance(inner, dict | list)]
        if isinstance(value, list)
        else []
    )


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a sample log: one per line, or (before lm-eval 0.4.3) in one array.

    Raises Refusal that names the line.
    """
    with blaming(path), _open_regular(path) as file:
        first = file.read(1)
        while first in (b" ", b"\n", b"\r", b"\t"):
            first = file.read(1)
        file.seek(0)
        if first == b"[":
            yield from _read_array(path)
            return
        number = 0
        for number, line in enumerate(_bounded_lines(file), 1):
            if not line.strip():
                continue
            try:
                row = parse_bytes(line)
            except CorruptFile as damage:
                raise CorruptFile(
                    StoredCode.DAMAGED_LINE, line=number, cause=damage.problem
                ) from None
            if not isinstance(row, dict):
                cause = Problem(ImportCode.ROW_NOT_AN_OBJECT, {})
                raise CorruptFile(StoredCode.DAMAGED_LINE, line=number, cause=cause)
            yield row
        if number == 0:
            raise CorruptFile(StoredCode.EMPTY_FILE)


def _read_array(path: Path) -> list[dict[str, Any]]:
    rows = parse_bytes(read_whole(path, MOST_BYTES))
    if not isinstance(rows, list):
        raise CorruptFile(ImportCode.NOT_A_LIST_OF_ROWS)
    objects = [row for row in rows if isinstance(row, dict)]
    if len(objects) != len(rows) or not objects:
        raise CorruptFile(ImportCode.NOT_A_LIST_OF_ROWS)
    return objects


def _bounded_lines(file: Any) -> Iterator[bytes]:
    while line := file.readline(MOST_LINE + 1):
        if len(line) > MOST_LINE:
            raise CorruptFile(ImportCode.LINE_TOO_LONG, most=MOST_LINE)
        yield line


@contextmanager
def _open_regular(path: Path) -> Iterator[Any]:
    """A regular file, opened without waiting for a pipe. Raises CorruptFile."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CorruptFile(StoredCode.CANNOT_OPEN, reason=Quoted(str(error.strerror))) from None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise CorruptFile(ImportCode.NOT_A_FILE)
        yield file


def text_of(value: object) -> str | None:
    """A short text, or None."""
    return value if isinstance(value, str) and value else None


def number_of(value: object) -> float | None:
    """A number that is not a truth value, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def whole_of(value: object) -> int | None:
    """A whole number from 0, or None; lm-eval writes some of them as floats."""
    number = number_of(value)
    if number is None or number < 0 or not number.is_integer() or number > 2**53:
        return None
    return int(number)


def object_of(value: object) -> Mapping[str, Any]:
    """An object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """A list, or an empty one in place of anything else."""
    return value if isinstance(value, list) else []
