"""Small files in the cache folder that hold one JSON object per line and are only added to."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from ..core import stats
from ..core.comparison.accuracy import Comparison
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
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}


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


_MOST_ITEMS = 10**9
"""Of a measurement: what holds more was not written by us."""


@dataclass(frozen=True)
class Origin:
    """A checkpoint (a digest) of a baseline (a digest), at a scheme, in an engine."""

    model: str
    scheme: str
    engine: str
    checkpoint: str


class FlipCount(NamedTuple):
    """Items that were compared, and how many of their answers flipped."""

    items: int
    changed: float


def planned_flip_share(seen: Iterable[FlipCount], confidence: float) -> float | None:
    """The share of flips to plan with: an upper bound; None where nothing flipped."""
    observations = list(seen)
    items = sum(observation.items for observation in observations)
    changed = math.ceil(math.fsum(observation.changed for observation in observations) - 1e-9)
    if items == 0 or changed == 0:
        return None
    return stats.wilson(min(changed, items), items, confidence=confidence, sides=1).high


class FlipHistory:
    """One line per measurement that was no loss, and one per checkpoint that lost.

    What a broken checkpoint flipped says nothing about a sound one, so its lines do not
    count, those of its other tasks included. Nor do those of this session: a test must not
    depend on which ran before it.
    """

    def __init__(self, path: Path, session: str) -> None:
        self._lines = Lines(path)
        self._session = session

    def of(self, origin: Origin, task: str | None = None) -> tuple[FlipCount, ...]:
        """What checkpoints of the same model, scheme and engine flipped on a task, or on all."""
        entries = [
            entry
            for entry in self._lines.read()
            if entry.get("session") != self._session and _is_hashable(entry)
        ]
        lost = {entry.get("checkpoint") for entry in entries if entry.get("lost") is True}
        latest: dict[tuple[object, object], FlipCount] = {}
        for entry in entries:
            seen = _parse_seen(entry)
            same_origin = _of_model(entry) == (origin.model, origin.scheme, origin.engine)
            if seen is not None and same_origin and entry.get("checkpoint") not in lost:
                latest[entry.get("task"), entry.get("metric")] = seen
        return tuple(seen for (name, _), seen in latest.items() if task in (None, name))

    def note(self, origin: Origin, comparison: Comparison, when: str) -> None:
        """Keeps what one comparison of a sound checkpoint flipped."""
        if len(comparison.slices) != 1 or (comparison.low is not None and comparison.low > 1.0):
            return  # what was trained further flips more than what was only quantized
        part = comparison.slices[0]
        fields: dict[str, Json] = {"task": part.task, "metric": comparison.metric, "items": part.n}
        self._add({**asdict(origin), **fields, "changed": part.changed}, when)

    def note_loss(self, origin: Origin, when: str) -> None:
        """Keeps that a checkpoint lost a gate."""
        self._add({"checkpoint": origin.checkpoint, "lost": True}, when)

    def _add(self, entry: Mapping[str, Json], when: str) -> None:
        if any(entry.items() <= stored.items() for stored in self._lines.read()):
            return
        self._lines.add({**entry, "session": self._session, "when": when})


def _is_hashable(entry: Mapping[str, object]) -> bool:
    """Whether no field is a list or an object: we write none, and whoever did meant none."""
    return not any(isinstance(value, (list, dict)) for value in entry.values())


def _of_model(entry: Mapping[str, object]) -> tuple[object, ...]:
    return entry.get("model"), entry.get("scheme"), entry.get("engine")


def _parse_seen(entry: Mapping[str, object]) -> FlipCount | None:
    items, changed = entry.get("items"), entry.get("changed")
    if not isinstance(items, int) or not isinstance(changed, (int, float)):
        return None
    return FlipCount(items, float(changed)) if 0 <= changed <= items <= _MOST_ITEMS else None
