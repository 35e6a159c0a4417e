"""What vLLM's layers amount to, from values as its workers tell them."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_quantreg.backends.vllm.effective import effective_scheme, read_layer
from pytest_quantreg.core.records.run import EffectiveScheme

FP8_CHANNEL = {
    "dtype": "float8_e4m3fn",
    "rows": -1,
    "columns": 1,
    "static": True,
    "scale": "float32",
}
FP8_TOKEN = {"dtype": "float8_e4m3fn", "rows": 1, "columns": -1, "static": False, "scale": "f"}
FP8_BLOCK = {"dtype": "float8_e4m3fn", "rows": 128, "columns": 128, "static": True, "scale": "f"}
FP8_GROUP = {"dtype": "float8_e4m3fn", "rows": 1, "columns": 128, "static": False, "scale": "f"}
FP8 = {"weight_quant_key": FP8_CHANNEL, "activation_quant_key": FP8_TOKEN}
BLOCKS = {"weight_quant_key": FP8_BLOCK, "activation_quant_key": FP8_GROUP}
INT4 = {"weight_bits": 4, "weight_float": False, "group_size": 128, "act_type": "bfloat16"}
INT8 = {"is_channelwise": 1, "is_static_input_scheme": 0}
PLAIN_KV = {"dtypes": ["auto"], "scales": [1.0], "model_dtype": "bfloat16"}


def description(
    kernel: str | None, family: str, config: dict[str, Any], **others: Any
) -> dict[str, Any]:
    """A layer as `Probe.quantreg_layers` tells of it."""
    return {
        "name": "layer",
        "method": "CompressedTensorsLinearMethod",
        "scheme": "Scheme",
        "plain": False,
        "weights_only": False,
        "kernel": kernel,
        "family": family,
        "config": config,
        "tensors": {},
        "empty_scales": False,
        **others,
    }


PLAIN = description(None, "", {}, plain=True, method="UnquantizedLinearMethod")


def effective(*layers: dict[str, Any], in_files: bool = False, **kv: Any) -> EffectiveScheme:
    """The scheme of a model of these layers."""
    return effective_scheme(layers, {**PLAIN_KV, **kv}, scales_in_files=in_files)


@pytest.mark.parametrize(
    ("one", "scheme", "mode"),
    [
        (
            description("CutlassInt8ScaledMMLinearKernel", "scaled_mm.cutlass", INT8),
            "w8a8-int8",
            "native",
        ),
        (description("MarlinLinearKernel", "mixed_precision.marlin", INT4), "w4a16-int4", "native"),
        (
            description("CutlassFP8ScaledMMLinearKernel", "scaled_mm.cutlass", FP8),
            "w8a8-fp8",
            "native",
        ),
        (
            description("MarlinFP8ScaledMMLinearKernel", "scaled_mm.marlin", FP8),
            "w8a16-fp8",
            "weight-only fallback",
        ),
        (
            description("CutlassFp8BlockScaledMMKernel", "scaled_mm.cutlass", BLOCKS),
            "w8a8-fp8-block",
            "native",
        ),
        (
            description(
                "CutlassW4A8LinearKernel",
                "mixed_precision.cutlass",
                {**INT4, "act_type": "float8_e4m3fn"},
            ),
            "w4a8-fp8",
            "native",
        ),
        (description("CutlassNvFp4LinearKernel", "nvfp4.cutlass", {}), "w4a4-nvfp4", "native"),
        (
            description("MarlinNvFp4LinearKernel", "nvfp4.marlin", {}),
            "w4a16-nvfp4",
            "weight-only fallback",
        ),
        (
            description("MarlinNvFp4LinearKernel", "nvfp4.marlin", {}, weights_only=True),
            "w4a16-nvfp4",
            "native",
        ),
        (
            description("EmulationMxfp8LinearKernel", "mxfp8.emulation", {}),
            "w8a8-mxfp8",
            "emulated",
        ),
        (description("MarlinMxFp4LinearKernel", "mxfp4.marlin", {}), "w4a16-mxfp4", "native"),
    ],
    ids=lambda value: value["kernel"] if isinstance(value, dict) else None,
)
def test_kernels_decide(one: dict[str, Any], scheme: str, mode: str) -> None:
    """Name and mode follow from the kernel that vLLM chose, not from what was claimed."""
    scheme_read = effective(one, PLAIN)
    assert (scheme_read.scheme, scheme_read.mode) == (scheme, mode)
    assert (scheme_read.quantized_layers, scheme_read.linear_layers) == (1, 2)
    assert scheme_read.kernel == one["kernel"]


def test_nothing_quantized() -> None:
    """A model of plain layers is named by its type, whatever config.json claims."""
    effective_read = effective(PLAIN, PLAIN)
    assert (effective_read.scheme, effective_read.mode, effective_read.quantized_layers) == (
        "bf16",
        "full precision",
        0,
    )


def test_empty_scales_are_no_quantization() -> None:
    """A layer whose scales nobody filled in counts as not quantized."""
    empty = description("MarlinLinearKernel", "mixed_precision.marlin", INT4, empty_scales=True)
    assert effective(empty).quantized_layers == 0


def test_mixed_schemes_have_no_name() -> None:
    """Layers of two schemes amount to none, and both are told."""
    effective_read = effective(
        description("MarlinLinearKernel", "mixed_precision.marlin", INT4),
        description("CutlassFP8ScaledMMLinearKernel", "scaled_mm.cutlass", FP8),
    )
    assert effective_read.scheme is None
    assert effective_read.weights == "int4 in groups of 128 (1), fp8 e4m3 per channel (1)"


def test_weights_alone_speak_without_a_kernel() -> None:
    """Where no kernel tells, the type of the weights and the shape of their scales do."""
    tensors = {"weight": ["float8_e4m3fn", [512, 256]], "weight_scale": ["float32", [512, 1]]}
    matrix = read_layer(description(None, "", {}, tensors=tensors))
    assert matrix.weights is not None
    assert (matrix.weights.type, matrix.weights.granularity) == ("float", "channel")


def test_unknown_kinds_are_told_by_name() -> None:
    """What nothing here understands is quantized, but of no known scheme."""
    unknown = description("NewKernel", "new", {}, tensors={"weight_packed": ["uint8", [4, 4]]})
    effective_read = effective(unknown)
    assert (effective_read.scheme, effective_read.weights, effective_read.quantized_layers) == (
        None,
        "NewKernel",
        1,
    )


@pytest.mark.parametrize(
    ("dtype", "scales", "in_files", "words"),
    [
        ("fp8", [1.0], False, "fp8 e4m3, scales 1.0"),
        ("fp8_e4m3", [0.5], True, "fp8 e4m3, scales from the checkpoint"),
        ("fp8", [1.0], True, "fp8 e4m3, scales from the checkpoint, all of them 1.0"),
        ("fp8_e5m2", [1.0], False, "fp8 e5m2, scales 1.0"),
        ("fp8_per_token_head", [1.0], False, "fp8 per token head, scales computed for each token"),
    ],
)
def test_kv_cache(dtype: str, scales: list[float], in_files: bool, words: str) -> None:
    """The type of the KV cache and where its scales come from are told."""
    effective_read = effective(PLAIN, in_files=in_files, dtypes=[dtype], scales=scales)
    assert effective_read.kv_cache == words
    assert effective_read.scheme == "bf16+kv-fp8"


def test_a_cache_that_is_quantized_in_part_is_no_quantized_one() -> None:
    """Layers that were left out keep the name without the cache, and are told."""
    effective_read = effective(PLAIN, dtypes=["auto", "fp8"])
    assert effective_read.scheme == "bf16"
    assert effective_read.kv_cache == "bfloat16 and fp8 e4m3, scales 1.0"
    assert effective(PLAIN, dtypes=["fp8", "fp8_e4m3"]).scheme == "bf16+kv-fp8"
    assert effective(PLAIN, dtypes=["auto", "bfloat16"]).kv_cache == "bfloat16"


def test_kv_cache_in_the_name() -> None:
    """A quantized cache is part of the name of quantized weights too."""
    static = description("CutlassFP8ScaledMMLinearKernel", "scaled_mm.cutlass", FP8)
    assert effective(static, dtypes=["fp8"]).scheme == "w8a8-fp8+kv-fp8"
