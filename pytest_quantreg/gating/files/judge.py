"""What gates make of two evaluations: an outcome per task, one for all, and the conclusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from ...core.codes import CommandCode
from ...core.comparison.accuracy import Comparison
from ...core.comparison.suspicion import refuse_unusual
from ...core.comparison.unpaired import paired_width
from ...core.errors import Refusal
from ...core.facts import Note, Problem
from ...core.gates.outcome import (
    AccuracyOutcome,
    JudgedAccuracy,
    LostUnjudged,
    MeasuredAccuracy,
    RefusedAccuracy,
)
from ...core.records.evaluation import Evaluation
from ...core.records.metric_directions import refuse_undirected
from ...core.records.outcome_row import Context
from ...core.settings import GateMode
from ..gate_verdicts import judge_gate
from .notes import lost_parts, notes_on, perplexity_note, side_notes, unpooled_notes
from .pair import Task, claimed_scheme, pair_task
from .policy import ComparePolicy
from .pool import pool_tasks
from .sanity_checks import PairSuspicion, nothing_quantized, refuse_swapped
from .unjudged_metrics import with_other_metrics

MOST_TASKS = 8
"""Of one side that an error lists."""


class Conclusion(IntEnum):
    """What a comparison of files comes to; the number is the exit status."""

    HOLDS = 0
    FELL_SHORT = 1
    NOT_USABLE = 2
    NOT_DECIDED = 3


@dataclass(frozen=True)
class JudgedCandidate:
    """One candidate against the baseline: outcomes by task and of all tasks together.

    ``narrower`` says how wide paired intervals would be, as shares of those of totals.
    """

    candidate: Evaluation
    by_task: tuple[AccuracyOutcome, ...]
    together: tuple[AccuracyOutcome, ...]
    notes: tuple[Note, ...]
    narrower: tuple[float, ...]

    @property
    def outcomes(self) -> tuple[AccuracyOutcome, ...]:
        """All outcomes, those of single tasks first."""
        return (*self.by_task, *self.together)


def conclude(judged: Sequence[JudgedCandidate], policy: ComparePolicy) -> Conclusion:
    """The worst of all outcomes; a gate that judged nothing of a candidate does not hold."""
    outcomes = [outcome for candidate in judged for outcome in candidate.outcomes]
    verdicts = [outcome.verdict for outcome in outcomes if isinstance(outcome, JudgedAccuracy)]
    if any(verdict.is_lost for verdict in verdicts) or _any_is(outcomes, LostUnjudged):
        return Conclusion.FELL_SHORT
    if _any_is(outcomes, RefusedAccuracy):
        return Conclusion.NOT_USABLE
    if any(verdict.fails for verdict in verdicts):
        return Conclusion.NOT_DECIDED
    unjudged = not all(_any_is(candidate.outcomes, JudgedAccuracy) for candidate in judged)
    return Conclusion.NOT_USABLE if policy.gate is not None and unjudged else Conclusion.HOLDS


def _any_is(outcomes: Sequence[AccuracyOutcome], kind: type[AccuracyOutcome]) -> bool:
    return any(isinstance(outcome, kind) for outcome in outcomes)


def judge_candidate(
    baseline: Evaluation, candidate: Evaluation, policy: ComparePolicy
) -> JudgedCandidate:
    """Compare all tasks of the baseline, and judge them by the policy.

    Raises Refusal for tasks that are not there, and gates on sides that changed places.
    """
    if policy.gate is not None:
        refuse_swapped(baseline, candidate)
    gated = policy.gate is not None and not policy.allow_rerun
    same = nothing_quantized(baseline, candidate) if gated else None
    names = _chosen_tasks(baseline, candidate, policy)
    context = Context(candidate.model, None, baseline.label, candidate.label, candidate.engine, "")
    by_task: list[AccuracyOutcome] = []
    tasks: list[Task] = []
    widths = []
    for name in names:
        try:
            task = pair_task(
                name, baseline, candidate, policy.metric, declared=policy.allow_rerun, same=same
            )
            comparison = task.compare_results(
                label=candidate.label,
                scheme=claimed_scheme(candidate),
                confidence=policy.confidence,
            )
        except Refusal as error:
            by_task.append(RefusedAccuracy(error, candidate.label, context, name))
            continue
        tasks.append(task)
        if not task.paired and (width := paired_width(comparison)) is not None:
            widths.append(width)
        by_task += _judge_with_parts(task, comparison, baseline, candidate, policy, context)
    missing = [name for name in baseline.tasks if name not in candidate.results]
    if not policy.tasks and policy.gate is not None:
        by_task += _absent_tasks(missing, baseline, context)
    together = _judge_together(tasks, by_task, baseline, candidate, policy, context)
    notes = (*side_notes(baseline, candidate, missing, policy), *unpooled_notes(tasks, policy))
    return JudgedCandidate(candidate, tuple(by_task), tuple(together), notes, tuple(widths))


def _judge_with_parts(
    task: Task,
    comparison: Comparison,
    baseline: Evaluation,
    candidate: Evaluation,
    policy: ComparePolicy,
    context: Context,
) -> list[AccuracyOutcome]:
    """The outcome of one task, with losses of its parts and of its other metrics."""
    outcome = _judge_task(task, comparison, context, policy)
    if isinstance(outcome, RefusedAccuracy):
        return [outcome]
    notes = [*outcome.notes, *notes_on(task, comparison)]
    if isinstance(outcome, MeasuredAccuracy):
        notes += _measurement_notes(task, outcome)
    if isinstance(outcome, MeasuredAccuracy) or not outcome.verdict.fails:
        notes += lost_parts(task, baseline, candidate, policy)
    noted = replace(outcome, notes=tuple(notes))
    return with_other_metrics(noted, [task], baseline, candidate, policy)


def _judge_together(
    tasks: Sequence[Task],
    by_task: Sequence[AccuracyOutcome],
    baseline: Evaluation,
    candidate: Evaluation,
    policy: ComparePolicy,
    context: Context,
) -> list[AccuracyOutcome]:
    """The outcome of all tasks together; under --pooled with losses of their other metrics."""
    pooled = pool_tasks(tasks, by_task, candidate, context, policy)
    if pooled is None:
        return []
    if not policy.pooled:
        return [pooled]
    gated_tasks = [task for task in tasks if policy.judges(task.metric)]
    return with_other_metrics(pooled, gated_tasks, baseline, candidate, policy)


def _chosen_tasks(baseline: Evaluation, candidate: Evaluation, policy: ComparePolicy) -> list[str]:
    for name in policy.tasks:
        for side in (baseline, candidate):
            if name not in side.results:
                raise Refusal(
                    CommandCode.TASK_NOT_EVALUATED, label=side.label, task=name, tasks=side.tasks
                )
    if policy.tasks:
        return list(dict.fromkeys(policy.tasks))
    names = [name for name in baseline.tasks if name in candidate.results]
    if not names:
        raise Refusal(
            CommandCode.NO_COMMON_TASK,
            baseline=baseline.label,
            candidate=candidate.label,
            baseline_tasks=baseline.tasks[:MOST_TASKS],
            candidate_tasks=candidate.tasks[:MOST_TASKS],
        )
    return names


def _judge_task(
    task: Task, comparison: Comparison, context: Context, policy: ComparePolicy
) -> JudgedAccuracy | MeasuredAccuracy | RefusedAccuracy:
    gate = policy.gate_on_tasks()
    judgeable = policy.judges(task.metric)
    if gate is None or (not judgeable and policy.mode is not GateMode.CERTIFY):
        # A gate and no verdict of it: this is what "not judged" is told by.
        idle = None if judgeable else policy.gate
        in_pool, doubt = policy.pooled and judgeable, _doubt(task, comparison, policy)
        return MeasuredAccuracy(comparison, context, in_pool=in_pool, gate=idle, doubt=doubt)
    try:
        _refuse_unjudgeable(task, policy)
    except Refusal as error:
        return RefusedAccuracy(error, context.scheme, context, task.name, gate, comparison)
    return judge_gate(gate, comparison, policy.plan, context, policy)


def _refuse_unjudgeable(task: Task, policy: ComparePolicy) -> None:
    """Refuses suspect figures, and a metric that is none to judge. Raises Refusal."""
    if task.suspicion is not None:
        raise _suspicion_refusal(task.suspicion)
    if not policy.judges(task.metric):
        metric = task.metric.name.removesuffix(",none")
        raise Refusal(CommandCode.PERPLEXITY_NOT_CERTIFIED, metric=metric, task=task.name)
    if policy.metric is None and not task.baseline.ordered:
        names = tuple(aggregate.metric.name for aggregate in task.baseline.aggregates[:6])
        raise Refusal(CommandCode.SCORE_AMBIGUOUS, task=task.name, metrics=names)
    refuse_undirected(task.metric, task.name)


def _measurement_notes(task: Task, outcome: MeasuredAccuracy) -> list[Problem]:
    """Why no gate judges a task, and why none could."""
    notes = [perplexity_note(task)] if outcome.gate is not None else []
    return [*notes, outcome.doubt] if outcome.doubt is not None else notes


def _doubt(task: Task, comparison: Comparison, policy: ComparePolicy) -> Problem | None:
    """Why any gate would be refused, so that figures without one are not believed either."""
    if task.suspicion is not None:
        return task.suspicion.problem
    try:
        refuse_unusual(comparison, 1.0, allow_better=policy.allow_better)
    except Refusal as error:
        return error.problem
    return None


def _suspicion_refusal(suspicion: PairSuspicion) -> Refusal:
    if suspicion.may_be_rerun:
        return Refusal(CommandCode.SUSPECT_OR_RERUN, cause=suspicion.problem)
    return Refusal(CommandCode.SUSPECT, cause=suspicion.problem)


def _absent_tasks(
    missing: Sequence[str], baseline: Evaluation, context: Context
) -> list[RefusedAccuracy]:
    """The tasks that one side was asked for and has no figure of."""
    label = context.scheme
    errors = [
        (name, Refusal(CommandCode.CANDIDATE_LACKS_TASK, label=label, task=name))
        for name in missing
    ]
    errors += [
        (name, Refusal(CommandCode.TASK_WITHOUT_FIGURE, label=baseline.label, task=name))
        for name in baseline.unmeasured
    ]
    return [RefusedAccuracy(error, label, context, name) for name, error in errors]
