"""What it means that a quantized run was accepted: the plain values of the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class AcceptedTask:
    """One task of an accepted run.

    ``stem`` is the task with its settings as files are named (``gsm8k.5shot``). ``values``
    and ``baseline`` map a metric to the score of the accepted run and to that of its
    full-precision baseline on the same ``items`` items. ``digest`` is that of the stored
    run (sha256 in hex).
    """

    stem: str
    task: str
    items: int
    values: Mapping[str, float]
    baseline: Mapping[str, float]
    digest: str = ""


@dataclass(frozen=True)
class Acceptance:
    """One line of the history: a run that became the reference, when, by whom and why.

    ``git_commit`` is that of the repository which holds the store. ``why`` is what the
    person wrote. ``undecided`` names the gates that were undecided and accepted with
    ``--force``, none where all were kept. ``weights_digest`` and ``revision`` are those of
    the accepted checkpoint.
    """

    number: int
    accepted_at: str
    git_commit: str | None
    why: str
    weights_digest: str
    revision: str | None
    tasks: tuple[AcceptedTask, ...]
    undecided: tuple[str, ...] = field(default=())

    @property
    def forced(self) -> bool:
        """Whether it was accepted while evidence was undecided."""
        return bool(self.undecided)

    def of(self, stem: str) -> AcceptedTask | None:
        """What was accepted of one task, None where it was not part of the run."""
        return next((one for one in self.tasks if one.stem == stem), None)


def last_with(history: Sequence[Acceptance], stem: str) -> Acceptance | None:
    """The latest acceptance that a task was part of: the reference for ``no_regression``."""
    return next((one for one in reversed(history) if one.of(stem) is not None), None)


def first_with(history: Sequence[Acceptance], stem: str) -> Acceptance | None:
    """The earliest acceptance that a task was part of: what drift is counted from."""
    return next((one for one in history if one.of(stem) is not None), None)


def needed(history: Sequence[Acceptance]) -> set[int]:
    """The numbers of the acceptances that are the latest for any of their tasks."""
    stems = {task.stem for one in history for task in one.tasks}
    latest = (last_with(history, stem) for stem in stems)
    return {one.number for one in latest if one is not None}
