"""When and from which commit a run was recorded: the clock and git, nothing else."""

from __future__ import annotations

import subprocess
from datetime import datetime, timezone
from pathlib import Path


def now() -> str:
    """The time in UTC to the second, ISO 8601."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def git_commit(folder: Path) -> str | None:
    """The commit checked out at ``folder``, None outside of git."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
