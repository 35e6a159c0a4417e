"""--quant-repeats: several runs of a baseline, their mean, and what is noise."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_quantreg.baselines import Store

from .conftest import ANSWERS, Suite

TEST = """
@pytest.mark.min_retention(0.9)
def test_sum(compare_accuracy):
    compare_accuracy("sum")
"""
NOISE = {"seed": 4, "share": 0.2}


def _noisy(**more: Any) -> dict[str, Any]:
    return {**ANSWERS, "sum": {**ANSWERS["sum"], "ambiguous": NOISE, **more}}


def _reruns(suite: Suite) -> int:
    store = Store(suite.path / "baselines")
    (key,) = store.keys()
    return len(store.load(key).accuracy.items.reruns)


@pytest.fixture
def noisy(suite: Suite) -> Suite:
    """A baseline and a checkpoint that answer a fifth of the items by the flip of a coin."""
    suite.model(tasks=_noisy())
    suite.model("int8", scheme="w8a8-int8", tasks=_noisy(), weights="q")
    suite.test(TEST)
    return suite


def test_several_runs_are_recorded(noisy: Suite) -> None:
    """Three runs are stored; asked for again they are present, and more are added."""
    recorded = noisy.record_anew("--quant-repeats=3")
    recorded.stdout.fnmatch_lines(["note: sum: 3 runs, which differ from each other on *% *"])
    assert _reruns(noisy) == 2
    noisy.record_anew("--quant-repeats=2").stdout.fnmatch_lines(["1 present"])
    noisy.record_anew("--quant-repeats=4").stdout.fnmatch_lines(["1 recorded"])
    assert _reruns(noisy) == 3


def test_recording_anew_keeps_the_number_of_runs(noisy: Suite) -> None:
    """--quant-update=all without the option never leaves fewer runs than were stored."""
    noisy.record("--quant-repeats=3")
    noisy.run("--quant-update=all")
    assert _reruns(noisy) == 2


def test_the_floor_is_told(noisy: Suite) -> None:
    """A candidate that differs no more than the baseline from itself is said to be so."""
    noisy.record("--quant-repeats=6")
    result = noisy.gate("-rA", "--junit-xml=junit.xml")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*differs from the baseline on *% of the items; 6 runs of the baseline differ from *",
            "note: sum: cannot be told from the baseline, whose 6 runs differ from each*",
        ]
    )
    assert "quantreg.sum.exact_match.floor" in (noisy.path / "junit.xml").read_text()


def test_a_loss_stands_out_of_the_noise(noisy: Suite) -> None:
    """A candidate that loses beyond the noise is lost and never called the same."""
    noisy.record("--quant-repeats=3")
    tasks = _noisy(also_wrong={"seed": 5, "share": 0.3})
    noisy.model("bad", scheme="w8a8-int8", tasks=tasks)
    result = noisy.gate(checkpoint="bad")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["LOST w8a8-int8 sum: *"])
    result.stdout.no_fnmatch_line("*cannot be told*")


def test_a_gate_needs_no_repeats(noisy: Suite) -> None:
    """The option without recording is a usage error; in the ini file it waits for one."""
    result = noisy.gate("--quant-repeats=3")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--quant-repeats=3 says how often a baseline is recorded*"])
    noisy.ini(quant_repeats=2)
    noisy.record()
    assert _reruns(noisy) == 1
    assert noisy.gate().ret == 0


@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_number_of_runs_is_at_least_one(noisy: Suite, value: str) -> None:
    """Anything less is a usage error."""
    result = noisy.record_anew(f"--quant-repeats={value}")
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*--quant-repeats={value}: allowed is a whole number*"])
