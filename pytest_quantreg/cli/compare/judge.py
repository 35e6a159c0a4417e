"""What gates make of two evaluations: an outcome per task, what is suspect, the exit status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...core.codes import CommandCode
from ...core.comparison.accuracy import Comparison
from ...core.comparison.suspicion import refuse_chance, refuse_too_good
from ...core.comparison.unpaired import paired_width
from ...core.errors import Category, Refusal
from ...core.facts import Problem
from ...core.gates.outcome import JUDGED, LOST, REFUSED, UNDECIDED, Context, Outcome
from ...core.gates.verdict import judge
from ...core.records.evaluation import Evaluation
from ...core.records.metric_directions import refuse_undirected
from ...core.settings import GateMode
from ...report import messages
from ...report.messages import bare
from ...report.words import words_of
from .pair import Task, claimed_scheme, pair_task
from .pool import ComparePolicy, pool_tasks, refused_outcome
from .remarks import lost_parts, perplexity_note, side_notes, unpooled_notes, with_remarks
from .sanity_checks import PairSuspicion, nothing_quantized, refuse_swapped
from .unjudged_metrics import with_unjudged_losses

HOLDS, FELL_SHORT, NOT_USABLE, NOT_DECIDED = range(4)
"""Exit statuses."""


MOST_TASKS = 8
"""Of one side that an error lists."""


@dataclass(frozen=True)
class Judged:
    """One candidate against the baseline. ``narrower`` says how wide paired intervals would be."""

    candidate: Evaluation
    outcomes: tuple[Outcome, ...]
    pooled: tuple[Outcome, ...]
    notes: tuple[str, ...]
    narrower: tuple[float, ...]

    @property
    def every(self) -> tuple[Outcome, ...]:
        """All outcomes, those of single tasks first."""
        return (*self.outcomes, *self.pooled)


def status_of(judged: Sequence[Judged], policy: ComparePolicy) -> int:
    """0 all gates hold, 1 one fell short, 2 refused or nothing judged, 3 undecided."""
    outcomes = [outcome for judged_candidate in judged for outcome in judged_candidate.every]
    if any(outcome.result == LOST and outcome.fails for outcome in outcomes):
        return FELL_SHORT
    if any(outcome.result == REFUSED for outcome in outcomes):
        return NOT_USABLE
    if any(outcome.result == UNDECIDED and outcome.fails for outcome in outcomes):
        return NOT_DECIDED
    unjudged = [
        judged_candidate
        for judged_candidate in judged
        if not any(outcome.result in JUDGED for outcome in judged_candidate.every)
    ]
    return NOT_USABLE if policy.minimum is not None and unjudged else HOLDS


def judge_candidate(baseline: Evaluation, candidate: Evaluation, policy: ComparePolicy) -> Judged:
    """Compare all tasks of the baseline, and judge them by the policy.

    Raises Refusal for tasks that are not there, and gates on sides that changed places.
    """
    if policy.minimum is not None:
        refuse_swapped(baseline, candidate)
    gated = policy.minimum is not None and not policy.allow_rerun
    same = nothing_quantized(baseline, candidate) if gated else None
    names = _chosen_tasks(baseline, candidate, policy)
    context = Context(candidate.model, None, baseline.label, candidate.label, candidate.engine, "")
    outcomes: list[Outcome] = []
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
            outcomes.append(refused_outcome(error, candidate.label, context, name))
            continue
        tasks.append(task)
        if not task.paired and (width := paired_width(comparison)) is not None:
            widths.append(width)
        outcomes += _task_outcomes(task, comparison, baseline, candidate, policy, context)
    missing = [name for name in baseline.tasks if name not in candidate.results]
    if not policy.tasks and policy.minimum is not None:
        outcomes += [_absent_task_outcome(name, candidate.label, context) for name in missing]
        outcomes += [
            _unmeasured_task_outcome(name, baseline.label, context) for name in baseline.unmeasured
        ]
    pooled = _pooled_outcomes(tasks, outcomes, baseline, candidate, policy, context)
    notes = [*side_notes(baseline, candidate, missing, policy), *unpooled_notes(tasks, policy)]
    return Judged(candidate, tuple(outcomes), tuple(pooled), tuple(notes), tuple(widths))


def _task_outcomes(
    task: Task,
    comparison: Comparison,
    baseline: Evaluation,
    candidate: Evaluation,
    policy: ComparePolicy,
    context: Context,
) -> list[Outcome]:
    """The outcome of one task, with losses of its parts and of its other metrics."""
    outcome = _judge_task(task, comparison, context, policy)
    if not outcome.fails:
        hidden = lost_parts(task, baseline, candidate, policy)
        outcome = replace(outcome, notes=(*outcome.notes, *hidden))
    plan, _ = policy.plan(task.name)
    return with_unjudged_losses(outcome, [task], baseline, candidate, policy, plan, context)


def _pooled_outcomes(
    tasks: Sequence[Task],
    outcomes: Sequence[Outcome],
    baseline: Evaluation,
    candidate: Evaluation,
    policy: ComparePolicy,
    context: Context,
) -> list[Outcome]:
    """The outcome of all tasks together; under --pooled with losses of their other metrics."""
    pooled = list(pool_tasks(tasks, outcomes, candidate, context, policy))
    if not policy.pooled:
        return pooled
    plan, _ = policy.plan(None)
    gated_tasks = [task for task in tasks if policy.judges(task.metric)]
    return [
        outcome
        for pooled_outcome in pooled
        for outcome in with_unjudged_losses(
            pooled_outcome, gated_tasks, baseline, candidate, policy, plan, context
        )
    ]


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
) -> Outcome:
    plan, gate = policy.plan(task.name)
    judgeable = policy.judges(task.metric)
    suspicion = task.suspicion
    if gate is None or (not judgeable and policy.mode is not GateMode.CERTIFY):
        outcome = with_remarks(task, messages.of_measurement(comparison, context))
        if policy.minimum is not None and not judgeable:
            notes = (*outcome.notes, perplexity_note(task))
            # A gate and no verdict of it: this is what "not judged" is told by.
            outcome = replace(outcome, notes=notes, gate=f"min_retention({policy.minimum:g})")
        doubt = suspicion.problem if suspicion else _would_refuse(task, comparison, policy)
        return _mark_suspect(outcome, doubt) if doubt else outcome
    try:
        if suspicion is not None:
            raise _suspicion_refusal(suspicion)
        if not judgeable:
            raise _perplexity_refusal(task)
        if policy.metric is None and not task.baseline.ordered:
            raise _ambiguity_refusal(task)
        refuse_undirected(task.metric, task.name)
        verdict = judge(
            gate,
            comparison,
            plan,
            max_undetected=policy.max_undetected,
            allow_better=policy.allow_better,
        )
    except Refusal as error:
        return messages.of_refusal(
            error,
            scheme=context.scheme,
            context=context,
            task=task.name,
            comparison=comparison,
            gate=str(gate),
        )
    return with_remarks(task, messages.of_verdict(verdict, context))


def _perplexity_refusal(task: Task) -> Refusal:
    return Refusal(
        CommandCode.PERPLEXITY_NOT_CERTIFIED, metric=bare(task.metric.name), task=task.name
    )


def _would_refuse(task: Task, comparison: Comparison, policy: ComparePolicy) -> Problem | None:
    """Why any gate would be refused, so that figures without one are not believed either."""
    try:
        refuse_chance(comparison.slices, 1.0, name=task.name, confidence=policy.confidence)
        if not policy.allow_better:
            refuse_too_good(comparison)
    except Refusal as error:
        return error.problem
    return None


def _suspicion_refusal(suspicion: PairSuspicion) -> Refusal:
    if suspicion.may_be_rerun:
        return Refusal(CommandCode.SUSPECT_OR_RERUN, cause=suspicion.problem)
    return Refusal(CommandCode.SUSPECT, cause=suspicion.problem)


def _ambiguity_refusal(task: Task) -> Refusal:
    names = tuple(aggregate.metric.name for aggregate in task.baseline.aggregates[:6])
    return Refusal(CommandCode.SCORE_AMBIGUOUS, task=task.name, metrics=names)


def _absent_task_outcome(name: str, label: str, context: Context) -> Outcome:
    error = Refusal(CommandCode.CANDIDATE_LACKS_TASK, label=label, task=name)
    return refused_outcome(error, label, context, name)


def _unmeasured_task_outcome(name: str, label: str, context: Context) -> Outcome:
    error = Refusal(CommandCode.TASK_WITHOUT_FIGURE, label=label, task=name)
    return refused_outcome(error, context.scheme, context, name)


def _mark_suspect(outcome: Outcome, doubt: Problem) -> Outcome:
    notes = (*outcome.notes, words_of(doubt).what)
    return replace(outcome, category=Category.SUSPICIOUS.value, notes=notes)
