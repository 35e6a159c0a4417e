"""The callable behind the fixture compare_speed: checks its arguments, hands them on."""

from __future__ import annotations

from typing import Any

from ..core.checks import check_count, check_request_rate, checked, checked_or_none
from ..core.codes import OptionCode
from ..core.comparison.speed import SpeedResult
from ..core.errors import Refusal, WrongUse
from ..core.facts import Problem
from ..core.records.speed import ASYNCHRONOUS, SYNCHRONOUS, Workload
from ..gating.speed.preconditions import saturating
from .item_calls import ItemCalls

MOST_TOKENS = 10_000_000
"""Of a prompt or an answer; more is a slip, and no engine holds as many."""


class CompareSpeed:
    """``compare_speed(...)``; see the fixture of that name."""

    def __init__(self, calls: ItemCalls) -> None:
        self._calls = calls

    def __call__(
        self,
        *,
        batch_size: int | None = None,
        concurrency: int | None = None,
        request_rate: float | None = None,
        prompt_tokens: int = 128,
        output_tokens: int = 64,
        rounds: int = 10,
        warmup: int = 2,
        requests: int | None = None,
        blocks: int | None = None,
    ) -> SpeedResult:
        """Times the quantized model and its baseline in turns, under one or two workloads.

        ``blocks`` is how many of each are run where only one model fits on the device.

        Raises:
            Refusal: nothing may be concluded; the test is refused whatever it does next.
        """
        try:
            shape = {
                "prompt_tokens": _count("prompt_tokens", prompt_tokens),
                "output_tokens": _count("output_tokens", output_tokens),
                "rounds": _count("rounds", rounds),
                "warmup": _count("warmup", warmup, least=0),
            }
            in_blocks = None if blocks is None else _count("blocks", blocks)
            kinds = self._kinds(batch_size, concurrency, request_rate)
            workloads = [
                Workload(
                    deployment=deployment,
                    batch_size=size,
                    requests=_requests(requests, size, rate),
                    request_rate=rate,
                    **shape,
                )
                for deployment, size, rate in kinds
            ]
        except WrongUse as error:
            refusal = Refusal(OptionCode.WRONG_AT, where="compare_speed", cause=error.problem)
            self._calls.refuse_speed(refusal)
            raise refusal from None
        return self._calls.time(workloads, in_blocks)

    def _kinds(
        self, batch_size: Any, concurrency: Any, request_rate: Any
    ) -> list[tuple[str, int, float | None]]:
        """(deployment, requests at once, rate) of each workload."""
        if batch_size is not None:
            if concurrency is not None or request_rate is not None:
                raise WrongUse(OptionCode.TWO_KINDS_OF_WORKLOAD)
            return [(SYNCHRONOUS, _count("batch_size", batch_size), None)]
        if concurrency is None and request_rate is None:
            return [(SYNCHRONOUS, 1, None), (ASYNCHRONOUS, saturating(), None)]
        flight = saturating() if concurrency is None else _count("concurrency", concurrency)
        rate = checked_or_none("request_rate", request_rate, check_request_rate)
        return [(ASYNCHRONOUS, flight, rate)]


def _requests(value: Any, at_once: int, rate: float | None) -> int:
    """How many a round has; at least as many as are at once, or they never are."""
    if value is None:
        return at_once
    count = _count("requests", value)
    if count < at_once and rate is None:
        cause = Problem(OptionCode.FEWER_REQUESTS_THAN_AT_ONCE, {"least": at_once})
        raise WrongUse(OptionCode.BAD_VALUE, name="requests", value=count, cause=cause)
    return count


def _count(name: str, value: Any, *, least: int = 1) -> int:
    return checked(name, value, check_count, least=least, most=MOST_TOKENS)
