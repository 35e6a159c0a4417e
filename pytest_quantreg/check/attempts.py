"""How often a checkpoint has been put to certify on this machine: a small file of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path


class Attempts:
    """One line per session and checkpoint, only ever appended to.

    ``session`` tells sessions apart: the workers of one session count as one attempt.
    """

    def __init__(self, path: Path, session: str) -> None:
        self._path = path
        self._session = session

    def count(self, checkpoint: str, when: str) -> int:
        """Notes that this session certifies ``checkpoint`` (a digest); how often any did.

        A folder that cannot be written counts no attempts but this one.
        """
        if self._session not in self._sessions(checkpoint):
            self._append({"checkpoint": checkpoint, "session": self._session, "when": when})
        # Read again: a session that runs at the same time may have added itself.
        return len({self._session, *self._sessions(checkpoint)})

    def _sessions(self, checkpoint: str) -> set[str]:
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return set()
        return {
            str(entry["session"])
            for entry in map(_entry, lines)
            if entry.get("checkpoint") == checkpoint and "session" in entry
        }

    def _append(self, entry: dict[str, str]) -> None:
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


def _entry(line: str) -> dict[str, object]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
