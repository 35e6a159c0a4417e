"""What it means that a quantized run was accepted: the plain values of the history."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..comparison.alignment import ratio_of
from ..facts import Note, Problem
from .run import Accuracy, Metric, Run

MOST_WHY = 1000
"""Characters of a reason in the history."""


@dataclass(frozen=True)
class AcceptedTask:
    """One task of an accepted run.

    ``stem`` is the task with its settings as files are named (``gsm8k.5shot``). ``values``
    and ``baseline`` map a metric to the score of the accepted run and to that of its
    full-precision baseline on the same ``items`` items. ``minimum`` is the least retention
    of that baseline which was required of it. ``digest`` is that of the stored run (sha256
    in hex).
    """

    stem: str
    task: str
    items: int
    values: Mapping[str, float]
    baseline: Mapping[str, float]
    minimum: float
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
        return next((task for task in self.tasks if task.stem == stem), None)


def last_with(history: Sequence[Acceptance], stem: str) -> Acceptance | None:
    """The latest acceptance that a task was part of: the reference for ``no_regression``."""
    return next(
        (acceptance for acceptance in reversed(history) if acceptance.of(stem) is not None), None
    )


def first_with(history: Sequence[Acceptance], stem: str) -> Acceptance | None:
    """The earliest acceptance that a task was part of: what drift is counted from."""
    return next((acceptance for acceptance in history if acceptance.of(stem) is not None), None)


def numbers_in_use(history: Sequence[Acceptance]) -> set[int]:
    """The numbers of the acceptances that are the latest for any of their tasks."""
    stems = {task.stem for acceptance in history for task in acceptance.tasks}
    latest = (last_with(history, stem) for stem in stems)
    return {acceptance.number for acceptance in latest if acceptance is not None}


@dataclass(frozen=True)
class Reference:
    """What ``no_regression`` judges one task against.

    ``run`` is the one accepted last, ``accuracy`` its measurement cut to the items that
    are compared, ``last`` how it was accepted and ``first`` the earliest acceptance of the
    task. They are None where there is nothing to judge against, and ``why`` says so.
    ``notes`` are what differs and is only told.
    """

    stem: str
    run: Run | None = None
    accuracy: Accuracy | None = None
    last: Acceptance | None = None
    first: Acceptance | None = None
    why: Problem | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Drift:
    """How a task does now and did when it was first accepted, with the baseline each time."""

    task: str
    since: str
    metric: Metric
    now: float
    baseline_now: float
    then: float
    baseline_then: float

    @classmethod
    def of(
        cls, task: str, metric: Metric, parts: Sequence[Drift], weights: Sequence[float]
    ) -> Drift:
        """That of a group."""

        def mean(values: Sequence[float]) -> float:
            return math.fsum(w * value for w, value in zip(weights, values, strict=True))

        return cls(
            task,
            min(part.since for part in parts),
            metric,
            mean([part.now for part in parts]),
            mean([part.baseline_now for part in parts]),
            mean([part.then for part in parts]),
            mean([part.baseline_then for part in parts]),
        )

    @property
    def retention(self) -> float:
        """The share of the first accepted run's retention that is left; NaN for 0/0."""
        better = self.metric.higher_is_better
        after = ratio_of(self.baseline_now, self.now, higher_is_better=better)
        before = ratio_of(self.baseline_then, self.then, higher_is_better=better)
        return after / before if before > 0.0 and math.isfinite(before) else math.nan

    def __str__(self) -> str:
        # Rounded down, as every share that is a promise.
        share = math.floor(self.retention * 1000 + 1e-9) / 1000
        return f"{self.task}: {share:.3f} of the first accepted run ({self.since[:10]})"


@dataclass(frozen=True)
class CandidateFile:
    """A measurement of the quantized model that is kept until it is accepted or not.

    ``session`` names the folder that it lies in, ``against`` the number of the accepted run
    that it was judged against: 0 before any was accepted, None where no gate asked.
    ``against_run`` is that run's digest, since two stores may both have a number 2.
    """

    session: str
    model: str
    engine: str
    stem: str
    against: int | None = None
    against_run: str = ""


@dataclass(frozen=True)
class CandidateRun:
    """A measurement of the quantized model that a session kept, as plain values.

    ``baseline`` are the baseline's scores on the same items, ``minimum`` the largest
    retention that a gate required of it, None where no ``min_retention`` of a kind that
    promises anything judged it.
    """

    session: str
    model: str
    scheme: str
    engine: str
    stem: str
    task: str
    items: int
    baseline: Mapping[str, float]
    minimum: float | None
    against: int | None = None
    against_run: str = ""

    @property
    def owner(self) -> tuple[str, str, str]:
        """Whose history it may enter: model, scheme, engine."""
        return self.model, self.scheme, self.engine


def largest_judged(kept: Sequence[CandidateRun]) -> list[CandidateRun]:
    """Of each task the measurement of the most items that a gate has judged, in order."""
    best: dict[tuple[object, ...], CandidateRun] = {}
    for measurement in kept:
        place = (*measurement.owner, measurement.stem)
        rival = best.get(place)
        if measurement.minimum is not None and (rival is None or _better(measurement, rival)):
            best[place] = measurement
    return list(best.values())


def _better(measurement: CandidateRun, rival: CandidateRun) -> bool:
    return (measurement.items, measurement.minimum or 0.0) > (rival.items, rival.minimum or 0.0)
