"""All tasks of one candidate judged together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ...core.codes import CommandCode
from ...core.comparison.accuracy import Comparison
from ...core.comparison.pairs import pool
from ...core.comparison.suspicion import refuse_chance, refuse_too_good
from ...core.comparison.unpaired import pool_totals
from ...core.errors import Refusal
from ...core.gates.outcome import (
    AccuracyOutcome,
    JudgedAccuracy,
    MeasuredAccuracy,
    RefusedAccuracy,
)
from ...core.gates.verdict import judge
from ...core.records.evaluation import Evaluation
from ...core.records.outcome_row import Context
from ...core.settings import GateMode
from .pair import Task, claimed_scheme, refuse_from_pool
from .policy import ComparePolicy

ALL_TASKS = "all tasks"
"""What stands for a task where there is no pool, for want of a part of it."""


def pool_tasks(
    tasks: Sequence[Task],
    outcomes: Sequence[AccuracyOutcome],
    candidate: Evaluation,
    context: Context,
    policy: ComparePolicy,
) -> Iterator[AccuracyOutcome]:
    """The outcome of all tasks together, where there are two or more."""
    every = tasks
    tasks = _tasks_to_pool(tasks, policy)
    count = len(tasks) + len(_incomparable(outcomes))
    if not policy.pooled and (
        count < 2 or (policy.minimum is not None and unpoolable_names(tasks))
    ):
        return
    plan, gate = policy.plan, policy.gate
    try:
        if gate is not None:
            certified = policy.mode is GateMode.CERTIFY
            ungated = [task.name for task in every if certified and not policy.judges(task.metric)]
            _refuse_incomplete(tasks, outcomes, ungated)
        usable = tasks if gate is not None else _poolable(tasks, outcomes)
        if len(usable) < 2:
            if gate is None:
                return
            raise Refusal(CommandCode.TOO_FEW_TO_POOL)
        comparison = _pool(usable, count, candidate, policy)
        if gate is None:
            yield MeasuredAccuracy(comparison, context)
            return
        _refuse_unusual(usable, gate.minimum, context.scheme, policy)
        verdict = judge(
            gate,
            comparison,
            plan,
            max_undetected=policy.max_undetected,
            allow_better=policy.allow_better,
        )
        yield JudgedAccuracy(verdict, context)
    except Refusal as error:
        if gate is not None:
            yield RefusedAccuracy(error, context.scheme, context, ALL_TASKS)


def _incomparable(outcomes: Sequence[AccuracyOutcome]) -> list[str]:
    """The tasks without a figure that could be compared."""
    return [
        outcome.task or ""
        for outcome in outcomes
        if isinstance(outcome, RefusedAccuracy) and outcome.comparison is None
    ]


def _tasks_to_pool(tasks: Sequence[Task], policy: ComparePolicy) -> list[Task]:
    # Perplexities are averaged with nothing, unless somebody names them.
    # A task beside the group that it belongs to would count twice.
    parts = {part for task in tasks for part in task.baseline.parts}
    return [task for task in tasks if task.name not in parts and policy.judges(task.metric)]


def _refuse_unusual(
    tasks: Sequence[Task], minimum: float, label: str, policy: ComparePolicy
) -> None:
    """Refuses a pool with a task at chance, or with one far above its baseline."""
    for task in tasks:
        comparison = task.compare_results(label=label, scheme=None, confidence=policy.confidence)
        refuse_chance(comparison.slices, minimum, name=task.name, confidence=policy.confidence)
        if not policy.allow_better:
            # What one task gains beyond belief would make up for what another lost.
            refuse_too_good(comparison)


def unpoolable_names(tasks: Sequence[Task]) -> list[str]:
    """The tasks whose scores are no shares, which nobody can average with others."""
    return [task.name for task in tasks if not _is_share(task)]


def _is_share(task: Task) -> bool:
    try:
        refuse_from_pool(task)
    except Refusal:
        return False
    values = [total.value for total in task.totals]
    return bool(task.metric.higher_is_better) and min(values) >= 0.0 and max(values) <= 1.0


def _poolable(tasks: Sequence[Task], outcomes: Sequence[AccuracyOutcome]) -> list[Task]:
    """Without gates: the tasks that can be averaged, and that nothing makes suspect."""
    suspect = {
        outcome.comparison.task
        for outcome in outcomes
        if isinstance(outcome, MeasuredAccuracy) and outcome.doubt is not None
    }
    poolable = []
    for task in tasks:
        try:
            refuse_from_pool(task)
        except Refusal:
            continue
        alone = pool_totals([(task.name, *task.totals)], label="", confidence=0.95)
        if task.name not in suspect and (task.paired or alone is not None):
            poolable.append(task)
    return poolable


def _pool(
    tasks: Sequence[Task], count: int, candidate: Evaluation, policy: ComparePolicy
) -> Comparison:
    name = f"all {count} tasks" if len(tasks) == count else f"{len(tasks)} of {count} tasks"
    for task in tasks:
        refuse_from_pool(task)
    if all(task.paired for task in tasks):
        names = list(dict.fromkeys(task.metric.name for task in tasks))
        comparison = pool(
            [pair for task in tasks for pair in task.pairs()],
            task=name,
            metric=names[0] if len(names) == 1 else "scores",
            scheme=candidate.label,
            confidence=policy.confidence,
        )
        if (scheme := claimed_scheme(candidate)) is not None:
            return replace(comparison, claims=scheme)
        return replace(comparison, own_width=True)
    totals = pool_totals(
        [(task.name, *task.totals) for task in tasks],
        label=candidate.label,
        confidence=policy.confidence,
    )
    if totals is None:
        raise Refusal(CommandCode.TOTALS_NOT_POOLED)
    total_items = sum(max(task.candidate.total or 0, task.totals[1].n or 0) for task in tasks)
    return replace(totals, task=name, total_items=total_items)


def _refuse_incomplete(
    tasks: Sequence[Task], outcomes: Sequence[AccuracyOutcome], unjudged: Sequence[str]
) -> None:
    bad = [*unjudged, *_incomparable(outcomes)]
    bad += [task.name for task in tasks if task.suspicion is not None]
    if bad:
        raise Refusal(CommandCode.POOL_INCOMPLETE, tasks=tuple(dict.fromkeys(bad)))
