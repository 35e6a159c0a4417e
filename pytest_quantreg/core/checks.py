"""The checks of single values, for markers, options, ini keys, fixtures and commands alike.

Each takes a value as it was written and returns it checked, or raises WrongUse with the rule
that it breaks; `checked` adds the name and the value.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeGuard, TypeVar

from .codes import OptionCode
from .errors import WrongUse
from .facts import Quoted
from .hardware.accelerators import words
from .records.run import Json

T = TypeVar("T")

LEAST_RETENTION = 0.5
"""A smaller minimum passes a model that lost half of its score."""

LEAST_SPEEDUP, MOST_SPEEDUP = 0.3, 100.0
"""A smaller minimum, this one included, passes a model three times as slow as its baseline."""

MOST_RATIO = 2.0
"""A gate that lets perplexity more than double guards nothing: it is a slip, such as 2 %."""

MOST_GIB = 100_000.0
"""More is a number of bytes."""


def checked(name: str, value: Any, check: Callable[..., T], **rule: Any) -> T:
    """Return what ``check`` makes of ``value``; its WrongUse names the argument and the value."""
    try:
        return check(value, **rule)
    except WrongUse as error:
        raise WrongUse(
            OptionCode.BAD_VALUE, name=name, value=shown(value), cause=error.problem
        ) from None


def checked_or_none(name: str, value: Any, check: Callable[..., T], **rule: Any) -> T | None:
    """Return the same as `checked`, and None for None."""
    return None if value is None else checked(name, value, check, **rule)


def shown(value: Any) -> str:
    """Return a value as it is typed in Python, with floats in few digits."""
    return f"{value:.10g}" if isinstance(value, float) else repr(value)


def nearest(word: object, allowed: Iterable[str]) -> str | None:
    """Return which of ``allowed`` was probably meant, None where nothing is near."""
    close = difflib.get_close_matches(str(word), tuple(allowed), n=1)
    return close[0] if close else None


# -- numbers -------------------------------------------------------------------------


def is_whole(value: Any) -> TypeGuard[int]:
    """Return whether a value is a whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> TypeGuard[float]:
    """Return whether a value is a finite number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_positive(value: Any) -> TypeGuard[float]:
    """Return whether a value is a number above 0."""
    return is_number(value) and value > 0


def check_count(value: Any, *, least: int = 1, most: int | None = None) -> int:
    """Check a whole number from ``least`` to ``most``."""
    if is_whole(value) and least <= value and (most is None or value <= most):
        return value
    if most is None:
        raise WrongUse(OptionCode.EXPECTED_WHOLE_NUMBER, least=least)
    raise WrongUse(OptionCode.EXPECTED_NUMBER_WITHIN, least=least, most=most)


def check_limit(value: Any) -> int:
    """Check a number of items."""
    if is_whole(value) and value >= 1:
        return value
    raise WrongUse(OptionCode.EXPECTED_LIMIT)


def check_retention(value: Any, *, example: float = 0.98) -> float:
    """Check a share of a score that is to be kept; a slip asks for what was probably meant."""
    if not is_number(value):
        raise WrongUse(OptionCode.EXPECTED_RETENTION, meant=None, example=example)
    if 0 < value < LEAST_RETENTION:
        raise WrongUse(OptionCode.LOW_RETENTION, least=LEAST_RETENTION, meant=1 - value)
    if 0 < value <= 1:
        return float(value)
    meant = None
    if 2 <= value <= 100:
        meant = 1 - value / 100 if value < 50 else value / 100
    raise WrongUse(OptionCode.EXPECTED_RETENTION, meant=meant, example=example)


def check_published_retention(value: Any) -> float:
    """Check a share that was published of a scheme, which may be above 1."""
    if is_positive(value) and value <= 1.5:
        return float(value)
    meant = value / 100 if is_number(value) and 50 < value <= 150 else None
    raise WrongUse(OptionCode.EXPECTED_PUBLISHED_RETENTION, meant=meant)


def check_retention_loss(value: Any) -> float:
    """Check a loss of retention between 0 and 1."""
    if is_positive(value) and value < 1:
        return float(value)
    raise WrongUse(OptionCode.EXPECTED_LOSS)


def check_confidence(value: Any) -> float:
    """Check a one-sided confidence, above 0.5 and below 1."""
    if is_number(value) and 0.5 < value < 1:
        return float(value)
    meant = None
    if is_number(value):
        meant = value / 100 if 50 < value < 100 else 1 - value if 0 < value < 0.5 else None
    raise WrongUse(OptionCode.EXPECTED_CONFIDENCE, meant=meant)


def check_perplexity_ratio(value: Any) -> float:
    """Check how many times the baseline's perplexity is allowed, from 1 to `MOST_RATIO`."""
    if is_number(value) and 1 <= value <= MOST_RATIO:
        return float(value)
    meant = None
    if is_positive(value) and value <= 50 and not 0.5 < value < 1:
        meant = 1 + (value if value < 1 else value / 100)
    raise WrongUse(OptionCode.EXPECTED_RATIO, most=MOST_RATIO, meant=meant)


def check_speedup(value: Any) -> float:
    """Check a multiple of the baseline's throughput."""
    if not is_positive(value):
        raise WrongUse(OptionCode.EXPECTED_SPEEDUP)
    if value > MOST_SPEEDUP:
        meant = value / 100 if value < 10 * MOST_SPEEDUP else None
        raise WrongUse(OptionCode.HIGH_SPEEDUP, most=MOST_SPEEDUP, meant=meant)
    if value <= LEAST_SPEEDUP:
        raise WrongUse(OptionCode.LOW_SPEEDUP, least=LEAST_SPEEDUP, meant=1 + value)
    return float(value)


def check_throughput(value: Any) -> float:
    """Check generated tokens per second, above 0."""
    if is_positive(value):
        return float(value)
    raise WrongUse(OptionCode.EXPECTED_THROUGHPUT)


def check_milliseconds(value: Any) -> float:
    """Check milliseconds, above 0."""
    if is_positive(value):
        return float(value)
    raise WrongUse(OptionCode.EXPECTED_MILLISECONDS)


def check_seconds(value: Any, *, example: float) -> float:
    """Check seconds, above 0."""
    if is_positive(value):
        return float(value)
    raise WrongUse(OptionCode.EXPECTED_SECONDS, example=example)


def check_gib(value: Any) -> float:
    """Check GiB, above 0; a number of bytes asks for what was probably meant."""
    if not is_positive(value):
        raise WrongUse(OptionCode.EXPECTED_GIB)
    if value > MOST_GIB:
        raise WrongUse(OptionCode.TOO_MANY_GIB, most=MOST_GIB, meant=value / 1024**3)
    return float(value)


def check_percentile(value: Any) -> float:
    """Check a percentile, from 1 to below 100."""
    if is_number(value) and 1 <= value < 100:
        return float(value)
    meant = value * 100 if is_positive(value) and value < 1 else None
    raise WrongUse(OptionCode.EXPECTED_PERCENTILE, meant=meant)


# -- texts and the like --------------------------------------------------------------


def check_text(value: Any) -> str:
    """Check a text, which may be empty."""
    if isinstance(value, str):
        return value
    raise WrongUse(OptionCode.EXPECTED_TEXT)


def check_words(value: Any) -> str:
    """Check a text that says something; return it without blanks around it."""
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise WrongUse(OptionCode.EXPECTED_TEXT)


def check_name(value: Any) -> str:
    """Check the name of a task or metric."""
    if isinstance(value, str) and value.strip():
        return value
    raise WrongUse(OptionCode.EXPECTED_NAME)


def check_device(value: Any) -> str:
    """Check words of an accelerator's name."""
    if isinstance(value, str) and words(value):
        return value
    raise WrongUse(OptionCode.EXPECTED_DEVICE)


def check_flag(value: Any) -> bool:
    """Check True or False."""
    if isinstance(value, bool):
        return value
    raise WrongUse(OptionCode.EXPECTED_FLAG)


def check_template(value: Any) -> bool | str:
    """Check whether a chat template is applied, or the name of one."""
    if isinstance(value, (bool, str)):
        return value
    raise WrongUse(OptionCode.EXPECTED_TEMPLATE)


def check_choice(value: Any, allowed: Iterable[str]) -> str:
    """Check one of ``allowed``."""
    choices = tuple(allowed)
    if value in choices:
        return str(value)
    raise WrongUse(OptionCode.EXPECTED_CHOICE, allowed=choices, meant=nearest(value, choices))


def check_json(value: Any) -> dict[str, Json]:
    """Check a mapping of names to what JSON can hold."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise WrongUse(OptionCode.EXPECTED_DICT)
    try:
        json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise WrongUse(OptionCode.EXPECTED_JSON, error=Quoted(str(error))) from None
    return dict(value)
