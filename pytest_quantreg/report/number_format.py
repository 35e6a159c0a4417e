"""Figures as people read them: few digits, and bounds rounded to where they still hold."""

from __future__ import annotations

import math

DUST = 1e-9  # 0.57 * 1000 is 569.9999999999999


def figure(value: float | None) -> str:
    """Four significant digits at most, thousands apart."""
    if value is None or not math.isfinite(value):
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 100 else f"{value:.3g}"


def outwards(value: float | None, *, up: bool, beyond: float | None = None) -> str:
    """A bound, rounded so that it still holds; with digits enough to lie ``beyond`` a threshold."""
    if value is None or not math.isfinite(value):
        return "any" if up else "0"
    if value == 0:
        return "0"
    for digits in range(3, 9):
        scale = 10.0 ** (digits - 1 - math.floor(math.log10(abs(value))))
        rounded = (math.ceil if up else math.floor)(
            value * scale * (1 - 1e-12 if up else 1 + 1e-12)
        )
        shown = rounded / scale
        if beyond is None or (shown < beyond if up else shown > beyond):
            break
    return f"{shown:,.{digits}g}" if abs(shown) < 1000 else f"{shown:,.0f}"


def floor_3(share: float) -> str:
    """Three digits, rounded down: a promise that still holds as printed."""
    if abs(share) > 1e6:  # no share at all, as files that somebody made up may hold
        return f"{share:.3g}"
    return f"{math.floor(share * 1000 + DUST) / 1000:.3f}"
