"""What backends share whose models are folders of the Hugging Face layout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...core.engine import ChatFormatter, Say
from ...core.records.run import ModelSpec, Software
from ...core.schemes.inspection import Checkpoint
from .claimed_layers import scheme_in_folder
from .hub import (
    Files,
    all_files,
    cached_snapshot,
    display_name,
    has_weights,
    is_folder,
    small_files,
)
from .identity import FileDigests
from .tokenizer import chat_formatter, check_bos, load_tokenizer


class CheckpointBackend(ABC):
    """The steps of `pytest_quantreg.core.engine.Backend` that only read files.

    ``cache_dir`` keeps the checkpoints that are quantized on the fly.
    """

    def __init__(self, *, cache_dir: Path) -> None:
        self._cache_dir = cache_dir
        self._digests = FileDigests()

    @abstractmethod
    def software(self) -> Software:
        """The versions installed; raises MissingExtra when the engine is not."""

    def stored_scheme(self, spec: ModelSpec) -> str | None:
        """Return the scheme that the folder's config states."""
        return scheme_in_folder(small_files(spec, trusted=trusted(spec)).folder, display_name(spec))

    def listen(self, say: Say) -> None:
        """Set the function that announces long work on files."""
        self._digests.say = say

    def inspect(self, spec: ModelSpec) -> Checkpoint | None:
        """Return what the files hold, unloaded; None while weights are on the hub."""
        # Scales are read with numpy, which naming a backend need not import.
        from .headers import inspect_spec

        return inspect_spec(spec)

    def at_hand(self, spec: ModelSpec) -> ModelSpec | None:
        """The spec of the local copy that ``spec`` names, None where a download would be due."""
        if is_folder(spec):
            return spec if Path(spec.ref).is_dir() else None
        files = cached_snapshot(spec)
        return None if files is None else replace(spec, ref=str(files.folder), revision=None)

    def chat_formatter(self, spec: ModelSpec, template: bool | str) -> ChatFormatter | None:
        """Renders chats with the model's template; None without one."""
        self.software()
        folder = small_files(spec, trusted=trusted(spec)).folder
        tokenizer = load_tokenizer(folder, display_name(spec), trusted=trusted(spec))
        return chat_formatter(tokenizer, template, display_name(spec))


def trusted(spec: ModelSpec) -> bool:
    """Return whether the user allows code that comes with the model."""
    return bool(spec.args.get("trust_remote_code", False))


def fetch_files(spec: ModelSpec, say: Say) -> tuple[ModelSpec, Files]:
    """The spec with a local folder in place of a hub id, and its files; downloads if need be."""
    config_files = small_files(spec, trusted=trusted(spec))
    # A config that cannot be used is refused before an engine reads it.
    scheme_in_folder(config_files.folder, display_name(spec))
    if not has_weights(config_files, display_name(spec)):
        say(f"downloading {spec.ref}")
    files = all_files(spec, trusted=trusted(spec))
    if is_folder(spec):
        return spec, files
    return replace(spec, ref=str(files.folder), revision=None), files


def checked_tokenizer(spec: ModelSpec, folder: Path, name: str) -> Any:
    """The tokenizer of a folder, whose prompts begin as is asked. Raises Refusal."""
    tokenizer = load_tokenizer(folder, name, trusted=trusted(spec))
    wanted = spec.args.get("add_bos_token")
    check_bos(tokenizer, name, wanted if isinstance(wanted, bool) else None)
    return tokenizer
