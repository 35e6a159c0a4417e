"""What a checkpoint holds and what it claims, as plain values read without loading it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from .names import Granularity, NumberType, Quantization

Kind = Literal["embeddings", "attention", "mlp", "norms", "lm_head", "other"]

KINDS: tuple[Kind, ...] = ("embeddings", "attention", "mlp", "norms", "lm_head", "other")

PLAIN = {"BF16": "bf16", "F16": "fp16", "F32": "fp32", "F64": "fp64"}
"""Types of unquantized tensors, as safetensors spells them and as schemes are named."""

PACKED = ("I8", "U8", "I16", "U16", "I32", "U32", "F8_E4M3", "F8_E5M2", "F4")
"""Types that quantized weights lie in, as safetensors spells them."""


@dataclass(frozen=True)
class Scales:
    """What the ``count`` values of one tensor of scales are.

    ``of_inputs`` is True for scales of activations, which may well be one.
    """

    name: str
    count: int
    ones: int
    zeros: int
    not_finite: int
    of_inputs: bool = False


@dataclass(frozen=True)
class Held:
    """How the values of a quantized weight lie in the file, read from types and shapes.

    ``bits`` of one value without its scales and ``type`` are None where the shapes do
    not tell; ``packed`` is whether several values share a number of the file.
    ``group_size`` is how many inputs share a scale: all of them per channel. ``words`` is
    what the format calls it where it has names of its own (``q4_k``).
    """

    type: NumberType | None
    bits: int | None
    packed: bool = False
    granularity: Granularity | None = None
    group_size: int | None = None
    scaled: bool = True
    words: str | None = None


@dataclass(frozen=True)
class Layer:
    """The weight and whatever else one module of the model has in the files.

    ``parameters`` counts values of the model, packed ones unpacked; ``size`` is in
    bytes, with scales and zero points. ``dtype`` is spelt as in safetensors. ``linear``
    is whether it is a matrix that a quantizer would take.
    """

    name: str
    kind: Kind
    dtype: str
    parameters: int
    size: int
    linear: bool
    held: Held | None = None
    scales: tuple[Scales, ...] = ()


@dataclass(frozen=True)
class Group:
    """Layers that the config says are quantized alike; ``weights`` None where unknown."""

    targets: tuple[str, ...]
    weights: Quantization | None


@dataclass(frozen=True)
class Claim:
    """What config.json says is quantized, and what not.

    ``scheme`` is canonical or a description, None for an unquantized model. ``ignore``
    is None for a format that keeps no such list, or leaves some layers out of it.
    ``exact`` is whether its entries are whole names (or ``re:`` patterns), not parts.
    A GGUF file is its own config: ``stated`` is what it calls itself (``Q4_K_M``), and
    ``scheme`` what its tensors amount to.
    """

    scheme: str | None
    method: str | None = None
    groups: tuple[Group, ...] = ()
    ignore: tuple[str, ...] | None = None
    exact: bool = True
    container: Literal["safetensors", "gguf"] = "safetensors"
    stated: str | None = None

    @cached_property
    def ignored_names(self) -> frozenset[str]:
        """The entries of ``ignore`` that are whole names; models have thousands of layers."""
        return frozenset(entry for entry in self.ignore or () if self.exact and entry[:3] != "re:")

    @cached_property
    def ignored_patterns(self) -> tuple[str, ...]:
        """The other entries."""
        return tuple(entry for entry in self.ignore or () if entry not in self.ignored_names)


@dataclass(frozen=True)
class Checkpoint:
    """Everything that is known of a checkpoint without loading it; ``size`` in bytes.

    ``beside`` names files next to the weights that some engines apply to them.
    """

    name: str
    architecture: str
    claim: Claim
    layers: tuple[Layer, ...]
    size: int
    files: int
    beside: tuple[str, ...] = ()

    @property
    def quantized(self) -> tuple[Layer, ...]:
        """The layers that the files hold quantized."""
        return tuple(layer for layer in self.layers if layer.held is not None)

    @property
    def scheme(self) -> str:
        """What the tensors are: the scheme of the config only if they bear it out."""
        if not self.quantized:
            plain = Counter(layer.dtype for layer in self.layers if layer.linear) or Counter(
                layer.dtype for layer in self.layers
            )
            most = plain.most_common(1)
            return PLAIN.get(most[0][0], most[0][0]) if most else "nothing"
        return self.claim.scheme or "quantized, but config.json does not say how"

    def bits_per_weight(self, layers: Iterable[Layer]) -> float:
        """Bits in the files for each parameter, scales and zero points included."""
        chosen = tuple(layers)
        return (
            8
            * sum(layer.size for layer in chosen)
            / max(sum(layer.parameters for layer in chosen), 1)
        )


def kind_of(module: str) -> Kind:
    """The kind of a module by its name, as the model families spell them."""
    parts = module.lower().split(".")
    last = parts[-1]
    if last in ("lm_head", "embed_out"):
        return "lm_head"
    if "norm" in last or re.fullmatch(r"ln(_\w+)?", last):
        return "norms"
    if any("embed" in part for part in parts[-2:]) or last in ("wte", "wpe"):
        return "embeddings"
    if any("attn" in part or "attention" in part for part in parts):
        return "attention"
    if any(_MLP.fullmatch(part) for part in parts):
        return "mlp"
    return "other"


_MLP = re.compile(r"mlp\w*|\w*ffn|feed_forward\w*|(\w+_)?experts?|block_sparse_moe|fc\d|ff")


def is_router(module: str) -> bool:
    """Whether a module chooses between experts; engines never quantize those."""
    last = module.rpartition(".")[2]
    return last in ("gate", "shared_expert_gate") or "router" in last


def ignored(claim: Claim, module: str) -> bool:
    """Whether the config's list of layers left alone names ``module``."""
    if not claim.ignored_names.isdisjoint(_spelt(module)):
        return True
    return any(_names(entry, module, claim.exact) for entry in claim.ignored_patterns)


def claimed(claim: Claim, layer: Layer) -> Group | None:
    """The group of the config that ``layer`` belongs to, by name before by class."""
    for group in claim.groups:
        if any(_names(target, layer.name, True) for target in group.targets):
            return group
    if not layer.linear and layer.kind != "lm_head":
        return None
    return next((group for group in claim.groups if "Linear" in group.targets), None)


def _names(entry: str, module: str, exact: bool) -> bool:
    spelt = _spelt(module)
    if entry.startswith("re:"):
        return any(re.match(entry[3:], name) for name in spelt)
    if exact:
        return entry in spelt
    if "*" in entry:
        return any(_fits(entry, name) for name in spelt)
    return any(f".{entry.strip('.')}." in f".{name}." for name in spelt)


def _fits(glob: str, name: str) -> bool:
    """Whether a name begins as ``glob`` says; in one pass, whatever stars it has."""
    first, *others = glob.split("*")
    at = len(first)
    for part in others:
        at = name.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return name.startswith(first)


def _spelt(module: str) -> tuple[str, ...]:
    # Files and modules of one model may differ in a leading "model.".
    bare = module.removeprefix("model.")
    return module, bare, f"model.{bare}"
