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
    sentences: list[str] = []
    for rule in _GGUF_RULES if checkpoint.claim.container == "gguf" else _RULES:
        sentences += rule(checkpoint)
    return tuple(sentences)


def _plain_throughout(checkpoint: Checkpoint) -> Iterator[str]:
    claim = checkpoint.claim
    if claim.scheme is None or not claim.groups or checkpoint.quantized:
        return
    linear = [layer for layer in checkpoint.layers if layer.linear]
    described = any(group.weights is not None for group in claim.groups)
    if not described and (not linear or any(layer.dtype in PACKED for layer in checkpoint.layers)):
        return  # a method of which nobody here knows what its tensors are called
    yield (
        f"config.json says {claim.scheme}, but none of the {len(linear)} linear layers is "
        f"quantized: they are {checkpoint.scheme}"
    )


def _quantized_unsaid(checkpoint: Checkpoint) -> Iterator[str]:
    if checkpoint.claim.scheme is None and checkpoint.quantized:
        yield (
            f"config.json says nothing of quantization, but {_subject(checkpoint.quantized)} "
            "quantized; an engine would take the numbers for weights"
        )


def _not_named(checkpoint: Checkpoint) -> Iterator[str]:
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
        yield (
            f"{_subject(omitted)} not quantized, and the ignore list of config.json does not name "
            f"{_pronoun(omitted)}"
        )


def _named_and_quantized(checkpoint: Checkpoint) -> Iterator[str]:
    wrong = [layer for layer in checkpoint.quantized if ignored(checkpoint.claim, layer.name)]
    if wrong:
        yield (
            f"{_subject(wrong)} quantized, and the ignore list of config.json names "
            f"{_pronoun(wrong)}"
        )


def _other_numbers(checkpoint: Checkpoint) -> Iterator[str]:
    """Weights stored as something else than the config says, alike ones in one sentence."""
    wrong: dict[str, list[Layer]] = {}
    for layer in checkpoint.quantized:
        group = claimed(checkpoint.claim, layer)
        declared = group.weights if group else None
        if layer.held is None or declared is None:
            continue
        for sentence in _differences(layer.held, declared, layer.dtype):
            wrong.setdefault(sentence, []).append(layer)
    for sentence, layers in wrong.items():
        yield f"{sentence} ({len(layers)} layers, {layers[0].name} first)"


def _differences(held: Held, declared: Quantization, dtype: str) -> Iterator[str]:
    words = f"config.json says {_number(declared.type, declared.bits)} weights, the tensors are"
    if held.type is not None and held.type != declared.type:
        yield f"{words} {dtype}"
    # int4 values may lie in bytes of their own; the other way round they do not fit.
    elif held.bits is not None and (
        held.bits < declared.bits or (held.packed and held.bits > declared.bits)
    ):
        yield f"{words} of {held.bits} bits"
    sizes = held.group_size, declared.group_size
    rows = held.granularity in ("group", "channel") and declared.granularity == "group"
    if rows and None not in sizes and sizes[0] != sizes[1]:
        yield f"config.json says groups of {sizes[1]}, the scales are for groups of {sizes[0]}"


def _no_scales(checkpoint: Checkpoint) -> Iterator[str]:
    bare = [layer for layer in checkpoint.quantized if layer.held and not layer.held.scaled]
    if bare and checkpoint.claim.scheme is not None:
        yield f"{_subject(bare)} quantized, but the files hold no scales for {_pronoun(bare)}"


def _bad_scales(checkpoint: Checkpoint) -> Iterator[str]:
    all_scales = [scale for layer in checkpoint.layers for scale in layer.scales if scale.count]
    weights = [scale for scale in all_scales if not scale.of_inputs]
    if broken := [scale for scale in all_scales if scale.not_finite]:
        yield f"scales are NaN or infinite: {_tensors(broken)}"
    if empty := [scale for scale in all_scales if scale.zeros == scale.count]:
        yield f"scales are all zero: {_tensors(empty)}"
    all_one = [scale for scale in weights if scale.ones == scale.count]
    # One scale for a whole tensor may be 1 by chance; many, or those of all layers, may not.
    if len(all_one) < len(weights):
        all_one = [scale for scale in all_one if scale.count > 1]
    if all_one:
        yield f"weight scales are all one, as if nothing had been scaled: {_tensors(all_one)}"


def _other_types(checkpoint: Checkpoint) -> Iterator[str]:
    """Layers of a GGUF file that are of other types than it calls itself."""
    types: Counter[str] = Counter()
    for layer in checkpoint.layers:
        if layer.linear:
            types[layer.dtype] += layer.parameters
    declared = checkpoint.claim.stated
    for contradiction in differences(declared, types):
        yield f"general.file_type says {declared}, but {contradiction}"


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


def _subject(layers: Sequence[Layer]) -> str:
    names = _listed([layer.name for layer in layers])
    return f"{names} {'is' if len(layers) == 1 else 'are'}"


def _pronoun(layers: Sequence[Layer]) -> str:
    return "it" if len(layers) == 1 else "them"


def _tensors(scales: Sequence[Scales]) -> str:
    return _listed([scale.name for scale in scales])


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _number(kind: NumberType, bits: int) -> str:
    return f"{'int' if kind == 'int' else 'fp'}{bits}"
