"""Finds a model's files: a folder as it is, a hub id through the local hub cache."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ...core.codes import ModelCode
from ...core.errors import MissingExtra, Refusal
from ...core.facts import Quoted
from ...core.records.run import ModelSpec
from ..quiet import quiet
from .folder import INDEX, weight_files

SMALL_FILES = ("*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken")
CODE_FILES = ("*.py",)
WEIGHT_FILES = ("model*.safetensors",)

T = TypeVar("T")


@dataclass(frozen=True)
class Files:
    """A local copy of a model's files; ``revision`` is the commit of a hub snapshot."""

    folder: Path
    revision: str | None
    from_hub: bool


def is_folder(spec: ModelSpec) -> bool:
    """Return whether ``spec.ref`` is a folder rather than a hub id."""
    return Path(spec.ref).is_absolute() or Path(spec.ref).is_dir()


def display_name(spec: ModelSpec) -> str:
    """Return the model's name in messages: the folder's name or the hub id."""
    return Path(spec.ref).name if is_folder(spec) else spec.ref


def small_files(spec: ModelSpec, *, trusted: bool) -> Files:
    """Config and tokenizer, downloaded if need be; raises Refusal in one line if not."""
    if is_folder(spec):
        return Files(Path(spec.ref), None, False)
    patterns = [*SMALL_FILES, *(CODE_FILES if trusted else ())]
    folder = _snapshot(spec, patterns)
    return Files(folder, folder.name, True)


def local_copy(ref: str, revision: str | None) -> str | None:
    """The folder of a hub id's files in the local cache; None without one. Asks no server."""
    try:
        from huggingface_hub import snapshot_download

        with quiet():
            return str(snapshot_download(ref, revision=revision, local_files_only=True))
    except (ImportError, OSError, ValueError):
        return None


def all_files(spec: ModelSpec, *, trusted: bool) -> Files:
    """The weights as well."""
    if is_folder(spec):
        return Files(Path(spec.ref), None, False)
    patterns = [*SMALL_FILES, *WEIGHT_FILES, *(CODE_FILES if trusted else ())]
    folder = _snapshot(spec, patterns)
    return Files(folder, folder.name, True)


def has_weights(files: Files, name: str) -> bool:
    """Return whether the snapshot already holds the weights (a folder always should)."""
    if not files.from_hub:
        return True
    try:
        return bool(weight_files(files.folder, name))
    except Refusal:
        return False


def cached_snapshot(spec: ModelSpec) -> Files | None:
    """The snapshot of a hub id with its weights in the local cache; asks no server."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        with quiet():
            folder = snapshot_download(spec.ref, revision=spec.revision, local_files_only=True)
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None
    files = Files(Path(folder), Path(folder).name, True)
    return files if has_weights(files, display_name(spec)) else None


def remote_digests(spec: ModelSpec, revision: str) -> dict[str, str]:
    """File name -> sha256 of the weights on the hub, without downloading them."""

    def ask() -> Any:
        from huggingface_hub import HfApi

        return HfApi().model_info(spec.ref, revision=revision, files_metadata=True)

    siblings = _ask_hub(spec, ask).siblings or []
    digests = {file.rfilename: file.lfs.sha256 for file in siblings if file.lfs is not None}
    names = [n for n in digests if re.fullmatch(r"model[^/]*\.safetensors", n)]
    if not names:
        raise Refusal(ModelCode.NO_SAFETENSORS_ON_HUB, ref=spec.ref)
    # A repository may hold a single file beside its shards; the index decides, as at load.
    sharded = any(file.rfilename == INDEX for file in siblings)
    chosen = [n for n in names if (n != "model.safetensors") == sharded] or names
    return {name: str(digests[name]) for name in chosen}


def _snapshot(spec: ModelSpec, patterns: list[str]) -> Path:
    def download() -> str:
        from httpx import ConnectError, TimeoutException
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

        def fetch(local: bool) -> str:
            return snapshot_download(
                spec.ref, revision=spec.revision, allow_patterns=patterns, local_files_only=local
            )

        try:
            with quiet():
                return fetch(local=False)
        except (OfflineModeIsEnabled, LocalEntryNotFoundError, ConnectError, TimeoutException):
            # A commit is looked up on the hub even where its snapshot is complete.
            return fetch(local=True)

    return Path(_ask_hub(spec, download))


def _ask_hub(spec: ModelSpec, ask: Callable[[], T]) -> T:
    """Ask the hub; turn each failure into one line with the way out."""
    try:
        from httpx import ConnectError, TimeoutException
        from huggingface_hub import errors as hub
    except ImportError:
        raise MissingExtra(
            "transformers", needed_by=f"the model {spec.ref}", package="huggingface_hub"
        ) from None
    at = f"{spec.ref}@{spec.revision}" if spec.revision else spec.ref
    try:
        return ask()
    except hub.GatedRepoError:
        raise Refusal(ModelCode.GATED_REPOSITORY, at=at, ref=spec.ref) from None
    except hub.RevisionNotFoundError:
        raise Refusal(ModelCode.NO_SUCH_REVISION, at=at) from None
    except hub.RepositoryNotFoundError:
        raise Refusal(ModelCode.NO_SUCH_REPOSITORY, at=at) from None
    except (hub.HFValidationError, hub.HfUriError):
        raise Refusal(ModelCode.NOT_A_HUB_ID, at=at) from None
    except (hub.LocalEntryNotFoundError, hub.OfflineModeIsEnabled, ConnectError, TimeoutException):
        if spec.revision:
            raise Refusal(ModelCode.REVISION_NOT_CACHED, at=at) from None
        # ORG/NAME may as well have been meant as a path; a revision belongs to the hub.
        raise Refusal(ModelCode.REPOSITORY_NOT_CACHED, at=at) from None
    except (hub.HfHubHTTPError, OSError) as error:
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise Refusal(ModelCode.HUB_FAILED, at=at, error=Quoted(first[0])) from error
