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
from ...core.gates.outcomes import JudgedAccuracy, MeasuredAccuracy, RefusedAccuracy
from ...core.gates.verdict import judge
from ...core.records.evaluation import Evaluation
from ...core.records.metric_directions import refuse_undirected
from ...core.settings import GateMode
from ...report.comparison_page import Compared, compared
from ...report.messages import bare
from ...report.words import COMMAND_LINE, words_of
from .pair import Task, claimed_scheme, pair_task
from .pool import ComparePolicy, pool_tasks, refused_task
from .remarks import lost_parts, perplexity_note, remarks, side_notes, unpooled_notes
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
    by_task: tuple[Compared, ...]
    together: tuple[Compared, ...]
    notes: tuple[str, ...]
    narrower: tuple[float, ...]

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The rows of single tasks."""
        return tuple(one.row for one in self.by_task)

    @property
    def pooled(self) -> tuple[Outcome, ...]:
        """The rows of all tasks together."""
        return tuple(one.row for one in self.together)

    @property
    def every(self) -> tuple[Outcome, ...]:
        """All rows, those of single tasks first."""
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
    by_task: list[Compared] = []
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
            by_task.append(refused_task(error, candidate.label, context, name))
            continue
        tasks.append(task)
        if not task.paired and (width := paired_width(comparison)) is not None:
            widths.append(width)
        by_task += _judge_with_parts(task, comparison, baseline, candidate, policy, context)
    missing = [name for name in baseline.tasks if name not in candidate.results]
    if not policy.tasks and policy.minimum is not None:
        by_task += [_absent_task(name, candidate.label, context) for name in missing]
        by_task += [_unmeasured_task(name, baseline.label, context) for name in baseline.unmeasured]
    rows = [one.row for one in by_task]
    together = _judge_together(tasks, rows, baseline, candidate, policy, context)
    notes = [*side_notes(baseline, candidate, missing, policy), *unpooled_notes(tasks, policy)]
    return Judged(candidate, tuple(by_task), tuple(together), tuple(notes), tuple(widths))


def _judge_with_parts(
    task: Task,
    comparison: Comparison,
    baseline: Evaluation,
    candidate: Evaluation,
    policy: ComparePolicy,
    context: Context,
) -> list[Compared]:
    """The outcome of one task, with losses of its parts and of its other metrics."""
    judged = _judge_task(task, comparison, context, policy)
    if not judged.row.fails:
        judged = judged.with_notes(*lost_parts(task, baseline, candidate, policy))
    plan, _ = policy.plan(task.name)
    return with_unjudged_losses(judged, [task], baseline, candidate, policy, plan, context)


def _judge_together(
    tasks: Sequence[Task],
    rows: Sequence[Outcome],
    baseline: Evaluation,
    candidate: Evaluation,
    policy: ComparePolicy,
    context: Context,
) -> list[Compared]:
    """The outcome of all tasks together; under --pooled with losses of their other metrics."""
    pooled = list(pool_tasks(tasks, rows, candidate, context, policy))
    if not policy.pooled:
        return pooled
    plan, _ = policy.plan(None)
    gated_tasks = [task for task in tasks if policy.judges(task.metric)]
    return [
        one
        for judged in pooled
        for one in with_unjudged_losses(
            judged, gated_tasks, baseline, candidate, policy, plan, context
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
) -> Compared:
    plan, gate = policy.plan(task.name)
    judgeable = policy.judges(task.metric)
    suspicion = task.suspicion
    if gate is None or (not judgeable and policy.mode is not GateMode.CERTIFY):
        measured = _with_remarks(task, compared(MeasuredAccuracy(comparison, context)))
        if policy.minimum is not None and not judgeable:
            measured = measured.with_notes(perplexity_note(task))
            # A gate and no verdict of it: this is what "not judged" is told by.
            row = replace(measured.row, gate=f"min_retention({policy.minimum:g})")
            measured = replace(measured, row=row)
        doubt = suspicion.problem if suspicion else _would_refuse(task, comparison, policy)
        return _mark_suspect(measured, doubt) if doubt else measured
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
        return compared(
            RefusedAccuracy(error, context.scheme, context, task.name, gate, comparison)
        )
    return _with_remarks(task, compared(JudgedAccuracy(verdict, context)))


def _with_remarks(task: Task, one: Compared) -> Compared:
    return one.with_notes(*remarks(task, one.row))


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


def _absent_task(name: str, label: str, context: Context) -> Compared:
    error = Refusal(CommandCode.CANDIDATE_LACKS_TASK, label=label, task=name)
    return refused_task(error, label, context, name)


def _unmeasured_task(name: str, label: str, context: Context) -> Compared:
    error = Refusal(CommandCode.TASK_WITHOUT_FIGURE, label=label, task=name)
    return refused_task(error, context.scheme, context, name)


def _mark_suspect(one: Compared, doubt: Problem) -> Compared:
    noted = one.with_notes(words_of(doubt, COMMAND_LINE).what)
    return replace(noted, row=replace(noted.row, category=Category.SUSPICIOUS.value))
