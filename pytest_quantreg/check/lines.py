"""Small files in the cache folder that hold one JSON object per line and are only added to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..core.records.run import Json


class Lines:
    """Entries of one file; lines that cannot be read are passed over.

    A folder that cannot be read or written holds nothing, and is no error.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Iterator[Mapping[str, object]]:
        """Every entry, oldest first."""
        try:
            if not self._path.is_file():
                return
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return
        yield from map(_entry, lines)

    def add(self, entry: Mapping[str, Json]) -> None:
        """Appends one entry."""
        # One short write in append mode: lines of two processes never mix.
        data = (json.dumps(entry) + "\n").encode()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(handle, data)
            finally:
                os.close(handle)
        except OSError:
            return


def _entry(line: str) -> Mapping[str, object]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
