"""A whole session: what is loaded when, and pytest's own options beside ours."""

from __future__ import annotations

import pytest

from .conftest import SCHEME, Suite
from .events import events, loads

LOSES = {"seed": 5, "share": 0.3}
TWO = (
    f"--quant-scheme={SCHEME},w8a8-fp8",
    f"--quant-checkpoint={SCHEME}=one",
    "--quant-checkpoint=w8a8-fp8=two",
)
TESTS = """
pytestmark = pytest.mark.min_retention(0.9)

@pytest.mark.parametrize("task", ["sum", "pick"])
def test_task(task, compare_accuracy):
    compare_accuracy(task)

@pytest.mark.parametrize("task", ["pick", "sum"])
def test_again(task, compare_accuracy):
    compare_accuracy(task)
"""


@pytest.fixture
def recorded(suite: Suite) -> Suite:
    """Four gates on two tasks, recorded, and two logging checkpoints ``one`` and ``two``."""
    suite.test(TESTS)
    suite.record()
    suite.checkpoint("one", log="events.log")
    suite.checkpoint("two", "w8a8-fp8", log="events.log")
    return suite


def test_each_model_is_loaded_once_and_freed_before_the_next(recorded: Suite) -> None:
    """Two schemes, four tests each: two loads, and the first is closed before the second."""
    log = "../shared.log"
    recorded.checkpoint("one", log=log)
    recorded.checkpoint("two", "w8a8-fp8", log=log)
    result = recorded.run(*TWO)
    assert result.ret == 0
    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(["loaded: model w8a8-fp8 once, model w8a8-int8 once"])
    lines = (recorded.path / "shared.log").read_text().splitlines()
    kept = [line for line in lines if "requests" not in line]
    assert kept == [
        "loaded model w8a8-int8",
        "closed model w8a8-int8",
        "loaded model w8a8-fp8",
        "closed model w8a8-fp8",
    ]
    assert len(lines) == 4 + 4, "each task measured once per model, in one chunk"


def test_ids_open_with_the_scheme(recorded: Suite) -> None:
    """test_x[w8a8-int8-sum], and -k selects by it."""
    result = recorded.run(*TWO, "--collect-only", "-q", "-k", "w8a8-fp8 and task and sum")
    assert result.ret == 0
    assert "test_gate.py::test_task[w8a8-fp8-sum]" in result.outlines
    assert events(recorded.path / "two") == []


def test_a_traceback_that_holds_the_model_does_not_keep_it(suite: Suite) -> None:
    """A failing test's frame refers to the weights; the next model loads after they are freed."""
    suite.test(
        """
        @pytest.fixture(scope="session")
        def weights(quantized_model):
            return quantized_model.model

        def test_holds(quantized_model, weights):
            held = quantized_model.model
            assert held is None

        def test_more(quantized_model):
            assert quantized_model.model.scheme == quantized_model.scheme
        """
    )
    log = "../shared.log"
    suite.checkpoint("one", log=log)
    suite.checkpoint("two", "w8a8-fp8", log=log)
    result = suite.run(*TWO)
    assert result.ret == 1
    result.assert_outcomes(passed=2, failed=2)
    assert (suite.path / "shared.log").read_text().split("\n")[:3] == [
        "loaded model w8a8-int8",
        "closed model w8a8-int8",
        "loaded model w8a8-fp8",
    ]


def test_two_models_in_one_test_are_counted(suite: Suite) -> None:
    """Going to and fro loads again, and the summary says so."""
    suite.test(
        """
        def test_both(baseline_model, quantized_model):
            for _ in range(2):
                assert baseline_model.model.scheme is None
                assert quantized_model.model.scheme == "w8a8-int8"
            assert repr(baseline_model) == "<ModelHandle model bf16>"
        """
    )
    result = suite.gate()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["loaded: model bf16 twice, model w8a8-int8 twice"])


def test_exitfirst_stops_after_a_loss(recorded: Suite) -> None:
    """-x counts a lost gate and a refusal as failures, and --lf starts with them."""
    recorded.checkpoint("one", log="events.log", also_wrong=LOSES)
    result = recorded.gate("-x", checkpoint="one")
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    recorded.checkpoint("one", log="events.log")
    result = recorded.gate("--lf", checkpoint="one")
    assert result.ret == 0
    result.assert_outcomes(passed=1)


def test_exitfirst_stops_after_a_refusal(suite: Suite) -> None:
    """-x stops at the first, and --lf runs it again."""
    suite.test(TESTS)
    suite.gate("-x").assert_outcomes(errors=1)
    suite.gate("--lf").assert_outcomes(errors=1)


OWN_OPTIONS = [
    ("-p", "no:cacheprovider"),
    ("-q",),
    ("-vv",),
    ("--tb=no",),
    ("--tb=native",),
    ("--full-trace",),
    ("--no-summary",),
    ("-p", "no:terminal"),
    ("--setup-show",),
    ("-W", "error"),
]


@pytest.mark.parametrize("args", OWN_OPTIONS, ids=" ".join)
def test_pytests_own_options(recorded: Suite, args: tuple[str, ...]) -> None:
    """None of them turns a lost gate green, or shows where it was raised."""
    recorded.checkpoint("bad", also_wrong=LOSES)
    result = recorded.gate(*args, "-k", "task and sum", checkpoint="bad")
    assert result.ret == 1
    assert "Traceback" not in result.stdout.str()
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


def test_pytests_own_options_fail_nothing(recorded: Suite) -> None:
    """All of them together leave kept gates green."""
    words = [word for args in OWN_OPTIONS if "no:terminal" not in args for word in args]
    assert recorded.gate(*words).ret == 0
    assert recorded.gate("-p", "no:terminal", "-k", "task and sum").ret == 0


def test_warnings_as_errors_in_a_fresh_process(recorded: Suite) -> None:
    """Nothing that we import on first use warns its way into a verdict, beside all plugins."""
    words = (f"--quant-scheme={SCHEME}", "--quant-checkpoint=int8", "-W", "error")
    result = recorded.pytester.runpytest_subprocess(*words, "--quant-require")
    assert result.ret == 0
    result.assert_outcomes(passed=4)


@pytest.mark.parametrize("args", [("-vv",), ()])
@pytest.mark.parametrize("ci", [True, False])
def test_the_short_summary_shows_the_first_line_only(
    recorded: Suite, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], ci: bool
) -> None:
    """Also where pytest would print whole messages: with CI set and under -vv."""
    if ci:
        monkeypatch.setenv("CI", "true")
    recorded.checkpoint("bad", also_wrong=LOSES)
    result = recorded.gate(*args, "-k", "task and sum", checkpoint="bad")
    lines = result.outlines
    short = lines[next(i for i, line in enumerate(lines) if "short test summary" in line) + 1 :]
    assert short[0].startswith(f"FAILED test_gate.py::test_task[{SCHEME}-sum] - LOST {SCHEME} sum:")
    assert short[1].startswith("==")
    assert short[0].endswith("90 % was required") is bool(args or ci)


def test_tb_line_names_the_test(recorded: Suite) -> None:
    """--tb=line shows the place of the test and the verdict, not a line of ours."""
    recorded.checkpoint("bad", also_wrong=LOSES)
    result = recorded.gate("--tb=line", "-k", "task and sum", checkpoint="bad")
    result.stdout.fnmatch_lines([f"*test_gate.py:*: LOST {SCHEME} sum: *"])


def test_junit_carries_the_message(recorded: Suite) -> None:
    """The failure's message is the verdict, its text the whole of it, for refusals too."""
    recorded.checkpoint("bad", also_wrong=LOSES)
    recorded.gate("--junit-xml=lost.xml", checkpoint="bad")
    xml = (recorded.path / "lost.xml").read_text()
    assert f'<failure message="LOST {SCHEME} sum: keeps ' in xml
    assert "answers lost, 0 won" in xml
    assert 'name="quantreg.pick.acc.retention"' in xml
    recorded.gate("--junit-xml=refused.xml", "--quant-limit=20")
    xml = (recorded.path / "refused.xml").read_text()
    assert f'message="REFUSED (too weak) {SCHEME} sum: ' in xml


def test_tests_of_other_people_are_left_alone(suite: Suite) -> None:
    """A suite without our fixtures runs as ever, with our options set or not."""
    suite.test(
        """
        def test_passes():
            pass

        @pytest.mark.xfail
        def test_expected():
            raise ValueError

        def test_skips():
            pytest.skip("no")

        def test_fails():
            assert False
        """
    )
    for args in ((), ("--quant-update",), (f"--quant-scheme={SCHEME}",)):
        result = suite.run(*args)
        assert result.ret == 1
        result.assert_outcomes(passed=1, failed=1, skipped=1, xfailed=1)
        result.stdout.no_fnmatch_line("*= quantreg*")


def test_a_repeated_test_starts_afresh(recorded: Suite) -> None:
    """What a first try was refused is not told of a second one that succeeds."""
    recorded.pytester.makeconftest(
        """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            runtestprotocol(item, nextitem=nextitem, log=False)
            for report in runtestprotocol(item, nextitem=nextitem, log=False):
                item.ihook.pytest_runtest_logreport(report=report)
            return True
        """
    )
    recorded.test(
        """
        tries = []

        @pytest.mark.min_retention(0.9)
        def test_sum(compare_accuracy):
            tries.append(1)
            compare_accuracy("sum" if len(tries) > 1 else "summ")
        """
    )
    result = recorded.gate("--quant-require", checkpoint="one")
    assert result.ret == 0
    result.assert_outcomes(passed=1)
    assert loads(recorded.path / "one") == 1
