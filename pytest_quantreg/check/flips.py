"""How many answers checkpoints of a model flipped before: what planning expects of the next one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from ..core import stats
from ..core.comparison.accuracy import Comparison
from ..core.records.run import Json
from .lines import Lines

_MOST_ITEMS = 10**9
"""Of a measurement: what holds more was not written by us."""


@dataclass(frozen=True)
class Origin:
    """A checkpoint (a digest) of a baseline (a digest), at a scheme, in an engine."""

    model: str
    scheme: str
    engine: str
    checkpoint: str


class Seen(NamedTuple):
    """Items that were compared, and how many of their answers flipped."""

    items: int
    changed: float


def expected(seen: Iterable[Seen], confidence: float) -> float | None:
    """The share of flips to plan with: an upper bound; None where nothing flipped."""
    found = list(seen)
    items = sum(one.items for one in found)
    changed = math.ceil(math.fsum(one.changed for one in found) - 1e-9)
    if items == 0 or changed == 0:
        return None
    return stats.wilson(min(changed, items), items, confidence=confidence, sides=1).high


class Flips:
    """One line per measurement that was no loss, and one per checkpoint that lost.

    What a broken checkpoint flipped says nothing about a sound one, so its lines do not
    count, those of its other tasks included. Nor do those of this session: a test must not
    depend on which ran before it.
    """

    def __init__(self, path: Path, session: str) -> None:
        self._lines = Lines(path)
        self._session = session

    def of(self, origin: Origin, task: str | None = None) -> tuple[Seen, ...]:
        """What checkpoints of the same model, scheme and engine flipped on a task, or on all."""
        entries = [
            one
            for one in self._lines.read()
            if one.get("session") != self._session and _is_hashable(one)
        ]
        lost = {one.get("checkpoint") for one in entries if one.get("lost") is True}
        latest: dict[tuple[object, object], Seen] = {}
        for one in entries:
            seen = _seen(one)
            alike = _of_model(one) == (origin.model, origin.scheme, origin.engine)
            if seen is not None and alike and one.get("checkpoint") not in lost:
                latest[one.get("task"), one.get("metric")] = seen
        return tuple(seen for (name, _), seen in latest.items() if task in (None, name))

    def note(self, origin: Origin, made: Comparison, when: str) -> None:
        """Keeps what one comparison of a sound checkpoint flipped."""
        if len(made.slices) != 1 or (made.low is not None and made.low > 1.0):
            return  # what was trained further flips more than what was only quantized
        one = made.slices[0]
        what: dict[str, Json] = {"task": one.task, "metric": made.metric, "items": one.n}
        self._add({**asdict(origin), **what, "changed": one.changed}, when)

    def note_loss(self, origin: Origin, when: str) -> None:
        """Keeps that a checkpoint lost a gate."""
        self._add({"checkpoint": origin.checkpoint, "lost": True}, when)

    def _add(self, entry: Mapping[str, Json], when: str) -> None:
        if any(entry.items() <= known.items() for known in self._lines.read()):
            return
        self._lines.add({**entry, "session": self._session, "when": when})


def _is_hashable(entry: Mapping[str, object]) -> bool:
    """Whether no field is a list or an object: we write none, and whoever did meant none."""
    return not any(isinstance(one, (list, dict)) for one in entry.values())


def _of_model(entry: Mapping[str, object]) -> tuple[object, ...]:
    return entry.get("model"), entry.get("scheme"), entry.get("engine")


def _seen(entry: Mapping[str, object]) -> Seen | None:
    items, changed = entry.get("items"), entry.get("changed")
    if not isinstance(items, int) or not isinstance(changed, (int, float)):
        return None
    return Seen(items, float(changed)) if 0 <= changed <= items <= _MOST_ITEMS else None
