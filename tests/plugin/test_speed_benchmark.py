"""What pytest-benchmark, where it is there, gets of what was timed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Suite
from .events import events
from .gated_speed import H100, SCHEME, Gated, ended

SPEED = """
@pytest.mark.min_speedup(1.5)
def test_speed(compare_speed):
    compare_speed(batch_size=1)
"""
PLAIN = """
def test_plain():
    pass

def test_theirs(benchmark):
    benchmark.pedantic(int, rounds=2)
"""
NAME = f"test_speed[{SCHEME}][batch 1]"


@pytest.fixture
def gated(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Gated:
    """Two timed models, and a pytest-benchmark that sees no other clock rates from run to run."""
    # A worker of xdist that runs this test would make pytest-benchmark disable itself.
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)
    suite.test(
        """
        @pytest.hookimpl(optionalhook=True)
        def pytest_benchmark_generate_machine_info():
            return {"node": "the same"}
        """,
        "conftest.py",
    )
    made = Gated(suite)
    made.test(SPEED)
    return made


def _saved(gated: Gated, *args: str) -> list[dict[str, Any]]:
    gated.run_with_benchmark("--benchmark-json=out.json", *args)
    benchmarks: list[dict[str, Any]] = json.loads((gated.path / "out.json").read_text("utf-8"))[
        "benchmarks"
    ]
    return benchmarks


def test_rounds_and_what_they_were_compared_with(gated: Gated) -> None:
    """One benchmark per workload: the quantized rounds, the baseline's in its extra_info."""
    gated.on(H100)
    gated.quantized(jitter=[1.0, 1.5])
    gated.test(
        """
        def test_speed(compare_speed):
            compare_speed(batch_size=1, output_tokens=32, rounds=6)
        """
    )
    [benchmark] = _saved(gated)
    assert benchmark["name"] == f"test_speed[{SCHEME}][batch 1, 128+32 tokens]"
    assert benchmark["fullname"] == f"test_gate.py::{benchmark['name']}"
    info = benchmark["extra_info"]
    assert info.pop("baseline_rounds") == pytest.approx([0.33] * 6)
    speeds = info.pop("tokens_per_second")
    assert speeds == pytest.approx([32 / seconds for seconds in benchmark["stats"]["data"]])
    assert benchmark["stats"]["rounds"] == 6
    assert {round(seconds, 9) for seconds in benchmark["stats"]["data"]} <= {0.165, 0.2475}
    assert info == {
        "scheme": SCHEME,
        "model": "model",
        "engine": "scripted 1.0",
        "accelerator": "NVIDIA H100 80GB HBM3",
        "deployment": "synchronous",
        "batch_size": 1,
        "prompt_tokens": 128,
        "output_tokens": 32,
        "generated_tokens_per_round": 32,
        "baseline_scheme": "bf16",
    }


def test_both_workloads_and_a_lost_gate(gated: Gated) -> None:
    """Each workload is a benchmark of its own, published whether or not its gate is kept."""
    gated.test(
        """
        @pytest.mark.min_speedup(1.5)
        @pytest.mark.parametrize("size", [1, 8])
        def test_speed(size, compare_speed):
            compare_speed(concurrency=size, requests=16)
        """
    )
    by_name = {benchmark["name"]: benchmark for benchmark in _saved(gated)}
    assert list(by_name) == [
        f"test_speed[{SCHEME}-1][1 in flight, 16 requests]",
        f"test_speed[{SCHEME}-8][8 in flight, 16 requests]",
    ]
    alone, many = by_name.values()
    assert alone["stats"]["mean"] == pytest.approx(16 * 0.325)
    assert many["stats"]["mean"] == pytest.approx(2 * 0.995)


@pytest.mark.parametrize(
    ("option", "expected", "published"),
    [
        ("--benchmark-only", {"test_speed": "PASSED", "test_plain": "SKIPPED"}, True),
        ("--benchmark-skip", {"test_speed": "SKIPPED", "test_plain": "PASSED"}, False),
        ("--benchmark-disable", {"test_speed": "FAILED", "test_plain": "PASSED"}, False),
    ],
)
def test_options_that_choose(
    option: str, expected: dict[str, str], published: bool, gated: Gated
) -> None:
    """A timed test is a benchmark among others; disabled, its gate is judged all the same."""
    if option == "--benchmark-disable":
        gated.test(SPEED.replace("1.5", "3"))
    gated.test(PLAIN, "test_plain.py")
    result = gated.run_with_benchmark("-v", option)
    outcomes = ended(result)
    assert {name: outcomes[name] for name in expected} == expected
    shown = [line for line in result.outlines if line.startswith(f"{NAME} ")]
    assert len(shown) == published
    assert bool(events(gated.path / "int4")) == (option != "--benchmark-skip")


def test_an_equal_call_is_published_once(gated: Gated) -> None:
    """A test that asks twice for the same has timed it once, and says so once."""
    gated.test(
        """
        @pytest.mark.min_speedup(1.5)
        def test_speed(compare_speed):
            compare_speed(batch_size=1)
            compare_speed(batch_size=1)
            compare_speed(batch_size=8, output_tokens=8)
        """
    )
    names = [benchmark["name"] for benchmark in _saved(gated)]
    assert names == [NAME, NAME.replace("batch 1", "batch 8, 128+8 tokens")]


def test_an_earlier_run_is_compared(gated: Gated) -> None:
    """--benchmark-autosave and --benchmark-compare set the run beside the last one."""
    storage = "--benchmark-storage=file://./kept"
    assert gated.run_with_benchmark("--benchmark-autosave", storage).ret == 0
    gated.quantized(seconds_per_token=0.006)
    words = (storage, "--benchmark-compare", "--benchmark-time-unit=ms")
    result = gated.run_with_benchmark(*words)
    assert result.ret == 0
    shown = NAME.replace("[", "[[]")
    result.stdout.fnmatch_lines([f"{shown} (0001_*) *325.0000*", f"{shown} (NOW) *388.0000*"])


def test_without_pytest_benchmark(gated: Gated) -> None:
    """Where it is not loaded the gate is judged as ever, and nothing is said of it."""
    result = gated.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["batch 1 *speed-up *kept"])
    assert "benchmark" not in result.stdout.str().partition("test_gate.py")[2]
