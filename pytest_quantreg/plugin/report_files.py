"""When reports of a session are written: a first one at its start, the whole one at its end."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from .. import __version__
from ..core.codes import OptionCode
from ..core.errors import WrongUse
from ..core.facts import Quoted
from ..core.secret_values import Secrets
from ..core.settings import Settings, Update
from ..gating.provenance import git_commit, now
from ..report.junit import FAILURE
from ..report.output_files import add_to_summary, type_failures, write
from ..report.redaction import Places, identifying_names, machine_names
from ..report.session_outcomes import SessionReport
from ..report.session_report import GATES, NEITHER, RECORDS, Report, Session
from ..report.summary import excused_gates
from .item_state import is_end

_NOT_ENDED = "the session did not end: it was killed, or it is still under way"
_ABOVE_BASELINES = 3
"""Folders of a store above its files: MODEL/SCHEME/ENGINE."""
_WORDS = ("passed", "failed", "refused", "error", "skipped", "xfailed", "rerun")


@dataclass
class ReportsWritten:
    """Lines to print about reports, and about those that could not be written."""

    notices: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class Reporter:
    """Writes what --quant-report names, and the page of a job on GitHub.

    What is written at the start says that the session did not end, so that neither a
    report of an earlier session nor half of one is taken for this one's. Under xdist the
    controller alone writes. ``report`` is what was written in the end, ``missing`` why not
    every test ran.
    """

    def __init__(self, config: pytest.Config, settings: Settings, secrets: Secrets) -> None:
        self._secrets = secrets
        self._config = config
        self._settings = settings
        self._started_at = now()
        self._commit: str | None = None
        self._ended: Counter[str] = Counter()
        self._uncollected = 0
        self._broken = False
        self._failures_of_ours = False
        self._cut_short: str | None = None
        self.missing: tuple[str, ...] = ()
        self.report: Report | None = None
        self._active = not hasattr(config, "workerinput") and not config.option.collectonly

    @property
    def wanted(self) -> bool:
        """Whether anything is to be written by this process."""
        settings = self._settings
        return self._active and bool(settings.reports or self._job_page or settings.accept)

    def begin(self) -> None:
        """Makes the folders and writes first reports. Raises WrongUse where that fails."""
        if not self.wanted:
            return
        self._commit = git_commit(self._config.rootpath)
        first = Report(replace(self._facts({}), incomplete=(_NOT_ENDED,)), (), ())
        for path in self._settings.reports:
            if self._is_stored(path):
                raise WrongUse(OptionCode.REPORT_AMONG_BASELINES, path=self._shown(path))
            if reason := write(first, path):
                raise WrongUse(
                    OptionCode.REPORT_NOT_WRITABLE,
                    path=self._shown(path),
                    reason=Quoted(reason),
                )

    def _is_stored(self, path: Path) -> bool:
        """Whether a report would replace a baseline."""
        store, target = (os.path.realpath(place) for place in (self._settings.baselines, path))
        below = os.path.relpath(target, store).split(os.sep)
        # A store may be the folder that all the rest lies in; its files lie deeper.
        return below[0] != os.pardir and len(below) > _ABOVE_BASELINES

    # -- on the way ------------------------------------------------------------------------

    def count_test(self, report: pytest.TestReport) -> None:
        """Counts how a test ended."""
        self._failures_of_ours |= any(name == FAILURE for name, _ in report.user_properties)
        word = _ending(report)
        if word is not None:
            self._ended[word] += 1

    def count_collection(self, report: pytest.CollectReport) -> None:
        """A file or class was collected, or could not be."""
        self._uncollected += report.failed

    def note_interruption(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Ctrl-C, or ``pytest.exit``."""
        text = str(excinfo.value).strip()
        self._cut_short = f"interrupted: {self._secrets.redact(text)}" if text else "interrupted"

    def note_internal_error(self) -> None:
        """pytest or a plugin failed; hooks may make another exit status of it."""
        self._broken = True

    # -- the end ---------------------------------------------------------------------------

    def note_missing(self, session: pytest.Session) -> None:
        """Notes what a session that ends leaves out, before hooks change how it ended."""
        self.missing = tuple(dict.fromkeys((*self.missing, *self._missing(session))))

    def end(
        self,
        session: pytest.Session,
        collected: SessionReport,
        versions: Mapping[str, str],
        last_line: str,
        runs: Callable[[], tuple[Mapping[str, Any], ...]] = tuple,
    ) -> ReportsWritten:
        """Writes every report, and gives the failures in pytest's JUnit file their types.

        ``runs`` packs what was measured, for the reports that hold it.
        """
        written = ReportsWritten()
        excused = excused_gates(collected.outcomes)
        if self._active and (self._failures_of_ours or excused):
            self._type_failures(excused)
        if not self.wanted:
            return written
        report = self._report(session, collected, versions, last_line)
        if collected.kept:
            report = replace(report, runs=runs())
        self.report = report
        for path in self._settings.reports:
            if reason := write(report, path):
                written.failed.append(f"quantreg: no report in {self._shown(path)}: {reason}")
            else:
                written.notices.append(f"quantreg: report in {self._shown(path)}")
        page = self._job_page
        if page is not None and (reason := add_to_summary(report, page)):
            written.notices.append(f"quantreg: no page in the summary of this job: {reason}")
        return written

    def _type_failures(self, excused: str) -> None:
        """pytest gives failures no type; ours tells a refusal from a loss."""
        if named := getattr(self._config.option, "xmlpath", None):
            path = Path(os.path.expanduser(os.path.expandvars(named)))
            type_failures(path, excused)

    @property
    def _job_page(self) -> Path | None:
        return self._settings.step_summary if self._purpose != NEITHER else None

    @property
    def _purpose(self) -> str:
        if self._settings.update is not Update.NO:
            return RECORDS
        return GATES if self._settings.schemes else NEITHER

    def _shown(self, path: Path) -> str:
        return os.path.relpath(path, self._config.invocation_params.dir)

    def _report(
        self,
        session: pytest.Session,
        collected: SessionReport,
        versions: Mapping[str, str],
        last_line: str,
    ) -> Report:
        facts = replace(
            self._facts(versions),
            ended_at=now(),
            exit_status=int(session.exitstatus),
            incomplete=self.missing,
            tests={word: self._ended[word] for word in _WORDS if self._ended[word]},
        )
        lines = (*collected.closing(), *([last_line] if last_line else []))
        closing = tuple(map(self._secrets.redact, lines))
        report = Report(facts, tuple(collected.outcomes), closing)
        return self._places(report).redacted(report)

    def _facts(self, versions: Mapping[str, str]) -> Session:
        settings = self._settings
        return Session(
            purpose=self._purpose,
            started_at=self._started_at,
            ended_at=None,
            exit_status=None,
            incomplete=(),
            model=settings.model.name if settings.model is not None else None,
            schemes=settings.schemes,
            backend=settings.backend,
            gate=settings.gate.value,
            confidence=settings.confidence,
            limit=settings.limit,
            require=settings.require,
            git_commit=self._commit,
            versions={"pytest-quantreg": __version__, "pytest": pytest.__version__, **versions},
        )

    def _missing(self, session: pytest.Session) -> Iterator[str]:
        """Why not every test ran that should have."""
        if self._uncollected:
            noun = "file or class" if self._uncollected == 1 else "files or classes"
            yield f"{self._uncollected} {noun} could not be collected"
        already_noted = self._uncollected and (self._cut_short or "").endswith("during collection")
        if self._cut_short is not None and not already_noted:
            yield self._cut_short
        elif not self._uncollected and (stopped := session.shouldfail or session.shouldstop):
            yield f"stopped early: {stopped}"
        if self._broken or session.exitstatus == pytest.ExitCode.INTERNAL_ERROR:
            yield "internal error of pytest or a plugin"

    def _places(self, report: Report) -> Places:
        """The folders of this machine that messages may name, and the names that they may not."""
        near = (self._config.invocation_params.dir, self._config.rootpath)
        home = os.path.expanduser("~")
        named_folders = {
            str(self._settings.cache_dir): "CACHE",
            # One that is relative is none: its name may be a word of any message.
            **({home: "~"} if os.path.isabs(home) else {}),
            **{str(folder): "" for folder in near},
        }
        folders = {
            **{os.path.realpath(path): word for path, word in named_folders.items()},
            **named_folders,
        }
        return Places(folders, identifying_names(machine_names(), report.public()))


def _ending(report: pytest.TestReport) -> str | None:
    """How a test ended, once per test; errors around it are counted by themselves."""
    if hasattr(report, "context"):
        return None  # a subtest, which ends with its test
    if not is_end(report):
        return "rerun"
    if report.when == "call" or (report.when == "setup" and report.skipped):
        if report.failed and getattr(report, "quantreg", {}).get("refused"):
            return "refused"
        if hasattr(report, "wasxfail") and not report.failed:
            return "xfailed" if report.skipped else "passed"
        return report.outcome
    return "error" if report.failed else None
