"""--quant-require: a green session in which nothing was judged is red, and says why."""

from __future__ import annotations

import pytest

from .conftest import Suite

GATE = """
@pytest.mark.min_retention(0.9)
def test_sum(compare_accuracy):
    compare_accuracy("sum")
"""
LAST = "quantreg: --quant-require: no gate was judged"


@pytest.fixture
def gated(suite: Suite) -> Suite:
    """A suite of one gate whose baseline is recorded."""
    suite.test(GATE)
    suite.record()
    return suite


def test_a_judged_gate_is_enough(gated: Suite) -> None:
    """With a verdict the session ends as it would without the option."""
    result = gated.gate("--quant-require")
    assert result.ret == 0
    assert LAST not in result.outlines[-1]


def test_without_a_scheme(gated: Suite) -> None:
    """All skipped for want of a scheme: exit 1 and the last line says so."""
    result = gated.run("--quant-require")
    assert result.ret == 1
    assert result.outlines[-1] == f"{LAST}, for want of --quant-scheme"


@pytest.mark.parametrize("args", [("-k", "nothing"), ("-m", "nothing")])
def test_all_deselected(gated: Suite, args: tuple[str, ...]) -> None:
    """Exit status 5 becomes 1."""
    assert gated.gate(*args).ret == 5
    result = gated.gate("--quant-require", *args)
    assert result.ret == 1
    assert result.outlines[-1] == f"{LAST} for w8a8-int8 (none of its tests compared anything)"


def test_all_skipped(gated: Suite) -> None:
    """Skips of the user's own judge nothing."""
    gated.test('@pytest.mark.skip(reason="not today")' + GATE)
    assert gated.gate().ret == 0
    assert gated.gate("--quant-require").ret == 1


def test_measured_without_a_marker(gated: Suite) -> None:
    """A comparison without a gate is listed as not judged, and that is not enough."""
    gated.test(GATE.replace("@pytest.mark.min_retention(0.9)", ""))
    result = gated.gate()
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["sum *not judged", "1 not judged (no marker such as min_retention says what must hold)"]
    )
    result = gated.gate("--quant-require")
    assert result.ret == 1
    assert "no marker such as min_retention said what must hold" in result.outlines[-1]


def test_one_of_two_schemes(gated: Suite) -> None:
    """Every scheme that was asked for needs a verdict; the line names the one without."""
    gated.test(GATE.replace("@pytest", '@pytest.mark.quant_schemes("w8a8-int8")\n@pytest', 1))
    gated.checkpoint("fp8", scheme="w8a8-fp8")
    result = gated.run(
        "--quant-scheme=w8a8-int8,w8a8-fp8",
        "--quant-checkpoint=w8a8-int8=int8",
        "--quant-checkpoint=w8a8-fp8=fp8",
        "--quant-require",
    )
    assert result.ret == 1
    assert result.outlines[-1] == f"{LAST} for w8a8-fp8 (none of its tests compared anything)"


def test_no_effect_while_collecting(gated: Suite) -> None:
    """--collect-only ends 0."""
    assert gated.gate("--quant-require", "--collect-only").ret == 0


def test_other_exit_statuses_stay(gated: Suite) -> None:
    """A failed session stays 1, a wrong option 4, an interrupted one 2."""
    gated.test(
        """
        def test_fails():
            assert False
        """
    )
    result = gated.gate("--quant-require", "-x")
    assert result.ret == 1
    assert LAST not in result.outlines[-1]
    gated.test("raise KeyboardInterrupt")
    words = ("--quant-scheme=w8a8-int8", "--quant-checkpoint=int8", "--quant-require")
    assert gated.run_interrupted(*words).ret == 2
    assert gated.gate("--quant-require", "nowhere").ret == 4


def test_without_a_terminal_plugin(gated: Suite) -> None:
    """-p no:terminal keeps the exit status, and stderr says why."""
    assert gated.gate("--quant-require", "-p", "no:terminal").ret == 0
    result = gated.run("--quant-require", "-p", "no:terminal")
    assert result.ret == 1
    result.stderr.fnmatch_lines([f"{LAST}*"])


def test_an_undecided_gate_counts_as_judged(gated: Suite) -> None:
    """Undecided is a verdict of detect."""
    gated.test(GATE.replace("0.9", "0.96"))
    gated.checkpoint("half", also_wrong={"seed": 5, "share": 0.03})
    result = gated.gate("--quant-require", checkpoint="half")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["1 undecided*"])
