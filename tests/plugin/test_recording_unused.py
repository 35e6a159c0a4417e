"""A recording of the whole suite tells which stored baselines nothing asked for."""

from __future__ import annotations

import pytest

from pytest_quantreg.cli import main

from .conftest import Suite

BOTH = """
    def test_x(compare_accuracy): compare_accuracy("sum")
    def test_y(compare_accuracy): compare_accuracy("pick")
"""
ONE = "def test_x(compare_accuracy): compare_accuracy('sum')"
TOLD = (
    "quantreg: no test asked for 1 stored baseline of model; they stay unless you type: "
    "quantreg baselines --delete model/bf16/scripted/pick.0shot"
)


@pytest.fixture
def outgrown(suite: Suite) -> Suite:
    """Two baselines, and a suite that has come to need one of them."""
    suite.test(BOTH)
    assert suite.record_anew().ret == 0
    suite.test(ONE)
    return suite


@pytest.mark.parametrize("words", [("--quant-update",), ("--quant-update=all",)])
def test_what_is_left_over(
    words: tuple[str, ...], outgrown: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named with the command that deletes it, which works; by itself nothing goes."""
    result = outgrown.run(*words)
    assert result.ret == 0
    assert TOLD in result.outlines
    assert len([*(outgrown.path / "baselines").rglob("*.items.jsonl")]) == 2
    capsys.readouterr()
    assert main(TOLD.partition("type: quantreg ")[2].split()) == 0
    assert len([*(outgrown.path / "baselines").rglob("*.items.jsonl")]) == 1
    assert TOLD not in outgrown.run(*words).outlines


@pytest.mark.parametrize("words", [("-k", "test_x"), ("test_gate.py",), ("--ignore=else.py",)])
def test_only_a_whole_suite_can_tell(words: tuple[str, ...], outgrown: Suite) -> None:
    """A part of the suite says nothing about what the rest needs."""
    result = outgrown.run("--quant-update", *words)
    assert result.ret == 0
    assert "no test asked for" not in result.stdout.str()


def test_a_failed_recording_does_not_tell(outgrown: Suite) -> None:
    """What was refused was asked for all the same."""
    outgrown.test(ONE + "\ndef test_z(compare_accuracy): compare_accuracy('pick', limit=0)\n")
    result = outgrown.run("--quant-update")
    assert result.ret == 1
    assert "no test asked for" not in result.stdout.str()
