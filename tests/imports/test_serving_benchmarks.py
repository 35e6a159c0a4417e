"""Timings of vLLM and GuideLLM: what is read of them, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.records.timings import Timings, compare_timings
from pytest_quantreg.imports.open_results import open_path

from ..wording import refused

SERVE = {
    "model_id": "org/model",
    "duration": 10.0,
    "completed": 20,
    "failed": 0,
    "total_input_tokens": 2000,
    "total_output_tokens": 1000,
    "request_throughput": 2.0,
    "output_throughput": 100.0,
    "max_concurrency": 4,
    "request_rate": "inf",
    "mean_ttft_ms": 50.0,
    "median_ttft_ms": 48.0,
    "p99_ttft_ms": 70.0,
    "mean_tpot_ms": 10.0,
}

THROUGHPUT = {
    "elapsed_time": 10.0,
    "num_requests": 100,
    "total_num_tokens": 20_000,
    "requests_per_second": 10.0,
    "tokens_per_second": 2000.0,
}


def summary(mean: float, **more: Any) -> dict[str, Any]:
    """One distribution as GuideLLM writes it."""
    answered = {"mean": mean, "median": mean, "count": 30, "percentiles": {"p99": 2 * mean}, **more}
    return {"successful": answered, "errored": {"count": 0}, "incomplete": {"count": 1}}


def guidellm(holder: str, strategy: dict[str, Any]) -> dict[str, Any]:
    """A report with one benchmark; the strategy's place differs between versions."""
    metrics = {
        "requests_per_second": summary(3.0),
        "output_tokens_per_second": summary(150.0),
        "time_to_first_token_ms": summary(40.0),
        "inter_token_latency_ms": summary(9.0),
        "request_latency": summary(0.5),
        "prompt_token_count": summary(128.0),
        "output_token_count": summary(50.0),
    }
    return {"benchmarks": [{holder: {"strategy": strategy}, "metrics": metrics}]}


@pytest.fixture
def timed(tmp_path: Path) -> Callable[..., Timings]:
    """Writes documents into a folder and opens it."""

    def write(*documents: Any, name: str = "quant") -> Timings:
        folder = tmp_path / name
        folder.mkdir()
        for place, document in enumerate(documents):
            (folder / f"{place}.json").write_text(json.dumps(document))
        imported = open_path(folder)
        assert isinstance(imported, Timings)
        return imported

    return write


def test_real_files_show_both_sides(data: Path) -> None:
    """NVFP4 with four requests in flight: over twice the throughput, and a WORSE first token."""
    sides = [open_path(data / f"vllm-bench/{arm}") for arm in ("bf16", "nvfp4")]
    assert isinstance(sides[0], Timings)
    assert isinstance(sides[1], Timings)
    ratios = {
        ratio.figure: ratio
        for ratio in compare_timings(sides[0], sides[1], confidence=0.95)
        if ratio.workload == "1024+128 tokens, 4 in flight"
    }
    throughput, first = ratios["output tokens/s"], ratios["TTFT mean ms"]
    assert throughput.ratio.low > 2.0
    assert throughput.better
    assert first.ratio.low > 1.0
    assert first.worse
    assert first.repeats == (3, 3)


def test_serve(timed: Callable[..., Timings]) -> None:
    """Tokens per request and how many are in flight make the workload."""
    imported = timed(SERVE)
    assert imported.model == "org/model"
    assert imported.workloads == ("100+50 tokens, 4 in flight",)
    assert imported.values(imported.workloads[0], "TTFT median ms") == (48.0,)


def test_a_rate_is_part_of_the_workload(timed: Callable[..., Timings]) -> None:
    """Requests that arrive at a rate are another workload than all at once."""
    imported = timed({**SERVE, "request_rate": 2.5, "max_concurrency": None})
    assert imported.workloads == ("100+50 tokens, 2.5 requests/s",)


def test_offline_throughput(timed: Callable[..., Timings]) -> None:
    """`vllm bench throughput` counts all tokens, prompts included, and calls them so."""
    imported = timed(THROUGHPUT)
    assert imported.workloads == ("offline, 200 tokens each",)
    assert imported.repeats[0].figures == {"all tokens/s": 2000.0, "requests/s": 10.0}


def test_a_real_file_of_offline_throughput(data: Path) -> None:
    """vLLM 0.32 says which model it was."""
    imported = open_path(data / "vllm-bench/throughput/0.32.json")
    assert isinstance(imported, Timings)
    assert (imported.model, imported.program) == ("tiny-llama", "vllm bench throughput")
    assert imported.workloads == ("offline, 48 tokens each",)
    assert imported.repeats[0].figures["all tokens/s"] == 7368.067419163982


@pytest.mark.parametrize("holder", ["args", "config"])
@pytest.mark.parametrize(
    ("strategy", "load"),
    [
        ({"type_": "concurrent", "streams": 10}, "10 in flight"),
        ({"type_": "concurrent", "max_concurrency": 10}, "10 in flight"),
        ({"type_": "constant", "rate": 2.0}, "2 requests/s (constant)"),
        ({"type_": "synchronous"}, "1 in flight"),
        ({"type_": "throughput"}, "throughput"),
    ],
)
def test_guidellm(
    timed: Callable[..., Timings], holder: str, strategy: dict[str, Any], load: str
) -> None:
    """Latencies come in milliseconds, the whole request's from seconds."""
    imported = timed(guidellm(holder, strategy))
    assert imported.workloads == (f"128+50 tokens, {load}",)
    figures = imported.repeats[0].figures
    assert figures["output tokens/s"] == 150.0
    assert figures["TPOT p99 ms"] == 18.0
    assert figures["E2E mean ms"] == 500.0


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({**SERVE, "failed": 3}, "3 failed"),
        ({**SERVE, "completed": 0}, "0 were answered"),
        ({**SERVE, "output_throughput": -1.0, "request_throughput": -1.0}, "no usable"),
        ({**SERVE, "total_input_tokens": "many"}, "no whole number"),
        ({**THROUGHPUT, "num_requests": 0}, "timed no request"),
        ({"benchmarks": [{}]}, "without metrics"),
        ({"benchmarks": []}, "no timings"),
    ],
)
def test_timings_that_mean_nothing_are_refused(
    timed: Callable[..., Timings], document: dict[str, Any], said: str
) -> None:
    """Failed requests and figures that cannot be are refused, not averaged in."""
    with refused(said):
        timed(document)


def test_failed_requests_of_guidellm_are_refused(timed: Callable[..., Timings]) -> None:
    """Requests that ended in errors are not in its latencies; the rest was easier then."""
    document = guidellm("config", {"type_": "synchronous"})
    document["benchmarks"][0]["metrics"]["request_latency"]["errored"]["count"] = 4
    with refused("4 failed"):
        timed(document)


def test_several_models_are_refused(timed: Callable[..., Timings]) -> None:
    """Repeats are of one model."""
    with refused(r"2 models: org/model, other"):
        timed(SERVE, {**SERVE, "model_id": "/srv/models/other"})


def test_one_repeat_has_a_ratio_and_no_verdict(timed: Callable[..., Timings]) -> None:
    """Twice the throughput in a single repeat is a figure; better it is not called."""
    before = timed(SERVE, name="base")
    after = timed({**SERVE, "output_throughput": 200.0})
    ratio = compare_timings(before, after, confidence=0.95)[0]
    assert ratio.ratio.estimate == pytest.approx(2.0)
    assert not ratio.better
    assert not ratio.worse
