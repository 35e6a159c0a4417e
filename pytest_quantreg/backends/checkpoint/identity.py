"""Reads what a model is from its files: architecture, shapes, digests; no weights."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ...core.codes import ModelCode
from ...core.engine import Say
from ...core.errors import Refusal, WrongUse
from ...core.facts import Quoted
from ...core.records.run import ModelIdentity, ModelSpec
from ..quiet import quiet, quietly_imported
from .adapter import adapter_digest, refuse_leftover
from .folder import check_custom_code, check_weights, read_config, weight_files
from .hub import Files, display_name, has_weights, remote_digests, small_files
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


DTYPES = ("bfloat16", "float16", "float32", "float64")
_ALIASES = {"half": "float16", "float": "float32"}

_IGNORED_KEYS = frozenset({"transformers_version", "_name_or_path", "_commit_hash"})
"""Keys of config.json that change when a model is merely saved again."""


LARGE = 4_000_000_000
"""Bytes; hashing takes about a second for 1.5 GB of a file, and longer from a slow disk."""

AT_ONCE = 4
"""Shards that are hashed side by side."""


class FileDigests:
    """sha256 of files, each read once as long as it does not change.

    The contents are read, never a name: the hub cache names blobs by their sha256, and one
    that was overwritten in place keeps its name. ``say`` prints what will take a while.
    """

    def __init__(self, say: Say | None = None) -> None:
        self.say = say
        self._digest_by_state: dict[tuple[object, ...], str] = {}

    def of(self, path: Path) -> str:
        """The digest of one file, in hex."""
        key = state_of(path)
        if key not in self._digest_by_state:
            self._digest_by_state[key] = _sha256(path)
        return self._digest_by_state[key]

    def of_all(self, paths: Sequence[Path], name: str) -> list[str]:
        """The digests of the files of one model, in order."""
        size = sum(
            path.stat().st_size for path in paths if state_of(path) not in self._digest_by_state
        )
        if size >= LARGE and self.say is not None:
            self.say(f"hashing {size / 1e9:,.1f} GB of weights of {name}")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self.of, paths))

    def of_weights(self, folder: Path, name: str) -> str:
        """One digest over names and contents of all files that hold weights."""
        paths = weight_files(folder, name)
        names = (path.name for path in paths)
        return combined(dict(zip(names, self.of_all(paths, name), strict=True)))


def state_of(path: Path) -> tuple[object, ...]:
    """Return a key that changes whenever the contents of a file do.

    The time of the last change of its state (ctime) cannot be set back, as its mtime can.
    """
    status = path.stat()
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (str(path.resolve()), status.st_dev, status.st_ino, status.st_size, *times)


def identify(spec: ModelSpec, digests: FileDigests) -> ModelIdentity:
    """The identity of a model; raises Refusal for one that cannot be used.

    Raises WrongUse for an argument ``dtype`` that is none.
    """
    requested_dtype, name = _requested_dtype(spec), display_name(spec)
    trusted = bool(spec.args.get("trust_remote_code", False))
    files = small_files(spec, trusted=trusted)
    raw = read_config(files.folder, name)
    check_custom_code(files.folder, raw, name, trusted)
    refuse_leftover(files.folder, name)
    headers = check_weights(files.folder, name) if has_weights(files, name) else {}
    config = _config(files.folder, raw, name, trusted)
    tokenizer = load_tokenizer(files.folder, name, trusted=trusted)
    parts = {
        "weights": _weights_digest(spec, files, digests),
        "config": _config_digest(files.folder, raw),
    }
    if (adapter := adapter_digest(spec, digests.of)) is not None:
        parts["adapter"] = adapter
    return ModelIdentity(
        name=spec.name,
        revision=files.revision,
        architecture=_architecture(raw, config),
        vocab_size=int(config.get_text_config().vocab_size),
        shapes=_shapes(config.get_text_config()),
        dtype=requested_dtype
        or _dtype(config, Counter(tensor.dtype for tensor in headers.values())),
        tokenizer_digest=tokenizer_digest(tokenizer, spec.args),
        template_digest=template_digest(tokenizer),
        weights_digest=combined(parts),
    )


def combined(files: Mapping[str, str]) -> str:
    """One sha256 over file name -> sha256."""
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()


def _config_digest(folder: Path, raw: Mapping[str, Any]) -> str:
    """What config.json makes of the weights, with the model's own code where it has some.

    Another rope_theta over the same tensors is another model.
    """
    settings = {name: value for name, value in raw.items() if name not in _IGNORED_KEYS}
    code = {path.name: _sha256(path) for path in sorted(folder.glob("*.py"))}
    return hashlib.sha256(json.dumps([settings, code], sort_keys=True).encode()).hexdigest()


def _weights_digest(spec: ModelSpec, files: Files, digests: FileDigests) -> str:
    if has_weights(files, display_name(spec)):
        return digests.of_weights(files.folder, display_name(spec))
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
            raise Refusal(
                ModelCode.CONFIG_REFUSED,
                name=name,
                error=Quoted(first[0][:200]),
                model_type=str(raw.get("model_type")),
                version=str(transformers.__version__),
            ) from error
    _check_causal(config, name, trusted)
    return config


def _check_causal(config: Any, name: str, trusted: bool) -> None:
    (auto,) = quietly_imported("transformers.models.auto.modeling_auto")
    causal = config.model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if not causal and not trusted:
        raise Refusal(ModelCode.NOT_CAUSAL, name=name, model_type=str(config.model_type))


def _architecture(raw: Mapping[str, Any], config: Any) -> str:
    architectures = raw.get("architectures")
    return (
        str(architectures[0])
        if isinstance(architectures, list) and architectures
        else type(config).__name__
    )


def _shapes(config: Any) -> dict[str, int]:
    shapes = {name: getattr(config, name, None) for name in SHAPES}
    heads, hidden = shapes["num_attention_heads"], shapes["hidden_size"]
    if isinstance(heads, int) and isinstance(hidden, int) and heads > 0:
        # Older files leave these out where newer ones write the same values down.
        shapes["num_key_value_heads"] = shapes["num_key_value_heads"] or heads
        shapes["head_dim"] = shapes["head_dim"] or hidden // heads
    return {name: value for name, value in shapes.items() if isinstance(value, int)}


def _requested_dtype(spec: ModelSpec) -> str | None:
    """The compute type of the engine arguments, None for the files' own. Raises WrongUse."""
    key = "dtype" if "dtype" in spec.args else "torch_dtype"
    requested = spec.args.get(key, "auto")
    dtype = _ALIASES.get(requested, requested) if isinstance(requested, str) else None
    if dtype not in (*DTYPES, "auto"):
        raise WrongUse(
            ModelCode.ARGUMENT_NOT_DTYPE,
            argument=key,
            value=str(requested),
            known=("auto", *DTYPES),
        )
    return None if dtype == "auto" else dtype


def _dtype(config: Any, stored: Counter[str]) -> str:
    stated = getattr(config, "dtype", None) or getattr(config.get_text_config(), "dtype", None)
    if stated is not None:
        return str(stated).removeprefix("torch.")
    floats = [name for name, _ in stored.most_common() if name in _FLOATS]
    return _FLOATS[floats[0]] if floats else "float32"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
