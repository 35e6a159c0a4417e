"""With -n 2: the same verdicts, one load per model, and the controller decides."""

from __future__ import annotations

import pytest

from .conftest import SCHEME, Suite
from .events import events, loads

TESTS = """
pytestmark = pytest.mark.min_retention(0.93)

@pytest.mark.parametrize("task", ["sum", "pick"])
def test_task(task, compare_accuracy):
    compare_accuracy(task)

@pytest.mark.parametrize("i", range(4))
def test_plain(i):
    pass
"""


def block(result: pytest.RunResult) -> list[str]:
    """The summary's lines from the first heading of ours on."""
    start = next(i for i, line in enumerate(result.outlines) if "= quantreg:" in line)
    stop = next(i for i, line in enumerate(result.outlines) if line.startswith("loaded:"))
    return result.outlines[start : stop + 1]


def test_the_same_with_and_without(suite: Suite) -> None:
    """Recording and gating on two workers: summary, exit status and loads are those of one."""
    suite.model(log="events.log")
    suite.test(TESTS)
    result = suite.run_apart("-n2", "--quant-update")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["2 recorded", "loaded: model bf16 once", "*4 passed, 2 skipped*"])
    assert loads(suite.path / "model") == 1
    half = {"seed": 5, "share": 0.05}
    first = suite.checkpoint("one", log="events.log", also_wrong=half)
    second = suite.checkpoint(
        "two", "w8a8-fp8", log="events.log", also_wrong={"seed": 5, "share": 0.3}
    )
    words = (
        f"--quant-scheme={SCHEME},w8a8-fp8",
        f"--quant-checkpoint={SCHEME}=one",
        "--quant-checkpoint=w8a8-fp8=two",
        "--quant-require",
    )
    alone = suite.run(*words)
    assert (loads(first), loads(second)) == (1, 1)
    spread = suite.run_apart("-n2", *words)
    assert (loads(first), loads(second)) == (2, 2), "each model once more, on one worker"
    assert (alone.ret, spread.ret) == (1, 1)
    alone.assert_outcomes(passed=6, failed=2)
    spread.assert_outcomes(passed=6, failed=2)
    assert block(spread) == block(alone)
    assert not [line for line in spread.outlines if "Traceback" in line]
    assert events(first)[-1].startswith("closed")


def test_refusals_and_require_on_the_controller(suite: Suite) -> None:
    """A refusal is an error there too; a session without a verdict ends 1 with the reason."""
    suite.test(TESTS)
    words = (f"--quant-scheme={SCHEME}", "--quant-checkpoint=int8", "-n2", "--quant-require")
    result = suite.run_apart(*words)
    assert result.ret == 1
    result.assert_outcomes(passed=4, errors=2)
    result.stdout.fnmatch_lines(
        ["*ERROR at call of*", "REFUSED (baseline absent) *", "ERROR test_gate.py::*REFUSED*"]
    )
    result = suite.run_apart(*words, "-k", "plain")
    assert result.ret == 1
    assert result.outlines[-1].startswith("quantreg: --quant-require: no gate was judged for")


def test_a_test_that_kills_its_worker_runs_once(suite: Suite) -> None:
    """A crash is reported once, and the tests that waited behind it still run."""
    suite.test(
        """
        import os

        def test_kills(quant_scheme):
            with open("tries", "a") as file:
                file.write("x")
            os._exit(1)

        def test_after(quant_scheme):
            pass
        """
    )
    words = [f"--quant-scheme={SCHEME}", "--quant-checkpoint=int8"]
    result = suite.run_apart("-n2", *words)
    assert result.ret == 1
    result.assert_outcomes(passed=1, failed=1)
    assert (suite.path / "tries").read_text("utf-8") == "x"
