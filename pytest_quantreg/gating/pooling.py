"""Several tasks in one comparison, measured by a test or read from files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..core.codes import GateCode
from ..core.comparison.accuracy import Comparison, Pair
from ..core.comparison.pairs import pool, pooled_metric, refuse_unpoolable
from ..core.comparison.suspicion import refuse_unusual
from ..core.errors import Refusal
from ..core.facts import Note, Problem
from ..core.records.run import Metric


@dataclass(frozen=True)
class PoolMember:
    """A task or group of a pool; the weights of its ``pairs`` sum to 1."""

    metric: Metric
    pairs: tuple[Pair, ...]


def refuse_incomplete(missing: Iterable[str | Problem]) -> None:
    """Refuses a pool of which a part is ``missing``: it would be another gate. Raises Refusal."""
    if names := tuple(dict.fromkeys(missing)):
        raise Refusal(GateCode.POOL_INCOMPLETE, missing=names)


def refuse_counted_twice(tasks: Sequence[str]) -> None:
    """Refuses a pool that holds a task more than once. Raises Refusal."""
    twice = next((name for name in tasks if tasks.count(name) > 1), None)
    if twice is not None:
        raise Refusal(GateCode.TASK_TWICE_IN_POOL, task=twice)


def refuse_unlike_shares(metric: Metric, pairs: Iterable[Pair]) -> None:
    """Refuses scores that are no shares of a right answer. Raises Refusal."""
    for pair in pairs:
        refuse_unpoolable(metric, pair.baseline, pair.candidate)
        name = pair.metric.name
        if any(max(side.items.scores[name]) > 1.0 for side in (pair.baseline, pair.candidate)):
            raise outweighs(name, pair.baseline.protocol.task)


def outweighs(metric: str, task: str) -> Refusal:
    """The refusal of scores above 1, beside which the others of a pool hardly count."""
    return Refusal(GateCode.SCORES_OUTWEIGH, metric=metric, task=task)


def refuse_unusual_tasks(
    alone: Iterable[Comparison], minimum: float, *, allow_better: bool
) -> None:
    """Refuses a task at chance or far above its baseline: the pool would hide what others lost.

    Raises Refusal.
    """
    for comparison in alone:
        refuse_unusual(comparison, minimum, allow_better=allow_better)


def pool_members(
    members: Sequence[PoolMember],
    *,
    task: str,
    scheme: str,
    confidence: float,
    notes: tuple[Note, ...] = (),
) -> Comparison:
    """The members in one comparison called ``task``, each with the same weight."""
    return pool(
        [pair for member in members for pair in member.pairs],
        task=task,
        metric=pooled_metric(member.metric.name for member in members),
        scheme=scheme,
        confidence=confidence,
        notes=notes,
    )
