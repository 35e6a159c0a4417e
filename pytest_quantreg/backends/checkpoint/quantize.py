"""Makes quantized checkpoints on the fly and keeps them in a cache, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...core.codes import ModelCode
from ...core.engine import Say
from ...core.errors import MissingExtra, Refusal, WrongUse
from ...core.facts import Quoted, Scheme
from ...core.records.run import ModelIdentity, ModelSpec
from ..checkpoint_cache import MANIFEST, is_whole, put_in_place, run_in_process
from ..packages import installed
from .claimed_layers import scheme_in_folder
from .folder import check_weights, linear_shapes, weight_files
from .hub import SMALL_FILES, Files
from .identity import FileDigests
from .quantize_process import NOTHING_TO_QUANTIZE
from .recipe import check, recipe, recipe_in_words


@dataclass(frozen=True)
class Making:
    """Everything that decides what a made checkpoint holds."""

    source: Files
    identity: ModelIdentity
    spec: ModelSpec
    recipe: Mapping[str, Any]

    def key(self) -> str:
        """sha256 over weights, recipe and the versions that do the work."""
        parts = {
            "weights": self.identity.weights_digest,
            "tokenizer": self.identity.tokenizer_digest,
            "template": self.identity.template_digest,
            "dtype": self.identity.dtype,
            "recipe": self.recipe,
            "llmcompressor": version("llmcompressor"),
            "compressed-tensors": version("compressed-tensors"),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def make_checkpoint(
    spec: ModelSpec,
    source: Files,
    identity: ModelIdentity,
    cache_dir: Path,
    digests: FileDigests,
    say: Say,
) -> ModelSpec:
    """A spec of the checkpoint made from ``spec``, from the cache if it is there and whole.

    Raises WrongUse for schemes that cannot be made and MissingExtra without
    llm-compressor, both before anything is loaded.
    """
    choice = check(spec.name, spec.scheme)
    if (already := scheme_in_folder(source.folder, spec.name)) is not None:
        raise WrongUse(
            ModelCode.QUANTIZED_ALREADY,
            name=spec.name,
            stored=already,
            scheme=Scheme(spec.scheme),
            ref=spec.ref,
        )
    need_llmcompressor(spec.scheme)
    shapes = linear_shapes(check_weights(source.folder, spec.name))
    making = Making(source, identity, spec, recipe(choice, shapes, spec.name))
    # A hub id has a slash in it, which would make folders in folders.
    name = re.sub(r"[^\w.-]+", "--", spec.name)
    folder = cache_dir / f"{name}-{choice.scheme.name}-{making.key()[:16]}"
    if not is_whole(folder, digests):
        _build(making, folder, say)
    return replace(spec, ref=str(folder), revision=None, quantize=False)


def _build(making: Making, folder: Path, say: Say) -> None:
    say(f"quantizing {making.spec.name} to {making.spec.scheme}: {recipe_in_words(making.recipe)}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as temporary:
            new = Path(temporary) / "model"
            _run(making, new)
            _complete(making, new)
            put_in_place(new, folder)
    except OSError as error:
        raise WrongUse(
            ModelCode.MODEL_CACHE_NOT_WRITABLE,
            folder=str(folder.parent),
            error=Quoted(str(error)),
            scheme=Scheme(making.spec.scheme),
        ) from error


def _run(making: Making, target: Path) -> None:
    request = {
        "source": str(making.source.folder),
        "target": str(target),
        "dtype": making.identity.dtype,
        "recipe": making.recipe,
        "trust_remote_code": bool(making.spec.args.get("trust_remote_code", False)),
    }
    process = run_in_process(f"{__package__}.quantize_process", request)
    if process.returncode != 0:
        raise _failed(making.spec, process)


def _failed(spec: ModelSpec, process: subprocess.CompletedProcess[str]) -> Refusal:
    scheme, name, status = Scheme(spec.scheme), spec.name, process.returncode
    lines = [line.strip() for line in process.stderr.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    if status in (-9, 137) or "out of memory" in last or "MemoryError" in last:
        return Refusal(ModelCode.MAKING_OUT_OF_MEMORY, scheme=scheme, name=name)
    if status == NOTHING_TO_QUANTIZE:
        return Refusal(ModelCode.NOTHING_TO_QUANTIZE, scheme=scheme, name=name)
    if not last:
        return Refusal(ModelCode.MAKING_EXITED, scheme=scheme, name=name, status=status)
    return Refusal(ModelCode.MAKING_FAILED, scheme=scheme, name=name, error=Quoted(last))


def _complete(making: Making, new: Path) -> None:
    for pattern in SMALL_FILES:
        for path in making.source.folder.glob(pattern):
            # Tokenizer, template and generation settings stay the original's, to the byte.
            if path.name != "config.json" and not path.name.endswith(".safetensors.index.json"):
                shutil.copyfile(path, new / path.name)
    digests = FileDigests()
    parts = [new / "config.json", *weight_files(new, making.spec.name)]
    manifest = {
        "files": {path.name: digests.of(path) for path in parts},
        "recipe": making.recipe,
        "method": "rtn",
        "source": {"name": making.spec.name, "weights": making.identity.weights_digest},
        "versions": {
            name: version(name) for name in ("llmcompressor", "compressed-tensors", "transformers")
        },
    }
    (new / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def need_llmcompressor(scheme: str) -> None:
    """Raises MissingExtra when llm-compressor is not installed."""
    if installed("llmcompressor") is None:
        raise MissingExtra(
            "quantize", needed_by=f"making {scheme} on the fly", package="llmcompressor"
        )
