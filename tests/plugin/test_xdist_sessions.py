"""With -n 2: the same verdicts, one load per model, and the controller decides."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from pytest_quantreg.report.json_document import decode, to_report
from pytest_quantreg.report.session_report import Report

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


def report_of(suite: Suite) -> Report:
    """The report that the last session wrote."""
    return to_report(decode((suite.path / "run.json").read_bytes()))


def ends_of(suite: Suite) -> dict[str | None, tuple[str, str | None]]:
    """How the JUnit file of the last session says that each test failed, and of which type."""
    return {
        case.get("name"): (end.tag, end.get("type"))
        for case in ElementTree.parse(suite.path / "junit.xml").getroot().iter("testcase")
        for end in case
        if end.tag in ("failure", "error", "skipped")
    }


def test_recording_on_two_workers(suite: Suite) -> None:
    """The model is loaded once, and the controller hears which baselines no test asked for."""
    suite.test("def test_x(compare_accuracy): compare_accuracy('prose')")
    suite.record()
    suite.model(log="events.log")
    suite.test(TESTS)
    result = suite.run_on_workers("--quant-update")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "2 recorded",
            "loaded: model bf16 once",
            "*4 passed, 2 skipped*",
            "quantreg: no test asked for 1 stored baseline of model; *prose.0shot",
        ],
        consecutive=False,
    )
    assert loads(suite.path / "model") == 1


EXCUSED = """
@pytest.mark.xfail
@pytest.mark.min_retention(0.9999, task="*")
def test_excused(compare_accuracy):
    compare_accuracy("pick")
    compare_accuracy("sum")

@pytest.mark.xfail
@pytest.mark.min_retention(0.9)
def test_refused(compare_accuracy):
    compare_accuracy("sum", num_fewshot=2)
"""


def test_gates_on_two_workers(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Summary, exit status, loads and reports are those of one process; the controller writes."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(suite.path / "step.md"))
    suite.test(TESTS)
    suite.record()
    suite.test(TESTS + EXCUSED)
    first = suite.checkpoint("one", log="events.log", also_wrong={"seed": 5, "share": 0.05})
    second = suite.checkpoint(
        "two", "w8a8-fp8", log="events.log", also_wrong={"seed": 5, "share": 0.3}
    )
    words = (
        f"--quant-scheme={SCHEME},w8a8-fp8",
        f"--quant-checkpoint={SCHEME}=one",
        "--quant-checkpoint=w8a8-fp8=two",
        *("--quant-require", "--quant-report=run.json", "--junit-xml=junit.xml"),
    )
    alone = suite.run(*words)
    assert (loads(first), loads(second)) == (1, 1)
    report, ends = report_of(suite), ends_of(suite)
    spread = suite.run_on_workers(*words)
    assert (loads(first), loads(second)) == (2, 2), "each model once more, on one worker"
    assert (alone.ret, spread.ret) == (1, 1)
    for result in (alone, spread):
        result.assert_outcomes(passed=6, failed=2, errors=2, xfailed=2)
    spread.stdout.fnmatch_lines(
        ["*ERROR at call of*", "REFUSED (baseline absent) *", "ERROR test_gate.py::*REFUSED*"]
    )
    assert block(spread) == block(alone)
    assert not [line for line in spread.outlines if "Traceback" in line]
    assert events(first)[-1].startswith("closed")
    assert {type_ for _, type_ in ends.values()} == {
        "quantreg.Lost",
        "quantreg.Refused",
        "pytest.xfail",
    }
    assert ends_of(suite) == ends
    spread_report = report_of(suite)
    assert sorted(spread_report.outcomes, key=repr) == sorted(report.outcomes, key=repr)
    assert (spread_report.lines, spread_report.session.tests) == (
        *(report.lines, report.session.tests),
    )
    assert spread_report.session.versions == report.session.versions
    assert spread_report.conclusion == "red"
    assert (suite.path / "step.md").read_text("utf-8").count("## \N{CROSS MARK} RED: ") == 2


def test_require_on_the_controller(suite: Suite) -> None:
    """A session without a verdict ends 1 with the reason, which no worker could know."""
    suite.test(TESTS)
    words = (f"--quant-scheme={SCHEME}", "--quant-checkpoint=int8", "--quant-require")
    result = suite.run_on_workers(*words, "-k", "plain")
    assert result.ret == 1
    result.assert_outcomes(passed=4)
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
    result = suite.run_on_workers(*words)
    assert result.ret == 1
    result.assert_outcomes(passed=1, failed=1)
    assert (suite.path / "tries").read_text("utf-8") == "x"
