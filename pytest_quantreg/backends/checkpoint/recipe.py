"""Turns a scheme into the recipe that llm-compressor makes it by, without any data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...core.codes import ModelCode
from ...core.errors import WrongUse
from ...core.facts import Scheme
from ...core.schemes.names import Quantization, SchemeChoice, describe, resolve

DATA_FREE = (
    "w8a8-fp8",
    "w8a16-fp8",
    "w8a8-fp8-block",
    "w8a8-int8",
    "w8a16-int8",
    "w4a16-int4",
    "w4a8-int8",
    "w4a8-fp8",
    "w8a8-mxfp8",
    "w4a16-nvfp4",
    "w4a16-mxfp4",
    "w4a4-mxfp4",
)
"""Schemes made by rounding to nearest, activations scaled while running."""

AT_LOAD = ("bnb-int8", "bnb-nf4")
"""Schemes that bitsandbytes makes while it loads full-precision weights."""

IGNORE = ("lm_head", r"re:.*\.gate$", r"re:.*router.*", r"re:.*shared_expert_gate$")
"""Layers left alone: the output layer, and what chooses between experts."""

GROUP_SIZES = (128, 64, 32, 16)


def check(spec_name: str, scheme: str) -> SchemeChoice:
    """Raises WrongUse for a scheme that cannot be made without data, or not at all."""
    choice, wanted = resolve(scheme), Scheme(scheme)
    if choice.scheme.container == "gguf":
        raise WrongUse(ModelCode.SCHEME_FOR_GGUF, scheme=wanted)
    if choice.method not in (None, "rtn"):
        raise WrongUse(
            ModelCode.NEEDS_CALIBRATION,
            scheme=wanted,
            method=choice.method,
            base=choice.scheme.name,
        )
    if choice.kv is not None:
        raise WrongUse(ModelCode.KV_NEEDS_CALIBRATION, scheme=wanted)
    if choice.is_quantized and choice.scheme.name not in DATA_FREE + AT_LOAD:
        raise WrongUse(
            ModelCode.NOT_MADE_HERE,
            scheme=wanted,
            name=spec_name,
            makeable=DATA_FREE + AT_LOAD,
        )
    return choice


def recipe(
    choice: SchemeChoice, linear_shapes: Iterable[tuple[int, int]], name: str
) -> dict[str, Any]:
    """The arguments of llm-compressor's QuantizationModifier, as plain JSON.

    ``linear_shapes`` are (outputs, inputs) of the model's matrices. Raises WrongUse
    when groups or blocks do not divide them.
    """
    shapes = tuple(linear_shapes)
    weights, activations = choice.scheme.weights, choice.scheme.activations
    if weights is None:
        raise WrongUse(ModelCode.QUANTIZES_NOTHING, scheme=Scheme(choice.name))
    size = _size(weights, shapes, choice.name, name)
    group: dict[str, Any] = {"targets": ["Linear"], "weights": _arguments(weights, size)}
    if activations is not None:
        group["input_activations"] = _arguments(activations, activations.group_size)
    return {"config_groups": {"group_0": group}, "ignore": list(IGNORE)}


def recipe_in_words(settings: Mapping[str, Any]) -> str:
    """Return a recipe in words, for the line that announces it: ``int4 in groups of 64, rtn``."""
    from .stored_scheme import quantization

    group = settings["config_groups"]["group_0"]
    weights = describe(quantization(group["weights"]))
    activations = quantization(group.get("input_activations"))
    words = f"{weights} weights rounded to nearest"
    return words if activations is None else f"{words}, {describe(activations)} activations"


def _size(
    weights: Quantization, shapes: tuple[tuple[int, int], ...], scheme: str, name: str
) -> int | None:
    if weights.group_size is None:
        return None
    free = weights.granularity == "group" and weights.scale == "float"
    sizes = GROUP_SIZES if free else (weights.group_size,)
    both = weights.granularity == "block"
    for size in sizes:
        if all(n % size == 0 and (not both or m % size == 0) for m, n in shapes):
            return size
    raise WrongUse(
        ModelCode.WIDTH_NOT_DIVISIBLE,
        scheme=Scheme(scheme),
        granularity=weights.granularity,
        size=sizes[-1],
        name=name,
    )


def _arguments(quantization: Quantization, size: int | None) -> dict[str, Any]:
    blocks = quantization.granularity == "block"
    strategy: str = quantization.granularity
    if quantization.scale == "e4m3":
        strategy = "tensor_group"
    arguments: dict[str, Any] = {
        "num_bits": quantization.bits,
        "type": quantization.type,
        "strategy": strategy,
        "dynamic": quantization.dynamic,
        "symmetric": True,
    }
    if size is not None:
        arguments["block_structure" if blocks else "group_size"] = [size, size] if blocks else size
    scales = {"e4m3": "float8_e4m3fn", "e8m0": "uint8"}.get(quantization.scale)
    if scales is not None:
        arguments["scale_dtype"] = f"torch.{scales}"
    return arguments
