"""One session as one plain value, which every report is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.codes import CommandCode
from ..core.facts import Problem, Quoted
from ..core.printable import Printable
from ..core.records.outcome_row import JUDGED, PRESENT, RECORDED, OutcomeRow
from .session_outcomes import grouped
from .words import words_of

GREEN, RED, INCOMPLETE = "green", "red", "incomplete"
RECORDED_ONLY, NOTHING_JUDGED = "recorded", "nothing judged"
CONCLUSIONS = (GREEN, RED, INCOMPLETE, RECORDED_ONLY, NOTHING_JUDGED)

GATES, RECORDS, NEITHER = "gates", "records", "neither"
PURPOSES = (GATES, RECORDS, NEITHER)

_ENDINGS: Mapping[int, str] = {
    0: "all tests passed",
    1: "failed",
    2: "interrupted",
    3: "internal error",
    4: "wrong use",
    5: "no tests ran",
}
"""What pytest's exit statuses mean."""

_PASSING = (0, 5)
_UNFINISHED = (None, 2, 4)


@dataclass(frozen=True)
class Session(Printable):
    """What a session was asked for, and how it ended.

    ``purpose`` is "gates", "records" or "neither". Times are UTC, ISO 8601 to the second;
    ``ended_at`` and ``exit_status`` are None while it runs, and stay so if it was killed.
    ``incomplete`` says why not every test ran that should have. ``gate`` and
    ``confidence`` are the session's own; a test's may differ and stand in its outcomes.
    ``versions`` maps packages to versions, ``tests`` counts the tests by how they ended.
    """

    purpose: str
    started_at: str
    ended_at: str | None
    exit_status: int | None
    incomplete: tuple[str, ...]
    model: str | None
    schemes: tuple[str, ...]
    backend: str
    gate: str
    confidence: float
    limit: int | None
    require: bool
    git_commit: str | None
    versions: Mapping[str, str]
    tests: Mapping[str, int] = field(default_factory=dict)

    def ending(self) -> str:
        """What the exit status says: ``all tests passed``."""
        if self.exit_status is None:
            return "the session did not end"
        return _ENDINGS.get(self.exit_status, f"ended with status {self.exit_status}")


@dataclass(frozen=True)
class Report(Printable):
    """A session with all its outcomes.

    ``lines`` are the last ones of its summary. ``runs`` are what was measured of quantized
    models, so that it can be accepted later: each a plain object with ``kept`` (what was
    required of it), ``meta`` and ``items`` (the run as `baselines.run_codec` packs it).
    """

    session: Session
    outcomes: tuple[OutcomeRow, ...]
    lines: tuple[str, ...]
    runs: tuple[Mapping[str, Any], ...] = ()

    def closing(self) -> list[str]:
        """The last lines of the summary."""
        return list(self.lines)

    def groups(self) -> dict[tuple[str, str], list[OutcomeRow]]:
        """The outcomes by (model, scheme), in the order in which the schemes were asked for."""
        return grouped(self.outcomes, self.session.schemes)

    def not_green(self) -> Problem:
        """That the session is red, or why it is not known to be green."""
        if self.session.incomplete:
            reasons = tuple(map(Quoted, self.session.incomplete))
            return Problem(CommandCode.SESSION_INCOMPLETE, {"reasons": reasons})
        if self.conclusion == NOTHING_JUDGED:
            return Problem(CommandCode.NOTHING_WAS_JUDGED, {})
        return Problem(CommandCode.SESSION_ENDED_AS, {"conclusion": self.conclusion})

    def why_not_green(self) -> str:
        """The words of `not_green`."""
        return words_of(self.not_green()).what

    def public(self) -> set[str]:
        """Names of models, tasks, engines and devices, and words that programs read: these stay."""
        session, outcomes = self.session, self.outcomes
        contexts = [outcome.context for outcome in outcomes if outcome.context is not None]
        names = {
            *(session.model, session.backend, *session.schemes),
            *(
                name
                for outcome in outcomes
                for name in (outcome.scheme, outcome.task, outcome.metric, outcome.part_of)
            ),
            *(
                name
                for outcome in outcomes
                for loss in outcome.also_lost
                for name in (loss.task, loss.metric)
            ),
            *(
                name
                for context in contexts
                for name in (context.model, context.engine, context.machine)
            ),
            # What a reader of the file looks at as it stands.
            *(session.purpose, session.gate, session.started_at),
            *(
                name
                for outcome in outcomes
                for name in (outcome.result, outcome.category, outcome.mode, outcome.gate)
            ),
        }
        return {name for name in names if name}

    @property
    def conclusion(self) -> str:
        """Whether the build is green: what is not known to be, is not."""
        session = self.session
        if any(outcome.fails and not outcome.excused for outcome in self.outcomes):
            return RED
        if session.exit_status in _UNFINISHED:
            return INCOMPLETE
        if session.exit_status not in _PASSING:
            return RED
        if session.incomplete:
            return INCOMPLETE
        results = {outcome.result for outcome in self.outcomes}
        if results & JUDGED:
            return GREEN
        return RECORDED_ONLY if results & {RECORDED, PRESENT} else NOTHING_JUDGED
