"""Gates on speed, memory and load time: kept, lost and undecided, by workload and by mode."""

from __future__ import annotations

import re

import pytest

from pytest_quantreg.gating.speed.preconditions import saturating

from .conftest import Suite
from .events import events
from .gated_speed import H100, NOISE, Gated, ended


@pytest.fixture
def gated(suite: Suite) -> Gated:
    """Two timed models, the quantized one twice as fast for a single request."""
    return Gated(suite)


# Marker -> thresholds that are kept, undecided and lost by a model of speed 2 on a noisy machine.
BOUNDS = {
    "min_speedup({})": (1.2, 2.0, 4.0),
    "min_throughput({})": (100, 200, 400),
    "max_latency({})": (40, 10, 2),
    "max_latency({}, kind='tpot')": (20, 5, 1),
    "max_latency({}, kind='e2e', percentile=60)": (1500, 320, 60),
    "max_memory({})": (5.4, None, 5.3),
    "max_memory({}, kind='peak')": (10.3, None, 10.2),
}
WORDS = ("kept", "undecided", "lost")


def _param(mark: str, bound: float, word: str) -> str:
    marked = mark.format(bound)
    name = marked.partition("(")[0]
    kind = marked.partition("kind='")[2].partition("'")[0]
    shown = "-".join(part for part in (name, kind, word) if part)
    return f"pytest.param(0, marks=pytest.mark.{marked}, id={shown!r})"


PARAMS = [
    _param(mark, bound, word)
    for mark, bounds in BOUNDS.items()
    for bound, word in zip(bounds, WORDS, strict=True)
    if bound is not None
]
EVERY_GATE = f"""
@pytest.mark.parametrize("n", [{", ".join(PARAMS)}])
def test_gate(n, compare_speed):
    compare_speed(batch_size=1)
"""


@pytest.mark.parametrize(
    ("mode", "red"), [("detect", {"lost"}), ("certify", {"undecided", "lost"})]
)
def test_every_gate_and_verdict(mode: str, red: set[str], gated: Gated) -> None:
    """What is lost fails always, what is undecided under certify only, and one measurement does."""
    gated.quantized(jitter=NOISE)
    gated.test(EVERY_GATE)
    result = gated.run("-v", f"--quant-gate={mode}")
    outcomes = ended(result)
    assert len(outcomes) == len(PARAMS)
    for name, outcome in outcomes.items():
        word = name.rpartition("-")[2].rstrip("]")
        assert outcome == ("FAILED" if word in red else "PASSED"), name
    undecided = "UNDECIDED" if mode == "certify" else "undecided"
    rows = [line.split()[-1] for line in result.outlines if line.startswith(("batch 1 ", "     "))]
    words = [row for row in rows if row.lower() in WORDS]
    assert (words.count("kept"), words.count(undecided), words.count("LOST")) == (7, 5, 7)
    assert sum("loaded" in line for line in events(gated.path / "int4")) == 1


def test_point_takes_the_plain_figure(gated: Gated) -> None:
    """One round is enough for a ratio, which is judged as it is and promises nothing."""
    gated.test(
        """
        @pytest.mark.parametrize("n", [
            pytest.param(0, marks=pytest.mark.min_speedup(1.99)),
            pytest.param(1, marks=pytest.mark.min_speedup(2.01)),
            pytest.param(2, marks=pytest.mark.max_latency(10.01, percentile=99)),
            pytest.param(3, marks=pytest.mark.max_load_time(9.2)),
        ])
        def test_gate(n, compare_speed):
            compare_speed(batch_size=1, rounds=1)
        """
    )
    result = gated.run("-v", "--quant-gate=point")
    verdicts = ["PASSED", "FAILED", "PASSED", "FAILED"]
    assert list(ended(result).values()) == verdicts
    result.stdout.fnmatch_lines(
        [
            "LOST w4a16-int4 speed-up, batch 1: 2x the baseline's tokens per second "
            "(point gate: no confidence); at least 2.01x was required",
            "LOST w4a16-int4 load time: 9.25 s (point gate: no confidence); at most 9.2 s was *",
        ]
    )
    assert sum("loaded" in line for line in events(gated.path / "int4")) == 1


def test_both_workloads_are_gated_apart(gated: Gated) -> None:
    """By default a single request and many in flight: the one is faster, the other slower."""
    gated.test(
        """
        @pytest.mark.min_speedup(1.5)
        def test_speed(compare_speed):
            found = compare_speed()
            assert [one.workload.deployment for one in found.workloads] == [
                "synchronous", "asynchronous"
            ]
            alone, many = found.workloads
            assert alone.speedup == pytest.approx(2.0)
            assert many.speedup == pytest.approx(0.65 / 0.995)
            assert found.speedup == many.speedup
        """
    )
    result = gated.run()
    assert result.ret == 1
    flight = f"{saturating()} in flight"
    result.stdout.fnmatch_lines(
        [
            f"LOST w4a16-int4 speed-up, {flight}: 0.653x the baseline's tokens per second, with "
            "95 % confidence no more than 0.654x; at least 1.5x was required",
            "  baseline * tok/s, quantized * tok/s, 10 rounds of each",
            "  likely: dequantizing, or a slow kernel, takes the time here (scripted): *",
            "kept w4a16-int4 speed-up, batch 1: 2x the baseline's tokens per second, with "
            "95 % confidence at least 2x; at least 1.5x was required",
        ]
    )
    result.stdout.no_fnmatch_line("LOST *batch 1:*")


@pytest.mark.parametrize(
    ("base", "quant", "script", "said"),
    [
        (
            {"streamed": 1_000_000_000},
            {"streamed": 300_000_000},
            {},
            "  likely: the model is too small, or the batch too large, to be bound by its bytes: "
            "the baseline reaches ? % of what they allow, so fewer bytes gain little",
        ),
        (
            {},
            {},
            {"effective": {"mode": "weight-only fallback", "activations": "bfloat16"}},
            "  likely: activations fell back to bfloat16: this device has no kernel for the whole "
            "scheme, and weights are unpacked on the way",
        ),
    ],
)
def test_why_it_is_slower_than_its_baseline(
    base: dict[str, float],
    quant: dict[str, float],
    script: dict[str, object],
    said: str,
    gated: Gated,
) -> None:
    """A quantized model that is slower gets the likely reason, a faster one below its gate none."""
    gated.model(**base)
    gated.quantized(script=script, **quant)
    gated.test(
        """
        @pytest.mark.min_speedup(3)
        @pytest.mark.parametrize("n", [1, 8])
        def test_speed(n, compare_speed):
            compare_speed(batch_size=n)
        """
    )
    result = gated.run()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["LOST * speed-up, batch 8: *", "  baseline *", said])
    after = result.outlines.index(next(line for line in result.outlines if "batch 1: 2x" in line))
    assert "likely" not in "".join(result.outlines[after : after + 3])
    # Without a gate on it the summary says so.
    gated.test("def test_free(compare_speed): compare_speed(batch_size=8)")
    result = gated.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["batch 8 is slower, likely: *"])


@pytest.mark.parametrize(
    ("mode", "mark", "rounds", "said"),
    [
        ("detect", "min_speedup(1.5)", 4, "min_speedup(1.5) under batch 1: with 4 rounds it could "
         "never turn red at 95 % confidence"),
        ("certify", "max_latency(50, percentile=99)", 298, "max_latency(50.0, kind='ttft', "
         "percentile=99) under batch 1: with 298 rounds it could never be kept at 95 % confidence"),
    ],
)  # fmt: skip
def test_too_few_rounds(mode: str, mark: str, rounds: int, said: str, gated: Gated) -> None:
    """Rounds that could never decide are refused, with the number needed, before anything loads."""
    least = {4: 5, 298: 299}[rounds]
    gated.test(
        f"""
        @pytest.mark.{mark}
        def test_speed(compare_speed):
            compare_speed(batch_size=1, rounds={rounds})
        """
    )
    result = gated.run(f"--quant-gate={mode}")
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            f"REFUSED (too weak) w4a16-int4 speed: {said.replace('50.0', '50')}",
            f"  measure at least {least}: rounds={least}",
        ]
    )
    assert events(gated.path / "int4") == events(gated.path / "model") == []


def test_a_gate_for_another_accelerator_refuses_nothing(gated: Gated) -> None:
    """Rounds that would be too few for it are enough where it does not hold."""
    gated.test(
        """
        @pytest.mark.min_speedup(1.5)
        @pytest.mark.max_latency(50, percentile=99, gpu="NVIDIA Imagined")
        def test_speed(compare_speed):
            compare_speed(batch_size=1)
        """
    )
    result = gated.run("--quant-gate=certify")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["batch 1 *speed-up *kept", "* ttft p99 * n/a here"])
    gated.on({**H100, "accelerator": "NVIDIA Imagined"})
    result = gated.run("--quant-gate=certify")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["REFUSED (too weak) * with 10 rounds it could never be kept *"])


def test_undecided_says_how_many_rounds(gated: Gated) -> None:
    """Too noisy, or too few for the percentile: the number that would do stands in the report."""
    gated.quantized(jitter=NOISE)
    gated.test(
        """
        @pytest.mark.min_speedup(1.9)
        @pytest.mark.min_throughput(190)
        @pytest.mark.max_latency(40, percentile=90)
        @pytest.mark.max_latency(12, percentile=50)
        def test_speed(compare_speed):
            compare_speed(batch_size=1)
        """
    )
    result = gated.run("-rP")
    assert result.ret == 0
    text = " ".join(line.strip() for line in result.outlines)
    said = (
        r"batch 1 (speed-up|throughput|ttft p\d+): about ([\d,]+) rounds decide it, "
        r"if it is as fast as it measured: rounds=(\d+)"
    )
    figures = re.findall(said, text)
    assert all(shown.replace(",", "") == written for _, shown, written in figures)
    needed = {name: int(count) for name, _, count in figures}
    assert needed["ttft p90"] == 29
    assert set(needed) == {"speed-up", "throughput", "ttft p50", "ttft p90"}
    assert all(count > 10 for count in needed.values())


def test_the_confidence_is_shared_by_a_family(gated: Gated) -> None:
    """quant_family_size widens every bound, says so, and asks for more rounds."""
    gated.suite.ini(quant_family_size=20)
    gated.test(
        """
        @pytest.mark.min_speedup(1.5)
        @pytest.mark.parametrize("rounds", [8, 9])
        def test_speed(rounds, compare_speed):
            compare_speed(batch_size=1, rounds=rounds)
        """
    )
    result = gated.run("-v", "-rP")
    assert list(ended(result).values()) == ["ERROR", "PASSED"]
    result.stdout.fnmatch_lines(
        [
            "REFUSED (too weak) *with 8 rounds it could never turn red at 99.75 % confidence",
            "kept w4a16-int4 speed-up, batch 1: 2x *, with 99.75 % (95 % over 20 gates) "
            "confidence at least 2x; at least 1.5x was required",
        ]
    )
    outcomes = ended(gated.run("-v", "--quant-gate=certify"))
    assert list(outcomes.values()) == ["PASSED", "PASSED"]


def test_throughput_of_a_server_and_of_each_gpu(gated: Gated) -> None:
    """per="gpu" shares what all accelerators generate among them."""
    gated.on({**H100, "count": 2})
    gated.test(
        """
        @pytest.mark.min_throughput(150)
        @pytest.mark.min_throughput(120, per="gpu")
        def test_speed(compare_speed):
            compare_speed(batch_size=1)
        """
    )
    result = gated.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "LOST w4a16-int4 throughput/GPU, batch 1: 98.5 tok/s, with 95 % confidence no more "
            "than 98.5 tok/s; at least 120 tok/s was required",
            "  baseline 49.2 tok/s, quantized 98.5 tok/s, 10 rounds",
            "kept w4a16-int4 throughput, batch 1: 196.9 tok/s, *at least 150 tok/s was required",
        ]
    )


def test_load_time_is_that_of_five_processes(gated: Gated) -> None:
    """At 95 % five loads bound the median; each is a fresh process of the quantized model."""
    gated.test(
        """
        @pytest.mark.parametrize("n", [
            pytest.param(0, marks=pytest.mark.max_load_time(9.5)),
            pytest.param(1, marks=pytest.mark.max_load_time(9)),
        ])
        def test_load(n, compare_speed):
            found = compare_speed(batch_size=1, rounds=2, output_tokens=2)
            assert found.load_seconds == 9.25
        """
    )
    result = gated.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "LOST w4a16-int4 load time: 9.25 s, with 95 % confidence at least 9.25 s; at most 9 s "
            "was allowed",
            "  baseline 21.5 s, quantized 9.25 s, 5 loads",
        ]
    )
    assert sum("loaded" in line for line in events(gated.path / "int4")) == 5
    assert sum("loaded" in line for line in events(gated.path / "model")) == 1
    result.stdout.fnmatch_lines(
        ["quantreg: w4a16-int4: 4 more fresh processes for load times, about 37 s"]
    )


def test_what_an_engine_cannot_tell_is_refused(gated: Gated) -> None:
    """A gate on memory of an engine that knows none is refused, and the speed is judged."""
    gated.quantized(weights=None)
    gated.test(
        """
        @pytest.mark.min_speedup(1.5)
        @pytest.mark.max_memory(10)
        def test_speed(compare_speed):
            assert compare_speed(batch_size=1).weights_gib is None
        """
    )
    result = gated.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (nothing measured) w4a16-int4 speed: max_memory(10, kind='weights'): this "
            "engine cannot tell weight memory",
            "batch 1 *speed-up * >= 1.5x*kept",
        ]
    )


def test_the_value_can_be_used(gated: Gated) -> None:
    """What compare_speed returns holds figures of both models that a test may assert on."""
    gated.on(H100)
    gated.test(
        """
        def test_speed(compare_speed, accelerator):
            found = compare_speed(batch_size=1, prompt_tokens=16, output_tokens=64, rounds=6)
            [one] = found.workloads
            assert found.speedup == one.speedup == pytest.approx(2.0)
            assert one.low == one.high == pytest.approx(2.0)
            assert one.throughput.estimate == pytest.approx(64 / 0.325)
            assert one.baseline_throughput == pytest.approx(64 / 0.65)
            assert one.requests_per_second == pytest.approx(1 / 0.325)
            assert one.latency("ttft", 50).estimate == pytest.approx(0.010)
            assert one.latency("tpot").high == pytest.approx(0.005)
            assert one.baseline_latency("e2e", 99) == pytest.approx(0.65)
            assert one.latency("e2e", 99).high == float("inf")
            assert one.scheme == found.scheme == "w4a16-int4"
            assert len(found.quantized.series[0].rounds) == len(one.baseline.rounds) == 6
            assert found.weights_gib == pytest.approx(5.3365, abs=1e-3)
            assert found.peak_gib == pytest.approx(10.2445, abs=1e-3)
            assert found.load_seconds == 9.25
            assert accelerator.name
            assert found.speedup > 3, "so says the test itself"
        """
    )
    result = gated.run()
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*AssertionError: so says the test itself", "batch 1 *speed-up *not judged"]
    )
