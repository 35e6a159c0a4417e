"""The release gate of the examples on vLLM, through the whole plugin."""

from __future__ import annotations

from pathlib import Path

from .conftest import EXAMPLES, HAS_AVX512, LIMIT, SCHEMES, Result, Suite

SPEED = """
import pytest

@pytest.mark.max_memory(2, kind="weights")
def test_is_timed(compare_speed):
    found = compare_speed(batch_size=4, prompt_tokens=16, output_tokens=8, rounds=6, warmup=1)
    assert found.quantized.footprint.weights < found.baseline.footprint.weights
    assert found.quantized.footprint.kv_cache_tokens > 100_000

def test_is_timed_in_flight(compare_speed):
    found = compare_speed(concurrency=4, prompt_tokens=16, output_tokens=8, rounds=6, requests=8)
    for one in found.workloads[0].quantized.rounds:
        ended = sorted(request.ended for request in one.requests)
        arrived = sorted(request.arrived for request in one.requests)
        assert len(ended) == 8
        # The fifth enters when the first has ended, and others are still under way.
        assert ended[0] <= arrived[4] <= ended[-1]
"""


def test_baselines_are_recorded(recorded: Result) -> None:
    """--quant-update measures the full-precision model once and skips every test."""
    assert recorded.status == 0, recorded.printed
    assert "4 recorded" in recorded.words
    assert "loaded: tiny-llama bf16 once" in recorded.words


def test_sound_checkpoints_are_green(gated: Result) -> None:
    """All schemes pass, each loaded once, each running as what it claims."""
    assert gated.status == 0, gated.printed
    assert f"{5 * len(SCHEMES)} passed" in gated.words
    for scheme in SCHEMES:
        assert f"runs as {scheme.removesuffix('-rtn')} (native)" in gated.words
        assert f"tiny-llama {scheme} once" in gated.words
    assert gated.words.count("12 of 13 linear layers quantized") == len(SCHEMES)


def test_a_broken_checkpoint_is_red(release: Suite, recorded: Result) -> None:
    """A checkpoint whose scales are shifted loses, on vLLM as on any engine."""
    assert recorded.status == 0
    broken = EXAMPLES / "checkpoints" / "broken-w8a8-fp8-shifted-scales"
    result = release.run(
        *("--quant-scheme=w8a8-fp8", f"--quant-checkpoint=w8a8-fp8={broken}"),
        *(f"--quant-limit={LIMIT}", "-k", "breaks and sum", "test_release.py"),
    )
    assert result.status == 1
    assert "LOST w8a8-fp8 sum" in result.words


def test_the_same_file_on_transformers(release: Suite, recorded: Result, tmp_path: Path) -> None:
    """The unchanged test file records and gates on transformers too.

    vLLM's verdicts are its own: the baselines of transformers are refused to it, whatever
    folder they are in.
    """
    assert recorded.status == 0
    some = (f"--quant-limit={LIMIT}", "-k", "breaks and sum", "test_release.py")
    assert release.run("--quant-update", *some, engine="transformers").status == 0
    result = release.run("--quant-scheme=w8a8-int8", *some, engine="transformers")
    assert result.status == 0, result.printed
    assert "runs as w8a8-int8 (emulated)" in result.words
    refused = release.run("--quant-scheme=w8a8-int8", *some, store="transformers")
    assert refused.status == 1
    assert "ERROR" in refused.words
    assert "LOST" not in refused.words
    assert "transformers" in refused.words


def test_fp8_on_the_fly_with_a_quantized_cache(release: Suite, recorded: Result) -> None:
    """vLLM makes fp8 while it loads, and reports its KV cache; refused where it has no kernel."""
    assert recorded.status == 0
    result = release.run(
        *("--quant-scheme=w8a8-fp8-rtn+kv-fp8", f"--quant-limit={LIMIT}"),
        *("-k", "breaks and sum", "test_release.py"),
    )
    if not HAS_AVX512:
        assert result.status == 1
        assert "FP8 KV cache on CPU requires x86 with AVX-512" in result.words
        return
    assert result.status == 0, result.printed
    assert "runs as w8a8-fp8+kv-fp8 (native)" in result.words
    assert "fp8 e4m3, scales 1.0" in result.words


def test_unknown_arguments_are_refused(release: Suite, recorded: Result) -> None:
    """An engine argument that vLLM does not have is named with the nearest."""
    assert recorded.status == 0
    result = release.run(
        *("--quant-scheme=w8a8-int8", "--quant-backend-arg=tensor_paralel_size=2"),
        *(f"--quant-limit={LIMIT}", "-k", "breaks and sum", "test_release.py"),
    )
    assert result.status == 1
    assert "vLLM has no engine argument 'tensor_paralel_size'" in result.words
    assert "nearest: tensor_parallel_size" in result.words


def test_speed_with_continuous_batching(release: Suite) -> None:
    """Both models are timed in processes of their own, with what their engines hold."""
    (release.path / "test_timed.py").write_text(SPEED, encoding="utf-8")
    result = release.run(f"--quant-scheme={SCHEMES[-2]}", "test_timed.py")
    assert result.status == 0, result.printed
    assert "KV cache for 699,008 tokens" in result.words
    assert "4 in flight" in result.words
