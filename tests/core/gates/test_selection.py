"""Which marker judges which metric: keys, selectors, distance, and the ones left over."""

from __future__ import annotations

import pytest

from pytest_quantreg.core.gates.plan import Plan
from pytest_quantreg.core.gates.selection import (
    MAX_PERPLEXITY_RATIO,
    MIN_RETENTION,
    Gate,
    choose,
    gates_without_metrics,
    matching,
    unused_gates,
)
from pytest_quantreg.core.settings import GateMode


def gate(
    minimum: float, level: int = 1, task: str | None = None, metric: str | None = None
) -> Gate:
    """A min_retention marker."""
    return Gate(MIN_RETENTION, minimum, task, metric, level)


@pytest.mark.parametrize(
    ("gates", "minimum"),
    [
        ([gate(0.9, 1), gate(0.8, 2)], 0.9),
        ([gate(0.8, 2), gate(0.9, 1)], 0.9),
        ([gate(0.9, 1), gate(0.7, 3, task="sum")], 0.7),
        ([gate(0.9, 1, task="sum"), gate(0.7, 3, task="sum", metric="acc")], 0.7),
        ([gate(0.9, 1), gate(0.6, 0)], 0.6),
        ([gate(0.5, 1), gate(0.9, 1)], 0.9),
        ([gate(0.9, 1), gate(0.5, 1)], 0.9),
    ],
)
def test_one_gate_judges_a_metric(gates: list[Gate], minimum: float) -> None:
    """More selectors win, then the nearest, then the stricter."""
    chosen = choose([(gate, "acc,none") for gate in gates])
    assert [(choice.minimum, name) for choice, name in chosen] == [(minimum, "acc,none")]


def test_each_metric_has_its_own_gate() -> None:
    """Gates that judge different metrics do not compete."""
    first, second = gate(0.9), gate(0.8, metric="acc_norm")
    assert choose([(first, "acc"), (second, "acc_norm")]) == [(first, "acc"), (second, "acc_norm")]


def test_matching_looks_at_the_task() -> None:
    """A gate without task= judges every task, one with it that task alone."""
    bare, named = gate(0.9), gate(0.8, task="sum")
    assert matching([bare, named], "sum") == [bare, named]
    assert matching([bare, named], "pick") == [bare]


def test_what_nothing_fed() -> None:
    """Own gates and bare ones must be fed; an inherited one for another task is idle."""
    own, bare, inherited = gate(0.9, 1, task="a"), gate(0.9, 3), gate(0.9, 3, task="a")
    pooled = gate(0.9, 3, task="*")
    gates = [own, bare, inherited, pooled]
    assert gates_without_metrics(gates, [].__contains__, measured=False) == [own, bare, pooled]
    assert unused_gates(gates, [].__contains__, measured=False) == [inherited]
    fed = [bare, pooled].__contains__
    assert gates_without_metrics(gates, fed, measured=True) == [own]
    assert unused_gates(gates, fed, measured=True) == [inherited]
    assert gates_without_metrics(gates, gates.__contains__, measured=True) == []
    assert unused_gates(gates, gates.__contains__, measured=True) == []


def test_a_gate_of_another_kind_of_metric_is_idle_beside_one_that_judges() -> None:
    """A module's gate on perplexity asks nothing of a test on accuracy, unless it is its own."""
    inherited = Gate(MAX_PERPLEXITY_RATIO, 1.02, None, None, 3)
    own = Gate(MAX_PERPLEXITY_RATIO, 1.02, None, None, 1)
    assert gates_without_metrics([inherited, own], [].__contains__, measured=True) == [own]
    assert unused_gates([inherited, own], [].__contains__, measured=True) == [inherited]


def test_a_family_shares_the_confidence_of_detect_alone() -> None:
    """Twenty gates at 95 % are judged at 99.75 % each; certify needs no division."""
    detect = Plan.of([], GateMode.DETECT, 0.95, 20)
    assert detect.confidence == pytest.approx(0.9975)
    assert detect.family == 20
    certify = Plan.of([], GateMode.CERTIFY, 0.95, 20)
    assert (certify.confidence, certify.family) == (0.95, 1)
    assert Plan.of([], GateMode.DETECT, 0.95, 1).confidence == 0.95


def test_a_perplexity_gate_requires_the_inverse() -> None:
    """A ratio of at most 1.25 is a retention of at least 0.8."""
    gate = Gate(MAX_PERPLEXITY_RATIO, 1.25, None, None, 1)
    assert gate.minimum == 0.8
    assert gate.of_perplexity
    assert str(gate) == "max_perplexity_ratio(1.25)"


def test_a_gate_reads_as_it_was_written() -> None:
    """No rounding: 0.9999999 is not 1."""
    assert str(gate(0.9999999)) == "min_retention(0.9999999)"
    assert str(gate(0.98, task="sum", metric="acc")) == (
        "min_retention(0.98, task='sum', metric='acc')"
    )
