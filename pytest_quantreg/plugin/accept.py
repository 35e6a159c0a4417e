"""The end of a session that accepts: what it kept becomes the reference, or it is said why not."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..baselines import AcceptedRuns, BaselineKey
from ..baselines.accept_runs import AcceptanceNote, accept_runs
from ..baselines.run_codec import pack
from ..core.codes import OptionCode
from ..core.errors import QuantregError, WrongUse
from ..core.gates.acceptance_blockers import findings
from ..core.records.acceptance import CandidateRun
from ..core.records.run import Run
from ..core.settings import Settings
from ..gating.accuracy.candidate_runs import (
    candidate_store,
    drop_abandoned,
    drop_old_reports,
    folder_of,
    undecided_report,
)
from ..gating.provenance import git_commit, now
from ..report.output_files import add_lines, write
from ..report.session_outcomes import SessionReport
from ..report.session_report import GREEN, Report
from ..report.words import words_of

_COMMAND = "; accept it all the same with: "


@dataclass(frozen=True)
class AcceptResult:
    """What came of accepting: ``lines`` say what was, ``failed`` why nothing was."""

    lines: tuple[str, ...] = ()
    failed: str = ""


class KeptRuns:
    """What the tests of a session kept, wherever they ran."""

    def __init__(self, settings: Settings, collected: SessionReport) -> None:
        self._settings = settings
        # Under xdist the order in which tests end is anyone's guess.
        order = {scheme: place for place, scheme in enumerate(settings.schemes)}
        self._kept = sorted(collected.kept, key=lambda run: order.get(run.scheme, -1))
        self._outcomes = collected.outcomes
        self._keys: dict[tuple[str, int], dict[tuple[str, ...], BaselineKey]] = {}

    def packed(self) -> tuple[dict[str, Any], ...]:
        """Each run once, with what was required of it, as a report holds it."""
        strictest: dict[tuple[object, ...], CandidateRun] = {}
        for run in self._kept:
            place = (*run.owner, run.stem, run.items)
            rival = strictest.get(place)
            if rival is None or (run.minimum or 0.0) > (rival.minimum or 0.0):
                strictest[place] = run
        return tuple(
            packed for run in strictest.values() if (packed := self._pack(run)) is not None
        )

    def _pack(self, run: CandidateRun) -> dict[str, Any] | None:
        try:
            return {"kept": asdict(replace(run, session="")), **pack(*self._run(run))}
        except QuantregError:
            # Whoever cleaned the cache meanwhile shall not cost the whole report.
            return None

    def accept(self, report: Report, invoked_from: Path) -> AcceptResult:
        """Accepts everything that was judged, if the session is green and nothing is open.

        The page of a CI job, which says GREEN by now, is told as well.
        """
        result = self._accept(report, invoked_from)
        if (page := self._settings.step_summary) is not None:
            # The command that follows names folders of this machine.
            reason = result.failed.partition(_COMMAND)[0]
            add_lines(result.lines or (reason,), page)
        return result

    def _accept(self, report: Report, invoked_from: Path) -> AcceptResult:
        settings = self._settings
        if report.conclusion != GREEN:
            return AcceptResult(failed=f"quantreg: not accepted: {report.why_not_green()}")
        results = [findings(scheme, self._outcomes, self._kept) for scheme in settings.schemes]
        if never := [why for finding in results for why in finding.never]:
            reasons = "; ".join(words_of(why).what for why in never)
            return AcceptResult(failed=f"quantreg: not accepted: {reasons}")
        if undecided := [gate for finding in results for gate in finding.undecided]:
            return AcceptResult(failed=self._keep_undecided(undecided, report, invoked_from))
        note = AcceptanceNote(now(), git_commit(settings.baselines.parent), settings.why)
        try:
            store = AcceptedRuns(settings.baselines)
            lines = accept_runs(store, self._kept, self._run, note)
        except QuantregError as error:
            return AcceptResult(failed=f"quantreg: not accepted: {words_of(error.problem)}")
        return AcceptResult(tuple(f"quantreg: {line}" for line in lines))

    def clean(self, session: str) -> None:
        """Deletes what ``session`` kept; a report or the store holds what counts."""
        shutil.rmtree(folder_of(self._settings, session), ignore_errors=True)
        drop_abandoned(self._settings)

    def _run(self, run: CandidateRun) -> tuple[BaselineKey, Run]:
        place = run.session, run.items
        store = candidate_store(self._settings, *place)
        if place not in self._keys:
            keys = store.keys()
            self._keys[place] = {(*_owner(key), key.stem): key for key in keys}
        key = self._keys[place].get((*run.owner, run.stem))
        if key is None:
            raise WrongUse(OptionCode.MEASURED_RUN_GONE, task=run.task)
        return key, store.load(key)

    def _keep_undecided(self, undecided: Sequence[str], report: Report, invoked_from: Path) -> str:
        settings = self._settings
        path = next(
            (candidate for candidate in settings.reports if candidate.suffix == ".json"), None
        )
        problem = f"quantreg: not accepted: undecided: {', '.join(undecided)}"
        if path is None:
            path = undecided_report(settings, report.session.started_at)
            if reason := write(report, path):
                return f"{problem}; and its runs could not be kept: {reason}"
            drop_old_reports(path)
        words = ["quantreg", "accept", os.path.relpath(path, invoked_from), "--force"]
        if settings.baselines != invoked_from / "baselines":
            words.append(f"--baselines={os.path.relpath(settings.baselines, invoked_from)}")
        return f"{problem}{_COMMAND}{shlex.join(words)}"


def _owner(key: BaselineKey) -> tuple[str, str, str]:
    return key.model, key.scheme, key.engine
