"""LoRA adapters: refused beside the weights, identified where an argument names one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from ...core.errors import Category, Refusal, WrongUse
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
    raise Refusal(
        Category.SUSPICIOUS,
        f"{name}: {CONFIG} lies beside the weights; transformers applies that adapter where peft "
        "is installed, and other engines do not",
        help=(
            "if it is a leftover, delete it with its weights (adapter_model.*)",
            "if it belongs to the model, merge it (merge_and_unload of peft) or move both files",
            f"to a folder of their own and name that: --quant-backend-arg {ARGUMENT}=FOLDER "
            "(transformers backend)",
        ),
    )


def requested_adapter(spec: ModelSpec) -> Path | None:
    """Return the folder of the adapter that the arguments name. Raises WrongUse."""
    argument = spec.args.get(ARGUMENT)
    if argument is None:
        return None
    folder = Path(str(argument)).expanduser()
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        raise WrongUse(
            f"--quant-backend-arg={ARGUMENT}={folder.name}: no local folder with {CONFIG} and "
            f"{WEIGHTS}",
            help="give the folder that save_pretrained of peft wrote; download one from the hub "
            "with: hf download ORG/NAME --local-dir FOLDER",
        )
    kind = read_json(folder / CONFIG, folder.name).get("peft_type")
    if kind != "LORA":
        raise WrongUse(
            f"--quant-backend-arg={ARGUMENT}={folder.name}: an adapter of type {kind}; only LORA "
            "is supported",
            help="merge it into the weights, and gate the merged model",
        )
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
