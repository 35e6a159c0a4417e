"""The callable behind the fixture compare_accuracy: checks its arguments, hands them on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..config.values import check_limit
from ..core.comparison.accuracy import Comparison
from ..core.errors import Category, Refusal, WrongUse
from ..core.records.run import AccuracyRequest, Json
from ..gating import EvalRequest
from .item_calls import ItemCalls


class CompareAccuracy:
    """``compare_accuracy(task, ...)``; see the fixture of that name."""

    def __init__(self, calls: ItemCalls) -> None:
        self._calls = calls

    def __call__(
        self,
        task: str,
        *,
        limit: int | None = None,
        num_fewshot: int | None = None,
        metric: str | None = None,
        apply_chat_template: bool | str | None = None,
        fewshot_as_multiturn: bool | None = None,
        system_instruction: str | None = None,
        gen_kwargs: Mapping[str, Json] | None = None,
        repeats: int = 1,
    ) -> Comparison:
        """Evaluates ``task`` on the quantized model and pairs it with the baseline.

        Raises:
            Refusal: nothing may be concluded; the test is refused whatever it does next.
        """
        try:
            call = EvalRequest(
                AccuracyRequest(
                    task=_text(task, "task"),
                    num_fewshot=_count(num_fewshot, "num_fewshot", least=0),
                    apply_chat_template=_template(apply_chat_template),
                    fewshot_as_multiturn=_flag(fewshot_as_multiturn, "fewshot_as_multiturn"),
                    system_instruction=_instruction(system_instruction),
                    gen_kwargs=dict(_mapping(gen_kwargs)),
                    repeats=_count(repeats, "repeats", least=1) or 1,
                    seed=self._calls.settings.seed,
                    include_paths=self._calls.settings.include_paths,
                ),
                limit=check_limit(limit, "limit"),
                metric=_text(metric, "metric") if metric is not None else None,
            )
        except WrongUse as error:
            refusal = Refusal(
                Category.WRONG_USE, f"compare_accuracy: {error.what}", help=error.help
            )
            self._calls.refuse(task if isinstance(task, str) else None, refusal)
            raise refusal from None
        return self._calls.compare(call)


def _text(value: Any, named: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise WrongUse(f"{named}={value!r}: allowed is a name as lm-eval spells it")
    return value


def _count(value: Any, named: str, *, least: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise WrongUse(f"{named}={value!r}: allowed is a whole number, {least} or more")
    return value


def _flag(value: Any, named: str) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise WrongUse(f"{named}={value!r}: allowed are True and False")
    return value


def _template(value: Any) -> bool | str | None:
    if value is not None and not isinstance(value, (bool, str)):
        raise WrongUse(
            f"apply_chat_template={value!r}: allowed are True, False and a template's name"
        )
    return value


def _instruction(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise WrongUse(f"system_instruction={value!r}: allowed is a text")
    return value


def _mapping(value: Any) -> Mapping[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise WrongUse(f'gen_kwargs={value!r}: allowed is a dict such as {{"temperature": 0.7}}')
    try:
        json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise WrongUse(
            f"gen_kwargs={value!r}: {error}",
            help="allowed are texts, numbers, booleans, None, lists and dicts, for they are stored",
        ) from None
    return value
