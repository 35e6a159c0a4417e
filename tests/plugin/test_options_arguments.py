"""The arguments of compare_accuracy: what is handed on, and what is refused before any work."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_quantreg.core.comparison.accuracy import Comparison
from pytest_quantreg.core.errors import Category, QuantregError
from pytest_quantreg.core.records.run import AccuracyRequest
from pytest_quantreg.gating import EvalRequest
from pytest_quantreg.plugin.accuracy_fixture import CompareAccuracy
from pytest_quantreg.plugin.item_calls import ItemCalls

from ..wording import refused
from .conftest import Suite


class Heard(ItemCalls):
    """Calls of a test that measure nothing and remember what they were asked."""

    def __init__(self) -> None:
        self.settings: Any = SimpleNamespace(seed=7, include_paths=("tasks",))
        self.asked: list[EvalRequest] = []
        self.refused: list[tuple[str | None, QuantregError]] = []
        self.compare_accuracy = CompareAccuracy(self)

    def refuse(self, task: str | None, error: QuantregError) -> None:
        self.refused.append((task, error))

    def compare(self, ask: EvalRequest) -> Comparison:
        self.asked.append(ask)
        result: Any = "the comparison"
        return result  # type: ignore[no-any-return]


def test_everything_is_handed_on() -> None:
    """Each argument arrives where the measurement looks for it, with seed and folders."""
    heard = Heard()
    result: Any = heard.compare_accuracy(
        "gsm8k",
        limit=5,
        num_fewshot=0,
        metric="exact_match,strict-match",
        apply_chat_template=False,
        fewshot_as_multiturn=True,
        system_instruction="Be brief.",
        gen_kwargs={"temperature": 0.7, "until": ["\n"]},
        repeats=3,
    )
    assert result == "the comparison"
    request = AccuracyRequest(
        task="gsm8k",
        num_fewshot=0,
        apply_chat_template=False,
        fewshot_as_multiturn=True,
        system_instruction="Be brief.",
        gen_kwargs={"temperature": 0.7, "until": ["\n"]},
        repeats=3,
        seed=7,
        include_paths=("tasks",),
    )
    assert heard.asked == [EvalRequest(request, limit=5, metric="exact_match,strict-match")]


def test_defaults() -> None:
    """Nothing but the task needs to be said."""
    heard = Heard()
    heard.compare_accuracy("gsm8k")
    request = AccuracyRequest(task="gsm8k", seed=7, include_paths=("tasks",))
    assert heard.asked == [EvalRequest(request)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"task": ""}, "task='': allowed is a name as lm-eval spells it"),
        ({"task": 3}, "task=3: allowed is a name as lm-eval spells it"),
        ({"limit": 0}, "limit=0: allowed is a whole number of items, 1 or more"),
        ({"limit": 0.5}, "limit=0.5: allowed is a whole number of items"),
        ({"limit": True}, "limit=True: allowed is a whole number of items"),
        ({"num_fewshot": -1}, "num_fewshot=-1: allowed is a whole number, 0 or more"),
        ({"metric": ""}, "metric='': allowed is a name as lm-eval spells it"),
        ({"apply_chat_template": 1}, "apply_chat_template=1: allowed are True, False and a"),
        ({"fewshot_as_multiturn": "yes"}, "fewshot_as_multiturn='yes': allowed are True and"),
        ({"system_instruction": 1}, "system_instruction=1: allowed is a text"),
        ({"gen_kwargs": "temperature=1"}, "gen_kwargs='temperature=1': allowed is a dict such"),
        ({"gen_kwargs": {1: 2}}, "gen_kwargs={1: 2}: allowed is a dict such"),
        ({"gen_kwargs": {"a": {1, 2}}}, "gen_kwargs={'a': {1, 2}}: Object of type set is not"),
        ({"gen_kwargs": {"a": float("nan")}}, "gen_kwargs={'a': nan}: Out of range float"),
        ({"repeats": 0}, "repeats=0: allowed is a whole number, 1 or more"),
    ],
)
def test_wrong_argument(arguments: dict[str, Any], said: str) -> None:
    """The argument is named with its value and what is allowed, and the refusal is kept."""
    heard = Heard()
    with refused(re.escape(f"compare_accuracy: {said}")) as caught:
        heard.compare_accuracy(**{"task": "sum", **arguments})
    assert caught.value.category is Category.WRONG_USE
    [(task, kept)] = heard.refused
    assert kept is caught.value
    assert task == (arguments.get("task", "sum") if arguments.get("task") != 3 else None)
    assert heard.asked == []


def test_wrong_argument_in_a_run(suite: Suite) -> None:
    """It is an error without traceback, also when the body swallows it."""
    suite.test(
        """
        def test_x(compare_accuracy):
            try:
                compare_accuracy("sum", limit=0)
            except Exception:
                pass
        """
    )
    result = suite.gate()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["REFUSED*compare_accuracy: limit=0: allowed is a whole number*"])
    result.stdout.no_fnmatch_line("*Traceback*")
