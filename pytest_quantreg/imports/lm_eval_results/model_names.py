"""Which weights a model's name means, whatever its spelling: hub ids, addresses, folders, links."""

from __future__ import annotations

import os
import posixpath
import re
from contextlib import suppress
from pathlib import Path

MAIN = "main"
"""The revision of a hub id that names none."""

_ADDRESS = re.compile(
    r"(?:(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/+|hf://)"
    r"([\w.-]+(?:/+[\w.-]+)?)(?:/+(?:tree|resolve|blob)/+([^/?#]+))?(?:[/?#].*)?",
    re.IGNORECASE,
)
_CACHED = re.compile(r"(?:.*/)?models--([^/]+)/snapshots/([^/]+)")
_LONGEST = 4096


def comparable_names(name: str) -> tuple[frozenset[str], str | None]:
    """Return what a name may be compared by, and the revision that it holds itself.

    Two names mean the same weights if they have an entry in common. Links are followed where
    the folder is on this machine.
    """
    text = name.strip()
    if not text or len(text) > _LONGEST:
        return frozenset(), None
    if match := _ADDRESS.fullmatch(text):
        return frozenset({_normalized_path(match[1]).casefold()}), _revision(match[2])
    text = text.removeprefix("file://")
    plain = _normalized_path(text)
    entries = {plain if plain.startswith(("/", "~", "..")) else plain.casefold()}
    real = _local_path(text)
    if real is not None:
        entries.add(real)
    for path in (plain, real or ""):
        if match := _CACHED.fullmatch(path):
            owner, _, model = match[1].partition("--")
            entries.add((f"{owner}/{model}" if model else owner).casefold())
            return frozenset(entries), _commit_unless_main(path, match[2])
    return frozenset(entries), None


def _normalized_path(text: str) -> str:
    """``./model//`` as ``model``."""
    plain = posixpath.normpath(text.replace("\\", "/"))
    return plain[1:] if plain.startswith("//") else plain


def _local_path(text: str) -> str | None:
    # A share of another machine must not be asked for because a file names it.
    if text.startswith(("\\\\", "//")):
        return None
    with suppress(OSError, ValueError, RuntimeError):
        path = os.path.expanduser(text)
        if os.path.exists(path):
            return _normalized_path(os.path.realpath(path))
    return None


def _revision(text: str | None) -> str | None:
    return None if text in (None, MAIN) else text


def _commit_unless_main(snapshot: str, commit: str) -> str | None:
    """None where the local cache says that the commit is what ``main`` means."""
    main = Path(snapshot).parent.parent / "refs" / MAIN
    with suppress(OSError, ValueError):
        if main.read_text("utf-8").strip() == commit:
            return None
    return commit
