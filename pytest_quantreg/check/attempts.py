"""How often a checkpoint has been put to certify on this machine: a small file of its own."""

from __future__ import annotations

from pathlib import Path

from .lines import Lines


class Attempts:
    """One line per session and checkpoint, only ever appended to.

    ``session`` tells sessions apart: the workers of one session count as one attempt.
    """

    def __init__(self, path: Path, session: str) -> None:
        self._lines = Lines(path)
        self._session = session

    def count(self, checkpoint: str, when: str) -> int:
        """Notes that this session certifies ``checkpoint`` (a digest); how often any did.

        A folder that cannot be written counts no attempts but this one.
        """
        if self._session not in self._sessions(checkpoint):
            self._lines.add({"checkpoint": checkpoint, "session": self._session, "when": when})
        # Read again: a session that runs at the same time may have added itself.
        return len({self._session, *self._sessions(checkpoint)})

    def _sessions(self, checkpoint: str) -> set[str]:
        return {
            str(entry["session"])
            for entry in self._lines.read()
            if entry.get("checkpoint") == checkpoint and "session" in entry
        }
