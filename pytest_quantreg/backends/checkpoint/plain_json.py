"""JSON of model folders, read as strictly as engines allow: whole, finite in size, unambiguous."""

from __future__ import annotations

import json
import math
import stat
from pathlib import Path
from typing import Any

MOST_BYTES = 256 * 1024 * 1024
"""Of one file; the index of the largest models has some 20 MB."""


def parse(data: bytes) -> Any:
    """The value in ``data``. Raises ValueError, in words, for what no two readers need agree on.

    ``Infinity`` is let through: published files of state-space models hold it.
    """
    if data.startswith(b"\xef\xbb\xbf"):
        raise ValueError("it begins with a byte order mark (BOM)")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text (byte {error.start})") from None
    try:
        value = _DECODER.decode(text)
        if "\\u" in text:
            _refuse_half_characters(value)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def read(path: Path) -> Any:
    """The value in a file. Raises OSError, and ValueError as `parse` does."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a file")
    size = found.st_size
    if size > MOST_BYTES:
        raise ValueError(f"it has {size:,} bytes where at most {MOST_BYTES:,} can be right")
    return parse(path.read_bytes())


def _refuse_half_characters(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it holds text that is not valid Unicode") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it names {twice[:60]!r} twice in one object")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"it holds {text[:30]}, which is no finite number")
    return value


def _constant(text: str) -> float:
    if text == "NaN":
        raise ValueError("it holds NaN, which is no number")
    return float(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_constant
)
