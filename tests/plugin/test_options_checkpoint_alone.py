"""--quant-checkpoint without --quant-scheme: its files say which scheme is tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantreg.plugin.options import read

from ..wording import wrong_use
from .conftest import Suite

TEST = """
@pytest.mark.min_retention(0.8)
def test_sum(compare_accuracy):
    compare_accuracy("sum")
"""


@pytest.fixture
def recorded(suite: Suite) -> Suite:
    """A suite of one gate with its baseline."""
    suite.test(TEST)
    suite.record()
    return suite


def test_a_checkpoint_without_a_scheme_skipped_every_test(recorded: Suite) -> None:
    """The scheme is the one that the files hold, and the header says where it comes from."""
    result = recorded.run("--quant-checkpoint=int8", "--quant-require")
    assert result.ret == 0
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["quantreg: w8a8-int8 (from the checkpoint's files), detect, 95 %", "*1 kept*"]
    )


def test_several_checkpoints_are_several_schemes(recorded: Suite) -> None:
    """One by its files and one by its name: each is tested as what it is."""
    recorded.checkpoint("int4", "w4a16-int4")
    words = ("--quant-checkpoint=int8", "--quant-checkpoint=w4a16-int4=int4")
    result = recorded.run(*words)
    result.assert_outcomes(passed=2)
    recorded.checkpoint("other", "w8a8-int8")
    result = recorded.run(*words, "--quant-checkpoint=other")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*other: a second checkpoint of w8a8-int8, beside int8"])


def test_two_checkpoints_without_a_scheme_were_refused(recorded: Suite) -> None:
    """Each is tested as what its files hold; a second one of a scheme is told as such."""
    recorded.checkpoint("int4", "w4a16-int4")
    recorded.run("--quant-checkpoint=int8", "--quant-checkpoint=int4").assert_outcomes(passed=2)
    recorded.checkpoint("other")
    result = recorded.run("--quant-checkpoint=int8", "--quant-checkpoint=other")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*other: a second checkpoint of w8a8-int8, beside int8"])


def test_a_checkpoint_with_its_scheme_needs_no_other_option(recorded: Suite) -> None:
    """SCHEME=REF names the scheme."""
    recorded.run("--quant-checkpoint=w8a8-int8=int8").assert_outcomes(passed=1)


def test_recording_ignores_a_checkpoint_without_a_scheme(suite: Suite) -> None:
    """--quant-update records the baseline, whatever checkpoint stands beside it."""
    suite.test(TEST)
    result = suite.run("--quant-update", "--quant-checkpoint=nowhere/none")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["1 recorded"])


@pytest.mark.parametrize(
    ("ref", "why"),
    [
        ("model", "its files name no scheme: nothing in it is quantized"),
        ("torn", "torn*cannot be read*"),
        ("org/absent", "it is not on this machine, so its files cannot say its scheme"),
    ],
)
def test_files_without_a_scheme_skipped_every_test(
    recorded: Suite, monkeypatch: pytest.MonkeyPatch, ref: str, why: str
) -> None:
    """What names no scheme ends before any test, with the option to add."""
    monkeypatch.setenv("HF_HUB_CACHE", str(recorded.path / "hub"))
    torn = recorded.path / "torn"
    torn.mkdir()
    (torn / "scripted.json").write_text("{", "utf-8")
    (torn / "config.json").write_text("{", "utf-8")
    backend = "transformers" if ref == "torn" else "scripted"
    result = recorded.run(f"--quant-checkpoint={ref}", f"--quant-backend={backend}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            f"ERROR: --quant-checkpoint={ref} without --quant-scheme: {why}",
            "*name the scheme: --quant-scheme=NAME*",
        ]
    )


def test_a_checkpoint_of_the_ini_file_tests_nothing(recorded: Suite) -> None:
    """It may be there for a release job: other runs of the project are skipped, with the reason."""
    recorded.ini(quant_checkpoint=["int8"])
    result = recorded.run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*no --quant-scheme given*"])


def test_a_full_precision_scheme_is_none_to_test(pytester: pytest.Pytester) -> None:
    """bf16=REF is no candidate, as --quant-scheme=bf16 is not."""
    Path("here").mkdir()
    with wrong_use("bf16 is not a quantized scheme"):
        read(pytester.parseconfig("--quant-checkpoint=bf16=here"))
