"""Reads the event log of a scripted model: what was loaded, and how much it was asked."""

from __future__ import annotations

from pathlib import Path


def events(folder: Path) -> list[str]:
    """The events so far, none for a model that nobody touched."""
    log = folder / "events.log"
    return log.read_text("utf-8").splitlines() if log.exists() else []


def loads(folder: Path) -> int:
    """How often the model was loaded."""
    return sum(line.startswith("loaded") for line in events(folder))


def requests(folder: Path) -> int:
    """How many requests it answered, or died of."""
    return sum(int(line.split(": ")[1].split()[0]) for line in events(folder) if ": " in line)
