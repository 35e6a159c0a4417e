"""A refusal is never hidden and a lost gate only by xfail, whatever the body does."""

from __future__ import annotations

import pytest

from .conftest import Suite

GATE = """
@pytest.mark.min_retention(0.9)
def test_sum(compare_accuracy):
    {body}
"""
LOSES = {"seed": 5, "share": 0.3}

HIDING = {
    "catches Exception": """
    try:
        compare_accuracy("sum")
    except Exception:
        pass
""",
    "catches BaseException": """
    try:
        compare_accuracy("sum")
    except BaseException:
        return
""",
    "expects the error": """
    with pytest.raises(Exception):
        compare_accuracy("sum")
""",
    "skips after measuring": """
    try:
        compare_accuracy("sum")
    finally:
        pytest.skip("flaky")
""",
    "raises unittest's SkipTest": """
    import unittest
    try:
        compare_accuracy("sum")
    finally:
        raise unittest.SkipTest("flaky")
""",
    "calls pytest.xfail": """
    try:
        compare_accuracy("sum")
    finally:
        pytest.xfail("known")
""",
    "skips before measuring": """
    pytest.skip("not today")
""",
    "returns early": """
    return
""",
}


def gate(suite: Suite, body: str, mark: str = "") -> None:
    """Writes a test with this body and these marks."""
    source = GATE.format(body=body.strip("\n").lstrip()).replace(
        "@pytest.mark.min", f"{mark}\n@pytest.mark.min", 1
    )
    suite.test(source)


@pytest.mark.parametrize("body", HIDING.values(), ids=HIDING)
def test_no_body_hides_a_refusal(suite: Suite, body: str) -> None:
    """Without a baseline each of these bodies ends as an error at call, exit status 1."""
    gate(suite, body)
    result = suite.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ERROR at call of test_sum*", "REFUSED (*", "*1 error in*"])


@pytest.mark.parametrize(
    "body",
    [
        body
        for name, body in HIDING.items()
        if "xfail" not in name and "before" not in name and "early" not in name
    ],
)
def test_no_body_hides_a_lost_gate(suite: Suite, body: str) -> None:
    """A loss that was measured fails the test, however its body ends without an own error."""
    suite.checkpoint("bad", also_wrong=LOSES)
    gate(suite, body.replace("with pytest.raises(Exception):", "if True:"))
    suite.record()
    result = suite.gate(checkpoint="bad")
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["LOST w8a8-int8 sum: keeps *"])


XFAILS = ['xfail(reason="known")', "xfail(strict=True)", "xfail(raises=BaseException)"]


@pytest.mark.parametrize("mark", [*XFAILS, "xfail(raises=ValueError)"])
def test_xfail_never_excuses_a_refusal(suite: Suite, mark: str) -> None:
    """xfail in any form leaves a refusal an error."""
    gate(suite, 'compare_accuracy("sum")', f"@pytest.mark.{mark}")
    result = suite.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["REFUSED (baseline absent) w8a8-int8 sum: *", "*1 refused*"])


@pytest.mark.parametrize("mark", XFAILS)
def test_xfail_excuses_a_lost_gate(suite: Suite, mark: str) -> None:
    """A lost gate under xfail is expected, and the summary still lists it."""
    suite.checkpoint("bad", also_wrong=LOSES)
    gate(suite, 'compare_accuracy("sum")', f"@pytest.mark.{mark}")
    suite.record()
    result = suite.gate(checkpoint="bad")
    assert result.ret == 0
    result.assert_outcomes(xfailed=1)
    result.stdout.fnmatch_lines(["sum *LOST (xfail)", "1 lost"])


def test_imperative_xfail_excuses_a_lost_gate(suite: Suite) -> None:
    """pytest.xfail() after the measurement does what the marker does."""
    suite.checkpoint("bad", also_wrong=LOSES)
    gate(suite, 'compare_accuracy("sum"); pytest.xfail("known")')
    suite.record()
    result = suite.gate(checkpoint="bad")
    assert result.ret == 0
    result.assert_outcomes(xfailed=1)
    result.stdout.fnmatch_lines(["sum *LOST (xfail)"])


def test_xfail_for_another_exception_excuses_nothing(suite: Suite) -> None:
    """A lost gate is no ValueError."""
    suite.checkpoint("bad", also_wrong=LOSES)
    gate(suite, 'compare_accuracy("sum")', "@pytest.mark.xfail(raises=ValueError)")
    suite.record()
    result = suite.gate(checkpoint="bad")
    assert result.ret == 1
    result.assert_outcomes(failed=1)


def test_runxfail_shows_the_loss(suite: Suite) -> None:
    """With --runxfail a lost gate fails as if it were not marked."""
    suite.checkpoint("bad", also_wrong=LOSES)
    gate(suite, 'compare_accuracy("sum"); pytest.xfail("known")', "@pytest.mark.xfail")
    suite.record()
    result = suite.gate("--runxfail", checkpoint="bad")
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*(xfail)*")


def test_a_test_that_is_not_run_counts_as_nothing(suite: Suite) -> None:
    """xfail(run=False) is xfailed as ever, and --quant-require says that nothing was judged."""
    gate(suite, 'compare_accuracy("sum")', "@pytest.mark.xfail(run=False)")
    suite.gate().assert_outcomes(xfailed=1)
    result = suite.gate("--quant-require")
    assert result.ret == 1
    assert "no gate was judged for w8a8-int8" in result.outlines[-1]


def test_strict_xfail_of_a_kept_gate_fails_as_ever(suite: Suite) -> None:
    """An expected loss that does not come is pytest's own XPASS(strict)."""
    gate(suite, 'compare_accuracy("sum")', "@pytest.mark.xfail(strict=True)")
    suite.record()
    result = suite.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*XPASS(strict)*", "sum *kept"])


def test_own_exception_comes_first_and_gates_follow(suite: Suite) -> None:
    """A body that fails by itself shows its own error, with the gates as a section."""
    suite.checkpoint("bad", also_wrong=LOSES)
    gate(suite, 'compare_accuracy("sum"); raise ValueError("mine")')
    suite.record()
    result = suite.gate(checkpoint="bad")
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *ValueError: mine",
            "*- quantreg -*",
            "LOST w8a8-int8 sum: *",
            "FAILED *ValueError: mine",
        ]
    )


def test_own_exception_before_any_measurement(suite: Suite) -> None:
    """Nothing was measured: the own error is shown, and that the gate was not fed."""
    gate(suite, 'raise ValueError("mine")')
    result = suite.gate()
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *ValueError: mine", "REFUSED (nothing measured) *"])


@pytest.mark.parametrize("error", ['ValueError("mine")', 'SystemExit("mine")'])
def test_own_exception_under_xfail_does_not_hide_a_refusal(suite: Suite, error: str) -> None:
    """xfail excuses the own error and not the refusal, which takes its place."""
    body = f"""
    try:
        compare_accuracy("sum")
    except Exception:
        raise {error}
"""
    gate(suite, body, "@pytest.mark.xfail")
    result = suite.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["REFUSED (baseline absent) *", "*besides, the test raised *: mine", "ERROR *REFUSED (ba*"]
    )


def test_another_plugin_that_turns_reports_green_is_overruled(suite: Suite) -> None:
    """A hook that marks every failure as skipped, as retry plugins do, hides no lost gate."""
    suite.checkpoint("bad", also_wrong=LOSES)
    gate(suite, 'compare_accuracy("sum")')
    suite.record()
    suite.pytester.makeconftest(
        """
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            if report.failed:
                report.outcome, report.longrepr = "skipped", ("f", 1, "later")
            return report
        """
    )
    result = suite.gate(checkpoint="bad")
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["FAILED *LOST w8a8-int8 sum: *"])


def test_subtests_hide_nothing(suite: Suite) -> None:
    """pytest's subtests catch exceptions; losses and refusals fail the test all the same."""
    suite.checkpoint("bad", also_wrong=LOSES)
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        def test_both(compare_accuracy, subtests):
            for task in ("sum", "pick"):
                with subtests.test(task):
                    compare_accuracy(task)
        """
    )
    suite.record("-k", "nothing")
    suite.test(
        """
        def test_sum(compare_accuracy):
            compare_accuracy("sum")
        """,
        "test_other.py",
    )
    suite.record("test_other.py")
    result = suite.gate("test_gate.py", checkpoint="bad")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (baseline absent) w8a8-int8 pick: *"])
    result.stdout.fnmatch_lines(["LOST w8a8-int8 sum: keeps *"])


@pytest.mark.parametrize(
    "trick",
    [
        "request.node.add_marker(pytest.mark.min_retention(0.5, task='sum'))",
        "request.node.own_markers.clear()",
        "request.node.add_marker(pytest.mark.quant_gate('point', confidence=0.6), append=False)",
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_a_body_cannot_take_its_gates_away(suite: Suite, trick: str, before: bool) -> None:
    """Markers loosened, removed or overridden while the body runs change no verdict."""
    call = "compare_accuracy('sum')"
    lines = [trick, call] if before else [call, trick]
    suite.test(
        f"""
        @pytest.mark.min_retention(0.95)
        def test_sum(compare_accuracy, request):
            {lines[0]}
            {lines[1]}
        """
    )
    suite.record()
    suite.checkpoint("bad", also_wrong={"seed": 5, "share": 0.3})
    result = suite.gate(checkpoint="bad")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["LOST w8a8-int8 sum: *with 95 % confidence*"])


def test_a_loss_before_pytest_exit_is_no_green_session(suite: Suite) -> None:
    """pytest.exit(returncode=0) after a loss: the loss is listed and the session fails."""
    suite.test(
        """
        @pytest.mark.min_retention(0.95)
        def test_sum(compare_accuracy):
            compare_accuracy("sum")
            pytest.exit("enough", returncode=0)
        """
    )
    suite.record()
    suite.checkpoint("bad", also_wrong={"seed": 5, "share": 0.3})
    result = suite.gate(checkpoint="bad")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["sum *LOST", "quantreg: the session was ended early, and LOST w8a8-int8 sum: *"]
    )
    assert suite.gate(checkpoint="int8").ret == 0


def test_a_fault_while_judging_is_a_refusal(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of ours is no failure that an xfail excuses, and says where it happened."""
    suite.test(
        """
        @pytest.mark.xfail
        @pytest.mark.min_retention(0.9)
        def test_sum(compare_accuracy):
            compare_accuracy("sum")
        """
    )
    suite.record()

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr("pytest_quantreg.gating.judge.judge_gate", broken)
    result = suite.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["REFUSED (internal fault) *: judging failed: ZeroDivisionError: of ours (*, line *)"]
    )
