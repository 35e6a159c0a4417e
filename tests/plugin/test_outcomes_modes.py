"""detect, certify and point on every evidence, and where an undecided gate is told."""

from __future__ import annotations

import pytest

from .conftest import Suite

LOSES = {"seed": 5, "share": 0.3}
HALF = {"seed": 5, "share": 0.05}

MODES = [
    # (answers lost, mode, verdict, passes)
    ([], "detect", "kept", True),
    ([], "certify", "kept", True),
    ([], "point", "kept", True),
    (HALF, "detect", "undecided", True),
    (HALF, "certify", "UNDECIDED", False),
    (HALF, "point", "kept", True),
    (LOSES, "detect", "LOST", False),
    (LOSES, "certify", "LOST", False),
    (LOSES, "point", "LOST", False),
]


@pytest.mark.parametrize(("lost", "mode", "verdict", "passes"), MODES)
def test_each_mode_on_each_evidence(
    suite: Suite, lost: object, mode: str, verdict: str, passes: bool
) -> None:
    """detect fails on a loss, certify unless kept is shown, point on the plain ratio."""
    suite.test(
        """
        @pytest.mark.min_retention(0.93)
        def test_sum(compare_accuracy):
            compare_accuracy("sum")
        """
    )
    suite.record()
    suite.checkpoint("made", also_wrong=lost)
    result = suite.gate(f"--quant-gate={mode}", "-W", "error", checkpoint="made")
    assert result.ret == (0 if passes else 1)
    result.assert_outcomes(passed=passes, failed=not passes)
    result.stdout.fnmatch_lines([f"sum *{verdict}"])
    if not passes:
        result.stdout.fnmatch_lines([f"{verdict} w8a8-int8 sum: keeps *; 93 % was required*"])


def test_undecided_stands_in_a_section_and_in_junit(suite: Suite) -> None:
    """An undecided gate passes, and -rA, the summary and JUnit say that it is undecided."""
    suite.test(
        """
        @pytest.mark.min_retention(0.93)
        def test_sum(compare_accuracy):
            compare_accuracy("sum")
        """
    )
    suite.record()
    suite.checkpoint("half", also_wrong=HALF)
    result = suite.gate("-rA", "--junit-xml=junit.xml", checkpoint="half")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*- quantreg -*",
            "undecided w8a8-int8 sum: keeps *",
            "*would have turned red 4 times in 5 at a true retention of 0.*",
            "1 undecided (no loss is shown, nor its absence; detect passes that)",
        ]
    )
    xml = (suite.path / "junit.xml").read_text()
    assert '<property name="quantreg.sum.exact_match.verdict" value="undecided"' in xml
    assert '<property name="quantreg.sum.exact_match.minimum" value="0.93"' in xml


def test_quant_gate_marker_and_confidence(suite: Suite) -> None:
    """The marker decides mode and confidence for its test; the heading names both gates."""
    suite.test(
        """
        pytestmark = pytest.mark.min_retention(0.93)

        def test_session(compare_accuracy):
            compare_accuracy("sum")

        @pytest.mark.quant_gate("certify", confidence=0.8)
        def test_own(compare_accuracy):
            assert compare_accuracy("sum").confidence == 0.8
        """
    )
    suite.record()
    suite.checkpoint("half", also_wrong=HALF)
    result = suite.gate("--quant-confidence=0.99", checkpoint="half")
    assert result.ret == 1
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*with 80 % confidence*",
            "*quantreg: w8a8-int8 against bf16, detect, 99 % and certify, 80 %*",
        ]
    )
