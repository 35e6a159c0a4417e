"""Scheme names: what each spelling stands for, and when two of them are the same scheme."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..codes import ModelCode
from ..errors import WrongUse
from .table import (
    AMBIGUOUS,
    METHODS,
    SCHEMES,
    SHORTHANDS,
    Container,
    Granularity,
    NumberType,
    Quantization,
    ScaleType,
    Scheme,
)
from .words import describe, kind, understood

__all__ = [
    "AMBIGUOUS",
    "METHODS",
    "SCHEMES",
    "Container",
    "Granularity",
    "NumberType",
    "Quantization",
    "ScaleType",
    "Scheme",
    "SchemeChoice",
    "describe",
    "name_of",
    "normal",
    "resolve",
    "runs_as_claimed",
    "same_identity",
    "same_words",
    "unknown",
]

_UNQUANTIZED = "unquantized"
"""What the weights of files are called that quantize nothing but the KV cache."""


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


def resolve(
    name: str, schemes: Iterable[Scheme] = SCHEMES, more: Iterable[str] = ()
) -> SchemeChoice:
    """The scheme that ``name`` means; case, separators and the order of words are free.

    ``FP8-W8A8``, ``INT4-W4A16-AWQ`` and ``int8_w8a16_rtn`` all resolve, and so do the
    words for a model of no known scheme (``int3 in groups of 64 weights``), which are then
    its name. Raises WrongUse for an unknown name, with the nearest known ones, those of
    ``more`` among them.
    """
    candidates = tuple(schemes)
    base, _, extra = normal(name).partition("+")
    base = SHORTHANDS.get(base, base)
    words = base.split("-")
    method = "-".join(m for m in METHODS if m in words) or None
    scheme = _lookup([word for word in words if word not in METHODS], candidates) or _described(
        name
    )
    if scheme is None:
        raise unknown(name, candidates, more)
    if method and scheme.container != "tensors":
        raise WrongUse(ModelCode.METHOD_DOES_NOT_FIT, scheme=name, base=scheme.name, method=method)
    kv = _kv(name, extra)
    canonical = scheme.name + (f"-{method}" if method else "") + (f"+kv-{kv}" if kv else "")
    note = AMBIGUOUS.get(normal(name).partition("+")[0])
    return SchemeChoice(canonical, scheme, method, kv, note)


def same_identity(claimed: str, stored: str) -> bool:
    """Whether files that hold ``stored`` are what ``claimed`` promises.

    The method is ignored, and so is the size of groups: w4a16 in groups of 32 and of
    128 are both ``w4a16-int4``. Files that ask for a quantized KV cache are not what a
    name without it claims; the other way round is fine, for an engine can quantize the
    cache without scales from the files. ``stored`` may be a description of several
    schemes, which is the same as none; raises WrongUse for an unknown ``claimed``.
    """
    promise = resolve(claimed)
    if promise.scheme.weights is None and stored.startswith(_UNQUANTIZED):
        return stored.removeprefix(_UNQUANTIZED) in ("", f"+kv-{promise.kv}")
    try:
        files = resolve(stored)
    except WrongUse:
        return False
    return _is_same_scheme(promise.scheme, files.scheme) and files.kv in (None, promise.kv)


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
        if same_box and kind(scheme.weights) == kind(weights):
            scheme_kind, activation_kind = kind(scheme.activations), kind(activations)
            # Groups of activations go with blocks of weights; they name nothing alone.
            if scheme_kind == activation_kind:
                return scheme.name
    return None


def normal(name: str) -> str:
    """A name in lower case, its words joined by hyphens."""
    return name.strip().lower().replace("_", "-").replace(" ", "-")


def same_words(first: str, second: str) -> bool:
    """Whether two names are one but for case, separators and the order of words."""
    return sorted(normal(first).split("-")) == sorted(normal(second).split("-"))


def _is_same_scheme(first: Scheme, second: Scheme) -> bool:
    if first.name == second.name:
        return True
    # What has no name is called by its data, the size of groups among them.
    named = {scheme.name for scheme in SCHEMES}
    if first.name in named or second.name in named:
        return False
    return _kinds(first) == _kinds(second)


def _kinds(scheme: Scheme) -> tuple[object, object]:
    return kind(scheme.weights), kind(scheme.activations)


def _described(text: str) -> Scheme | None:
    words = " ".join(text.partition("+")[0].split())
    data = understood(words)
    if data is None:
        return None
    name = name_of(*data)
    built_in = next((scheme for scheme in SCHEMES if scheme.name == name), None)
    return built_in or Scheme(words, words, *data)


def _lookup(words: Sequence[str], schemes: tuple[Scheme, ...]) -> Scheme | None:
    wanted = sorted(words)
    for scheme in schemes:
        for spelling in (scheme.name, *scheme.aliases):
            if sorted(normal(spelling).split("-")) == wanted:
                return scheme
    return None


def _kv(name: str, extra: str) -> str | None:
    if not extra:
        return None
    if sorted(extra.split("-")) != ["fp8", "kv"]:
        raise WrongUse(ModelCode.UNKNOWN_SCHEME_SUFFIX, scheme=name, suffix=extra)
    return "fp8"


def unknown(name: str, schemes: Iterable[Scheme] = SCHEMES, more: Iterable[str] = ()) -> WrongUse:
    """The error for a name that nothing has, with the nearest that something has.

    ``more`` are names beside those of ``schemes``.
    """
    candidates = tuple(schemes)
    names = {normal(s): s for scheme in candidates for s in (scheme.name, *scheme.aliases)}
    names.update({short: short for short in SHORTHANDS})
    names.update({normal(spelling): spelling for spelling in more})
    near = difflib.get_close_matches(normal(name), names, n=3, cutoff=0.5)
    built_in = (scheme.name for scheme in candidates if scheme.is_quantized)
    return WrongUse(
        ModelCode.UNKNOWN_SCHEME,
        scheme=name,
        nearest=tuple(names[spelling] for spelling in near),
        known=(*built_in, *more),
    )
