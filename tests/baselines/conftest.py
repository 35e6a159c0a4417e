"""What the store's tests need of the system: to be somebody without rights."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A temporary folder that everybody may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def become_nobody(open_path: Path) -> Iterator[Callable[[], None]]:
    """Gives up root's rights until the test ends; other users have none to give up."""

    def become() -> None:
        if os.geteuid() == 0:
            os.seteuid(NOBODY)
        else:
            for path in (open_path, *open_path.rglob("*")):
                path.chmod(path.stat().st_mode & ~0o222)

    yield become
    if os.getuid() == 0:
        os.seteuid(0)
    else:
        open_path.chmod(0o755)
        for path in open_path.rglob("*"):
            path.chmod(path.stat().st_mode | 0o200)
