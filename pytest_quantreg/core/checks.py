"""Thresholds that can only be slips, such as 2 % for 98 %, with what was probably meant."""

from __future__ import annotations

import math
from typing import Any

from .errors import WrongUse

LEAST_RETENTION = 0.5
"""A smaller minimum passes a model that lost half of its score."""

LEAST_SPEEDUP, MOST_SPEEDUP = 0.3, 100.0
"""A smaller minimum, this one included, passes a model three times as slow as its baseline."""


def check_retention(value: Any, *, example: float = 0.98) -> float:
    """A share of a score that is to be kept. Raises WrongUse with what was probably meant."""
    fraction = "expected a fraction in (0, 1]"
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or math.isnan(value):
        raise WrongUse(f"not a number; {fraction}, e.g. {example:g}")
    if 0 < value < LEAST_RETENTION:
        raise WrongUse(
            f"a minimum below {LEAST_RETENTION:g} passes a model that lost half of its score; "
            f"did you mean {1 - value:g}?"
        )
    if 0 < value <= 1:
        return float(value)
    if 2 <= value < 50:
        hint = f"did you mean {1 - value / 100:g}?"
    else:
        hint = f"did you mean {value / 100:g}?" if 50 <= value <= 100 else f"e.g. {example:g}"
    raise WrongUse(f"{fraction}{',' if hint.startswith('e.g.') else ';'} {hint}")


def check_speedup(value: float) -> float:
    """A multiple of the baseline's throughput, above 0. Raises WrongUse for a slip."""
    factor = "expected a multiple of the baseline's throughput, e.g. 1.8"
    if value > MOST_SPEEDUP:
        hint = f"; did you mean {value / 100:g}?" if value < 10 * MOST_SPEEDUP else ""
        raise WrongUse(f"{factor}, and at most {MOST_SPEEDUP:g}{hint}")
    if value <= LEAST_SPEEDUP:
        raise WrongUse(
            f"a minimum of {LEAST_SPEEDUP:g} or less passes a model far slower than its baseline; "
            f"did you mean {1 + value:g}?"
        )
    return value
