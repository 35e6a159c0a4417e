"""What an interval says about a required minimum."""

from __future__ import annotations

from enum import Enum

from .intervals import Interval


class Evidence(str, Enum):
    """The value is the word people read."""

    KEPT = "kept"
    LOST = "lost"
    UNDECIDED = "undecided"


def evidence(interval: Interval, minimum: float) -> Evidence:
    """Kept: low >= minimum; lost: high < minimum; both unrounded. Else undecided.

    Raises ValueError for a minimum that is not a number > 0.
    """
    if not minimum > 0.0:
        raise ValueError(f"minimum={minimum!r} must be a number above 0")
    if interval.low >= minimum:
        return Evidence.KEPT
    if interval.high < minimum:
        return Evidence.LOST
    return Evidence.UNDECIDED
