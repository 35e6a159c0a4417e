"""The callable behind the fixture compare_accuracy: checks its arguments, hands them on."""

from __future__ import annotations

from collections.abc import Mapping

from ..core import checks
from ..core.checks import checked, checked_or_none
from ..core.codes import OptionCode
from ..core.comparison.accuracy import Comparison
from ..core.errors import Refusal, WrongUse
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
                    task=checked("task", task, checks.check_name),
                    num_fewshot=checked_or_none(
                        "num_fewshot", num_fewshot, checks.check_count, least=0
                    ),
                    apply_chat_template=checked_or_none(
                        "apply_chat_template", apply_chat_template, checks.check_template
                    ),
                    fewshot_as_multiturn=checked_or_none(
                        "fewshot_as_multiturn", fewshot_as_multiturn, checks.check_flag
                    ),
                    system_instruction=checked_or_none(
                        "system_instruction", system_instruction, checks.check_text
                    ),
                    gen_kwargs=checked_or_none("gen_kwargs", gen_kwargs, checks.check_json) or {},
                    repeats=checked_or_none("repeats", repeats, checks.check_count) or 1,
                    seed=self._calls.settings.seed,
                    include_paths=self._calls.settings.include_paths,
                ),
                limit=checked_or_none("limit", limit, checks.check_limit),
                metric=checked_or_none("metric", metric, checks.check_name),
            )
        except WrongUse as error:
            refusal = Refusal(OptionCode.WRONG_AT, where="compare_accuracy", cause=error.problem)
            self._calls.refuse(task if isinstance(task, str) else None, refusal)
            raise refusal from None
        return self._calls.compare(call)
