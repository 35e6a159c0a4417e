"""Reads what a model is from its files: architecture, shapes, digests; no weights."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.record import ModelIdentity, ModelSpec
from .folder import (
    check_custom_code,
    check_weights,
    read_config,
    unusable,
    weight_files,
)
from .hub import Files, remote_digests, small_files, weights_are_here
from .quiet import quiet, quietly_imported
from .tokenizer import load_tokenizer, template_digest, tokenizer_digest

SHAPES = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
    "moe_intermediate_size",
)

_FLOATS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
}


class FileDigests:
    """sha256 of files, each read once as long as it does not change."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], str] = {}

    def of(self, path: Path) -> str:
        """The digest of one file, in hex."""
        target = path.resolve()
        if path.is_symlink() and _is_sha256(target.name):
            # The hub cache names the blobs of large files by their sha256.
            return target.name
        stat = target.stat()
        key = (str(target), stat.st_size, stat.st_mtime_ns)
        if key not in self._known:
            self._known[key] = _sha256(target)
        return self._known[key]

    def of_weights(self, folder: Path, name: str) -> str:
        """One digest over names and contents of all files that hold weights."""
        return combined({path.name: self.of(path) for path in weight_files(folder, name)})


def identify(spec: ModelSpec, digests: FileDigests) -> ModelIdentity:
    """The identity of a model; raises Refusal for one that cannot be used."""
    trusted = bool(spec.args.get("trust_remote_code", False))
    files = small_files(spec, trusted=trusted)
    raw = read_config(files.folder, spec.name)
    check_custom_code(files.folder, raw, spec.name, trusted)
    headers = check_weights(files.folder, spec.name) if weights_are_here(files, spec.name) else {}
    config = _config(files.folder, raw, spec.name, trusted)
    tokenizer = load_tokenizer(files.folder, spec.name, trusted=trusted)
    return ModelIdentity(
        name=spec.name,
        revision=files.revision,
        architecture=_architecture(raw, config),
        vocab_size=int(config.get_text_config().vocab_size),
        shapes=_shapes(config.get_text_config()),
        dtype=_dtype(spec, config, Counter(tensor.dtype for tensor in headers.values())),
        tokenizer_digest=tokenizer_digest(tokenizer),
        template_digest=template_digest(tokenizer),
        weights_digest=_weights_digest(spec, files, digests),
    )


def combined(files: Mapping[str, str]) -> str:
    """One sha256 over file name -> sha256."""
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()


def _weights_digest(spec: ModelSpec, files: Files, digests: FileDigests) -> str:
    if weights_are_here(files, spec.name):
        return digests.of_weights(files.folder, spec.name)
    return combined(remote_digests(spec, str(files.revision)))


def _config(folder: Path, raw: Mapping[str, Any], name: str, trusted: bool) -> Any:
    (transformers,) = quietly_imported("transformers")
    with quiet():
        try:
            config = transformers.AutoConfig.from_pretrained(
                str(folder), trust_remote_code=trusted, local_files_only=True
            )
        except Exception as error:  # config classes validate in ways of their own
            first = str(error).strip().splitlines() or [type(error).__name__]
            raise unusable(
                name,
                f"config.json is not usable: {first[0][:200]}",
                f"is model_type {raw.get('model_type')!r} known to this transformers "
                f"({transformers.__version__})?",
            ) from error
    _check_causal(config, name, trusted)
    return config


def _check_causal(config: Any, name: str, trusted: bool) -> None:
    (auto,) = quietly_imported("transformers.models.auto.modeling_auto")
    causal = config.model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if not causal and not trusted:
        raise unusable(
            name,
            f"{config.model_type} is not a decoder-only language model",
            "the transformers backend runs what AutoModelForCausalLM loads",
        )


def _architecture(raw: Mapping[str, Any], config: Any) -> str:
    named = raw.get("architectures")
    return str(named[0]) if isinstance(named, list) and named else type(config).__name__


def _shapes(config: Any) -> dict[str, int]:
    found = {name: getattr(config, name, None) for name in SHAPES}
    heads, hidden = found["num_attention_heads"], found["hidden_size"]
    if isinstance(heads, int) and isinstance(hidden, int) and heads > 0:
        # Older files leave these out where newer ones write the same values down.
        found["num_key_value_heads"] = found["num_key_value_heads"] or heads
        found["head_dim"] = found["head_dim"] or hidden // heads
    return {name: value for name, value in found.items() if isinstance(value, int)}


def _dtype(spec: ModelSpec, config: Any, stored: Counter[str]) -> str:
    asked = spec.args.get("dtype", spec.args.get("torch_dtype", "auto"))
    if isinstance(asked, str) and asked != "auto":
        return {"half": "float16", "float": "float32"}.get(asked, asked)
    stated = getattr(config, "dtype", None) or getattr(config.get_text_config(), "dtype", None)
    if stated is not None:
        return str(stated).removeprefix("torch.")
    floats = [name for name, _ in stored.most_common() if name in _FLOATS]
    return _FLOATS[floats[0]] if floats else "float32"


def _is_sha256(name: str) -> bool:
    return len(name) == 64 and all(letter in "0123456789abcdef" for letter in name)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
