"""Finished chunks of a measurement, kept in memory and in files until the session ends well."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.engine import Say

FORMAT = 4
STALE_SECONDS = 14 * 24 * 3600
_DRAFT = "quantreg-"
_OURS = re.compile(rf"[0-9a-f]{{64}}\.json|{_DRAFT}\w+\.part", re.ASCII)
"""The cache folder may be one that holds other people's files too."""

MOST_BYTES = 64 * 1024 * 1024
"""Of one chunk, which has some hundreds of items with a few numbers each."""


@dataclass(frozen=True)
class Chunk:
    """The results of some items: per pass and metric what lm-eval's scoring returned.

    ``ties`` counts the items all of whose choices were equally likely, ``truncations``
    lm-eval's messages about prompts that did not fit the model's context. ``facts`` holds
    what was noted of each item beside its scores.
    """

    digests: tuple[str, ...]
    passes: tuple[Mapping[str, Sequence[Any]], ...]
    ties: int
    truncations: int
    facts: Mapping[str, Sequence[float]] = field(default_factory=dict)


class Journal:
    """Remembers chunks, so that nothing is measured twice and a crashed job resumes.

    In memory it holds everything of the session. In ``folder`` it holds numbers and
    digests, never text: a chunk with scores made of text (bleu) stays in memory only.
    A file that is torn, altered or of another format counts as absent. Without a
    folder, or with one that cannot be written, it works in memory alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: dict[str, Chunk] = {}
        self._too_large: set[str] = set()
        self._used: set[Path] = set()
        self._warned = False

    def recall(self, key: str) -> Chunk | None:
        """A chunk of this session."""
        return self._memory.get(key)

    def read(self, key: str, digests: tuple[str, ...]) -> Chunk | None:
        """A chunk that an interrupted session left, if it is whole and of these items."""
        path = self._path(key)
        chunk = _read(path, key) if path else None
        if path is None or chunk is None or chunk.digests != digests:
            return None
        self._used.add(path)
        self._memory[key] = chunk
        return chunk

    def keep(self, key: str, chunk: Chunk, say: Say) -> None:
        """Keeps a finished chunk; says once if that works in memory only."""
        self._memory[key] = chunk
        path = self._path(key)
        if path is None or not _numeric(chunk.passes):
            return
        try:
            _write(path, key, chunk)
        except OSError as error:
            if not self._warned:
                self._warned = True
                reason = error.strerror or type(error).__name__
                say(f"cannot write to {path.parent} ({reason}): an interruption will start over")
            return
        self._used.add(path)

    def note_too_large(self, key: str) -> None:
        """Notes that a chunk at its batch size does not fit in memory."""
        self._too_large.add(key)

    def too_large(self, key: str) -> bool:
        """Whether this session has tried the chunk at its batch size in vain."""
        return key in self._too_large

    def discard(self) -> None:
        """Ends a session that ended well: removes its files, and those older than 14 days."""
        if self._folder is None or not self._folder.is_dir():
            return
        before = time.time() - STALE_SECONDS
        for path in self._folder.iterdir():
            # Another process may be faster, and is welcome to be.
            with suppress(OSError):
                if not _OURS.fullmatch(path.name):
                    continue
                if path in self._used or path.stat().st_mtime < before:
                    path.unlink()
        with suppress(OSError):
            self._folder.rmdir()  # unless other sessions still keep theirs here

    def _path(self, key: str) -> Path | None:
        return self._folder / f"{key}.json" if self._folder is not None else None


def _write(path: Path, key: str, chunk: Chunk) -> None:
    body = {
        "format": FORMAT,
        "key": key,
        "digests": list(chunk.digests),
        "passes": [dict(scores) for scores in chunk.passes],
        "ties": chunk.ties,
        "truncations": chunk.truncations,
        "facts": {name: list(column) for name, column in chunk.facts.items()},
    }
    text = json.dumps({"check": _checksum(body), "body": body})
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_DRAFT, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _read(path: Path, key: str) -> Chunk | None:
    try:
        document = json.loads(_read_bounded(path))
        body = document["body"]
        if document["check"] != _checksum(body) or body["format"] != FORMAT or body["key"] != key:
            return None
        return Chunk(
            tuple(body["digests"]),
            tuple(body["passes"]),
            int(body["ties"]),
            int(body["truncations"]),
            dict(body["facts"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _read_bounded(path: Path) -> bytes:
    """The bytes of a regular file of a chunk's size; a pipe in its place must not block us."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "rb") as stream:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
            raise ValueError("no chunk")
        return stream.read()


def _checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _numeric(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_numeric(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return all(_numeric(item) for item in value)
    return isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value))
