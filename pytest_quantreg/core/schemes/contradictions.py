"""Where the files of a checkpoint contradict each other: config, types, shapes, scales."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from ..codes import ModelCode
from ..facts import Fact, Problem
from .gguf_types import differences
from .inspection import PACKED, Checkpoint, Held, Layer, Scales, claimed, ignored
from .names import NumberType, Quantization

NAMED = 3
"""How many layers a contradiction names; it counts the others."""


def contradictions(checkpoint: Checkpoint) -> tuple[Problem, ...]:
    """What cannot all be true of one checkpoint; none for a sound one."""
    problems: list[Problem] = []
    for rule in _GGUF_RULES if checkpoint.claim.container == "gguf" else _RULES:
        problems += rule(checkpoint)
    return tuple(problems)


def _plain_throughout(checkpoint: Checkpoint) -> Iterator[Problem]:
    claim = checkpoint.claim
    if claim.scheme is None or not claim.groups or checkpoint.quantized:
        return
    linear = [layer for layer in checkpoint.layers if layer.linear]
    described = any(group.weights is not None for group in claim.groups)
    if not described and (not linear or any(layer.dtype in PACKED for layer in checkpoint.layers)):
        return  # a method of which nobody here knows what its tensors are called
    yield Problem(
        ModelCode.PLAIN_THROUGHOUT,
        {"scheme": claim.scheme, "layers": len(linear), "held": checkpoint.scheme},
    )


def _quantized_unsaid(checkpoint: Checkpoint) -> Iterator[Problem]:
    if checkpoint.claim.scheme is None and checkpoint.quantized:
        yield Problem(ModelCode.QUANTIZED_WITHOUT_CLAIM, _named(checkpoint.quantized))


def _not_named(checkpoint: Checkpoint) -> Iterator[Problem]:
    claim = checkpoint.claim
    if not checkpoint.quantized or claim.ignore is None:
        return
    omitted = [
        layer
        for layer in checkpoint.layers
        if layer.held is None
        and (layer.linear or (layer.kind == "lm_head" and claim.exact))
        and claimed(claim, layer) is not None
        and not ignored(claim, layer.name)
    ]
    if omitted:
        yield Problem(ModelCode.PLAIN_NOT_IGNORED, _named(omitted))


def _named_and_quantized(checkpoint: Checkpoint) -> Iterator[Problem]:
    wrong = [layer for layer in checkpoint.quantized if ignored(checkpoint.claim, layer.name)]
    if wrong:
        yield Problem(ModelCode.IGNORED_AND_QUANTIZED, _named(wrong))


def _other_numbers(checkpoint: Checkpoint) -> Iterator[Problem]:
    """Weights stored as something else than the config says, alike ones as one problem."""
    wrong: list[tuple[Problem, list[Layer]]] = []
    for layer in checkpoint.quantized:
        group = claimed(checkpoint.claim, layer)
        declared = group.weights if group else None
        if layer.held is None or declared is None:
            continue
        for difference in _differences(layer.held, declared, layer.dtype):
            alike = next((layers for other, layers in wrong if other == difference), None)
            if alike is None:
                wrong.append((difference, alike := []))
            alike.append(layer)
    for difference, layers in wrong:
        yield Problem(
            ModelCode.LAYERS_HELD_OTHERWISE,
            {"difference": difference, "layers": len(layers), "first": layers[0].name},
        )


def _differences(held: Held, declared: Quantization, dtype: str) -> Iterator[Problem]:
    number = _number(declared.type, declared.bits)
    if held.type is not None and held.type != declared.type:
        yield Problem(ModelCode.OTHER_NUMBER_TYPE, {"declared": number, "dtype": dtype})
    # int4 values may lie in bytes of their own; the other way round they do not fit.
    elif held.bits is not None and (
        held.bits < declared.bits or (held.packed and held.bits > declared.bits)
    ):
        yield Problem(ModelCode.OTHER_BITS, {"declared": number, "bits": held.bits})
    sizes = held.group_size, declared.group_size
    rows = held.granularity in ("group", "channel") and declared.granularity == "group"
    if rows and None not in sizes and sizes[0] != sizes[1]:
        yield Problem(ModelCode.OTHER_GROUP_SIZE, {"declared": sizes[1], "held": sizes[0]})


def _no_scales(checkpoint: Checkpoint) -> Iterator[Problem]:
    bare = [layer for layer in checkpoint.quantized if layer.held and not layer.held.scaled]
    if bare and checkpoint.claim.scheme is not None:
        yield Problem(ModelCode.NO_SCALES, _named(bare))


def _bad_scales(checkpoint: Checkpoint) -> Iterator[Problem]:
    all_scales = [scale for layer in checkpoint.layers for scale in layer.scales if scale.count]
    weights = [scale for scale in all_scales if not scale.of_inputs]
    if broken := [scale for scale in all_scales if scale.not_finite]:
        yield Problem(ModelCode.SCALES_NOT_FINITE, _named(broken))
    if empty := [scale for scale in all_scales if scale.zeros == scale.count]:
        yield Problem(ModelCode.SCALES_ALL_ZERO, _named(empty))
    all_one = [scale for scale in weights if scale.ones == scale.count]
    # One scale for a whole tensor may be 1 by chance; many, or those of all layers, may not.
    if len(all_one) < len(weights):
        all_one = [scale for scale in all_one if scale.count > 1]
    if all_one:
        yield Problem(ModelCode.SCALES_ALL_ONE, _named(all_one))


def _other_types(checkpoint: Checkpoint) -> Iterator[Problem]:
    """Layers of a GGUF file that are of other types than it calls itself."""
    types: Counter[str] = Counter()
    for layer in checkpoint.layers:
        if layer.linear:
            types[layer.dtype] += layer.parameters
    declared = checkpoint.claim.stated
    for difference in differences(declared, types):
        yield Problem(ModelCode.OTHER_FILE_TYPE, {"declared": declared, "difference": difference})


def _applied_by_some(checkpoint: Checkpoint) -> Iterator[Problem]:
    for file in checkpoint.beside:
        yield Problem(ModelCode.ADAPTER_BESIDE_WEIGHTS, {"file": file})


_GGUF_RULES: tuple[Callable[[Checkpoint], Iterator[Problem]], ...] = (_other_types, _bad_scales)

_RULES: tuple[Callable[[Checkpoint], Iterator[Problem]], ...] = (
    _plain_throughout,
    _quantized_unsaid,
    _not_named,
    _named_and_quantized,
    _other_numbers,
    _no_scales,
    _bad_scales,
    _applied_by_some,
)


def _named(parts: Sequence[Layer] | Sequence[Scales]) -> dict[str, Fact]:
    names = tuple(part.name for part in parts)
    return {"names": names[:NAMED], "more": len(names[NAMED:])}


def _number(kind: NumberType, bits: int) -> str:
    return f"{'int' if kind == 'int' else 'fp'}{bits}"
