"""Applies the LoRA adapter that an engine argument names to a loaded model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...core.errors import Category, Refusal
from ..checkpoint.folder import unusable
from ..packages import installed
from ..quiet import quiet


def need_peft() -> None:
    """Raise Refusal without the package that applies adapters."""
    if installed("peft") is None:
        raise Refusal(
            Category.MISSING_EXTRA,
            "--quant-backend-arg=peft=FOLDER needs the package peft, which is not installed",
            help="install it with: pip install peft",
        )


def apply_adapter(model: Any, folder: Path, name: str) -> None:
    """Load the adapter into ``model``, every tensor of it. Raises Refusal."""
    try:
        with quiet():
            report = model.load_adapter(str(folder), adapter_kwargs={"local_files_only": True})
    except Exception as error:  # whatever peft and the quantizer's own layers raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise unusable(
            name,
            f"the adapter {folder.name} cannot be applied: {lines[0][:200]}",
            "give one that was trained on this model; where the format of its weights takes no "
            "adapter, merge it before quantizing",
        ) from error
    for problem, keys in (("lacks", report.missing_keys), ("has unused", report.unexpected_keys)):
        if keys:
            raise unusable(
                name,
                f"the adapter {folder.name} {problem} {len(keys)} tensors, {min(keys)} first",
                "give the adapter that was trained on this model",
            )
