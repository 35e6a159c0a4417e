"""Problems survive the way through JSON, and nothing else is taken for one."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from pytest_quantreg.core.codes import SharedCode
from pytest_quantreg.core.errors import Category, MissingExtra, Refusal, WrongUse
from pytest_quantreg.core.fact_codec import problem_from, to_plain
from pytest_quantreg.core.facts import (
    Fact,
    InstallExtra,
    Problem,
    Quoted,
    RecordBaseline,
    Scheme,
    SetOption,
)

INNER = Problem(SharedCode.STATED, {"text": Quoted("no {room}"), "help": ()})


def passed_on(problem: Problem) -> Problem:
    """The problem after the way through strict JSON."""
    return problem_from(json.loads(json.dumps(to_plain(problem), allow_nan=False)))


@pytest.mark.parametrize(
    "fact",
    [
        "w8a8-int8",
        "",
        7,
        0.1,
        True,
        math.inf,
        -math.inf,
        None,
        Quoted("CUDA error: \x1b[31m"),
        Scheme("ours", "w8a8-fp8"),
        Scheme("w8a8-fp8"),
        RecordBaseline(),
        RecordBaseline(again=True),
        SetOption("--quant-limit", 100),
        SetOption("quant_speed_timeout", 0.5),
        SetOption("timeout", math.inf),
        SetOption("--quant-backend", "vllm"),
        InstallExtra("vllm"),
        INNER,
        (),
        (1, "a", (Quoted("b"), INNER), None, SetOption("c", 1)),
    ],
)
def test_facts_of_every_kind_survive(fact: Fact) -> None:
    """Each arrives equal, and of its own type."""
    arrived = passed_on(Problem(SharedCode.STATED, {"text": fact}))
    assert arrived == Problem(SharedCode.STATED, {"text": fact})
    assert type(arrived.facts["text"]) is type(fact)


def test_not_a_number_survives() -> None:
    """NaN, which equals nothing, arrives as NaN."""
    arrived = passed_on(Problem(SharedCode.STATED, {"text": math.nan})).facts["text"]
    assert isinstance(arrived, float)
    assert math.isnan(arrived)


@pytest.mark.parametrize(
    "error",
    [
        Refusal(Category.ENGINE, "no {room}", help=("one", "two")),
        WrongUse("what", help="one"),
        MissingExtra("transformers", needed_by="the test", package="torch"),
    ],
)
def test_problems_of_errors_survive(error: Refusal | WrongUse) -> None:
    """Words that a third party states, and the remedy for a missing extra."""
    assert passed_on(error.problem) == error.problem


@pytest.mark.parametrize(
    "plain",
    [
        None,
        "stated",
        [],
        {},
        {"code": "stated"},
        {"code": "no-such-code", "facts": {}},
        {"code": ["stated"], "facts": {}},
        {"code": "stated", "facts": []},
        {"code": "stated", "facts": {}, "more": 1},
        *(
            {"code": "stated", "facts": {"text": fact}}
            for fact in (
                {},
                {"unknown": "a"},
                {"quoted": 1},
                {"quoted": "a", "extra": "b"},
                {"number": "seven"},
                {"scheme": "a"},
                {"scheme": "a", "like": 1},
                {"record_again": 1},
                {"option": "a", "value": None},
                {"option": 1, "value": 1},
                {"code": "no-such-code", "facts": {}},
                [{"extra": None}],
            )
        ),
    ],
)
def test_what_is_no_problem_is_refused(plain: Any) -> None:
    """Unknown codes and kinds, missing and surplus fields."""
    with pytest.raises(ValueError, match="is not "):
        problem_from(plain)
