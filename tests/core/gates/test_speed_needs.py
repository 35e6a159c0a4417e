"""What a gate on speed needs before it can decide: rounds, blocks, loads, and a meaning."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_quantreg.core import stats
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.gates.speed import (
    MAX_LATENCY,
    MAX_LOAD_TIME,
    MAX_MEMORY,
    MIN_SPEEDUP,
    MIN_THROUGHPUT,
    SpeedGate,
)
from pytest_quantreg.core.gates.speed_verdict import (
    blocks_needed,
    least_units,
    loads_needed,
    refuse_senseless,
    refuse_too_few,
    sensible,
)
from pytest_quantreg.core.records.speed import Workload
from pytest_quantreg.core.settings import GateMode

from ...wording import refused, says
from ..speed_series import compared, judged, latency, plan, speedup, throughput

KEPT, LOST = stats.IntervalVerdict.KEPT, stats.IntervalVerdict.LOST


@pytest.mark.parametrize(
    ("mode", "confidence", "family", "loads"),
    [
        (GateMode.DETECT, 0.95, 1, 5),
        (GateMode.CERTIFY, 0.95, 1, 5),
        (GateMode.CERTIFY, 0.99, 1, 7),
        (GateMode.DETECT, 0.95, 20, 9),
        (GateMode.CERTIFY, 0.95, 20, 5),
        (GateMode.POINT, 0.95, 1, 1),
    ],
)
def test_how_often_a_model_is_loaded(
    mode: GateMode, confidence: float, family: int, loads: int
) -> None:
    """As often as its median needs to be bounded, and once where no gate asks."""
    gate = SpeedGate(MAX_LOAD_TIME, 9.0, 1)
    made = plan(gate, mode=mode, confidence=confidence, family=family)
    assert loads_needed([speedup(2.0), gate], made) == loads
    # Gates for another device are left out by the caller, though the plan has them.
    assert loads_needed([speedup(2.0)], made) == 1
    assert loads_needed([], made) == 1
    if loads > 1:
        assert 0.5**loads <= 1 - made.confidence < 0.5 ** (loads - 1)


@pytest.mark.parametrize(
    ("gates", "mode", "family", "blocks"),
    [
        ([], GateMode.DETECT, 1, 1),
        ([SpeedGate(MAX_MEMORY, 5.0, 1, "weights")], GateMode.CERTIFY, 1, 1),
        ([SpeedGate(MAX_LOAD_TIME, 5.0, 1)], GateMode.CERTIFY, 1, 1),
        ([speedup(1.5)], GateMode.DETECT, 1, 5),
        ([speedup(1.5)], GateMode.DETECT, 20, 9),
        ([latency(50.0, percentile=90.0)], GateMode.DETECT, 1, 2),
        ([throughput(9.0), latency(50.0, percentile=90.0)], GateMode.CERTIFY, 1, 29),
        ([throughput(9.0), latency(50.0, percentile=90.0)], GateMode.POINT, 1, 1),
    ],
)
def test_how_many_blocks_let_every_gate_decide(
    gates: list[SpeedGate], mode: GateMode, family: int, blocks: int
) -> None:
    """The most that any gate on a workload needs, percentiles among them."""
    assert blocks_needed(gates, plan(*gates, mode=mode, family=family)) == blocks


@pytest.mark.parametrize(
    ("gate", "mode", "least"),
    [
        (speedup(1.5), GateMode.DETECT, 5),
        (speedup(1.5), GateMode.CERTIFY, 5),
        (throughput(100.0), GateMode.DETECT, 5),
        (latency(50.0), GateMode.CERTIFY, 5),
        (latency(50.0, percentile=90.0), GateMode.DETECT, 2),
        (latency(50.0, percentile=90.0), GateMode.CERTIFY, 29),
        (latency(50.0, percentile=99.0), GateMode.CERTIFY, 299),
        (latency(50.0, percentile=10.0), GateMode.DETECT, 29),
    ],
)
def test_too_few_rounds(gate: SpeedGate, mode: GateMode, least: int) -> None:
    """One round less could never do what the gate is there for, whatever the model."""
    made = plan(gate, mode=mode)
    assert least_units(gate, made) == least
    refuse_too_few([gate], Workload(), made, units=least)
    with refused(f"with {least - 1} rounds? it could never") as error:
        refuse_too_few([gate], Workload(), made, units=least - 1)
    assert error.value.category is Category.TOO_WEAK
    assert says(error.value).endswith(f"\n  measure at least {least}: rounds={least}")
    refuse_too_few([gate], Workload(), plan(gate, mode=GateMode.POINT), units=1)
    # And so it is: the best rounds decide at the least number, and not below it.
    seconds = (1.0,) * least
    bound = {"min_speedup": 2.0, "min_throughput": 64.0}.get(gate.marker, 1000.0)
    worse = bound * (1.001 if gate.at_least else 0.999)
    decided = replace(gate, bound=worse if mode is GateMode.DETECT else bound)
    word = LOST if mode is GateMode.DETECT else KEPT
    assert judged(decided, seconds, mode).evidence is word
    with refused("could never"):
        judged(decided, seconds[1:], mode)
    fewer = compared(seconds[1:], (2.0,) * (least - 1))
    bounds = {
        MIN_SPEEDUP: fewer.ratio,
        MIN_THROUGHPUT: fewer.throughput,
        MAX_LATENCY: fewer.latency("e2e", gate.percentile or 50.0),
    }[gate.marker]
    turns_on_high = gate.at_least == (mode is GateMode.DETECT)
    assert bounds.high == math.inf if turns_on_high else bounds.low == 0.0


@pytest.mark.parametrize(
    ("gate", "workload", "said"),
    [
        (speedup(1.5), Workload(request_rate=4.0), "min_speedup(1.5) under 4 requests/s: what is"),
        (throughput(9.0), Workload(request_rate=4.0), "min_throughput(9) under 4 requests/s"),
        (latency(9.0, "tpot"), Workload(output_tokens=1), "one token is generated, and none after"),
    ],
)
def test_gates_that_mean_nothing(gate: SpeedGate, workload: Workload, said: str) -> None:
    """Refused by name; a latency under a rate, or of two tokens, is judged."""
    with pytest.raises(Refusal) as error:
        refuse_senseless([latency(5.0), gate], workload)
    assert said in says(error.value)
    assert error.value.category is Category.NOT_JUDGED
    refuse_senseless([latency(9.0, "tpot")], replace(workload, output_tokens=2))
    assert not sensible(gate, workload)
    assert sensible(latency(5.0), workload)
    assert sensible(gate, Workload())


def test_an_inherited_gate_that_means_nothing_is_left_out() -> None:
    """That of a class or module is meant for other tests below it; the call is not refused."""
    paced = Workload(request_rate=4.0)
    for gate in (speedup(1.5), throughput(9.0)):
        with pytest.raises(Refusal):
            refuse_senseless([replace(gate, level=0)], paced)
        refuse_senseless([replace(gate, level=level) for level in (2, 3)], paced)
