"""All tasks of one candidate judged together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...core.codes import CommandCode
from ...core.comparison.accuracy import Comparison
from ...core.comparison.pairs import refuse_unpoolable
from ...core.comparison.unpaired import pool_totals
from ...core.errors import Refusal
from ...core.gates.outcome import (
    AccuracyOutcome,
    JudgedAccuracy,
    MeasuredAccuracy,
    RefusedAccuracy,
)
from ...core.records.evaluation import Evaluation
from ...core.records.outcome_row import Context
from ...core.settings import GateMode
from ..gate_verdicts import judge_gate
from ..pooling import (
    PoolMember,
    outweighs,
    pool_members,
    refuse_counted_twice,
    refuse_incomplete,
    refuse_unlike_shares,
    refuse_unusual_tasks,
)
from .pair import Task, claimed_scheme, claiming
from .policy import ComparePolicy

ALL_TASKS = "all tasks"
"""What stands for a task where there is no pool, for want of a part of it."""


def pool_tasks(
    tasks: Sequence[Task],
    outcomes: Sequence[AccuracyOutcome],
    candidate: Evaluation,
    context: Context,
    policy: ComparePolicy,
) -> AccuracyOutcome | None:
    """The outcome of all tasks together; None where there are not two, unless it is ``pooled``."""
    taken, gate = _tasks_to_pool(tasks, policy), policy.gate
    incomparable = _incomparable(outcomes)
    count = len(taken) + len(incomparable)
    if gate is None:
        return _measure_pool(_poolable(taken, outcomes), count, candidate, context, policy)
    if not policy.pooled and (count < 2 or unpoolable_names(taken)):
        return None
    try:
        refuse_incomplete([*_ungated(tasks, policy), *incomparable, *_suspect(taken)])
        refuse_unusual_tasks(
            _compared_alone(taken, outcomes), gate.minimum, allow_better=policy.allow_better
        )
        comparison = _pool(taken, count, candidate, policy)
    except Refusal as error:
        return RefusedAccuracy(error, context.scheme, context, ALL_TASKS, gate)
    return judge_gate(gate, comparison, policy.plan, context, policy)


def _measure_pool(
    tasks: Sequence[Task],
    count: int,
    candidate: Evaluation,
    context: Context,
    policy: ComparePolicy,
) -> MeasuredAccuracy | None:
    """The figures of two tasks or more, where they can be pooled."""
    if len(tasks) < 2:
        return None
    try:
        return MeasuredAccuracy(_pool(tasks, count, candidate, policy), context)
    except Refusal:
        return None


def _tasks_to_pool(tasks: Sequence[Task], policy: ComparePolicy) -> list[Task]:
    # A task beside the group that it belongs to would count twice.
    parts = {part for task in tasks for part in task.baseline.parts}
    return [task for task in tasks if task.name not in parts and policy.judges(task.metric)]


def _incomparable(outcomes: Sequence[AccuracyOutcome]) -> list[str]:
    """The tasks without a figure that could be compared."""
    return [
        outcome.task or ""
        for outcome in outcomes
        if isinstance(outcome, RefusedAccuracy) and outcome.comparison is None
    ]


def _ungated(tasks: Sequence[Task], policy: ComparePolicy) -> list[str]:
    """Under ``certify`` the perplexities, which a pool leaves out and nothing else judges."""
    if policy.mode is not GateMode.CERTIFY:
        return []
    return [task.name for task in tasks if not policy.judges(task.metric)]


def _suspect(tasks: Sequence[Task]) -> list[str]:
    return [task.name for task in tasks if task.suspicion is not None]


def unpoolable_names(tasks: Sequence[Task]) -> list[str]:
    """The tasks whose scores are no shares, which nobody can average with others."""
    return [task.name for task in tasks if not _is_share(task)]


def _is_share(task: Task) -> bool:
    try:
        _refuse_unlike_share(task)
    except Refusal:
        return False
    return True


def _refuse_unlike_share(task: Task) -> None:
    """Refuses a task whose scores cannot be averaged with others. Raises Refusal."""
    refuse_unlike_shares(task.metric, task.pairs())
    if not task.paired:
        refuse_unpoolable(task.metric, task=task.name)
        if any(not 0.0 <= total.value <= 1.0 for total in task.totals):
            raise outweighs(task.metric.name, task.name)


def _poolable(tasks: Sequence[Task], outcomes: Sequence[AccuracyOutcome]) -> list[Task]:
    """Without gates: the tasks that can be averaged, and that nothing makes suspect."""
    suspect = {
        outcome.comparison.task
        for outcome in outcomes
        if isinstance(outcome, MeasuredAccuracy) and outcome.doubt is not None
    }
    poolable = []
    for task in filter(_is_share, tasks):
        alone = pool_totals([(task.name, *task.totals)], label="", confidence=0.95)
        if task.name not in suspect and (task.paired or alone is not None):
            poolable.append(task)
    return poolable


def _compared_alone(tasks: Sequence[Task], outcomes: Sequence[AccuracyOutcome]) -> list[Comparison]:
    """Each of the tasks by itself, as it was compared already."""
    names = {task.name for task in tasks}
    compared = [_comparison_of(outcome) for outcome in outcomes]
    return [figures for figures in compared if figures is not None and figures.task in names]


def _comparison_of(outcome: AccuracyOutcome) -> Comparison | None:
    if isinstance(outcome, JudgedAccuracy):
        return outcome.verdict.comparison
    return outcome.comparison if isinstance(outcome, MeasuredAccuracy | RefusedAccuracy) else None


def _pool(
    tasks: Sequence[Task], count: int, candidate: Evaluation, policy: ComparePolicy
) -> Comparison:
    """``tasks`` of ``count`` in one comparison. Raises Refusal where they cannot be pooled."""
    if not tasks:
        raise Refusal(CommandCode.NOTHING_TO_POOL)
    name = f"all {count} tasks" if len(tasks) == count else f"{len(tasks)} of {count} tasks"
    label, confidence = candidate.label, policy.confidence
    refuse_counted_twice([part for task in tasks for part in task.leaves])
    for task in tasks:
        _refuse_unlike_share(task)
    if all(task.paired for task in tasks):
        members = [PoolMember(task.metric, tuple(task.pairs())) for task in tasks]
        comparison = pool_members(members, task=name, scheme=label, confidence=confidence)
        return claiming(claimed_scheme(candidate), comparison)
    parts = [(task.name, *task.totals) for task in tasks]
    totals = pool_totals(parts, label=label, confidence=confidence)
    if totals is None:
        raise Refusal(CommandCode.TOTALS_NOT_POOLED)
    total_items = sum(max(task.candidate.total or 0, task.totals[1].n or 0) for task in tasks)
    return replace(totals, task=name, total_items=total_items)
