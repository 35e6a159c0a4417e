"""Whether the runs of a session may be accepted: its outcomes in, what stands against it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..codes import GateCode
from ..errors import Category
from ..facts import Problem, Scheme
from ..records.acceptance import CandidateRun, largest_judged
from ..records.outcome_row import JUDGED, LOST, NOT_APPLICABLE, REFUSED, UNDECIDED, OutcomeRow


@dataclass(frozen=True)
class Findings:
    """What stands against accepting the runs of one scheme.

    ``never`` are reasons that nothing overrules, ``undecided`` the gates that ``--force``
    accepts all the same, and that the history then names.
    """

    never: tuple[Problem, ...]
    undecided: tuple[str, ...]


def findings(scheme: str, outcomes: Sequence[OutcomeRow], kept: Sequence[CandidateRun]) -> Findings:
    """What stands against accepting what was measured at ``scheme``."""
    at_scheme = [outcome for outcome in outcomes if outcome.scheme == scheme]
    obstacles = [
        Problem(GateCode.SUBJECT_IS, {"subject": _subject_of(outcome), "result": outcome.result})
        for outcome in at_scheme
        if _forbids_acceptance(outcome)
    ]
    if not any(outcome.result in JUDGED for outcome in at_scheme):
        obstacles.append(Problem(GateCode.NO_GATE_JUDGED, {"scheme": Scheme(scheme)}))
    if not largest_judged([measurement for measurement in kept if measurement.scheme == scheme]):
        obstacles.append(Problem(GateCode.NO_TASK_JUDGED, {"scheme": Scheme(scheme)}))
    undecided = [
        f"{outcome.gate} on {_subject_of(outcome)}"
        for outcome in at_scheme
        if _is_undecided(outcome)
    ]
    return Findings(tuple(dict.fromkeys(obstacles)), tuple(dict.fromkeys(undecided)))


def _forbids_acceptance(outcome: OutcomeRow) -> bool:
    # One that an xfail excuses is lost all the same.
    return outcome.fails or outcome.result in (LOST, REFUSED)


def _is_undecided(outcome: OutcomeRow) -> bool:
    """Undecided, or judged by nothing for want of an accepted run that compares."""
    incomparable = outcome.category == Category.NOT_COMPARABLE.value
    return outcome.result == UNDECIDED or (outcome.result == NOT_APPLICABLE and incomparable)


def _subject_of(outcome: OutcomeRow) -> str:
    if outcome.speed is not None:
        return " ".join(word for word in (outcome.speed.subject, outcome.speed.quantity) if word)
    return outcome.task or outcome.scheme
