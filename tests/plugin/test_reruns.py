"""Plugins that run a failed test again, as pytest-rerunfailures does."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import cast

import pytest

from pytest_quantreg.core.records.outcome_row import REFUSED, OutcomeRow
from pytest_quantreg.core.settings import Settings
from pytest_quantreg.report.session_outcomes import SessionReport

from .conftest import ANSWERS, SCHEME, Suite

AGAIN = """
from _pytest.runner import runtestprotocol

def pytest_report_teststatus(report):
    if report.outcome == "rerun":
        return "rerun", "R", "RERUN"

def pytest_runtest_protocol(item, nextitem):
    for last in (False, True):
        again = False
        for report in runtestprotocol(item, nextitem=nextitem, log=False):
            if report.failed and not last:
                report.outcome, again = "rerun", True
            item.ihook.pytest_runtest_logreport(report=report)
        if not again:
            break
    return True
"""
"""What that plugin does: the report of a failed try gets the outcome "rerun"."""

GATE = """
tries = []

@pytest.fixture
def skips():
    if SKIPS and tries:
        pytest.skip("not again")

@pytest.mark.min_retention(0.9)
def test_task(compare_accuracy, skips):
    tries.append(1)
    compare_accuracy(FIRST if len(tries) == 1 else "pick")
"""


@pytest.fixture
def recorded(suite: Suite) -> Suite:
    """A suite that runs failed tests again, baselines, and ``bad``, which loses sum alone."""
    suite.test(
        """
        @pytest.mark.parametrize("task", ["sum", "pick"])
        def test_task(task, compare_accuracy):
            compare_accuracy(task)
        """
    )
    suite.record()
    lost = {**ANSWERS["sum"], "also_wrong": {"seed": 5, "share": 0.3}}
    suite.model("bad", scheme=SCHEME, weights="q", tasks={**ANSWERS, "sum": lost})
    (suite.path / "conftest.py").write_text(AGAIN, "utf-8")
    return suite


def test_a_test_that_passed_on_its_rerun_ended_the_session_red(recorded: Suite) -> None:
    """What its first try was refused is told, and is no end."""
    recorded.test(GATE.replace("FIRST", "'summ'").replace("SKIPS", "False"))
    result = recorded.gate("--quant-require", "--quant-report=run.json")
    assert result.ret == 0
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 kept", "*::test_task* ran 2 times, first after: REFUSED (*"])
    report = json.loads((recorded.path / "run.json").read_text("utf-8"))
    assert report["conclusion"] == "green"
    assert report["session"]["tests"] == {"passed": 1, "rerun": 1}
    assert [outcome["task"] for outcome in report["outcomes"]] == ["pick"]


@pytest.mark.parametrize("skips", [False, True])
def test_a_lost_gate_turned_green_on_a_rerun(recorded: Suite, skips: bool) -> None:
    """Trying again until green is no way to pass: by another task, or by skipping."""
    recorded.test(GATE.replace("FIRST", "'sum'").replace("SKIPS", str(skips)))
    result = recorded.gate(checkpoint="bad")
    assert result.ret == 1
    result.assert_outcomes(failed=0 if skips else 1, errors=int(skips))
    result.stdout.fnmatch_lines(
        [f"LOST {SCHEME} sum: keeps *", "*trying again does not turn a failed gate green"]
    )


def test_a_try_that_no_other_followed_counts() -> None:
    """A session that ended between two tries has what the first one was refused."""
    refused = OutcomeRow(REFUSED, True, SCHEME, "REFUSED x")
    plain = {"outcomes": [refused.to_plain()]}
    collected = SessionReport(cast(Settings, SimpleNamespace(schemes=(SCHEME,))))
    collected.add_try(plain, "test_x", "REFUSED x")
    collected.add({"loads": {"model": 1}}, "test_x")  # the next one's setup
    assert collected.outcomes == []
    collected.end_tries()
    assert collected.outcomes == [refused]
