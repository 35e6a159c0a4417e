"""Reports as files: replaced as a whole, or added to what a CI job shows."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

from ..core.strict_json import CorruptFile
from .json_document import MAX_REPORT, encode, is_document
from .junit import typed
from .markdown import COMMENT_LIMIT, is_page, markdown
from .markdown_text import escaped
from .session_report import Report
from .words import words_of

STEP_LIMIT = 1024 * 1024
"""Bytes that GitHub shows of one step's summary; with more it shows none of it."""

_LEAST_PAGE = 2_000
"""Bytes below which a page says too little to be worth adding."""


def write(report: Report, path: Path) -> str:
    """Writes the report in the form that the ending names; returns why it could not, or ""."""
    try:
        data = encode(report) if path.suffix == ".json" else markdown(report).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)
    except CorruptFile as error:
        return words_of(error.problem).what
    except OSError as error:
        return _reason(error)
    return ""


def is_report(path: Path) -> bool:
    """Whether a file is a report that a session wrote, of whatever version."""
    recognizes = {".json": is_document, ".md": is_page}.get(path.suffix)
    # A pipe or a device would keep a reader waiting.
    if recognizes is None or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return recognizes(file.read(MAX_REPORT))
    except OSError:
        return False


def add_to_summary(report: Report, path: Path) -> str:
    """Adds the page to those of other steps; returns why it could not, or ""."""
    try:
        if path.exists() and not path.is_file():
            return "it is not a file"
        size = path.stat().st_size if path.exists() else 0
        room = STEP_LIMIT - size - 2
        if room < _LEAST_PAGE:
            return f"what is in it already leaves {max(room, 0):,} bytes"
        page = markdown(report, min(room, COMMENT_LIMIT))
        with path.open("ab") as file:
            file.write((b"\n" if size else b"") + page.encode())
    except OSError as error:
        return _reason(error)
    return ""


def add_lines(lines: Sequence[str], path: Path) -> None:
    """Adds lines to the page of a job, where it can be written; a missing page was told before."""
    text = "".join(f"\n- {escaped(line)}\n" for line in lines).encode()
    with suppress(OSError):
        if path.is_file() and path.stat().st_size + len(text) <= STEP_LIMIT:
            with path.open("ab") as file:
                file.write(text)


def type_failures(path: Path, excused: str = "") -> None:
    """Gives the failures in a JUnit file their types, and names those that were excused.

    Leaves alone what it cannot read.
    """
    with suppress(OSError, ElementTree.ParseError):
        if path.is_file():
            replace_file(path, typed(path.read_bytes(), excused))


def replace_file(path: Path, data: bytes) -> None:
    """Replaces a file as a whole, where links lead to. Raises OSError."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(21, "it is a folder", str(path))
    if target.exists() and not target.is_file():
        # What reads a pipe or a device wants the bytes, and no file in its place.
        _write_into(target, data)
        return
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(13, "no permission", str(path))
    handle, draft = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
        os.chmod(draft, mode)
        os.replace(draft, target)
    except OSError:
        with suppress(OSError):
            os.unlink(draft)
        raise


def _write_into(target: Path, data: bytes) -> None:
    """Writes into a pipe or a device; one that nobody reads is an error and no endless wait."""
    handle = os.open(target, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "wb") as file:
        os.set_blocking(handle, True)
        file.write(data)


def _reason(error: OSError) -> str:
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return "there is a file where a folder should be"
    return error.strerror or str(error)
