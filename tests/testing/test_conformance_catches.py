"""The conformance test passes a sound backend whole, and notices each of many broken ones."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from pytest_quantreg.testing import ScoringConformance

from .mutants import MUTANTS

FILE = Path(__file__).parent / "mutants.py"
ROOT = Path(__file__).parents[2]
SKIPPED = "skipped"


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str | None]]:
    """Class -> test -> the words it failed with, None where it passed; one run of all."""
    place = tmp_path_factory.mktemp("mutants")
    words = ["-q", "-W", "error", "-p", "no:cacheprovider", "-o", "python_files=mutants.py"]
    words += ["--import-mode=importlib", f"--rootdir={ROOT}", f"--junit-xml={place / 'junit.xml'}"]
    (place / "pytest.toml").write_text("[pytest]\n")
    words += ["-c", str(place / "pytest.toml"), str(FILE)]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *words], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1, run.stdout[-3000:] + run.stderr[-3000:]
    messages: dict[str, dict[str, str | None]] = {}
    for case in ET.parse(place / "junit.xml").iter("testcase"):
        assert case.find("error") is None, case.attrib
        failure = case.find("failure")
        kind = case.attrib["classname"].rpartition(".")[2]
        message = None if failure is None else str(failure.text)
        if case.find("skipped") is not None:
            message = SKIPPED
        messages.setdefault(kind, {})[case.attrib["name"]] = message
    return messages


@pytest.mark.slow
def test_a_sound_backend_passes(failures: dict[str, dict[str, str | None]]) -> None:
    """Every check holds of the toy that nothing was done to, none is left out."""
    assert set(failures["TestSound"].values()) == {None}
    assert len(failures["TestSound"]) >= 45


def test_one_that_cannot_score_may_say_so(failures: dict[str, dict[str, str | None]]) -> None:
    """With can_score = False the checks of scores are shown as left out, and all others hold."""
    messages = failures["TestMute"]
    left_out = {test for test, message in messages.items() if message == SKIPPED}
    assert left_out == {test for test in vars(ScoringConformance) if test.startswith("test_")}
    assert {message for test, message in messages.items() if test not in left_out} == {None}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_backend_is_noticed(failures: dict[str, dict[str, str | None]], name: str) -> None:
    """Its fault fails the check that is meant for it, which says what is demanded and why."""
    message = failures[f"Test{name}"][MUTANTS[name].by]
    assert message is not None
    assert "the Protocol demands: " in message
    assert "it matters because " in message


def test_every_check_is_failed_by_a_mutant(failures: dict[str, dict[str, str | None]]) -> None:
    """There is a broken toy for each of the checks."""
    assert set(failures["TestSound"]) == {mutant.by for mutant in MUTANTS.values()}
