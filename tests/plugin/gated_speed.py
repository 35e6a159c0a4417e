"""A suite of two timed models of an everyday size, on a device that its scripts name."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest

from .conftest import Suite

SCHEME = "w4a16-int4"
WORDS = (f"--quant-scheme={SCHEME}", "--quant-checkpoint=int4")
H100 = {"kind": "cuda", "accelerator": "NVIDIA H100 80GB HBM3"}

BASE: dict[str, Any] = {
    "seconds_to_first": 0.02,
    "seconds_per_token": 0.01,
    "load_seconds": 21.5,
    "loaded": {"bfloat16": 16_060_522_496},
    "weights": 16_060_522_496,
    "peak": 21_000_000_000,
    "streamed": 15_000_000_000,
    "kv_per_token": 131_072,
    "disk": 16_060_556_376,
    "bandwidth": 2.2e12,
}
"""A model of 8 billion parameters in bfloat16: 98.5 tokens/s for a single request."""

QUANT: dict[str, Any] = {
    "seconds_to_first": {"1": 0.01, "8": 0.05},
    "seconds_per_token": {"1": 0.005, "8": 0.015},
    "load_seconds": 9.25,
    "loaded": {"int4": 4_800_000_000, "bfloat16": 930_000_000},
    "weights": 5_730_000_000,
    "peak": 11_000_000_000,
    "streamed": 5_200_000_000,
    "disk": 5_730_123_456,
}
"""Twice as fast as `BASE` for a single request, and slower with 8 or more in flight."""

NOISE = [random.Random(f"noise {n}").lognormvariate(0.0, 0.3) for n in range(97)]
"""Factors by which times of a disturbed machine differ, for ``jitter``."""


class Gated:
    """``model/``, and ``int4/``: twice as fast for one request at a time, slower with 8.

    Two tests of one workload share one measurement, so that many gates cost little.
    """

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self.path = suite.path
        self.test = suite.test
        self.machine: dict[str, Any] = {}
        self.model()
        self.quantized()

    def on(self, machine: dict[str, Any]) -> None:
        """Lets both models run on this machine."""
        self.machine = machine
        self.model()
        self.quantized()

    def model(self, **speed: Any) -> Path:
        """Writes the baseline; ``speed`` is laid over `BASE`."""
        return self.suite.model(speed={**BASE, **speed}, machine=self.machine, log="events.log")

    def quantized(self, *, script: dict[str, Any] | None = None, **speed: Any) -> Path:
        """Writes the quantized model; ``speed`` is laid over `QUANT`, ``script`` over the rest."""
        return self.suite.model(
            "int4",
            **{
                "scheme": SCHEME,
                "speed": {**BASE, **QUANT, **speed},
                "machine": self.machine,
                "log": "events.log",
                **(script or {}),
            },
        )

    def run(self, *args: str) -> pytest.RunResult:
        """pytest with both models, without pytest-benchmark, which would add its table."""
        return self.suite.run(*WORDS, *args)

    def run_with_benchmark(self, *args: str) -> pytest.RunResult:
        """pytest with both models and every plugin."""
        return self.suite.run_with_plugins(*WORDS, *args)


def ended(result: pytest.RunResult) -> dict[str, str]:
    """How each test ended in a run with -v: its name without the scheme -> PASSED or so."""
    pattern = re.compile(r"\.py::(\S+) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)")
    matches = (pattern.search(line) for line in result.outlines)
    return {
        match.group(1).replace(f"[{SCHEME}]", "").replace(f"{SCHEME}-", ""): match.group(2)
        for match in matches
        if match is not None
    }
