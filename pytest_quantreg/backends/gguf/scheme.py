"""Which tensors of a GGUF file are layers, and which scheme they amount to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from ...core.schemes.gguf_types import scheme_of
from ...core.schemes.inspection import Kind
from .files import GgufModel
from .header import Tensor

DTYPES: Mapping[str, str] = {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}

_KINDS: tuple[tuple[str, Kind], ...] = (
    (r"output(\.\w+)?", "lm_head"),
    (r".*norm(\.\w+)?", "norms"),
    (r"(token|position|per_layer_token)_embd.*|token_types.*", "embeddings"),
    (r"blk\.\d+\.(attn|ssm|time_mix)_.*", "attention"),
    (r"blk\.\d+\.(ffn|channel_mix)_.*", "mlp"),
)


def kind_of(tensor: str) -> Kind:
    """The kind of a tensor by its name, as llama.cpp spells it: ``blk.0.attn_q.weight``."""
    module = tensor.removesuffix(".weight").removesuffix(".bias")
    return next((kind for pattern, kind in _KINDS if re.fullmatch(pattern, module)), "other")


def is_linear(tensor: Tensor) -> bool:
    """Return whether it is a matrix, or a stack of them, that a quantizer would take.

    Routers of experts (``ffn_gate_inp``) and convolutions are left alone by all.
    """
    matrix = tensor.name.endswith(".weight") and len(tensor.shape) in (2, 3)
    odd = "ffn_gate_inp" in tensor.name or "conv1d" in tensor.name
    return matrix and not odd and kind_of(tensor.name) in ("attention", "mlp", "other")


def linear_tensors(model: GgufModel) -> tuple[Tensor, ...]:
    """The matrices of the layers."""
    return tuple(tensor for tensor in model.tensors if is_linear(tensor))


def count_types(tensors: Sequence[Tensor]) -> Counter[str]:
    """Type -> how many numbers of the model are held in it."""
    counts: Counter[str] = Counter()
    for tensor in tensors:
        counts[tensor.type] += tensor.parameters
    return counts


def main_type(model: GgufModel) -> str:
    """The type that most numbers of the layers are held in."""
    counts = count_types(linear_tensors(model)) or count_types(model.tensors)
    return counts.most_common(1)[0][0]


def declared_type(model: GgufModel) -> str | None:
    """Return the type that ``general.file_type`` names: ``Q4_K_M``, ``F16``; None without one."""
    from gguf import constants

    number = model.fields.get("general.file_type")
    if number not in {kind.value for kind in constants.LlamaFileType}:
        return None
    name = constants.LlamaFileType(number).name
    return None if name == "GUESSED" else name.removeprefix("MOSTLY_").removeprefix("ALL_")


def stored_scheme(model: GgufModel) -> str | None:
    """The canonical name of what the layers are; see `scheme_of` of the names."""
    return scheme_of(declared_type(model), count_types(linear_tensors(model)))
