"""A workload is what its label says, or is refused when it is made."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pytest_quantreg.core.codes import SpeedCode
from pytest_quantreg.core.errors import WrongUse
from pytest_quantreg.core.records.speed import ASYNCHRONOUS, MOST, Workload

from ...wording import says


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"deployment": "parallel"}, SpeedCode.UNKNOWN_DEPLOYMENT, "known: synchronous, asynch"),
        (
            {"rounds": 0},
            SpeedCode.NOT_A_COUNT,
            "rounds=0: allowed is a whole number from 1 to 10,000,000",
        ),
        (
            {"warmup": -1},
            SpeedCode.NOT_A_COUNT,
            "warmup=-1: allowed is a whole number from 0 to 10,000,000",
        ),
        ({"batch_size": 0}, SpeedCode.NOT_A_COUNT, "batch_size=0: "),
        ({"output_tokens": True}, SpeedCode.NOT_A_COUNT, "output_tokens=True: "),
        ({"prompt_tokens": 2.5}, SpeedCode.NOT_A_COUNT, "prompt_tokens=2.5: "),
        ({"prompt_tokens": MOST + 1}, SpeedCode.NOT_A_COUNT, "prompt_tokens=10000001: "),
        ({"requests": "8"}, SpeedCode.NOT_A_COUNT, "requests='8': "),
        ({"request_rate": 0.0}, SpeedCode.NOT_A_RATE, "allowed are requests per second, above 0"),
        ({"request_rate": math.nan}, SpeedCode.NOT_A_RATE, "request_rate=nan: "),
        ({"request_rate": math.inf}, SpeedCode.NOT_A_RATE, "request_rate=inf: "),
        ({"request_rate": 10**400}, SpeedCode.NOT_A_RATE, "request_rate=10000"),
        ({"request_rate": True}, SpeedCode.NOT_A_RATE, "request_rate=True: "),
        (
            {"batch_size": 4},
            SpeedCode.FEWER_REQUESTS_THAN_AT_ONCE,
            "requests=1: a round with so few never has 4 at once\n  give it 4 or more, or leave",
        ),
    ],
)
def test_a_workload_that_cannot_be_measured_is_refused(
    fields: dict[str, Any], code: SpeedCode, said: str
) -> None:
    """A batch of 4 with one request in it, no rounds, or a rate of nothing."""
    with pytest.raises(WrongUse) as caught:
        Workload(**fields)
    assert caught.value.problem.code is code
    assert said in says(caught.value)


def test_the_bounds_of_a_workload() -> None:
    """The least and the most of each figure are workloads; a rate is kept as a float."""
    Workload(batch_size=1, prompt_tokens=1, output_tokens=1, rounds=1, warmup=0, requests=1)
    Workload(prompt_tokens=MOST, warmup=MOST)
    paced = Workload(ASYNCHRONOUS, batch_size=64, requests=1, request_rate=8)
    assert repr(paced.request_rate) == "8.0"
