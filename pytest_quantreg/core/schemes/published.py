"""What others published of the retention of schemes, each with its source: a place to start.

None of it is evidence about another model. A figure stands here only where its source
states it; what a source says without a figure stands in ``says``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

MOST = 0.99
"""No suggestion is higher: above it the noise of a few thousand items decides."""


@dataclass(frozen=True)
class Published:
    """One published comparison of a quantized model with its full-precision one.

    ``retention`` is a share (1.003 kept more than all), rounded down to three places, None
    where none is stated.
    ``how`` says how the model was quantized, as far as the source does. ``average`` is
    whether it is over a whole benchmark or several, and not of a single task.
    """

    source: str
    model: str
    benchmark: str = ""
    retention: float | None = None
    how: str = ""
    says: str = ""
    average: bool = True


_PAPER = "arXiv 2411.02355"
_MX_PAPER = "arXiv 2601.09555"
_V1, _V2 = "OpenLLM v1", "OpenLLM v2"
_QWEN = "Qwen3.6-27B"
_FPQUANT = "model card ISTA-DASLab/Llama-3.1-8B-Instruct-FPQuant-QAT-NVFP4"
_FOUR = "MMLU, GSM8K, HellaSwag and Winogrande, mean"

_BENCHMARK = "GitHub sch0tten/nvfp4-benchmark, result files"
_TASKS = (
    "gsm8k, strict match, 600 of 1,319 items",
    "humaneval_instruct, 164 items",
    "mbpp_instruct, 500 items",
    "mmlu_pro, 700 of 12,032 items",
)
_ALL_TASKS = "gsm8k, humaneval, mbpp and mmlu_pro, ratio of the mean scores"


def _arms(how: str, mean: float, *retentions: float) -> tuple[Published, ...]:
    """One arm of a benchmark of Qwen3.6-27B: all of its tasks, and each."""
    tasks = (
        Published(_BENCHMARK, _QWEN, task, retention, how, average=False)
        for task, retention in zip(_TASKS, retentions, strict=True)
    )
    return (Published(_BENCHMARK, _QWEN, _ALL_TASKS, mean, how), *tasks)


def _card(name: str) -> str:
    return f"model card {name}"


_W8A8 = _card("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8")
_W4A16 = _card("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16")
_LLAMA = "Llama-3.1-8B-Instruct"

PUBLISHED: Mapping[str, tuple[Published, ...]] = MappingProxyType(
    {
        "w8a8-int8": (
            Published(_W8A8, _LLAMA, _V1, 1.003),
            Published(_W8A8, _LLAMA, _V2, 1.015),
            Published(_PAPER, "Llama 3.1", says="1 to 3 % loss per task when well tuned"),
        ),
        "w8a8-fp8": (Published(_PAPER, "Llama 3.1, all sizes", says="effectively lossless"),),
        "w4a16-int4": (
            Published(_W4A16, _LLAMA, _V1, 0.989),
            Published(_W4A16, _LLAMA, _V2, 0.961),
            Published(_PAPER, "Llama 3.1", says="rivals 8 bits"),
            *_arms("AWQ, QuantTrio/Qwen3.6-27B-AWQ", 0.994, 1.010, 1.000, 0.983, 0.981),
        ),
        "w8a16-int8": (
            Published(
                _card("neuralmagic/Meta-Llama-3-8B-Instruct-quantized.w8a16"),
                "Llama-3-8B-Instruct",
                _V1,
                0.997,
                says="68.54 of 68.69, by the card's table; its text has them the other way round",
            ),
        ),
        "w8a8-fp8-block": _arms("Qwen/Qwen3.6-27B-FP8", 1.006, 1.010, 1.012, 1.004, 0.994),
        "w4a4-nvfp4": (
            Published(_FPQUANT, _LLAMA, _FOUR, 0.937, "rounded to nearest", "74.0 of 78.9"),
            Published(
                _FPQUANT, _LLAMA, _FOUR, 0.964, "quantization-aware training", "76.1 of 78.9"
            ),
            *_arms("unsloth/Qwen3.6-27B-NVFP4", 0.991, 0.994, 0.993, 1.004, 0.971),
        ),
        "w8a8-mxfp8": (Published(_MX_PAPER, "", says="near-lossless"),),
        "w4a4-mxfp4": (Published(_MX_PAPER, "", says="substantially lossy"),),
    }
)
"""Scheme -> what was published of it; a scheme that is absent has nothing here."""


def lowest(scheme: str) -> float | None:
    """The lowest published retention of a built-in scheme over a benchmark; None without one.

    Single tasks are left out: of a few hundred items each, their lowest is mostly noise.
    """
    retentions = [
        figure.retention
        for figure in PUBLISHED.get(scheme, ())
        if figure.retention is not None and figure.average
    ]
    return min(retentions, default=None)


def suggested(retention: float | None) -> float | None:
    """A ``min_retention`` to start with: rounded down to two places, at most `MOST`."""
    if retention is None:
        return None
    return min(math.floor(retention * 100 + 1e-9) / 100, MOST)
