"""What people have of one model, wherever it came from: results by task, with items or without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..facts import Problem
from .run import Accuracy, Json, Metric, Run

RIGHT_OR_WRONG = frozenset({"acc", "acc_norm", "acc_bytes", "exact_match", "pass@1"})
"""Metrics whose value is the share of right answers."""


@dataclass(frozen=True)
class Aggregate:
    """One metric over all items of a task.

    ``stderr`` is the standard error of ``value`` that came with it, ``n`` the number of
    items; None where the file does not say.
    """

    metric: Metric
    value: float
    stderr: float | None
    n: int | None

    @property
    def right(self) -> int | None:
        """How many items are right, where the value is the share of right answers of ``n``.

        Told by the figures: it is a whole number of items, and the standard error is that of
        right and wrong answers. Without one only metrics are trusted that are nothing else.
        """
        if self.n is None or not 0.0 <= self.value <= 1.0:
            return None
        if self.stderr is None and self.metric.name.partition(",")[0] not in RIGHT_OR_WRONG:
            return None
        right = round(self.value * self.n)
        if abs(right - self.value * self.n) > 1e-6 * max(self.n, 1):
            return None
        if self.stderr is not None and self.n > 1:
            expected = (self.value * (1.0 - self.value) / (self.n - 1)) ** 0.5
            # Bootstrapped and pooled errors are not exactly this one; other scores are far off.
            if abs(self.stderr - expected) > 0.1 * expected + 1e-9:
                return None
        return right


@dataclass(frozen=True)
class Result:
    """One task of one model.

    ``known`` holds what must be equal to compare it, under the names that `comparability.RULES`
    has; what nobody wrote down is absent. ``config`` is the task's own file as it was used.
    ``aggregates`` are in the task's own order, the first is its own choice, unless nobody
    knows that order (``ordered``). ``accuracy`` is
    there where every item's score is, ``run`` where it is a stored run. ``parts`` names the
    tasks of a group, ``total`` how many items the whole task has, ``chance`` what guessing
    scores. ``suspicions`` say what makes the figures suspect, by metric (``""``: all of them).
    ``words`` are texts for values of ``known`` that mean nothing to people, ``date`` is when
    it was evaluated, in seconds since 1970 (before lm-eval 0.4.2 files do not say), ``written``
    when its file was last written, ``cache`` stands for the place where lm-eval looked
    for answers before it asked the model. ``unaveraged`` are metrics, without their filters,
    that are no means of their items' scores by the task's file.
    """

    task: str
    known: Mapping[str, Json]
    aggregates: tuple[Aggregate, ...]
    accuracy: Accuracy | None = None
    run: Run | None = None
    config: Mapping[str, Json] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    total: int | None = None
    chance: float | None = None
    suspicions: Mapping[str, Problem] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    date: float | None = None
    written: float | None = None
    cache: str | None = None
    ordered: bool = True
    unaveraged: frozenset[str] = frozenset()

    def is_mean(self, metric: str) -> bool:
        """Whether a metric is the mean of its items' scores, as it is unless the file objects."""
        return metric.partition(",")[0] not in self.unaveraged

    def find(self, metric: str | None) -> Aggregate | None:
        """The aggregate called ``acc`` (under its first filter) or ``acc,none``.

        Without ``metric`` the first of known direction under the first filter, else the very
        first. None where the task has no such metric.
        """
        if metric is None:
            first = self.aggregates[0]
            below = first.metric.name.partition(",")[2]
            alike = [
                aggregate
                for aggregate in self.aggregates
                if aggregate.metric.name.partition(",")[2] == below
            ]
            directed = (
                aggregate for aggregate in alike if aggregate.metric.higher_is_better is not None
            )
            return next(directed, first)
        for aggregate in self.aggregates:
            if metric in (aggregate.metric.name, aggregate.metric.name.partition(",")[0]):
                return aggregate
        return None

    def suspicion(self, metric: str) -> Problem | None:
        """Why the figures of this metric are suspect; None if nothing is."""
        return self.suspicions.get(metric) or self.suspicions.get("")


@dataclass(frozen=True)
class Evaluation:
    """The results of one model by task; ``label`` is what people call it in a table.

    ``model`` is its name, ``engine`` what ran it, ``scheme`` what it claims to be, where known.
    ``unmeasured`` are the tasks that stand in its files without a single figure. ``weights``
    are the arguments that decide which weights of the model were loaded, and in which type;
    None where nobody wrote them down. ``places`` are digests of what its place may be called:
    two that share one name the same hub id or folder.
    """

    label: str
    model: str
    engine: str
    results: Mapping[str, Result]
    scheme: str | None = None
    notes: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    weights: Mapping[str, Json] | None = None
    places: frozenset[str] = frozenset()

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks and groups that are no part of another group of this evaluation."""
        parts = {part for result in self.results.values() for part in result.parts}
        return tuple(name for name in self.results if name not in parts)
