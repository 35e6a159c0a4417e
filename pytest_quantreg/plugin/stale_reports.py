"""Reports of earlier sessions: none may be taken for this one's, however early it fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from .. import __version__
from ..gating.provenance import now
from ..report.output_files import is_report, write
from ..report.session_report import NEITHER, Report, Session

_NOT_BEGUN = (
    "the session did not end: it failed before its tests were collected, was killed, or is still "
    "under way"
)


def replace_stale(paths: Sequence[Path]) -> None:
    """Overwrites those files that are reports of ours with one that says it did not end.

    Other files are left alone: the session that goes on looks at them. So is one that
    cannot be written, which it will report.
    """
    for path in paths:
        if is_report(path):
            write(_not_begun(), path)


def _not_begun() -> Report:
    """All that is known before options are read."""
    versions = {"pytest-quantreg": __version__, "pytest": pytest.__version__}
    session = Session(
        purpose=NEITHER,
        started_at=now(),
        ended_at=None,
        exit_status=None,
        incomplete=(_NOT_BEGUN,),
        model=None,
        schemes=(),
        backend="",
        gate="detect",
        confidence=0.95,
        limit=None,
        require=False,
        git_commit=None,
        versions=versions,
    )
    return Report(session, (), ())
