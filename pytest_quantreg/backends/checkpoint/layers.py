"""Puts the tensors of a checkpoint together to layers: what belongs to one weight."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ...core.schemes.inspection import PLAIN, Claim, Held, Layer, Scales, is_router, kind_of
from ...core.schemes.names import Granularity, NumberType
from .folder import Tensor

SIZES: Mapping[str, int] = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}
"""Bits of one element of a safetensors type."""

WEIGHT_SCALES = (
    *("weight_scale", "weight_scale_inv", "weight_scale_2", "weight_global_scale"),
    *("scales", "SCB", "weight.absmax", "weight.nested_absmax", "_weight_scale", "_scales"),
)
INPUT_SCALES = ("input_scale", "input_global_scale", "activation_scale")
_WEIGHTS = ("weight", "weight_packed", "qweight", "_weight_qdata", "_blocks")
_IN_BYTES = ("weight", "_weight_qdata")
_AUXILIARY_PARTS = (
    *("weight_shape", "weight_zero_point", "weight_g_idx", "qzeros", "g_idx", "weight_format"),
    *("weight.quant_map", "weight.nested_quant_map", "weight.quant_state.bitsandbytes__nf4"),
    *("weight.quant_state.bitsandbytes__fp4", "input_zero_point", "_weight_zero_point"),
    *("k_scale", "v_scale", "q_scale", "k_zero_point", "v_zero_point"),
)
_ENDINGS = sorted(
    (*WEIGHT_SCALES, *INPUT_SCALES, *_WEIGHTS, *_AUXILIARY_PARTS), key=len, reverse=True
)


@dataclass
class _Module:
    name: str
    parts: dict[str, Tensor] = field(default_factory=dict)


def split_name(tensor: str) -> tuple[str, str]:
    """Module and part of a tensor's name: ``("model.norm", "weight")``.

    A parameter of an unknown ending is a module of its own, with the part ``""``.
    """
    for ending in _ENDINGS:
        # Fused experts are named gate_up_proj_blocks: their ending follows no dot.
        cut = ending if ending in ("_blocks", "_scales") else f".{ending}"
        if tensor.endswith(cut) and len(tensor) > len(cut):
            return tensor[: -len(cut)], ending
    return tensor, ""


def layers(
    tensors: Mapping[str, Tensor],
    scales: Mapping[str, Scales],
    shapes: Mapping[str, tuple[int, ...]],
    claim: Claim,
) -> Iterator[Layer]:
    """The modules of a model in the order of their names.

    ``scales`` and ``shapes`` are what was read of tensors of scales, and of those that
    hold the shape of a packed weight, by tensor name.
    """
    modules: dict[str, _Module] = {}
    for name in sorted(tensors):
        module_name, part = split_name(name)
        modules.setdefault(module_name, _Module(module_name)).parts[part] = tensors[name]
    for module in modules.values():
        module_scales = tuple(
            scales[name] for part in module.parts if (name := f"{module.name}.{part}") in scales
        )
        fused = scales.get(f"{module.name}_scales")
        shape = shapes.get(f"{module.name}.weight_shape")
        yield _layer(module, (*module_scales, fused) if fused else module_scales, shape, claim)


def size_of(tensor: Tensor) -> int:
    """Bytes of a tensor in the file; an unknown type counts nothing."""
    return math.prod(tensor.shape) * SIZES.get(tensor.dtype, 0) // 8


def _layer(
    module: _Module, scales: tuple[Scales, ...], shape: tuple[int, ...] | None, claim: Claim
) -> Layer:
    part = next((ending for ending in (*_WEIGHTS, "") if ending in module.parts), None)
    kind, size = kind_of(module.name), sum(size_of(tensor) for tensor in module.parts.values())
    if part is None:
        # Scales of a KV cache hang on the attention itself, which has no weight.
        first = next(iter(module.parts.values()))
        return Layer(module.name, kind, first.dtype, 0, size, False, None, scales)
    weight = module.parts[part]
    held, matrix = _held(module, part, weight, shape, claim)
    excluded = kind in ("embeddings", "norms", "lm_head") or is_router(module.name)
    linear = part != "" and not excluded and (held is not None or len(weight.shape) == 2)
    count = math.prod(matrix) if matrix else math.prod(weight.shape)
    if held is not None and held.packed and not matrix:
        count = size_of(weight) * 8 // (held.bits or 4)
    return Layer(module.name, kind, weight.dtype, count, size, linear, held, scales)


def _held(
    module: _Module, part: str, weight: Tensor, shape: tuple[int, ...] | None, claim: Claim
) -> tuple[Held | None, tuple[int, ...] | None]:
    """Return a weight's stored form and unpacked shape; (None, None) for an unquantized one."""
    floats8 = weight.dtype.startswith("F8")
    if part == "":
        # Fused experts; their scales are named in as many ways as there are models.
        return (Held("float", 8), weight.shape) if floats8 else (None, None)
    if weight.dtype in PLAIN:
        return None, None
    scale = next((module.parts[ending] for ending in WEIGHT_SCALES if ending in module.parts), None)
    scaled = scale is not None
    if floats8 or (weight.dtype == "I8" and part in _IN_BYTES):
        kind: NumberType = "float" if floats8 else "int"
        shared = (None, None) if scale is None else _shared(weight.shape, scale.shape)
        return Held(kind, 8, False, *shared, scaled=scaled), weight.shape
    matrix = shape or _unpacked(module, part, weight, claim)
    bits = _bits(weight, matrix)
    shared = (None, None)
    if matrix is not None and scale is not None and "weight_scale" in module.parts:
        shared = _shared(matrix, scale.shape)
    elif matrix is not None and scale is not None and len(scale.shape) == 2 == len(matrix):
        groups = max(scale.shape[0], 1)
        shared = ("channel" if groups == 1 else "group", -(-matrix[1] // groups))
    kind4: NumberType | None = "int" if weight.dtype == "I32" else None
    return Held(kind4, bits, True, *shared, scaled=scaled), matrix


def _unpacked(module: _Module, part: str, weight: Tensor, claim: Claim) -> tuple[int, ...] | None:
    """(outputs, inputs) of a packed weight, from what lies beside it.

    GPTQ packs inputs and keeps a group index for each; AWQ packs outputs and has a
    scale for each. Four-bit floats lie two to a byte.
    """
    scale, index = module.parts.get("scales"), module.parts.get("g_idx")
    if part == "qweight" and scale is not None and len(scale.shape) == 2 == len(weight.shape):
        outputs = scale.shape[1]
        if index is not None:
            return outputs, index.shape[0]
        if weight.shape[1] != outputs:
            return outputs, weight.shape[0]
        size = next((group.weights.group_size for group in claim.groups if group.weights), None)
        return None if size is None else (outputs, scale.shape[0] * size)
    if part in ("weight_packed", "weight", "_blocks") and weight.dtype == "U8":
        return (*weight.shape[:-1], 2 * weight.shape[-1]) if weight.shape else None
    return None


def _bits(weight: Tensor, matrix: tuple[int, ...] | None) -> int | None:
    values = math.prod(matrix) if matrix else 0
    stored = size_of(weight) * 8
    # Rows may be filled up to whole numbers, never by as much as a bit for each value.
    return stored // values if values > 0 else None


def _shared(
    weight: tuple[int, ...], scale: tuple[int, ...]
) -> tuple[Granularity | None, int | None]:
    """Return the granularity of a scale, and the number of inputs that share it."""
    if math.prod(scale) == 1:
        return "tensor", None
    if len(weight) != 2 or len(scale) > 2:
        return None, None
    (rows, columns), (down, across) = weight, (*scale, 1)[:2]
    if not down or not across:
        return None, None
    if down == rows:
        return ("channel", columns) if across == 1 else ("group", -(-columns // across))
    return ("block", -(-columns // across)) if down < rows else (None, None)
