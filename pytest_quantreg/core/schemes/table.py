"""Quantization schemes as data: what each stores and computes, its aliases, its bare names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

NumberType = Literal["int", "float"]
Granularity = Literal["tensor", "channel", "token", "group", "block"]
ScaleType = Literal["float", "e4m3", "e8m0"]
Container = Literal["plain", "tensors", "bitsandbytes", "gguf"]

METHODS = ("smoothquant", "awq", "gptq", "rtn")
"""How weights were rounded, as name suffixes; provenance, never part of the identity."""


@dataclass(frozen=True)
class Quantization:
    """How one kind of tensor is stored.

    ``granularity`` is what shares a scale, ``group_size`` the usual number of values in
    a group or the side of a block. ``scale`` is the type of the scales themselves:
    ``e8m0`` makes the MX formats, ``e4m3`` NVFP4.
    """

    type: NumberType
    bits: int
    granularity: Granularity
    dynamic: bool = False
    group_size: int | None = None
    scale: ScaleType = "float"


@dataclass(frozen=True)
class Scheme:
    """One scheme: its canonical name and what weights and activations are held in.

    ``weights`` None means unquantized. ``container`` is ``tensors`` for schemes written
    as ordinary checkpoints (compressed-tensors, GPTQ, AWQ, FP8), which take a method
    suffix. ``aliases`` are matched whatever the order, case and separators of their
    words.
    """

    name: str
    title: str
    weights: Quantization | None
    activations: Quantization | None = None
    kv_cache: Quantization | None = None
    container: Container = "tensors"
    aliases: tuple[str, ...] = ()

    @property
    def is_quantized(self) -> bool:
        """Whether a model at this scheme has anything quantized."""
        return self.weights is not None or self.kv_cache is not None


def _group(kind: NumberType, bits: int, size: int, scale: ScaleType = "float") -> Quantization:
    return Quantization(kind, bits, "group", group_size=size, scale=scale)


def _per_token(kind: NumberType, bits: int) -> Quantization:
    return Quantization(kind, bits, "token", dynamic=True)


def _groups_on_the_fly(bits: int, size: int, scale: ScaleType = "float") -> Quantization:
    return Quantization("float", bits, "group", dynamic=True, group_size=size, scale=scale)


_INT8 = Quantization("int", 8, "channel")
_FP8 = Quantization("float", 8, "channel")
_FP8_BLOCK = Quantization("float", 8, "block", group_size=128)
_INT4 = _group("int", 4, 128)

SCHEMES: tuple[Scheme, ...] = (
    Scheme("native", "as the model was published", None, container="plain"),
    Scheme("bf16", "bfloat16 throughout", None, container="plain", aliases=("bfloat16",)),
    Scheme("fp16", "float16 throughout", None, container="plain", aliases=("float16", "half")),
    Scheme("fp32", "float32 throughout", None, container="plain", aliases=("float32",)),
    Scheme(
        "w8a16-int8",
        "int8 weights",
        _INT8,
        aliases=("w8a16", "int8-weight-only"),
    ),
    Scheme(
        "w8a8-int8",
        "int8 weights and activations",
        _INT8,
        _per_token("int", 8),
        aliases=("int8", "w8a8", "int8-dynamic", "w8a8-int8-dynamic"),
    ),
    Scheme(
        "w4a16-int4",
        "int4 weights in groups",
        _INT4,
        aliases=("w4a16", "int4", "w4a16-asym", "int4-weight-only"),
    ),
    Scheme(
        "w4a8-int8",
        "int4 weights, int8 activations",
        _INT4,
        _per_token("int", 8),
        aliases=("w4a8", "w4a8-int", "w4a8-int4"),
    ),
    Scheme(
        "w8a8-fp8",
        "fp8 weights and activations",
        _FP8,
        _per_token("float", 8),
        aliases=("fp8", "fp8-dynamic", "fp8-static", "w8a8-fp8-dynamic", "w8a8-fp8-static"),
    ),
    Scheme(
        "w8a8-fp8-block",
        "fp8 weights in blocks, fp8 activations in groups",
        _FP8_BLOCK,
        _groups_on_the_fly(8, 128),
        aliases=("fp8-block",),
    ),
    Scheme(
        "w8a16-fp8",
        "fp8 weights",
        _FP8,
        aliases=("fp8-weight-only", "fp8a16"),
    ),
    Scheme(
        "w8a8-mxfp8",
        "mxfp8 weights and activations",
        _group("float", 8, 32, "e8m0"),
        _groups_on_the_fly(8, 32, "e8m0"),
        aliases=("mxfp8",),
    ),
    Scheme(
        "w4a8-fp8",
        "int4 weights, fp8 activations",
        _INT4,
        _per_token("float", 8),
        aliases=("w4afp8", "w4a8-int4-fp8"),
    ),
    Scheme(
        "w4a16-nvfp4",
        "nvfp4 weights",
        _group("float", 4, 16, "e4m3"),
        aliases=("nvfp4a16", "nvfp4-weight-only"),
    ),
    Scheme(
        "w4a4-nvfp4",
        "nvfp4 weights and activations",
        _group("float", 4, 16, "e4m3"),
        _groups_on_the_fly(4, 16, "e4m3"),
        aliases=("nvfp4",),
    ),
    Scheme(
        "w4a16-mxfp4",
        "mxfp4 weights",
        _group("float", 4, 32, "e8m0"),
        aliases=("mxfp4a16", "mxfp4-weight-only"),
    ),
    Scheme(
        "w4a4-mxfp4",
        "mxfp4 weights and activations",
        _group("float", 4, 32, "e8m0"),
        _groups_on_the_fly(4, 32, "e8m0"),
        aliases=("mxfp4",),
    ),
    Scheme(
        "bnb-int8",
        "bitsandbytes LLM.int8",
        _INT8,
        _per_token("int", 8),
        container="bitsandbytes",
        aliases=("load-in-8bit", "llm-int8", "bnb-8bit", "bitsandbytes-int8", "bitsandbytes-8bit"),
    ),
    Scheme(
        "bnb-nf4",
        "bitsandbytes 4-bit NormalFloat",
        _group("float", 4, 64),
        container="bitsandbytes",
        aliases=("load-in-4bit", "nf4", "bnb-4bit", "bitsandbytes-nf4", "bitsandbytes-4bit"),
    ),
    Scheme(
        "gguf-q8_0",
        "GGUF Q8_0",
        _group("int", 8, 32),
        container="gguf",
        aliases=("q8_0",),
    ),
    Scheme(
        "gguf-q4_k_m",
        "GGUF Q4_K_M",
        _group("int", 4, 32),
        container="gguf",
        aliases=("q4_k_m",),
    ),
)

SHORTHANDS: Mapping[str, str] = {
    # Names that say how and leave out what.
    "awq": "w4a16-int4-awq",
    "gptq": "w4a16-int4-gptq",
    "smoothquant": "w8a8-int8-smoothquant",
}

AMBIGUOUS: Mapping[str, str] = {
    "int8": "int8 is read as w8a8-int8; write w8a16-int8 for int8 weights alone",
    "w8a8": "w8a8 is read as w8a8-int8; write w8a8-fp8 for fp8",
    "w4a8": "w4a8 is read as w4a8-int8; write w4a8-fp8 for fp8 activations",
    "fp8": "fp8 is read as w8a8-fp8; write w8a16-fp8 or w8a8-fp8-block for the others",
    "nvfp4": "nvfp4 is read as w4a4-nvfp4; write w4a16-nvfp4 for nvfp4 weights alone",
    "mxfp4": "mxfp4 is read as w4a4-mxfp4; write w4a16-mxfp4 for mxfp4 weights alone",
    "load-in-4bit": "load_in_4bit is read as bnb-nf4",
    "awq": "awq is read as w4a16-int4-awq",
    "gptq": "gptq is read as w4a16-int4-gptq; write w8a16-int8-gptq for 8 bits",
    "smoothquant": "smoothquant is read as w8a8-int8-smoothquant",
}
"""Names that people use for more than one scheme, and how they are read here."""
