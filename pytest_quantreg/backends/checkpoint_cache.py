"""Models quantized on the fly: made in a process of their own, kept whole or not at all."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .checkpoint import plain_json
from .checkpoint.identity import FileDigests
from .process.child import command_of, environment

MANIFEST = "quantreg.json"
"""What a kept folder says of itself; ``files`` holds the digest of each."""


def is_whole(folder: Path, digests: FileDigests) -> bool:
    """Return whether every file of a kept folder is what its manifest says."""
    try:
        files = plain_json.read(folder / MANIFEST)["files"]
        whole = all(digests.of(folder / file) == sha for file, sha in files.items())
        return whole and bool(files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def put_in_place(new: Path, folder: Path) -> None:
    """Makes ``new`` the kept ``folder``. Raises OSError where that cannot be written."""
    # What stands there was found torn, or another process has just made the same.
    if folder.exists():
        if is_whole(folder, FileDigests()):
            return
        shutil.rmtree(folder)
    try:
        new.rename(folder)
    except OSError:
        # Another process came first, and what it made is equally good.
        if not is_whole(folder, FileDigests()):
            raise


def run_in_process(module: str, request: Mapping[str, object]) -> subprocess.CompletedProcess[str]:
    """Runs ``serve`` of ``module`` in a process that reads ``request`` from its standard input."""
    return subprocess.run(
        command_of(module, "serve"),
        input=json.dumps(request),
        env={**environment(), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
