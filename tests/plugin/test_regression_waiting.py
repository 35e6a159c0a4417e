"""What a session leaves in the cache folder for later, and that it is never much."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from pytest_quantreg.cli import main
from pytest_quantreg.gating.accuracy.candidate_runs import ABANDONED_AFTER, MOST_WAITING

from .accept_suite import loses, recorded_suite
from .conftest import Suite

ACCEPT = "--quant-accept"


@pytest.fixture
def wavering(suite: Suite) -> Suite:
    """A suite whose checkpoint ``half`` leaves both gates undecided."""
    recorded_suite(suite).checkpoint("half", also_wrong=loses(0.06))
    return suite


def runs_of(suite: Suite) -> Path:
    """The folder of what is kept."""
    return suite.path / "cache" / "runs"


def test_only_the_newest_wait_to_be_accepted(wavering: Suite) -> None:
    """Of 25 undecided reports of this project 20 are left, and those of others stay."""
    assert wavering.gate(ACCEPT, checkpoint="half").ret == 1
    [first] = runs_of(wavering).glob("*.json")
    project = first.name.partition("-")[0]
    for day in range(10, 34):
        (first.parent / f"{project}-20{day}-01-01T000000Z.json").write_text("{}")
    (first.parent / "0123abcd-2001-01-01T000000Z.json").write_text("{}")
    result = wavering.gate(ACCEPT, checkpoint="half")
    named = Path(result.outlines[-1].partition("quantreg accept ")[2].split()[0])
    left = sorted(path.name for path in first.parent.iterdir())
    assert "0123abcd-2001-01-01T000000Z.json" in left
    own = [name for name in left if name.startswith(project)]
    assert len(own) == MOST_WAITING
    assert own[0] > f"{project}-2012"
    assert named.name in own
    assert main(["accept", str(named), "--force"]) == 0


def test_what_a_killed_session_left_goes_in_the_end(wavering: Suite) -> None:
    """Runs of a month ago are deleted, those of a session that may still run are not."""
    names = ("quantreg-session-old", "quantreg-session-new", "experiment-7")
    old, new, other = (runs_of(wavering) / name / "400" for name in names)
    for folder in (old, new, other):
        folder.mkdir(parents=True)
    then = old.stat().st_mtime - ABANDONED_AFTER - 60
    for folder in (old, other):
        os.utime(folder.parent, (then, then))
    assert wavering.gate(ACCEPT).ret == 0
    left = {path.name for path in runs_of(wavering).iterdir()}
    assert left == {"quantreg-session-new", "experiment-7"}


@pytest.mark.parametrize("named", ["mine", "..", ""])
def test_a_folder_went_with_the_run_id_of_xdist(named: str, suite: Suite) -> None:
    """--testrunuid may be any text: no folder of that name is ours to delete."""
    suite.test("def test_nothing(quant_scheme): pass")
    kept = runs_of(suite) / "mine" / "kept.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("weeks of work", "utf-8")
    result = suite.run_on_workers(f"--testrunuid={named}", "--quant-scheme=w8a8-int8", n=1)
    assert result.ret == 0
    assert kept.read_text("utf-8") == "weeks of work"


def test_the_page_of_a_job_says_what_was_accepted(
    wavering: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below GREEN stands what became of accepting, without the folders of this machine."""
    summary = wavering.path / "step.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert wavering.gate(ACCEPT).ret == 0
    text = summary.read_text("utf-8")
    assert text.endswith("\n\n- quantreg: accepted w8a8-int8 of model as number 1: sum, pick\n")
    wavering.test("""
        @pytest.mark.min_retention(0.93)
        def test_x(compare_accuracy): compare_accuracy("sum")
        """)
    assert wavering.gate(ACCEPT, checkpoint="half").ret == 1
    last = summary.read_text("utf-8").splitlines()[-1]
    assert re.fullmatch(r"- quantreg: not accepted: undecided: min\\_retention.0.93. on sum", last)
