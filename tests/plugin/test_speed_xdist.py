"""compare_speed under xdist: one worker at a time, since workers disturb each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pytest_quantreg.plugin.options import read

from .conftest import SCHEME, Suite
from .events import events, loads
from .speed_suite import SHAPE, TimedSuite, timed_suite

WORDS = (f"--quant-scheme={SCHEME}", "--quant-checkpoint=int8", "--quant-require")
TWO = f"""
@pytest.mark.min_speedup(1.5)
@pytest.mark.parametrize("size", [1, 2])
def test_speed(size, compare_speed):
    compare_speed(batch_size=size, {SHAPE})
"""


@pytest.fixture
def timed(suite: Suite) -> Iterator[TimedSuite]:
    """Two tests of speed."""
    for gated_suite in timed_suite(suite):
        gated_suite.test(TWO)
        yield gated_suite


def as_if_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets sessions in this process believe that they are one worker of two: far quicker."""
    monkeypatch.setattr(
        "pytest_quantreg.plugin.run_context.read", lambda config: replace(read(config), workers=2)
    )


def test_two_workers_are_refused(timed: TimedSuite) -> None:
    """They start no model, and the refusal has the ways out."""
    result = timed.suite.run_on_workers(*WORDS)
    assert result.ret == 1
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (wrong use) w8a8-int8 speed: 2 xdist workers would time models side by side*",
            "*run the tests of speed without -n, or with -n 1",
            '*ini key quant_speed_xdist = "allow"',
        ]
    )
    assert events(timed.path / "model") == events(timed.path / "int8") == []


def test_two_workers_that_are_allowed(timed: TimedSuite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused as real ones are; with quant_speed_xdist = "allow" each measures and judges."""
    as_if_two(monkeypatch)
    result = timed.run(*WORDS)
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["REFUSED (wrong use) *2 xdist workers would time models*"])
    timed.ini(quant_speed_xdist="allow")
    result = timed.run(*WORDS)
    assert result.ret == 0
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["batch 1 * kept", "batch 2 * kept", "2 kept"])
    assert loads(timed.path / "int8") == 2


def test_two_workers_do_not_record(timed: TimedSuite, monkeypatch: pytest.MonkeyPatch) -> None:
    """A baseline that others disturb would be wrong for good: refused, and nothing is stored."""
    as_if_two(monkeypatch)
    result = timed.record()
    assert result.ret == 1
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["REFUSED (wrong use) baseline*2 xdist workers would time*"])
    assert not (timed.path / "baselines").exists()
    assert events(timed.path / "model") == []


def test_one_worker_gates_and_publishes_nothing(
    timed: TimedSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verdicts, summary and exit status are those without xdist; only the benchmarks are not."""
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        # This test may itself run in a worker, where pytest-benchmark would be disabled.
        monkeypatch.delenv(name, raising=False)
    alone = timed.suite.run_with_plugins(*WORDS, "--benchmark-json=alone.json")
    assert alone.ret == 0
    alone.stdout.fnmatch_lines(["*benchmark: 2 tests*"])
    assert (timed.path / "alone.json").exists()
    result = timed.suite.run_on_workers(*WORDS, n=1)
    assert result.ret == 0
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["batch 1 * kept", "batch 2 * kept", "2 kept", "loaded: model bf16 twice, *"]
    )
    result.stdout.no_fnmatch_line("*benchmark: * tests*")
    result.stdout.no_fnmatch_line("*nothing was published*")
    ours = [line for line in alone.outlines if line.startswith(("batch ", "model; ", "2 kept"))]
    assert [line for line in result.outlines if line in ours] == ours
