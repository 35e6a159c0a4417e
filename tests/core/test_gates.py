"""Which marker judges which metric: keys, selectors, distance, and the ones left over."""

from __future__ import annotations

import pytest

from pytest_quantreg.core.gates import MIN_RETENTION, Gate, choose, idle, matching, unfed


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
    chosen = choose([(one, "acc,none") for one in gates])
    assert {name: one.minimum for name, one in chosen.items()} == {"acc,none": minimum}


def test_each_metric_has_its_own_gate() -> None:
    """Gates that judge different metrics do not compete."""
    first, second = gate(0.9), gate(0.8, metric="acc_norm")
    assert choose([(first, "acc"), (second, "acc_norm")]) == {"acc": first, "acc_norm": second}


def test_matching_looks_at_the_task() -> None:
    """A gate without task= judges every task, one with it that task alone."""
    bare, named = gate(0.9), gate(0.8, task="sum")
    assert matching([bare, named], "sum") == [bare, named]
    assert matching([bare, named], "pick") == [bare]


def test_what_nothing_fed() -> None:
    """Own gates and bare ones must be fed; an inherited one for another task is idle."""
    own, bare, inherited = gate(0.9, 1, task="a"), gate(0.9, 3), gate(0.9, 3, task="a")
    gates = [own, bare, inherited]
    assert unfed(gates, []) == [own, bare]
    assert unfed(gates, ["b"]) == [own]
    assert idle(gates, ["b"]) == [inherited]
    assert unfed(gates, ["a"]) == idle(gates, ["a"]) == []


def test_a_gate_reads_as_it_was_written() -> None:
    """No rounding: 0.9999999 is not 1."""
    assert str(gate(0.9999999)) == "min_retention(0.9999999)"
    assert str(gate(0.98, task="sum", metric="acc")) == (
        "min_retention(0.98, task='sum', metric='acc')"
    )
