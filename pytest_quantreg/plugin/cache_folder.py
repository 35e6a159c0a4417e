"""Where a user's checkpoints, journals and attempts are kept between runs."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..core.codes import OptionCode
from ..core.errors import WrongUse
from ..core.facts import Quoted


def cache_dir(environ: Mapping[str, str]) -> Path:
    """Where on-the-fly checkpoints and journals live: QUANTREG_CACHE_DIR or the user's.

    A user without a home folder has one below the folder for temporary files. Raises
    WrongUse where somebody else owns that.
    """
    if configured := environ.get("QUANTREG_CACHE_DIR"):
        return Path(os.path.expanduser(configured)).absolute()
    for base in (environ.get("XDG_CACHE_HOME") or "", "~/.cache"):
        folder = os.path.expanduser(base)
        # A relative one would lie in whatever folder pytest was started from.
        if os.path.isabs(folder):
            return Path(folder) / "pytest-quantreg"
    return _homeless()


def _homeless() -> Path:
    """The same folder in all processes of a session, and nobody else's."""
    user = os.getuid() if sys.platform != "win32" else 0
    folder = Path(tempfile.gettempdir()) / f"pytest-quantreg-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        reason = Quoted(error.strerror or type(error).__name__)
        raise WrongUse(OptionCode.NO_CACHE_FOLDER, folder=str(folder), reason=reason) from None
    ours = sys.platform == "win32" or (status.st_uid == user and not status.st_mode & 0o022)
    if not stat.S_ISDIR(status.st_mode) or not ours:
        raise WrongUse(OptionCode.FOREIGN_CACHE_FOLDER, folder=str(folder))
    return folder
