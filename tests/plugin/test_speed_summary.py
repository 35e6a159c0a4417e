"""The summary, JUnit, --quant-require and xfail of what was timed."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from .conftest import Suite
from .gated_speed import H100, NOISE, SCHEME, Gated, ended
from .test_summary_words import summary


@pytest.fixture
def gated(suite: Suite) -> Gated:
    """Two timed models of an everyday size."""
    return Gated(suite)


SPEED = """
@pytest.mark.min_speedup(1.5)
def test_speed(compare_speed):
    compare_speed(batch_size=1)
"""
LAST = f"quantreg: --quant-require: no gate was judged for {SCHEME}"


def test_kept(gated: Gated) -> None:
    """The common case, line by line: what was judged, and what was measured beside it."""
    gated.on(H100)
    gated.test(
        """
        @pytest.mark.min_speedup(1.8, gpu="H100")
        @pytest.mark.min_throughput(150)
        @pytest.mark.max_latency(20, kind="ttft")
        @pytest.mark.max_memory(6)
        def test_speed(compare_speed):
            compare_speed(batch_size=1, output_tokens=128)
        """
    )
    result = gated.run()
    assert result.ret == 0
    assert summary(result.outlines) == [
        "=============== quantreg: w4a16-int4 against bf16, detect, 95 % ================",
        "model; scripted 1.0; NVIDIA H100 80GB HBM3; runs as w4a16-int4 (native); 8 of 8",
        "  linear layers quantized",
        "workload  measured       base  quant         interval  required",
        "batch 1   ttft p50         20     10     ms     10-10     <= 20  kept",
        "batch 1   throughput     99.2  198.4  tok/s   198-199    >= 150  kept",
        "batch 1   speed-up       99.2  198.4  tok/s      2-2x   >= 1.8x  kept",
        "          weight memory    15   5.34    GiB         -      <= 6  kept",
        "batch 1, 128+128 tokens, 10 rounds after 2 of warm-up",
        "  baseline: 99.2 tok/s, 0.775 requests/s, ttft 20/20/20 ms, tpot 10/10/10 ms,",
        "  e2e 1,290/1,290/1,290 ms (p50/p90/p99)",
        "  w4a16-int4: 198.4 tok/s, 1.55 requests/s, ttft 10/10/10 ms, tpot 5/5/5 ms,",
        "  e2e 645/645/645 ms (p50/p90/p99)",
        "  the bytes allow: baseline 146.4 tok/s (decoding reaches 68 %), w4a16-int4 421",
        "  tok/s (decoding reaches 48 %)",
        "baseline: weights 15 GiB (as loaded: 15 bfloat16), peak 19.6 GiB (allocator),",
        "  15 GiB on disk, loads in 21.5 s",
        "w4a16-int4: weights 5.34 GiB (as loaded: 0.866 bfloat16, 4.47 int4), peak 10.2",
        "  GiB (allocator), 5.34 GiB on disk, loads in 9.25 s",
        "speed-up >= 1.8x for H100 (this is NVIDIA H100 80GB HBM3)",
        "4 kept",
        "would have turned red 4 times in 5 at a true batch 1 throughput of 150 tok/s,",
        "  batch 1 speed-up of 1.8x",
        "loaded: model bf16 once, model w4a16-int4 once",
    ]


LONG = "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition with a long name"


def _all_verdicts(gated: Gated, factor: float) -> list[str]:
    """The summary of gates with every verdict, their figures this many times everyday ones."""
    gated.on({"kind": "cuda", "accelerator": LONG, "count": 8})
    state = {"throttled": "sw_power_cap", "power_limit_w": 300.0, "others": 3}
    gated.model(kv_cache_tokens=1_234_567, state=state)
    gated.quantized(
        jitter=NOISE,
        state=state,
        seconds_to_first=0.0123456789 * factor,
        kv_cache_tokens=1_234_567,
        script={"effective": {"mode": "weight-only fallback", "activations": "bfloat16"}},
    )
    gated.test(
        f"""
        @pytest.mark.min_speedup(1.25, gpu="RTX PRO 6000 Blackwell")
        @pytest.mark.min_throughput({150 * factor}, per="gpu")
        @pytest.mark.min_throughput(1500)
        @pytest.mark.max_latency({100 * factor}, kind="tpot", percentile=99.9)
        @pytest.mark.max_latency({100 * factor}, percentile=99)
        @pytest.mark.max_latency({100 * factor}, kind="e2e")
        @pytest.mark.max_memory({8 * factor})
        @pytest.mark.max_memory(8, kind="peak", gpu="H100")
        def test_speed(compare_speed):
            compare_speed(concurrency=64, prompt_tokens=8, rounds=6)

        @pytest.mark.min_speedup(1.2, gpu="NVIDIA")
        @pytest.mark.min_speedup(1.3, gpu="RTX")
        def test_tie(compare_speed):
            compare_speed(concurrency=64, prompt_tokens=8, rounds=6)

        @pytest.mark.min_speedup(1.2)
        def test_refused(compare_speed):
            compare_speed(batch_size=1, rounds=1)
        """
    )
    result = gated.run()
    assert result.ret == 1
    return summary(result.outlines)


def test_every_kind_of_line_at_80_columns(gated: Gated) -> None:
    """Verdicts, refusals, notes and figures as they are every day: whole, and no line longer."""
    lines = _all_verdicts(gated, 1)
    assert max(map(len, lines)) <= 80
    assert "~" not in "\n".join(lines)
    text = " ".join(line.strip() for line in lines)
    for word in (
        *(" kept", " undecided", " LOST", " REFUSED", " n/a here"),
        "KV cache for 1,234,567 tokens",
        "note: the device held its clocks down: sw_power_cap",
        " used the card",
        f"speed-up >= 1.25x for RTX PRO 6000 Blackwell (this is {LONG})",
    ):
        assert word in text


def test_large_figures_at_80_columns(gated: Gated) -> None:
    """Where they leave no room, texts are shortened, and never a figure."""
    lines = _all_verdicts(gated, 1234.5678)
    assert max(map(len, lines)) <= 80
    start = next(place for place, line in enumerate(lines) if line.startswith("workload"))
    table = lines[start : next(p for p, line in enumerate(lines) if " 8+64 tokens, 6 " in line)]
    assert "~" in "".join(line[:30] for line in table)
    assert not [line for line in table if "~" in line[30:]]
    assert [line for line in table if "<= 123456.78 " in line]


def test_accuracy_and_speed_beside_each_other(gated: Gated) -> None:
    """One block, a table of each, and both counted."""
    gated.test(
        """
        @pytest.mark.min_retention(0.9)
        @pytest.mark.min_speedup(1.5)
        def test_both(compare_accuracy, compare_speed):
            compare_accuracy("sum")
            compare_speed(batch_size=1)
        """
    )
    answers = {"*": {"target": "answer", "index": "id", "wrong": {"seed": 1, "share": 0.2}}}
    gated.quantized(script={"tasks": answers})
    gated.suite.model("plain", tasks=answers)
    assert gated.suite.record("--quant-model=plain", "-o", "quant_model_name=model").ret == 0
    result = gated.run("-o", "quant_model_name=model")
    result.assert_outcomes(passed=1)
    lines = summary(result.outlines)
    assert len([line for line in lines if line.startswith("===")]) == 1
    pytest.LineMatcher(lines).fnmatch_lines(
        ["task *", "sum *exact_match *kept", "workload *", "batch 1 *kept", "2 kept"]
    )


def test_one_timed_test_leaves_the_other_gates_alone(gated: Gated) -> None:
    """A test that only measures accuracy is not asked for speed by its module's marker."""
    gated.test(
        """
        pytestmark = [pytest.mark.min_speedup(1.5), pytest.mark.min_retention(0.9)]

        def test_speed(compare_speed):
            compare_speed(batch_size=1)

        def test_both_asked_for(compare_accuracy, compare_speed):
            compare_speed(batch_size=1)
        """
    )
    result = gated.run("-v")
    assert ended(result) == {"test_speed": "PASSED", "test_both_asked_for": "ERROR"}
    result.stdout.fnmatch_lines(
        ["REFUSED (nothing measured) *: the test measured nothing, so min_retention(0.9) judged *"]
    )


def test_junit(gated: Gated) -> None:
    """Each gate's figures are properties of its test, in the gate's unit."""
    gated.test(
        """
        @pytest.mark.min_speedup(1.5)
        @pytest.mark.max_latency(20, kind="e2e", percentile=90)
        @pytest.mark.max_memory(6, gpu="H100")
        def test_speed(compare_speed):
            compare_speed(batch_size=1)
        """
    )
    gated.run("--junitxml=junit.xml")
    [case] = ElementTree.parse(gated.path / "junit.xml").iter("testcase")
    values = {prop.attrib["name"]: prop.attrib["value"] for prop in case.iter("property")}
    speed, latency = "quantreg.speed.batch_1.speed-up", "quantreg.speed.batch_1.e2e_p90"
    assert values[f"{speed}.verdict"] == "kept"
    assert values[f"{latency}.verdict"] == "lost"
    assert values["quantreg.speed.weight_memory.verdict"] == "not applicable"
    figures = {
        f"{speed}.bound": 1.5,
        f"{speed}.value": 2.0,
        f"{speed}.low": 2.0,
        f"{speed}.high": 2.0,
        f"{speed}.baseline": 64 / 0.65,
        f"{speed}.quantized": 64 / 0.325,
        f"{speed}.units": 10,
        f"{latency}.bound": 20,
        f"{latency}.value": 325,
        f"{latency}.low": 325,
        f"{latency}.baseline": 650,
        f"{latency}.quantized": 325,
        f"{latency}.units": 10,
    }
    assert {name: float(values[name]) for name in figures} == pytest.approx(figures)
    # No number of 10 rounds bounds a 90th percentile from above.
    assert f"{latency}.high" not in values
    words = ("verdict", "gate", "mode", "confidence", "unit")
    assert {name for name in values if name.startswith(latency)} == {
        *(name for name in figures if name.startswith(latency)),
        *(f"{latency}.{word}" for word in words),
    }
    assert values[f"{latency}.unit"] == "ms"


def test_require_counts_what_was_judged(gated: Gated) -> None:
    """A judged gate on speed is enough; one for another device, or none, is not."""
    gated.test(SPEED)
    assert gated.run("--quant-require").ret == 0
    gated.test(SPEED.replace("1.5", "1.5, gpu='A40'"))
    assert gated.run().ret == 0
    result = gated.run("--quant-require")
    assert result.ret == 1
    assert result.outlines[-1] == f"{LAST} (the thresholds of its tests are for other accelerators)"
    gated.test(SPEED.replace("@pytest.mark.min_speedup(1.5)", ""))
    result = gated.run("--quant-require")
    assert result.ret == 1
    assert result.outlines[-1].startswith(LAST)
    assert "min_speedup" in result.outlines[-1]


def test_xfail_excuses_a_loss_and_no_refusal(gated: Gated) -> None:
    """A lost gate under xfail is one, a refusal stays an error, and a kept one an XPASS."""
    gated.test(
        """
        @pytest.mark.xfail(reason="no kernel yet", strict=False)
        @pytest.mark.min_speedup(3)
        def test_lost(compare_speed):
            compare_speed(batch_size=1)

        @pytest.mark.xfail(reason="no kernel yet", strict=False)
        @pytest.mark.min_speedup(3)
        def test_refused(compare_speed):
            compare_speed(batch_size=1, rounds=2)

        @pytest.mark.xfail(reason="no kernel yet", strict=False)
        @pytest.mark.min_speedup(1.5)
        def test_kept(compare_speed):
            compare_speed(batch_size=1)
        """
    )
    result = gated.run("-v")
    assert result.ret == 1
    assert ended(result) == {"test_lost": "XFAIL", "test_refused": "ERROR", "test_kept": "XPASS"}
    result.stdout.fnmatch_lines(["batch 1 *>= 3x*LOST (xfail)"])


def test_nothing_a_body_does_hides_a_loss(gated: Gated) -> None:
    """Neither catching, skipping nor a failure of its own, and a lost gate is told beside it."""
    gated.test(
        """
        pytestmark = pytest.mark.min_speedup(3)

        def test_returns(compare_speed):
            compare_speed(batch_size=1)
            return

        def test_skips(compare_speed):
            compare_speed(batch_size=1)
            pytest.skip("not today")

        def test_fails(compare_speed):
            compare_speed(batch_size=1)
            assert 1 == 2

        def test_catches(compare_speed):
            try:
                compare_speed(batch_size=1, rounds=1)
            except Exception:
                pass
            compare_speed(batch_size=1)
        """
    )
    result = gated.run("-v")
    assert list(ended(result).values()) == ["FAILED", "FAILED", "FAILED", "ERROR"]
    result.stdout.fnmatch_lines(["E *assert 1 == 2", "LOST w4a16-int4 speed-up, batch 1: 2x *"])
