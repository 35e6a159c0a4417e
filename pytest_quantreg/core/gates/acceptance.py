"""Whether the runs of a session may be accepted: its outcomes in, what stands against it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import Category
from ..records.acceptance import Kept, chosen
from .outcome import JUDGED, LOST, NOT_APPLICABLE, REFUSED, UNDECIDED, Outcome


@dataclass(frozen=True)
class Findings:
    """What stands against accepting the runs of one scheme.

    ``never`` are reasons that nothing overrules, ``undecided`` the gates that ``--force``
    accepts all the same, and that the history then names.
    """

    never: tuple[str, ...]
    undecided: tuple[str, ...]


def findings(scheme: str, outcomes: Sequence[Outcome], kept: Sequence[Kept]) -> Findings:
    """What stands against accepting what was measured at ``scheme``."""
    own = [one for one in outcomes if one.scheme == scheme]
    never = [f"{_what(one)} is {one.result}" for one in own if _is_bad(one)]
    if not any(one.result in JUDGED for one in own):
        never.append(f"no gate was judged for {scheme}")
    if not chosen([one for one in kept if one.scheme == scheme]):
        never.append(
            f"no task of {scheme} was judged against its baseline by a min_retention that "
            "promises anything (detect or certify)"
        )
    undecided = [f"{one.gate} on {_what(one)}" for one in own if _is_open(one)]
    return Findings(tuple(dict.fromkeys(never)), tuple(dict.fromkeys(undecided)))


def _is_bad(one: Outcome) -> bool:
    # One that an xfail excuses is lost all the same.
    return one.fails or one.result in (LOST, REFUSED)


def _is_open(one: Outcome) -> bool:
    """Undecided, or judged by nothing for want of an accepted run that compares."""
    incomparable = one.category == Category.NOT_COMPARABLE.value
    return one.result == UNDECIDED or (one.result == NOT_APPLICABLE and incomparable)


def _what(one: Outcome) -> str:
    if one.speed is not None:
        return " ".join(word for word in (one.speed.subject, one.speed.quantity) if word)
    return one.task or one.scheme
