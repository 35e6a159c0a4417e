"""How each engine comes by a model of a scheme: made by it, loaded from a checkpoint, or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from .table import SCHEMES, Container

How = Literal["rounded", "at load", "converted", "checkpoint", "no"]
"""``rounded``: to nearest, by llm-compressor, into a checkpoint that is kept; ``at load``: while
the full-precision weights are loaded; ``converted``: by the engine's own tool, into a file that is
kept; ``checkpoint``: only what somebody quantized already; ``no``: not with this engine."""


@dataclass(frozen=True)
class Making:
    """How one engine comes by ``schemes``, and that in words."""

    schemes: tuple[str, ...]
    how: How
    words: str


def _making(schemes: str, how: How, words: str) -> Making:
    return Making(tuple(schemes.split()), how, words)


def _boxed(*containers: Container) -> str:
    return " ".join(s.name for s in SCHEMES if s.weights is not None and s.container in containers)


_OTHERS = "a checkpoint"
_NO_GGUF = "no: GGUF files are for llamacpp"
_ROUNDED = "made with llm-compressor (round-to-nearest), or a checkpoint"

_ROUNDED_SCHEMES = (
    "w8a8-fp8 w8a16-fp8 w8a8-fp8-block w8a8-int8 w8a16-int8 w4a16-int4 w4a8-int8 w4a8-fp8 "
    "w8a8-mxfp8 w4a16-nvfp4 w4a16-mxfp4 w4a4-mxfp4"
)

MAKINGS: Mapping[str, tuple[Making, ...]] = MappingProxyType(
    {
        "transformers": (
            _making(_ROUNDED_SCHEMES, "rounded", _ROUNDED),
            _making("bnb-int8 bnb-nf4", "at load", "made by bitsandbytes at load, or a checkpoint"),
            _making(_boxed("tensors"), "checkpoint", _OTHERS),
            _making(_boxed("gguf"), "no", _NO_GGUF),
        ),
        "vllm": (
            _making(
                "w8a8-fp8 w8a8-fp8-block w8a8-mxfp8",
                "at load",
                "made by vLLM at load, or a checkpoint",
            ),
            _making(
                _ROUNDED_SCHEMES,
                "rounded",
                "made with llm-compressor if it is installed too, or a checkpoint",
            ),
            _making(_boxed("tensors"), "checkpoint", _OTHERS),
            _making(_boxed("bitsandbytes"), "checkpoint", "a checkpoint, by a plug-in"),
            _making(_boxed("gguf"), "no", _NO_GGUF),
        ),
        "openai": (
            _making(
                _boxed("tensors", "bitsandbytes", "gguf"), "checkpoint", "what the server serves"
            ),
        ),
        "llamacpp": (
            _making(
                _boxed("gguf"), "converted", "made from a GGUF file in 16 bits, or a GGUF file"
            ),
            _making(_boxed("tensors", "bitsandbytes"), "no", "no: llama.cpp reads GGUF alone"),
        ),
    }
)
"""Backend -> how it comes by each scheme; the first row that names a scheme holds.

Whether there is a kernel for it on a device is another question: `core.hardware.kernels`.
"""

KV_FROM_FILES = frozenset({"transformers"})
"""Engines that quantize the KV cache only where the checkpoint's own files ask for it."""

NO_KV = frozenset({"llamacpp"})
"""Engines that are not known to run an FP8 KV cache at all."""


def making(backend: str, scheme: str) -> Making | None:
    """How ``backend`` comes by a built-in scheme; None for a backend that is not listed.

    The scripted double stands for transformers.
    """
    rows = MAKINGS.get("transformers" if backend == "scripted" else backend, ())
    return next((row for row in rows if scheme in row.schemes), None)
