"""JSON of model folders, read as strictly as engines allow: whole, finite in size, unambiguous."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from ...core import strict_json
from ...core.codes import ModelCode

MOST_BYTES = 256 * 1024 * 1024
"""Of one file; the index of the largest models has some 20 MB."""


def parse(data: bytes) -> Any:
    """The value in ``data``. Raises CorruptFile for what no two readers need agree on.

    ``Infinity`` is let through: published files of state-space models hold it.
    """
    value = strict_json.parse(data, infinity=True)
    if b"\\u" in data:
        _refuse_half_characters(value)
    return value


def read(path: Path) -> Any:
    """The value in a file. Raises OSError, and CorruptFile as `parse` does."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise strict_json.CorruptFile(ModelCode.NOT_A_REGULAR_FILE)
    size = status.st_size
    if size > MOST_BYTES:
        raise strict_json.CorruptFile(ModelCode.FILE_TOO_LARGE, size=size, most=MOST_BYTES)
    return parse(path.read_bytes())


def _refuse_half_characters(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise strict_json.CorruptFile(ModelCode.HALF_CHARACTERS) from None
