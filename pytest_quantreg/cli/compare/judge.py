"""What gates make of two evaluations: an outcome per task, what is suspect, the exit status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...core.comparison.accuracy import Comparison
from ...core.comparison.suspicion import refuse_chance, refuse_too_good
from ...core.comparison.unpaired import paired_width
from ...core.errors import Category, Refusal
from ...core.gates.outcome import JUDGED, LOST, REFUSED, UNDECIDED, Context, Outcome
from ...core.gates.verdict import judge
from ...core.records.evaluation import Evaluation
from ...core.records.metric_directions import refuse_undirected
from ...core.settings import GateMode
from ...report import messages
from ...report.messages import bare
from .pair import Task, claimed, task_of
from .pool import ComparePolicy, pooled, refused
from .remarks import kept_apart, left_out, lost_parts, remarked, told
from .sanity_checks import AS_A_RERUN, RERUN, nothing_quantized, refuse_swapped
from .unjudged_metrics import beside

HOLDS, FELL_SHORT, NOT_USABLE, NOT_DECIDED = range(4)
"""Exit statuses."""


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
    outcomes = [one for each in judged for one in each.every]
    if any(one.result == LOST and one.fails for one in outcomes):
        return FELL_SHORT
    if any(one.result == REFUSED for one in outcomes):
        return NOT_USABLE
    if any(one.result == UNDECIDED and one.fails for one in outcomes):
        return NOT_DECIDED
    unjudged = [one for one in judged if not any(o.result in JUDGED for o in one.every)]
    return NOT_USABLE if policy.minimum is not None and unjudged else HOLDS


def judge_candidate(baseline: Evaluation, candidate: Evaluation, policy: ComparePolicy) -> Judged:
    """Compares all tasks of the baseline, and judges them as wished.

    Raises Refusal for tasks that are not there, and gates on sides that changed places.
    """
    if policy.minimum is not None:
        refuse_swapped(baseline, candidate)
    gated = policy.minimum is not None and not policy.allow_rerun
    same = nothing_quantized(baseline, candidate) if gated else None
    names = _chosen(baseline, candidate, policy)
    context = Context(candidate.model, None, baseline.label, candidate.label, candidate.engine, "")
    outcomes: list[Outcome] = []
    tasks: list[Task] = []
    widths = []
    for name in names:
        try:
            task = task_of(
                name, baseline, candidate, policy.metric, declared=policy.allow_rerun, same=same
            )
            made = task.compare_results(
                label=candidate.label, scheme=claimed(candidate), confidence=policy.confidence
            )
        except Refusal as error:
            outcomes.append(refused(error, candidate.label, context, name))
            continue
        tasks.append(task)
        if not task.paired and (width := paired_width(made)) is not None:
            widths.append(width)
        outcome = _judged(task, made, context, policy)
        if not outcome.fails:
            hidden = lost_parts(task, baseline, candidate, policy)
            outcome = replace(outcome, notes=(*outcome.notes, *hidden))
        plan, _ = policy.plan(name)
        outcomes += beside(outcome, [task], baseline, candidate, policy, plan, context)
    missing = [name for name in baseline.tasks if name not in candidate.results]
    if not policy.tasks and policy.minimum is not None:
        outcomes += [_absent(name, candidate.label, context) for name in missing]
        outcomes += [_empty(name, baseline.label, context) for name in baseline.unmeasured]
    together = tuple(pooled(tasks, outcomes, candidate, context, policy))
    if policy.pooled:
        plan, _ = policy.plan(None)
        left = [one for one in tasks if policy.judges(one.metric)]
        together = tuple(
            made
            for one in together
            for made in beside(one, left, baseline, candidate, policy, plan, context)
        )
    notes = [*told(baseline, candidate, missing, policy), *kept_apart(tasks, policy)]
    return Judged(
        candidate,
        tuple(outcomes),
        together,
        tuple(notes),
        tuple(widths),
    )


def _chosen(baseline: Evaluation, candidate: Evaluation, policy: ComparePolicy) -> list[str]:
    for name in policy.tasks:
        for one in (baseline, candidate):
            if name not in one.results:
                raise Refusal(
                    Category.WRONG_USE,
                    f"{one.label} has no task {name!r}",
                    help=f"its tasks: {', '.join(one.tasks)}",
                )
    if policy.tasks:
        return list(dict.fromkeys(policy.tasks))
    names = [name for name in baseline.tasks if name in candidate.results]
    if not names:
        raise Refusal(
            Category.NOT_COMPARABLE,
            f"{baseline.label} and {candidate.label} have no task in common",
            help=(
                f"{baseline.label}: {', '.join(baseline.tasks[:8])}",
                f"{candidate.label}: {', '.join(candidate.tasks[:8])}",
            ),
        )
    return names


def _judged(task: Task, made: Comparison, context: Context, policy: ComparePolicy) -> Outcome:
    plan, gate = policy.plan(task.name)
    judgeable = policy.judges(task.metric)
    suspicion = task.suspicion
    if gate is None or (not judgeable and policy.mode is not GateMode.CERTIFY):
        outcome = remarked(task, messages.of_measurement(made, context))
        if policy.minimum is not None and not judgeable:
            notes = (*outcome.notes, left_out(task))
            # A gate and no verdict of it: this is what "not judged" is told by.
            outcome = replace(outcome, notes=notes, gate=f"min_retention({policy.minimum:g})")
        suspicion = suspicion or _would_refuse(task, made, policy)
        return _suspect(outcome, suspicion) if suspicion else outcome
    try:
        if suspicion is not None:
            raise _suspicious(suspicion)
        if not judgeable:
            raise _perplexity(task)
        if policy.metric is None and not task.baseline.ordered:
            raise _ambiguous(task)
        refuse_undirected(task.metric, task.name)
        verdict = judge(
            gate, made, plan, max_undetected=policy.max_undetected, allow_better=policy.allow_better
        )
    except Refusal as error:
        return messages.of_refusal(
            error,
            scheme=context.scheme,
            context=context,
            task=task.name,
            comparison=made,
            gate=str(gate),
        )
    return remarked(task, messages.of_verdict(verdict, context))


def _perplexity(task: Task) -> Refusal:
    return Refusal(
        Category.NOT_JUDGED,
        f"{bare(task.metric.name)} of {task.name} is a perplexity, of which no share can be "
        "certified",
        help="choose the tasks that count with --task; a perplexity is bounded by the marker "
        "max_perplexity_ratio",
    )


def _would_refuse(task: Task, made: Comparison, policy: ComparePolicy) -> str | None:
    """Why any gate would be refused, so that figures without one are not believed either."""
    try:
        refuse_chance(made.slices, 1.0, name=task.name, confidence=policy.confidence)
        if not policy.allow_better:
            refuse_too_good(made)
    except Refusal as error:
        return error.what
    return None


def _suspicious(why: str) -> Refusal:
    again = "evaluate it again as it is meant, or leave it out: --task names the others"
    return Refusal(
        Category.SUSPICIOUS, why, help=(again, RERUN) if why.endswith(AS_A_RERUN) else again
    )


def _ambiguous(task: Task) -> Refusal:
    names = ", ".join(one.metric.name for one in task.baseline.aggregates[:6])
    return Refusal(
        Category.NOT_JUDGED,
        f"which score of {task.name} counts is not known: its log is alone, or its first score has "
        f"no value; there are {names}",
        help="name one with --metric; results_*.json beside a log say which is the task's own",
    )


def _absent(name: str, label: str, context: Context) -> Outcome:
    error = Refusal(
        Category.NOTHING_MEASURED,
        f"{label} was not evaluated on {name}, which the baseline was",
        help="evaluate it there too, or choose the tasks that count with --task",
    )
    return refused(error, label, context, name)


def _empty(name: str, label: str, context: Context) -> Outcome:
    error = Refusal(
        Category.NOTHING_MEASURED,
        f"{label} lists {name} without a figure, so that nobody knows what was to be kept",
        help="evaluate it again, or choose the tasks that count with --task",
    )
    return refused(error, context.scheme, context, name)


def _suspect(outcome: Outcome, why: str) -> Outcome:
    return replace(outcome, category=Category.SUSPICIOUS.value, notes=(*outcome.notes, why))
