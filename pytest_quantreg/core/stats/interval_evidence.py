"""What an interval says about a required minimum."""

from __future__ import annotations

from enum import Enum


class Evidence(str, Enum):
    """The value is the word people read."""

    KEPT = "kept"
    LOST = "lost"
    UNDECIDED = "undecided"


def evidence(interval: tuple[float, float], minimum: float) -> Evidence:
    """Kept: low >= minimum; lost: high < minimum; both unrounded. Else undecided.

    ``interval`` is (low, high), such as `retention_interval` returns.
    Raises ValueError for a minimum that is not a number > 0.
    """
    if not minimum > 0.0:
        raise ValueError(f"minimum={minimum!r} must be a number above 0")
    low, high = interval
    if low >= minimum:
        return Evidence.KEPT
    if high < minimum:
        return Evidence.LOST
    return Evidence.UNDECIDED
