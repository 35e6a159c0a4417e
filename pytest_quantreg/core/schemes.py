"""Quantization schemes as data: names, aliases and what each of them stores and computes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from .errors import WrongUse

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


@dataclass(frozen=True)
class SchemeChoice:
    """What a name stands for.

    ``name`` is canonical with its suffixes (``w4a16-int4-awq+kv-fp8``), ``note`` says
    what was assumed when the name could have meant something else.
    """

    name: str
    scheme: Scheme
    method: str | None = None
    kv: str | None = None
    note: str | None = None

    @property
    def identity(self) -> str:
        """The name without the method: what can be read back from files."""
        return self.scheme.name + (f"+kv-{self.kv}" if self.kv else "")

    @property
    def is_quantized(self) -> bool:
        """False for ``bf16`` and the other unquantized schemes."""
        return self.scheme.is_quantized or self.kv is not None


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

_SHORTHANDS: Mapping[str, str] = {
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


def resolve(name: str, schemes: Iterable[Scheme] = SCHEMES) -> SchemeChoice:
    """The scheme that ``name`` means; case, separators and the order of words are free.

    ``FP8-W8A8``, ``INT4-W4A16-AWQ`` and ``int8_w8a16_rtn`` all resolve. Raises WrongUse
    for an unknown name, with the nearest known ones.
    """
    known = tuple(schemes)
    base, _, extra = _normal(name).partition("+")
    base = _SHORTHANDS.get(base, base)
    words = base.split("-")
    method = "-".join(m for m in METHODS if m in words) or None
    scheme = _lookup(tuple(word for word in words if word not in METHODS), known)
    if scheme is None:
        raise _unknown(name, known)
    if method and scheme.container != "tensors":
        raise WrongUse(
            f"scheme {name!r}: {scheme.name} does not go with the method {method}",
            help=f"leave it out: {scheme.name}",
        )
    kv = _kv(name, extra)
    canonical = scheme.name + (f"-{method}" if method else "") + (f"+kv-{kv}" if kv else "")
    note = AMBIGUOUS.get(_normal(name).partition("+")[0])
    return SchemeChoice(canonical, scheme, method, kv, note)


def same_identity(claimed: str, stored: str) -> bool:
    """Whether files that hold ``stored`` are what ``claimed`` promises.

    The method is ignored, and so is the size of groups: w4a16 in groups of 32 and of
    128 are both ``w4a16-int4``. Files that ask for a quantized KV cache are not what a
    name without it claims; the other way round is fine, for an engine can quantize the
    cache without scales from the files. ``stored`` may be a description of no known
    scheme, which is the same as none; raises WrongUse for an unknown ``claimed``.
    """
    promise = resolve(claimed)
    try:
        files = resolve(stored)
    except WrongUse:
        return False
    return promise.scheme.name == files.scheme.name and files.kv in (None, promise.kv)


def runs_as_claimed(claimed: str, effective: str | None) -> bool:
    """Whether what an engine runs is what was claimed, the KV cache included.

    Unlike `same_identity`, which asks whether files can become the claim: a cache that
    was claimed to be quantized must be so in the end. ``effective`` None is no scheme.
    """
    if effective is None or not same_identity(claimed, effective):
        return False
    return resolve(claimed).kv == resolve(effective).kv


def name_of(
    weights: Quantization | None,
    activations: Quantization | None = None,
    *,
    container: Container = "tensors",
    schemes: Iterable[Scheme] = SCHEMES,
) -> str | None:
    """The canonical name of what was read from files or modules, None for no known one.

    Type, bits, type of scales and whether scales belong to two-dimensional blocks
    decide; static or dynamic, and tensor, channel or group do not.
    """
    if weights is None:
        return None
    for scheme in schemes:
        same_box = scheme.container == container
        if same_box and _kind(scheme.weights) == _kind(weights):
            wanted, found = _kind(scheme.activations), _kind(activations)
            # Groups of activations go with blocks of weights; they name nothing alone.
            if wanted == found:
                return scheme.name
    return None


def describe(quantization: Quantization | None) -> str:
    """A few words for people: ``fp8 e4m3 per token, dynamic``; ``unquantized``."""
    if quantization is None:
        return "unquantized"
    what = _number_words(quantization)
    size = quantization.group_size
    shared = {
        "group": f"in groups of {size}" if size else "in groups",
        "block": f"in blocks of {size}" if size else "in blocks",
    }.get(quantization.granularity, f"per {quantization.granularity}")
    return f"{what} {shared}" + (", dynamic" if quantization.dynamic else "")


def _number_words(quantization: Quantization) -> str:
    if quantization.type == "int":
        return f"int{quantization.bits}"
    if quantization.scale == "e8m0":
        return f"mxfp{quantization.bits}"
    if quantization.scale == "e4m3" and quantization.bits == 4:
        return "nvfp4"
    return "fp8 e4m3" if quantization.bits == 8 else f"fp{quantization.bits}"


def _kind(quantization: Quantization | None) -> tuple[object, ...] | None:
    if quantization is None:
        return None
    blocks = quantization.granularity == "block"
    return (quantization.type, quantization.bits, quantization.scale, blocks)


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(" ", "-")


def _lookup(words: tuple[str, ...], schemes: tuple[Scheme, ...]) -> Scheme | None:
    wanted = sorted(words)
    for scheme in schemes:
        for known in (scheme.name, *scheme.aliases):
            if sorted(_normal(known).split("-")) == wanted:
                return scheme
    return None


def _kv(name: str, extra: str) -> str | None:
    if not extra:
        return None
    if sorted(extra.split("-")) != ["fp8", "kv"]:
        raise WrongUse(f"scheme {name!r}: {extra!r} is not known after '+'", help="known: +kv-fp8")
    return "fp8"


def _unknown(name: str, schemes: tuple[Scheme, ...]) -> WrongUse:
    names = {_normal(s): s for scheme in schemes for s in (scheme.name, *scheme.aliases)}
    names.update({short: short for short in _SHORTHANDS})
    near = difflib.get_close_matches(_normal(name), names, n=3, cutoff=0.5)
    nearest = f"nearest: {', '.join(names[n] for n in near)}" if near else None
    every = "known: " + ", ".join(scheme.name for scheme in schemes if scheme.is_quantized)
    suffixes = (
        "with -rtn, -gptq, -awq, -smoothquant and +kv-fp8 behind them; "
        "`quantreg schemes` describes them"
    )
    return WrongUse(
        f"unknown scheme {name!r}", help=tuple(h for h in (nearest, every, suffixes) if h)
    )
