"""Finds a model's files: a folder as it is, a hub id through the local hub cache."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ...core.errors import Category, MissingExtra, Refusal
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
        raise _refused(
            f"{spec.ref} on the hub has no safetensors weights",
            "choose a repository with model.safetensors, or convert it to a folder",
        )
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
    # ORG/NAME may as well have been meant as a path; a revision belongs to the hub.
    here = " is" if spec.revision else " is no folder here, and"
    sign_in = "then `hf auth login`, or set HF_TOKEN"
    try:
        return ask()
    except hub.GatedRepoError:
        raise _refused(
            f"{at} is gated and this account or token has no access",
            f"ask for access at https://huggingface.co/{spec.ref}, {sign_in}",
        ) from None
    except hub.RevisionNotFoundError:
        raise _refused(f"{at}: no such revision", "check what follows the @") from None
    except hub.RepositoryNotFoundError:
        raise _refused(
            f"{at} is neither a folder here nor a repository that this token can see",
            f"check the name; for a private one {sign_in[5:]}",
        ) from None
    except (hub.HFValidationError, hub.HfUriError):
        raise _refused(
            f"{at!r} is neither a folder here nor a hub id",
            "give a folder that exists or ORG/NAME",
        ) from None
    except (hub.LocalEntryNotFoundError, hub.OfflineModeIsEnabled, ConnectError, TimeoutException):
        raise _refused(
            f"{at}{here} not in the local hub cache, and the hub cannot be reached",
            "go online once, unset HF_HUB_OFFLINE, or give a folder",
        ) from None
    except (hub.HfHubHTTPError, OSError) as error:
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise _refused(f"{at} cannot be fetched: {first[0]}") from error


def _refused(problem: str, *help: str) -> Refusal:
    return Refusal(Category.UNUSABLE_MODEL, problem, help=help)
