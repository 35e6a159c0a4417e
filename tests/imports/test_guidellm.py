"""Real files of three versions of GuideLLM, which changed its form each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.records.timings import Timings
from pytest_quantreg.imports.open_results import open_path

from ..wording import refused


def real(data: Path, version: str) -> tuple[Timings, dict[str, Any]]:
    """The timings in a file, and the metrics of its only benchmark as they stand there."""
    path = data / "guidellm" / f"{version}.json"
    opened = open_path(path)
    assert isinstance(opened, Timings)
    return opened, json.loads(path.read_text("utf-8"))["benchmarks"][0]["metrics"]


@pytest.mark.parametrize(
    ("version", "workload", "requests"),
    [
        ("0.3.1", "33+16 tokens, 2 in flight", 30),
        ("0.5.4", "32+16 tokens, 4 requests/s (constant)", 12),
        ("0.8.1", "32+16 tokens, 2 in flight", 40),
    ],
)
def test_versions(data: Path, version: str, workload: str, requests: int) -> None:
    """Model, workload and figures are found wherever a version puts them."""
    imported, metrics = real(data, version)
    assert (imported.model, imported.program) == ("tiny-llama", "GuideLLM")
    assert imported.workloads == (workload,)
    (repeat,) = imported.repeats
    assert repeat.requests == requests
    for figure, name, path, scale in (
        ("output tokens/s", "output_tokens_per_second", ("mean",), 1),
        ("TTFT p99 ms", "time_to_first_token_ms", ("percentiles", "p99"), 1),
        ("TPOT median ms", "inter_token_latency_ms", ("median",), 1),
        ("E2E mean ms", "request_latency", ("mean",), 1000),
    ):
        said = metrics[name]["successful"]
        for step in path:
            said = said[step]
        assert repeat.figures[figure] == scale * said, figure


def test_a_server_that_refused_everything(data: Path) -> None:
    """Requests that failed are no timings, however fast they failed."""
    with refused("12 failed and 0 were answered"):
        open_path(data / "guidellm/0.8.1-all-failed.json")
