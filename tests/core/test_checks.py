"""Checks of single values: what passes, and the rule and the guess where something does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_quantreg.core import checks
from pytest_quantreg.core.codes import OptionCode
from pytest_quantreg.core.facts import Problem

from ..wording import says, wrong_use

NONE = object()
"""A problem without a guess."""

TOO_LARGE = 10**400
"""A whole number that no float holds."""

NUMBERS = [
    checks.check_confidence,
    checks.check_count,
    checks.check_gib,
    checks.check_limit,
    checks.check_milliseconds,
    checks.check_percentile,
    checks.check_perplexity_ratio,
    checks.check_published_retention,
    checks.check_retention,
    checks.check_retention_loss,
    checks.check_speedup,
    checks.check_throughput,
]


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (checks.check_retention, 1),
        (checks.check_retention, 0.5),
        (checks.check_published_retention, 1.5),
        (checks.check_confidence, 0.95),
        (checks.check_perplexity_ratio, 1),
        (checks.check_perplexity_ratio, 2),
        (checks.check_speedup, 100),
        (checks.check_percentile, 1),
        (checks.check_gib, 100_000),
        (checks.check_count, 1),
        (checks.check_text, ""),
        (checks.check_name, "gsm8k"),
        (checks.check_device, "H100"),
        (checks.check_flag, False),
        (checks.check_template, True),
        (checks.check_template, "tool_use"),
        (checks.check_json, {"until": ["\n"], "temperature": None}),
    ],
)
def test_sound_values(check: Callable[[Any], object], value: object) -> None:
    """A value at the bound that a rule includes is returned."""
    assert check(value) == value


@pytest.mark.parametrize(
    ("check", "value", "code", "meant"),
    [
        (checks.check_retention, 98, OptionCode.EXPECTED_RETENTION, 0.98),
        (checks.check_retention, 2, OptionCode.EXPECTED_RETENTION, 0.98),
        (checks.check_retention, 1.02, OptionCode.EXPECTED_RETENTION, None),
        (checks.check_retention, 0.02, OptionCode.LOW_RETENTION, 0.98),
        (checks.check_published_retention, 97, OptionCode.EXPECTED_PUBLISHED_RETENTION, 0.97),
        (checks.check_published_retention, 0, OptionCode.EXPECTED_PUBLISHED_RETENTION, None),
        (checks.check_confidence, 95, OptionCode.EXPECTED_CONFIDENCE, 0.95),
        (checks.check_confidence, 0.05, OptionCode.EXPECTED_CONFIDENCE, 0.95),
        (checks.check_confidence, 0.5, OptionCode.EXPECTED_CONFIDENCE, None),
        (checks.check_perplexity_ratio, 0.02, OptionCode.EXPECTED_RATIO, 1.02),
        (checks.check_perplexity_ratio, 2.5, OptionCode.EXPECTED_RATIO, 1.025),
        (checks.check_perplexity_ratio, 0.9, OptionCode.EXPECTED_RATIO, None),
        (checks.check_perplexity_ratio, 51, OptionCode.EXPECTED_RATIO, None),
        (checks.check_speedup, 180, OptionCode.HIGH_SPEEDUP, 1.8),
        (checks.check_speedup, 1000, OptionCode.HIGH_SPEEDUP, None),
        (checks.check_speedup, 0.3, OptionCode.LOW_SPEEDUP, 1.3),
        (checks.check_gib, 24 * 1024**3, OptionCode.TOO_MANY_GIB, 24),
        (checks.check_percentile, 0.99, OptionCode.EXPECTED_PERCENTILE, 99),
        (checks.check_percentile, 100, OptionCode.EXPECTED_PERCENTILE, None),
        (checks.check_retention_loss, 1, OptionCode.EXPECTED_LOSS, NONE),
        (checks.check_limit, 0, OptionCode.EXPECTED_LIMIT, NONE),
        (checks.check_name, " ", OptionCode.EXPECTED_NAME, NONE),
        (checks.check_words, "", OptionCode.EXPECTED_TEXT, NONE),
        (checks.check_device, " - ", OptionCode.EXPECTED_DEVICE, NONE),
        (checks.check_flag, 1, OptionCode.EXPECTED_FLAG, NONE),
        (checks.check_template, 1, OptionCode.EXPECTED_TEMPLATE, NONE),
        (checks.check_json, {1: 2}, OptionCode.EXPECTED_DICT, NONE),
        (checks.check_json, {"a": {1, 2}}, OptionCode.EXPECTED_JSON, NONE),
    ],
)
def test_the_rule_and_what_was_meant(
    check: Callable[[Any], object], value: object, code: OptionCode, meant: object
) -> None:
    """A slip is told apart by its code, with the value that was probably meant."""
    with wrong_use() as caught:
        check(value)
    assert caught.value.problem.code is code
    guess = caught.value.problem.facts.get("meant", NONE)
    assert guess == (pytest.approx(meant) if isinstance(meant, float) else meant)


@pytest.mark.parametrize("check", NUMBERS)
@pytest.mark.parametrize("value", [None, True, "1", [1], float("nan"), float("inf")])
def test_what_is_no_number(check: Callable[[Any], object], value: object) -> None:
    """Texts, booleans, NaN and infinity are wrong wherever a number is expected."""
    with wrong_use():
        check(value)


@pytest.mark.parametrize("check", [check for check in NUMBERS if check.__name__ != "check_count"])
def test_what_no_float_holds(check: Callable[[Any], object]) -> None:
    """A whole number beyond every float is wrong, and no OverflowError."""
    if check is checks.check_limit:
        assert check(TOO_LARGE) == TOO_LARGE
        return
    with wrong_use():
        check(TOO_LARGE)


def test_choices_suggest_the_nearest() -> None:
    """Also of what is no text."""
    assert checks.check_choice("detect", ("detect", "point")) == "detect"
    for value, meant in (("dtect", "detect"), (["point"], "point"), ("x", None)):
        with wrong_use() as caught:
            checks.check_choice(value, ("detect", "point"))
        assert caught.value.problem.facts["meant"] == meant


def test_an_argument_is_named_with_its_value() -> None:
    """Around the rule, which keeps its code."""
    with wrong_use() as caught:
        checks.checked("limit", 0.5, checks.check_limit)
    cause = caught.value.problem.facts["cause"]
    assert isinstance(cause, Problem)
    assert cause.code is OptionCode.EXPECTED_LIMIT
    assert says(caught.value).startswith("limit=0.5: allowed is a whole number of items")
    assert checks.checked_or_none("limit", None, checks.check_limit) is None


@pytest.mark.parametrize(
    ("value", "text"), [(95.0, "95"), (0.1 + 0.2, "0.3"), ("a b", "'a b'"), (True, "True")]
)
def test_values_are_shown_as_typed(value: object, text: str) -> None:
    """Floats have no more digits than a person writes."""
    assert checks.shown(value) == text
