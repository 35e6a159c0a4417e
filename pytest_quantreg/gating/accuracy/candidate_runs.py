"""Measurements of the quantized model, kept until the session's end says whether they count."""

from __future__ import annotations

import contextlib
import hashlib
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ...baselines import BaselineKey, Store
from ...core.comparison.alignment import value_of
from ...core.errors import Category, QuantregError, Refusal
from ...core.gates.outcome import (
    JudgedAccuracy,
    LostUnjudged,
    NothingAccepted,
    Outcome,
    RefusedAccuracy,
    RefusedSpeed,
)
from ...core.gates.plan import Plan
from ...core.gates.selection import MIN_RETENTION, matching
from ...core.records.acceptance import CandidateFile, CandidateRun, Reference
from ...core.records.run import Accuracy, ModelSpec, Provenance, Run
from ...core.settings import GateMode, Settings
from ..engine_session import EngineSession, LoadedModel
from ..evidence import Evidence, TaskMeasurement
from ..history import FlipHistory
from ..provenance import git_commit, now
from .gate_selection import assign
from .pool import pool_includes

MOST_WAITING = 20
"""Undecided reports of one project that wait to be accepted."""

_SESSION = "quantreg-session-"
"""What the names of our folders begin with: the cache folder may be one with other files."""

ABANDONED_AFTER = 30 * 24 * 3600
"""Seconds after which a session that still has runs in the cache was surely killed."""


def provenance_of(engines: EngineSession, spec: ModelSpec, loaded: LoadedModel) -> Provenance:
    """Which model was measured, where, on what and when."""
    return Provenance(
        model=replace(engines.identify(spec), name=spec.name),
        claimed=spec.scheme,
        effective=loaded.effective,
        software=engines.software(spec),
        machine=loaded.machine,
        recorded_at=now(),
        git_commit=git_commit(engines.settings.baselines.parent),
    )


def folder_of(settings: Settings, session: str) -> Path:
    """Where a session's runs lie until it ends."""
    return settings.cache_dir / "runs" / f"{_SESSION}{session}"


def candidate_store(settings: Settings, session: str, items: int) -> Store:
    """The runs of so many items of a session."""
    return Store(folder_of(settings, session) / str(items))


def undecided_report(settings: Settings, started_at: str) -> Path:
    """Where the report of a session that is undecided waits for ``quantreg accept --force``."""
    # The cache may serve several projects, each with a store of its own.
    project = hashlib.sha256(str(settings.baselines).encode()).hexdigest()[:8]
    return settings.cache_dir / "runs" / f"{project}-{started_at.replace(':', '')}.json"


def drop_old_reports(newest: Path) -> None:
    """Deletes all but the `MOST_WAITING` newest reports of the project of ``newest``."""
    project = newest.name.partition("-")[0]
    # Their names end with the time at which they began.
    waiting = sorted(newest.parent.glob(f"{project}-*.json"))
    for path in waiting[:-MOST_WAITING]:
        path.unlink(missing_ok=True)


def drop_abandoned(settings: Settings) -> None:
    """Deletes what sessions left that were killed long ago."""
    before = time.time() - ABANDONED_AFTER
    for path in (settings.cache_dir / "runs").glob(f"{_SESSION}*/"):
        with contextlib.suppress(OSError):
            if path.is_dir() and path.stat().st_mtime < before:
                shutil.rmtree(path, ignore_errors=True)


class CandidateRuns:
    """Keeps each measurement that may be accepted, or that a JSON report shall hold."""

    def __init__(self, settings: Settings, engines: EngineSession, session: str) -> None:
        self._settings = settings
        self._engines = engines
        self._session = session

    @property
    def _wanted(self) -> bool:
        return self._settings.accept or any(
            path.suffix == ".json" for path in self._settings.reports
        )

    def keep(
        self,
        key: BaselineKey,
        spec: ModelSpec,
        loaded: LoadedModel,
        accuracy: Accuracy,
        reference: Reference | None,
    ) -> CandidateFile | None:
        """Files a measurement; None where nobody asks for it.

        Raises WrongUse and Refusal where it cannot be filed and shall be accepted.
        """
        if not self._wanted:
            return None
        store = candidate_store(self._settings, self._session, len(accuracy.items))
        try:
            if not store.exists(key):
                run = Run(
                    provenance_of(self._engines, spec, loaded), replace(accuracy, resumed_items=0)
                )
                store.save(key, run)
        except QuantregError:
            if self._settings.accept:
                raise
            return None
        number, digest = _identity(reference)
        return CandidateFile(self._session, key.model, key.engine, key.stem, number, digest)


def _identity(reference: Reference | None) -> tuple[int | None, str]:
    """Number and digest of the accepted run: 0 before any, None where no gate asked for it."""
    if reference is None:
        return None, ""
    if reference.last is None:
        return 0, ""
    task = reference.last.of(reference.stem)
    return reference.last.number, task.digest if task is not None else ""


def candidate_runs_of(plan: Plan, evidence: Evidence) -> list[CandidateRun]:
    """What a test measured and kept, and what was required of it against its baseline."""
    minima: dict[int, float] = {}
    if plan.mode is not GateMode.POINT:
        for part, minimum in _required(plan, evidence):
            minima[id(part)] = max(minimum, minima.get(id(part), 0.0))
    return [
        _kept(part, part.kept, minima.get(id(part)))
        for measurement in evidence.measured
        for part in measurement.parts
        if part.kept is not None
    ]


def _required(plan: Plan, evidence: Evidence) -> Iterator[tuple[TaskMeasurement, float]]:
    """Each measurement with each retention that a min_retention requires of it."""
    gates = [gate for gate in plan.gates if gate.marker == MIN_RETENTION]
    for measurement in evidence.measured:
        call_gates = [
            gate
            for _, gate in assign(matching(gates, measurement.task), measurement.subject).chosen
        ]
        call_gates += [
            gate for gate in gates if gate.pools and pool_includes(gate, measurement.subject)
        ]
        for part in measurement.parts:
            naming_part = [gate for gate in gates if gate.task == part.task]
            part_gates = [gate for _, gate in assign(naming_part, part.subject).chosen]
            yield from ((part, gate.minimum) for gate in (*call_gates, *part_gates))


def _kept(part: TaskMeasurement, filed: CandidateFile, minimum: float | None) -> CandidateRun:
    names = part.baseline.protocol.metrics
    values = {
        metric.name: value_of(part.baseline, metric)
        for metric in names
        if metric.name in part.baseline.values
    }
    return CandidateRun(
        session=filed.session,
        model=filed.model,
        scheme=part.scheme,
        engine=filed.engine,
        stem=filed.stem,
        task=part.task,
        items=len(part.candidate.items),
        baseline={name: value for name, value in values.items() if math.isfinite(value)},
        minimum=minimum,
        against=filed.against,
        against_run=filed.against_run,
    )


def record_flips(
    flips: FlipHistory,
    evidence: Evidence,
    outcomes: Sequence[Outcome],
    confidence: float,
) -> None:
    """Keeps what a judged test shows of how much its checkpoint flips."""
    parts = [
        (part, part.origin)
        for measurement in evidence.measured
        for part in measurement.parts
        if part.origin is not None
    ]
    lost = [outcome for outcome in outcomes if _is_lost(outcome)]
    if lost:
        for origin in dict.fromkeys(origin for _, origin in parts):
            flips.note_loss(origin, now())
        return
    judged = [outcome for outcome in outcomes if isinstance(outcome, JudgedAccuracy)]
    refused = [
        outcome for outcome in outcomes if isinstance(outcome, (RefusedAccuracy, RefusedSpeed))
    ]
    weak = [outcome for outcome in refused if _is_too_weak(outcome)]
    if not (judged or weak) or len(weak) < len(refused) or _nothing_to_compare(outcomes):
        return
    for part, origin in parts:
        flips.note(origin, part.compare_metric(part.metric, confidence), now())


def _is_lost(outcome: Outcome) -> bool:
    if isinstance(outcome, LostUnjudged):
        return True
    return isinstance(outcome, JudgedAccuracy) and outcome.verdict.is_lost


def _is_too_weak(outcome: RefusedAccuracy | RefusedSpeed) -> bool:
    """Whether a gate on accuracy was refused because it would see too little."""
    return (
        isinstance(outcome, RefusedAccuracy)
        and outcome.gate is not None
        and isinstance(outcome.error, Refusal)
        and outcome.error.category is Category.TOO_WEAK
    )


def _nothing_to_compare(outcomes: Sequence[Outcome]) -> bool:
    return any(isinstance(outcome, NothingAccepted) for outcome in outcomes)
