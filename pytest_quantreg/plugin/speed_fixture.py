"""The callable behind the fixture compare_speed: checks its arguments, hands them on."""

from __future__ import annotations

from typing import Any

from ..core.checks import check_count, checked
from ..core.codes import OptionCode
from ..core.comparison.speed import SpeedResult
from ..core.errors import Refusal, WrongUse
from ..core.records.speed import ASYNCHRONOUS, MOST, SYNCHRONOUS, Workload
from ..gating.speed.preconditions import saturating
from .item_calls import ItemCalls


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
            in_blocks = None if blocks is None else _count("blocks", blocks)
            kinds = self._kinds(batch_size, concurrency, request_rate)
            workloads = [
                Workload(
                    deployment=deployment,
                    batch_size=size,
                    prompt_tokens=prompt_tokens,
                    output_tokens=output_tokens,
                    rounds=rounds,
                    warmup=warmup,
                    requests=size if requests is None else requests,
                    request_rate=rate,
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
        return [(ASYNCHRONOUS, flight, request_rate)]


def _count(name: str, value: Any) -> int:
    return checked(name, value, check_count, most=MOST)
