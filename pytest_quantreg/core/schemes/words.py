"""Quantization in a few words, and those words understood again: the identity of what has no name.

A checkpoint of no known scheme is called by what it holds: ``int3 in groups of 64 weights``.
The same words are what a scheme of the user's own claims where no built-in name says it, so
that it can be compared in any process without the file that defines it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .table import Granularity, NumberType, Quantization, ScaleType

_WITH = " with "
_WEIGHTS, _ACTIVATIONS = " weights", " activations"
_TYPES: Mapping[str, tuple[NumberType, ScaleType]] = {
    "nvfp": ("float", "e4m3"),
    "mxfp": ("float", "e8m0"),
    "fp": ("float", "float"),
    "int": ("int", "float"),
}
_SHARES: Mapping[str, Granularity] = {
    "per tensor": "tensor",
    "per channel": "channel",
    "per token": "token",
    "in groups": "group",
    "in blocks": "block",
}
_NUMBER = re.compile(r"(?:(nvfp)(4)|(mxfp|fp|int)(\d+))(?: e4m3)?")
_SHARED = re.compile(r" (per \w+|in \w+)(?: of (\d+))?(, dynamic)?")


def describe(quantization: Quantization | None) -> str:
    """A few words for people: ``fp8 e4m3 per token, dynamic``; ``unquantized``."""
    if quantization is None:
        return "unquantized"
    number = _number_words(quantization)
    size = quantization.group_size
    shared = {
        "group": f"in groups of {size}" if size else "in groups",
        "block": f"in blocks of {size}" if size else "in blocks",
    }.get(quantization.granularity, f"per {quantization.granularity}")
    return f"{number} {shared}" + (", dynamic" if quantization.dynamic else "")


def described(weights: Quantization, activations: Quantization | None) -> str:
    """What a model of no known scheme is called: ``int3 in groups of 64 weights``."""
    words = describe(weights) + _WEIGHTS
    return words if activations is None else f"{words}{_WITH}{describe(activations)}{_ACTIVATIONS}"


def understood(text: str) -> tuple[Quantization, Quantization | None] | None:
    """The (weights, activations) that `described` wrote as ``text``, None for other texts."""
    first, _, second = text.partition(_WITH)
    weights = _read(first.removesuffix(_WEIGHTS)) if first.endswith(_WEIGHTS) else None
    if weights is None or not second:
        return None if weights is None else (weights, None)
    activations = _read(second.removesuffix(_ACTIVATIONS))
    return None if activations is None else (weights, activations)


def kind(quantization: Quantization | None) -> tuple[object, ...] | None:
    """What of it decides whether two are the same scheme.

    Type, bits, type of scales and whether scales belong to two-dimensional blocks;
    static or dynamic, and tensor, channel or group, do not.
    """
    if quantization is None:
        return None
    blocks = quantization.granularity == "block"
    return (quantization.type, quantization.bits, quantization.scale, blocks)


def _read(words: str) -> Quantization | None:
    number = _NUMBER.match(words)
    shared = _SHARED.fullmatch(words, number.end()) if number is not None else None
    if number is None or shared is None or shared[1] not in _SHARES:
        return None
    name, bits = (group for group in number.groups() if group is not None)
    type_, scale = _TYPES[name]
    return Quantization(
        type_,
        int(bits),
        _SHARES[shared[1]],
        dynamic=shared[3] is not None,
        group_size=int(shared[2]) if shared[2] else None,
        scale=scale,
    )


def _number_words(quantization: Quantization) -> str:
    if quantization.type == "int":
        return f"int{quantization.bits}"
    if quantization.scale == "e8m0":
        return f"mxfp{quantization.bits}"
    if quantization.scale == "e4m3" and quantization.bits == 4:
        return "nvfp4"
    return "fp8 e4m3" if quantization.bits == 8 else f"fp{quantization.bits}"
