"""Fixtures that measure: refusals and losses in setup, by getfixturevalue and in teardown."""

from __future__ import annotations

import pytest

from .conftest import Suite
from .events import loads

LOSES = {"seed": 5, "share": 0.3}


def test_a_fixture_that_measures_is_judged(suite: Suite) -> None:
    """A user's fixture around compare_accuracy feeds the gate of the test."""
    suite.test(
        """
        @pytest.fixture
        def keeps(compare_accuracy):
            return compare_accuracy("sum")

        @pytest.mark.min_retention(0.9)
        def test_sum(keeps):
            assert keeps.retention > 0.9
        """
    )
    suite.record()
    suite.checkpoint("bad", also_wrong=LOSES)
    suite.gate("--quant-require").assert_outcomes(passed=1)
    result = suite.gate(checkpoint="bad")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["E *assert *", "LOST w8a8-int8 sum: *"])


def test_a_refusal_in_a_fixture_has_no_traceback(suite: Suite) -> None:
    """Without a baseline such a test is an error at setup, with the message alone."""
    suite.test(
        """
        @pytest.fixture
        def keeps(compare_accuracy):
            return compare_accuracy("sum")

        @pytest.mark.min_retention(0.9)
        def test_sum(keeps):
            pass
        """
    )
    result = suite.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR at setup of test_sum*", "REFUSED (baseline absent) *", "*1 refused*"]
    )
    result.stdout.no_fnmatch_line("E  *")


@pytest.mark.parametrize("mark", ["xfail", "xfail(strict=True)"])
@pytest.mark.parametrize("then", ["raise", 'pytest.skip("flaky")'])
def test_setup_hides_no_refusal(suite: Suite, mark: str, then: str) -> None:
    """Neither xfail nor a skip in the fixture hides what was refused before the body."""
    suite.test(
        f"""
        @pytest.fixture
        def keeps(compare_accuracy):
            try:
                return compare_accuracy("sum")
            except Exception:
                {then}

        @pytest.mark.{mark}
        @pytest.mark.min_retention(0.9)
        def test_sum(keeps):
            pass
        """
    )
    result = suite.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["REFUSED (baseline absent) *"])


def test_setup_hides_no_loss(suite: Suite) -> None:
    """A fixture that skips after it measured a loss does not hide it."""
    suite.test(
        """
        @pytest.fixture
        def keeps(compare_accuracy):
            compare_accuracy("sum")
            pytest.skip("flaky")

        @pytest.mark.min_retention(0.9)
        def test_sum(keeps):
            pass
        """
    )
    suite.record()
    suite.checkpoint("bad", also_wrong=LOSES)
    result = suite.gate(checkpoint="bad")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*ERROR at setup*", "LOST w8a8-int8 sum: *", "1 lost"])


def test_a_measurement_after_the_verdict_is_refused(suite: Suite) -> None:
    """compare_accuracy in a teardown comes too late for any gate, and says so."""
    suite.test(
        """
        @pytest.fixture
        def late(compare_accuracy):
            yield
            try:
                compare_accuracy("sum")
            except Exception:
                pass

        def test_sum(late):
            pass
        """
    )
    suite.record()
    result = suite.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown of test_sum*", "*REFUSED (wrong use) *after the test had ended*"]
    )


GETS = """
@pytest.mark.min_retention(0.9)
@pytest.mark.parametrize("task", ["sum", "pick"])
def test_task(task, request):
    {body}
"""


def test_getfixturevalue_works_with_one_scheme(suite: Suite) -> None:
    """The fixture can be asked for in the body, and its gate is judged."""
    suite.test(GETS.format(body='request.getfixturevalue("compare_accuracy")(task)'))
    suite.record().assert_outcomes(skipped=2)
    suite.checkpoint("bad", also_wrong=LOSES)
    suite.gate("--quant-require").assert_outcomes(passed=2)
    result = suite.gate(checkpoint="bad")
    assert result.ret == 1
    result.assert_outcomes(failed=2)


CATCHES = """
    try:
        request.getfixturevalue("compare_accuracy")(task)
    except BaseException:
        pass
"""


@pytest.mark.parametrize("marked", [True, False])
def test_getfixturevalue_is_refused_with_several_schemes(suite: Suite, marked: bool) -> None:
    """It cannot run once per scheme: refused in every test, also in those that catch it."""
    source = GETS.format(body=CATCHES.strip())
    suite.test(source if marked else source.replace("@pytest.mark.min_retention(0.9)", ""))
    suite.checkpoint("fp8", scheme="w8a8-fp8")
    result = suite.run(
        "--quant-scheme=w8a8-int8,w8a8-fp8",
        "--quant-checkpoint=w8a8-int8=int8",
        "--quant-checkpoint=w8a8-fp8=fp8",
    )
    assert result.ret == 1
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*2 schemes are under test*getfixturevalue*"])


def test_getfixturevalue_skips_without_a_scheme(suite: Suite) -> None:
    """Without --quant-scheme the body is skipped with the reason and nothing is refused."""
    suite.test(GETS.format(body='request.getfixturevalue("compare_accuracy")(task)'))
    result = suite.run("-rs")
    assert result.ret == 0
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED*no --quant-scheme given*"])


def test_getfixturevalue_skips_for_other_schemes(suite: Suite) -> None:
    """quant_schemes filters such a test too, and its gate is not called unfed."""
    suite.test(
        '@pytest.mark.quant_schemes("w8a8-fp8")'
        + GETS.format(body='request.getfixturevalue("compare_accuracy")(task)')
    )
    result = suite.gate("-rs")
    assert result.ret == 0
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED*not for w8a8-int8*"])


def test_usefixtures_alone_feeds_nothing(suite: Suite) -> None:
    """A test that requests the fixture and never calls it is refused under a gate."""
    suite.test(
        """
        @pytest.mark.usefixtures("compare_accuracy")
        class TestModel:
            pytestmark = pytest.mark.min_retention(0.9)
            def test_nothing(self):
                pass
        """
    )
    result = suite.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["REFUSED (nothing measured) *min_retention(0.9)*"])


def test_a_wrapped_fixture_is_still_judged(suite: Suite) -> None:
    """A conftest may override compare_accuracy with a wrapper of it."""
    suite.pytester.makeconftest(
        """
        import pytest

        @pytest.fixture
        def compare_accuracy(compare_accuracy):
            return lambda task: compare_accuracy(task, limit=200)
        """
    )
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        def test_sum(compare_accuracy):
            assert compare_accuracy("sum").n == 200
        """
    )
    suite.record()
    suite.checkpoint("bad", also_wrong=LOSES)
    suite.gate().assert_outcomes(passed=1)
    suite.gate(checkpoint="bad").assert_outcomes(failed=1)


def test_session_fixture_on_the_model(suite: Suite) -> None:
    """A session-scoped fixture of the user's may hold the model's handle, per scheme."""
    suite.test(
        """
        @pytest.fixture(scope="session")
        def layers(quantized_model):
            return quantized_model.effective.quantized_layers

        def test_one(layers, quant_scheme):
            assert layers == 8 and quant_scheme == "w8a8-int8"

        def test_two(quantized_model, layers):
            assert quantized_model.scheme == "w8a8-int8"
        """
    )
    folder = suite.checkpoint("logged", log="events.log")
    suite.gate(checkpoint="logged").assert_outcomes(passed=2)
    assert loads(folder) == 1


def test_a_refused_session_fixture_is_refused_in_every_test(suite: Suite) -> None:
    """pytest caches the exception; each test that uses the fixture is an error of its own."""
    suite.test(
        """
        @pytest.fixture(scope="session")
        def weights(quantized_model):
            return quantized_model.model

        @pytest.mark.xfail
        def test_one(weights):
            pass

        def test_two(request, quant_scheme):
            try:
                request.getfixturevalue("weights")
            except BaseException:
                pass
        """
    )
    suite.checkpoint("broken", fail={"kind": "out_of_memory", "at": "load"})
    result = suite.gate(checkpoint="broken")
    assert result.ret == 1
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["REFUSED (out of memory) *", "*2 refused"])


def test_the_baseline_model_alone_is_skipped_unconfigured(suite: Suite) -> None:
    """Without any model to speak of there is nothing to run, and that is no error."""
    suite.ini(quant_model=None)
    suite.test(
        """
        def test_argument(baseline_model):
            raise AssertionError

        def test_value(request):
            request.getfixturevalue("baseline_model")
        """
    )
    result = suite.run("-rs")
    assert result.ret == 0
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED *test_gate.py:*: no --quant-model given, *"])


def test_a_unittest_class_is_gated_and_not_passed_over(suite: Suite) -> None:
    """unittest methods cannot run once per scheme: with one scheme they are judged."""
    suite.test(
        """
        import unittest

        @pytest.mark.min_retention(0.95)
        class TestSum(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _compare(self, compare_accuracy):
                self.compare = compare_accuracy

            def test_sum(self):
                self.compare("sum")
        """
    )
    suite.record()
    suite.gate().assert_outcomes(passed=1)
    suite.checkpoint("bad", also_wrong={"seed": 5, "share": 0.3})
    result = suite.gate(checkpoint="bad")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["LOST w8a8-int8 sum: *"])
