"""Numbers that no score, total or time can be: one refusal or a plain figure, never a crash."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.strict_json import parse
from pytest_quantreg.imports.open_results import open_path

from ..wording import corrupt, says
from .test_serving_benchmarks import SERVE, guidellm, summary

HUGE = 10**400

Write = Callable[..., Path]


def refused(path: Path) -> str:
    """Why a file is refused; short, whatever it holds."""
    with pytest.raises(Refusal) as caught:
        open_path(path)
    assert caught.value.category is Category.BASELINE_UNREADABLE
    assert len(says(caught.value)) < 500
    return says(caught.value)


@pytest.mark.parametrize("text", [b"%d", b"[1, -%d]", b'{"a": {"b": [%d]}}'])
def test_whole_numbers_that_no_float_holds_are_no_json_of_ours(text: bytes) -> None:
    """They are damage wherever they stand, and texts of many digits are not."""
    with corrupt(r"a whole number of 40[12] digits, too large"):
        parse(text % HUGE)
    with corrupt(r"a whole number of 40[12] digits, too large"):
        parse(text % HUGE, infinity=True)
    assert parse(b'["%d", %d, 5]' % (HUGE, 10**308)) == [str(HUGE), 10**308, 5]


@pytest.mark.parametrize(
    "score", [HUGE, -HUGE, 1e308, -1e308], ids=lambda score: f"{len(str(score))}"
)
def test_a_logged_score_beyond_all_numbers(log_file: Write, row: Any, score: float) -> None:
    """The sum of two overflowed; one of 400 digits was passed over in silence."""
    assert "samples_t.jsonl" in refused(log_file([row(0, acc=score), row(1, acc=score), row(2)]))


def test_logged_likelihoods_beyond_all_numbers(log_file: Write, row: Any) -> None:
    """Log-likelihoods are facts beside the scores: those that cannot be added up are left out."""
    likely = [["-1e308", "False"]] * 4
    path = log_file([{**row(at), "resps": [likely], "filtered_resps": likely} for at in range(4)])
    assert open_path(path)


@pytest.mark.parametrize("figure", ["acc,none", "acc_stderr,none"])
def test_a_total_of_400_digits_was_no_figure(results_file: Write, figure: str) -> None:
    """It was read as if the metric, or its error, were not there."""
    row = {"acc,none": 0.8, "acc_stderr,none": 0.04, figure: HUGE}
    assert "too large to use" in refused(results_file(results={"t": row}))


def serving(**fields: Any) -> dict[str, Any]:
    """A file of ``vllm bench serve`` with some fields replaced."""
    return {**SERVE, **fields}


def streaming(name: str, mean: float) -> dict[str, Any]:
    """A file of GuideLLM with one mean replaced."""
    document = guidellm("config", {"type_": "concurrent", "streams": 4})
    document["benchmarks"][0]["metrics"][name] = summary(mean)
    return document


@pytest.mark.parametrize(
    "document",
    [
        serving(completed=HUGE),
        serving(completed=10**300),
        serving(output_throughput=HUGE),
        serving(output_throughput=1e308),
        serving(mean_ttft_ms=1e308),
        serving(total_input_tokens=10**300),
        streaming("request_latency", 1e308),
        streaming("prompt_token_count", 1e308),
        streaming("output_token_count", HUGE),
    ],
)
def test_times_beyond_all_numbers(tmp_path: Path, document: dict[str, Any]) -> None:
    """Requests, tokens, throughputs and times alike are refused."""
    path = tmp_path / "times.json"
    path.write_text(json.dumps(document), "utf-8")
    refused(path)
