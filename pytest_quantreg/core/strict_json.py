"""JSON without its loopholes: no NaN, no duplicate names, no endless nesting; digests."""

from __future__ import annotations

import hashlib
import json
import math
import re
from types import MappingProxyType
from typing import NoReturn

from .codes import Code, StoredCode
from .facts import Fact, Problem, Quoted
from .printable import printable_json
from .records.run import Json

LARGEST = 1e50
"""No score, weight or time is larger: sums of their squares and cubes stay finite."""

_ENDLESS = re.compile(rb"[0-9]{309}")
"""Digits of a whole number that may be too large for a float."""


class CorruptFile(ValueError):
    """A stored file says something it must not; the words complete "FILE ..."."""

    def __init__(self, code: Code, /, **facts: Fact) -> None:
        self.problem = Problem(code, facts)
        super().__init__(self.problem)

    @classmethod
    def of(cls, problem: Problem) -> CorruptFile:
        """The error of a problem that is known already."""
        return cls(problem.code, **problem.facts)


def parse(data: bytes, *, infinity: bool = False) -> Json:
    """The value in ``data``; raises CorruptFile for all that is not plain, finite JSON.

    ``infinity`` lets the words Infinity and -Infinity through, as other readers do.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        not_text = Problem(StoredCode.NOT_UTF8, {"byte": error.start})
        raise CorruptFile.of(_known_damage(data) or not_text) from None
    # Looking at every whole number by itself would take longer than all the rest.
    endless = _ENDLESS.search(data) is not None
    try:
        value: Json = _DECODERS[infinity, endless].decode(text)
        return value
    except CorruptFile:
        raise
    except json.JSONDecodeError as error:
        raise CorruptFile.of(_known_damage(data) or _syntax_error(error, text)) from None
    except RecursionError:
        raise CorruptFile(StoredCode.NESTED_TOO_DEEPLY) from None
    except ValueError as error:  # whole numbers of thousands of digits
        raise CorruptFile(StoredCode.UNUSABLE_JSON, reason=Quoted(str(error))) from None


def dump(value: Json) -> str:
    """JSON on one line as rows use it; raises ValueError for NaN and Infinity."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def dump_readable(value: Json) -> bytes:
    """JSON with two spaces of indent in the given order, as reviewers read it."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, indent=2)
    return f"{printable_json(text)}\n".encode()


def digest_of(document: dict[str, Json]) -> str:
    """sha256 in hex over the canonical form of a document without its own ``digest``."""
    rest = {name: value for name, value in document.items() if name != "digest"}
    try:
        text = json.dumps(
            rest, allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=True
        )
        return hashlib.sha256(text.encode()).hexdigest()
    except RecursionError:
        raise CorruptFile(StoredCode.NESTED_TOO_DEEPLY) from None
    except UnicodeEncodeError:
        raise CorruptFile(StoredCode.NOT_UNICODE) from None


def _syntax_error(error: json.JSONDecodeError, text: str) -> Problem:
    ends = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
    facts: dict[str, Fact] = {"line": error.lineno, "reason": Quoted(error.msg)}
    if ends:
        return Problem(StoredCode.JSON_CUT_OFF, facts)
    return Problem(StoredCode.NOT_JSON, facts)


def _known_damage(data: bytes) -> Problem | None:
    """What often happens to files, which says more than the place where parsing stopped."""
    if data.startswith(b"version https://git-lfs"):
        return Problem(StoredCode.LFS_POINTER, {})
    if b"\n<<<<<<< " in data or data.startswith(b"<<<<<<< "):
        return Problem(StoredCode.MERGE_CONFLICT, {})
    if data.startswith(b"\xef\xbb\xbf"):
        return Problem(StoredCode.BYTE_ORDER_MARK, {})
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Problem(StoredCode.UTF16_TEXT, {})
    if not data.strip():
        return Problem(StoredCode.EMPTY_FILE, {})
    if b"\0" in data:
        return Problem(StoredCode.BINARY_FILE, {})
    return None


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise CorruptFile(StoredCode.NAME_TWICE, name=twice[:60])
    return document


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise CorruptFile(StoredCode.NUMBER_NOT_FINITE, number=text[:30])
    return value


def _whole(text: str) -> int:
    value = int(text)
    try:
        float(value)
    except OverflowError:
        raise CorruptFile(StoredCode.NUMBER_TOO_LONG, digits=len(text)) from None
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise CorruptFile(StoredCode.NUMBER_NOT_FINITE, number=text)


def _infinity_alone(text: str) -> float:
    return _refuse_constant(text) if text == "NaN" else float(text)


_DECODERS = MappingProxyType(
    {
        (infinity, endless): json.JSONDecoder(
            object_pairs_hook=_unique,
            parse_float=_finite,
            parse_int=_whole if endless else None,
            parse_constant=_infinity_alone if infinity else _refuse_constant,
        )
        for infinity in (False, True)
        for endless in (False, True)
    }
)
"""By whether the words Infinity pass, and whether whole numbers must be looked at."""
