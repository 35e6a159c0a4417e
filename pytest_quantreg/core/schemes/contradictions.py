"""Where the files of a checkpoint contradict each other: config, types, shapes, scales."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from .gguf_types import differences
from .inspection import PACKED, Checkpoint, Held, Layer, Scales, claimed, ignored
from .names import NumberType, Quantization

NAMED = 3
"""How many layers a contradiction names; it counts the others."""


def contradictions(checkpoint: Checkpoint) -> tuple[str, ...]:
    """What cannot all be true of one checkpoint, a sentence each; none for a sound one."""
    found: list[str] = []
    for rule in _GGUF_RULES if checkpoint.claim.container == "gguf" else _RULES:
        found += rule(checkpoint)
    return tuple(found)


def _plain_throughout(checkpoint: Checkpoint) -> Iterator[str]:
    claim = checkpoint.claim
    if claim.scheme is None or not claim.groups or checkpoint.quantized:
        return
    linear = [one for one in checkpoint.layers if one.linear]
    known = any(group.weights is not None for group in claim.groups)
    if not known and (not linear or any(one.dtype in PACKED for one in checkpoint.layers)):
        return  # a method of which nobody here knows what its tensors are called
    yield (
        f"config.json says {claim.scheme}, but none of the {len(linear)} linear layers is "
        f"quantized: they are {checkpoint.scheme}"
    )


def _quantized_unsaid(checkpoint: Checkpoint) -> Iterator[str]:
    if checkpoint.claim.scheme is None and checkpoint.quantized:
        yield (
            f"config.json says nothing of quantization, but {_some(checkpoint.quantized)} "
            "quantized; an engine would take the numbers for weights"
        )


def _not_named(checkpoint: Checkpoint) -> Iterator[str]:
    claim = checkpoint.claim
    if not checkpoint.quantized or claim.ignore is None:
        return
    left = [
        one
        for one in checkpoint.layers
        if one.held is None
        and (one.linear or (one.kind == "lm_head" and claim.exact))
        and claimed(claim, one) is not None
        and not ignored(claim, one.name)
    ]
    if left:
        yield (
            f"{_some(left)} not quantized, and the ignore list of config.json does not name "
            f"{_it(left)}"
        )


def _named_and_quantized(checkpoint: Checkpoint) -> Iterator[str]:
    wrong = [one for one in checkpoint.quantized if ignored(checkpoint.claim, one.name)]
    if wrong:
        yield f"{_some(wrong)} quantized, and the ignore list of config.json names {_it(wrong)}"


def _other_numbers(checkpoint: Checkpoint) -> Iterator[str]:
    """Weights stored as something else than the config says, alike ones in one sentence."""
    wrong: dict[str, list[Layer]] = {}
    for layer in checkpoint.quantized:
        group = claimed(checkpoint.claim, layer)
        said = group.weights if group else None
        if layer.held is None or said is None:
            continue
        for what in _differences(layer.held, said, layer.dtype):
            wrong.setdefault(what, []).append(layer)
    for what, layers in wrong.items():
        yield f"{what} ({len(layers)} layers, {layers[0].name} first)"


def _differences(held: Held, said: Quantization, dtype: str) -> Iterator[str]:
    words = f"config.json says {_number(said.type, said.bits)} weights, the tensors are"
    if held.type is not None and held.type != said.type:
        yield f"{words} {dtype}"
    # int4 values may lie in bytes of their own; the other way round they do not fit.
    elif held.bits is not None and (
        held.bits < said.bits or (held.packed and held.bits > said.bits)
    ):
        yield f"{words} of {held.bits} bits"
    sizes = held.group_size, said.group_size
    rows = held.granularity in ("group", "channel") and said.granularity == "group"
    if rows and None not in sizes and sizes[0] != sizes[1]:
        yield f"config.json says groups of {sizes[1]}, the scales are for groups of {sizes[0]}"


def _no_scales(checkpoint: Checkpoint) -> Iterator[str]:
    bare = [one for one in checkpoint.quantized if one.held and not one.held.scaled]
    if bare and checkpoint.claim.scheme is not None:
        yield f"{_some(bare)} quantized, but the files hold no scales for {_it(bare)}"


def _bad_scales(checkpoint: Checkpoint) -> Iterator[str]:
    found = [one for layer in checkpoint.layers for one in layer.scales if one.count]
    weights = [one for one in found if not one.of_inputs]
    if broken := [one for one in found if one.not_finite]:
        yield f"scales are NaN or infinite: {_tensors(broken)}"
    if empty := [one for one in found if one.zeros == one.count]:
        yield f"scales are all zero: {_tensors(empty)}"
    ones = [one for one in weights if one.ones == one.count]
    # One scale for a whole tensor may be 1 by chance; many, or those of all layers, may not.
    if len(ones) < len(weights):
        ones = [one for one in ones if one.count > 1]
    if ones:
        yield f"weight scales are all one, as if nothing had been scaled: {_tensors(ones)}"


def _other_types(checkpoint: Checkpoint) -> Iterator[str]:
    """Layers of a GGUF file that are of other types than it calls itself."""
    types: Counter[str] = Counter()
    for layer in checkpoint.layers:
        if layer.linear:
            types[layer.dtype] += layer.parameters
    said = checkpoint.claim.stated
    for what in differences(said, types):
        yield f"general.file_type says {said}, but {what}"


def _applied_by_some(checkpoint: Checkpoint) -> Iterator[str]:
    for file in checkpoint.beside:
        yield (
            f"{file} lies beside the weights: transformers applies that adapter where peft is "
            "installed, and other engines do not"
        )


_GGUF_RULES: tuple[Callable[[Checkpoint], Iterator[str]], ...] = (_other_types, _bad_scales)

_RULES: tuple[Callable[[Checkpoint], Iterator[str]], ...] = (
    _plain_throughout,
    _quantized_unsaid,
    _not_named,
    _named_and_quantized,
    _other_numbers,
    _no_scales,
    _bad_scales,
    _applied_by_some,
)


def _some(layers: Sequence[Layer]) -> str:
    names = _listed([one.name for one in layers])
    return f"{names} {'is' if len(layers) == 1 else 'are'}"


def _it(layers: Sequence[Layer]) -> str:
    return "it" if len(layers) == 1 else "them"


def _tensors(scales: Sequence[Scales]) -> str:
    return _listed([one.name for one in scales])


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _number(kind: NumberType, bits: int) -> str:
    return f"{'int' if kind == 'int' else 'fp'}{bits}"
