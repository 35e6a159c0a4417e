"""What a model is, by the metadata of its GGUF file; no weights are loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ...core.codes import ModelCode
from ...core.errors import Refusal
from ...core.records.run import UNSTATED, ModelIdentity, ModelSpec
from ...core.schemes.gguf_types import PLAIN
from ..checkpoint.identity import FileDigests, combined
from .files import GgufModel
from .scheme import DTYPES, count_types, linear_tensors, main_type

PROMPT_ARGS = ("n_ctx", "add_bos_token")
"""Engine arguments that cut prompts or add to them."""

_SHAPES: Mapping[str, str] = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "num_experts": "expert_count",
    "moe_intermediate_size": "expert_feed_forward_length",
}
"""Figures as config.json calls them, and as GGUF does."""

_TOKENIZER = (
    *("model", "pre", "tokens", "token_type", "merges"),
    *("bos_token_id", "eos_token_id", "eot_token_id", "eom_token_id", "unknown_token_id"),
    *("add_bos_token", "add_eos_token", "add_space_prefix", "remove_extra_whitespaces"),
    *("precompiled_charsmap", "suppress_tokens"),
)
_SCORED = ("llama", "t5", "plamo2")
"""Kinds of tokenizers whose scores decide; files of others may carry any."""


def identify(spec: ModelSpec, model: GgufModel, digests: FileDigests) -> ModelIdentity:
    """The identity of a model; raises Refusal for a file that lacks what decides it."""
    return ModelIdentity(
        name=spec.name,
        revision=None,
        architecture=model.architecture,
        vocab_size=vocab_size(model),
        shapes=shapes(model),
        dtype=dtype(model),
        tokenizer_digest=tokenizer_digest(model, spec.args),
        template_digest=template_digest(model),
        weights_digest=_weights_digest(model, digests),
    )


def vocab_size(model: GgufModel) -> int:
    """Return the number of tokens in the vocabulary."""
    stated = model.of_architecture("vocab_size")
    tokens = model.fields.get("tokenizer.ggml.tokens") or ()
    if not stated and not tokens:
        raise Refusal(ModelCode.NO_TOKENIZER_IN_GGUF, name=model.name)
    return int(stated or len(tokens))


def shapes(model: GgufModel) -> dict[str, int]:
    """The figures that decide the architecture, under the names of config.json.

    A figure that differs between layers is their sum: it tells models apart, no more.
    """
    figures: dict[str, int] = {}
    for name, key in _SHAPES.items():
        value = model.of_architecture(key)
        if isinstance(value, tuple) and value:
            figures[name] = int(value[0]) if len(set(value)) == 1 else int(sum(value))
        elif isinstance(value, int):
            figures[name] = value
    heads, hidden = figures.get("num_attention_heads", 0), figures.get("hidden_size", 0)
    if heads > 0:
        figures.setdefault("num_key_value_heads", heads)
        figures.setdefault("head_dim", hidden // heads)
    return figures


def dtype(model: GgufModel) -> str:
    """The type of the weights, `UNSTATED` where any of the layers is quantized."""
    if any(kind not in PLAIN for kind in count_types(linear_tensors(model))):
        return UNSTATED
    return DTYPES.get(main_type(model), UNSTATED)


def tokenizer_digest(model: GgufModel, args: Mapping[str, Any]) -> str:
    """sha256 over what decides how texts become tokens, and over what cuts prompts."""
    fields = {name: model.fields.get(f"tokenizer.ggml.{name}") for name in _TOKENIZER}
    behavior: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    if behavior.get("model") in _SCORED:
        behavior["scores"] = model.fields.get("tokenizer.ggml.scores")
    if arguments := {key: args[key] for key in PROMPT_ARGS if args.get(key) is not None}:
        behavior["arguments"] = arguments
    return _digest(behavior)


def templates(model: GgufModel) -> dict[str, str]:
    """The chat templates by name; the nameless one is ``default``."""
    stem = "tokenizer.chat_template"
    by_name = {
        key.removeprefix(stem).removeprefix(".") or "default": str(text)
        for key, text in model.fields.items()
        if key == stem or (key.startswith(f"{stem}.") and isinstance(text, str))
    }
    return dict(sorted(by_name.items()))


def template_digest(model: GgufModel) -> str | None:
    """sha256 of the chat templates, None without."""
    by_name = templates(model)
    return _digest(by_name) if by_name else None


def _weights_digest(model: GgufModel, digests: FileDigests) -> str:
    # Parts by their place, for a file that was renamed is the same model.
    file_digests = digests.of_all(model.paths, model.name)
    return combined({str(at): digest for at, digest in enumerate(file_digests)})


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
