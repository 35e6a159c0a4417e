"""What torchao's tensors hold, loaded or as config.json describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.schemes.names import Granularity, NumberType, Quantization, describe, name_of

_TENSORS: Mapping[str, tuple[NumberType, str]] = {
    "Int8Tensor": ("int", "int8"),
    "Float8Tensor": ("float", "fp8"),
}

_STORED: Mapping[str, tuple[Quantization, Quantization | None]] = {
    "Int8WeightOnlyConfig": (Quantization("int", 8, "channel"), None),
    "Int8DynamicActivationInt8WeightConfig": (
        Quantization("int", 8, "channel"),
        Quantization("int", 8, "token", dynamic=True),
    ),
    "Int8StaticActivationInt8WeightConfig": (
        Quantization("int", 8, "channel"),
        Quantization("int", 8, "tensor"),
    ),
    "Float8WeightOnlyConfig": (Quantization("float", 8, "channel"), None),
    "Float8DynamicActivationFloat8WeightConfig": (
        Quantization("float", 8, "channel"),
        Quantization("float", 8, "token", dynamic=True),
    ),
    "Int4WeightOnlyConfig": (Quantization("int", 4, "group", group_size=128), None),
}


def stored(config: Mapping[str, Any]) -> str:
    """The scheme that a ``quantization_config`` of torchao amounts to, or its own name."""
    default = (config.get("quant_type") or {}).get("default") or {}
    kind = str(default.get("_type", "unknown")) if isinstance(default, Mapping) else "unknown"
    weights, activations = _STORED.get(kind, (None, None))
    return name_of(weights, activations) or f"torchao {kind} (not a known scheme)"


def loaded(weight: Any) -> tuple[Quantization, Quantization | None, str] | None:
    """Weights, activations and kernel of one of torchao's weights; None for unknown ones.

    Without quantized activations its linear layer turns the whole weight into the dtype of
    the activations for every product; that is what it runs, and the kernel says so.
    """
    kind_and_words = _TENSORS.get(type(weight).__name__)
    if kind_and_words is None:
        return None
    kind, words = kind_and_words
    weights = _weights(weight, kind)
    if weight.act_quant_kwargs is None:
        dtype = str(weight.dtype).removeprefix("torch.")
        return weights, None, f"torchao, {describe(weights)} turned into {dtype} for each matmul"
    granularity = type(getattr(weight.act_quant_kwargs, "granularity", None)).__name__
    shared: Granularity = "tensor" if granularity == "PerTensor" else "token"
    static = getattr(weight, "act_quant_scale", None) is not None
    return weights, Quantization(kind, 8, shared, dynamic=not static), f"torchao {words} matmul"


def _weights(weight: Any, kind: NumberType) -> Quantization:
    if weight.scale.numel() == 1:
        return Quantization(kind, 8, "tensor")
    rows, width = (weight.block_size or [1, weight.shape[-1]])[-2:]
    if width >= weight.shape[-1]:
        return Quantization(kind, 8, "channel")
    shared: Granularity = "group" if rows == 1 else "block"
    return Quantization(kind, 8, shared, group_size=int(width))
