"""What a server is said to run: its files say it, and nobody can read it back."""

from __future__ import annotations

from ...core.errors import WrongUse
from ...core.records.run import UNVERIFIED, EffectiveScheme, ModelIdentity
from ...core.schemes.inspection import Checkpoint
from ...core.schemes.names import describe, resolve

NOT_REPORTED = "not told by the server"
_SCHEME_OF_DTYPE = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}


def unverified_scheme(
    identity: ModelIdentity, stored: str | None, files: Checkpoint | None
) -> EffectiveScheme:
    """The scheme that a model's files hold, marked as what nobody verified.

    Layers are counted in the files' headers; both counts are 0 where those are not here.
    """
    linear = [layer for layer in files.layers if layer.linear] if files is not None else []
    weights, activations = _words(stored, identity.dtype)
    return EffectiveScheme(
        scheme=_canonical_name(stored)
        if stored is not None
        else _SCHEME_OF_DTYPE.get(identity.dtype),
        weights=weights,
        activations=activations,
        kv_cache=NOT_REPORTED,
        kernel=NOT_REPORTED,
        mode=UNVERIFIED,
        quantized_layers=sum(layer.held is not None for layer in linear),
        linear_layers=len(linear),
    )


def _canonical_name(stored: str) -> str | None:
    try:
        return resolve(stored).name
    except WrongUse:
        return None


def _words(stored: str | None, dtype: str) -> tuple[str, str]:
    if stored is None:
        return dtype, dtype
    try:
        scheme = resolve(stored).scheme
    except WrongUse:
        return stored, NOT_REPORTED
    activations = describe(scheme.activations) if scheme.activations is not None else dtype
    return describe(scheme.weights), activations
