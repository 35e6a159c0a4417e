"""LoRA adapters: refused beside the weights, identified where an argument names one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from ...core.codes import ModelCode
from ...core.errors import Refusal, WrongUse
from ...core.facts import Problem, Quoted
from ...core.records.run import ModelSpec
from .folder import read_json

ARGUMENT = "peft"
"""The engine argument that names an adapter's folder, spelt as lm-eval's model argument."""

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

_IGNORED_KEYS = ("base_model_name_or_path", "revision", "inference_mode", "peft_version")
"""Keys of the config that change when an adapter is saved again or its base is moved."""


def has_adapter(folder: Path) -> bool:
    """Return whether transformers would apply an adapter from this folder.

    Its `find_adapter_config_file` looks for the config in the folder's listing and for
    nothing else; the weights are then required.
    """
    try:
        return CONFIG in os.listdir(folder)
    except OSError:
        return False


def refuse_leftover(folder: Path, name: str) -> None:
    """Refuse a checkpoint with an adapter in its own folder. Raises Refusal."""
    if not has_adapter(folder):
        return
    beside = Problem(ModelCode.ADAPTER_BESIDE_WEIGHTS, {"file": CONFIG})
    raise Refusal(ModelCode.LEFTOVER_ADAPTER, name=name, cause=beside)


def requested_adapter(spec: ModelSpec) -> Path | None:
    """Return the folder of the adapter that the arguments name. Raises WrongUse."""
    argument = spec.args.get(ARGUMENT)
    if argument is None:
        return None
    folder = Path(str(argument)).expanduser()
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        raise WrongUse(ModelCode.NO_ADAPTER_IN_FOLDER, adapter=folder.name, files=(CONFIG, WEIGHTS))
    kind = read_json(folder / CONFIG, folder.name).get("peft_type")
    if kind != "LORA":
        raise WrongUse(ModelCode.ADAPTER_NOT_LORA, adapter=folder.name, kind=Quoted(str(kind)))
    return folder


def adapter_digest(spec: ModelSpec, digest_of: Callable[[Path], str]) -> str | None:
    """Return the sha256 of the requested adapter, None without one."""
    folder = requested_adapter(spec)
    if folder is None:
        return None
    config = read_json(folder / CONFIG, folder.name)
    settings = {key: value for key, value in config.items() if key not in _IGNORED_KEYS}
    text = json.dumps([settings, digest_of(folder / WEIGHTS)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
