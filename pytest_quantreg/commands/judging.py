"""What gates make of two evaluations: an outcome per task, what is suspect, the exit status."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..core.comparison import Comparison
from ..core.errors import Category, Refusal, WrongUse
from ..core.evaluation import Evaluation
from ..core.outcome import JUDGED, LOST, REFUSED, UNDECIDED, Context, Outcome
from ..core.schemes import resolve
from ..core.suspicion import refuse_chance, refuse_too_good
from ..core.unpaired import paired_width
from ..core.verdict import judge
from ..report import messages
from ..report.messages import floor_3
from .pairing import Task, task_of
from .pooled import Wish, pooled, refused

HOLDS, FELL_SHORT, NOT_USABLE, NOT_DECIDED = range(4)
"""Exit statuses."""

MOST_PARTS = 5
"""Tasks of a group that a note names."""


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


def status_of(judged: Sequence[Judged], wish: Wish) -> int:
    """0 all gates hold, 1 one fell short, 2 refused or nothing judged, 3 undecided."""
    outcomes = [one for each in judged for one in each.every]
    if any(one.result == LOST and one.fails for one in outcomes):
        return FELL_SHORT
    if any(one.result == REFUSED for one in outcomes):
        return NOT_USABLE
    if any(one.result == UNDECIDED and one.fails for one in outcomes):
        return NOT_DECIDED
    unjudged = [one for one in judged if not any(o.result in JUDGED for o in one.every)]
    return NOT_USABLE if wish.minimum is not None and unjudged else HOLDS


def judge_candidate(baseline: Evaluation, candidate: Evaluation, wish: Wish) -> Judged:
    """Compares all tasks of the baseline, and judges them as wished.

    Raises Refusal for tasks that are not there, and gates on sides that changed places.
    """
    if wish.minimum is not None:
        _refuse_swapped(baseline, candidate)
    names = _chosen(baseline, candidate, wish)
    context = Context(candidate.model, None, baseline.label, candidate.label, candidate.engine, "")
    outcomes: list[Outcome] = []
    tasks: list[Task] = []
    widths = []
    for name in names:
        try:
            task = task_of(name, baseline, candidate, wish.metric)
            made = task.compare(
                label=candidate.label, scheme=candidate.scheme, confidence=wish.confidence
            )
        except Refusal as error:
            outcomes.append(refused(error, candidate.label, context, name))
            continue
        tasks.append(task)
        if not task.paired and (width := paired_width(made)) is not None:
            widths.append(width)
        outcome = _judged(task, made, context, wish)
        if not outcome.fails:
            notes = (*outcome.notes, *_lost_parts(task, baseline, candidate, wish))
            outcome = replace(outcome, notes=notes)
        outcomes.append(outcome)
    missing = [name for name in baseline.tasks if name not in candidate.results]
    if not wish.tasks and wish.minimum is not None:
        outcomes += [_absent(name, candidate.label, context) for name in missing]
    together = tuple(pooled(tasks, outcomes, candidate, context, wish))
    return Judged(
        candidate,
        tuple(outcomes),
        together,
        tuple(_told(baseline, candidate, missing, wish)),
        tuple(widths),
    )


def _refuse_swapped(baseline: Evaluation, candidate: Evaluation) -> None:
    """Refuses to judge full precision by what was quantized: any loss would be a gain."""
    if _is_quantized(baseline) is True and _is_quantized(candidate) is False:
        raise Refusal(
            Category.SUSPICIOUS,
            f"{candidate.label} is {candidate.scheme}, not quantized, and would be judged by "
            f"{baseline.label}, which is {baseline.scheme}",
            help="name the baseline first and what was made of it after it",
        )


def _is_quantized(side: Evaluation) -> bool | None:
    try:
        return resolve(side.scheme).is_quantized if side.scheme else None
    except WrongUse:  # a scheme of a project's own, or none that was named
        return None


def _chosen(baseline: Evaluation, candidate: Evaluation, wish: Wish) -> list[str]:
    for name in wish.tasks:
        for one in (baseline, candidate):
            if name not in one.results:
                raise Refusal(
                    Category.WRONG_USE,
                    f"{one.label} has no task {name!r}",
                    help=f"its tasks: {', '.join(one.tasks)}",
                )
    if wish.tasks:
        return list(dict.fromkeys(wish.tasks))
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


def _judged(task: Task, made: Comparison, context: Context, wish: Wish) -> Outcome:
    plan, gate = wish.plan(task.name)
    judgeable = task.metric.kind != "perplexity" or wish.metric is not None
    suspicion = task.suspicion
    if gate is None or not judgeable:
        outcome = _remarked(task, messages.of_measurement(made, context))
        if wish.minimum is not None and not judgeable:
            outcome = replace(outcome, notes=(*outcome.notes, _left_out(task)))
        suspicion = suspicion or _would_refuse(task, made, wish)
        return _suspect(outcome, suspicion) if suspicion else outcome
    try:
        if suspicion is not None:
            raise _suspicious(suspicion)
        verdict = judge(
            gate, made, plan, max_undetected=wish.max_undetected, allow_better=wish.allow_better
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
    return _remarked(task, messages.of_verdict(verdict, context))


def _lost_parts(
    task: Task, baseline: Evaluation, candidate: Evaluation, wish: Wish
) -> Iterator[str]:
    """Which tasks of a group surely fall short by themselves: its mean may hide them."""
    parts = [one for one in task.baseline.parts if one in baseline.results]
    if wish.minimum is None or not parts:
        return
    # So many looks at once find a loss where there is none no more often than one does.
    confidence = 1.0 - (1.0 - wish.confidence) / len(parts)
    found = []
    for name in parts:
        try:
            one = task_of(name, baseline, candidate, task.metric.name)
            made = one.compare(label=candidate.label, scheme=None, confidence=confidence)
        except (KeyError, Refusal):  # not there, or not comparable: its group says so
            continue
        if made.high is not None and made.high < wish.minimum:
            found.append(f"{name} keeps {floor_3(made.retention)}")
    if found:
        rest = f" and {len(found) - MOST_PARTS} more" if len(found) > MOST_PARTS else ""
        yield (
            f"{candidate.label}: {task.name} as a whole hides a loss below {wish.minimum:g}: "
            f"{', '.join(found[:MOST_PARTS])}{rest}; gate such tasks with --task"
        )


def _left_out(task: Task) -> str:
    return (
        f"{task.name}: {task.metric.name.partition(',')[0]} is listed and not judged: a share of a "
        "perplexity says little; name another of its metrics with --metric"
    )


def _would_refuse(task: Task, made: Comparison, wish: Wish) -> str | None:
    """Why any gate would be refused, so that figures without one are not believed either."""
    try:
        refuse_chance(made.slices, 1.0, name=task.name, confidence=wish.confidence)
        if not wish.allow_better:
            refuse_too_good(made)
    except Refusal as error:
        return error.what
    return None


def _remarked(task: Task, outcome: Outcome) -> Outcome:
    """With what else its figures show."""
    notes = list(outcome.notes)
    if outcome.lost == 0 and outcome.won == 0:
        notes.append(
            f"{outcome.scheme}: no score of {task.name} changed: it cannot be told from the "
            "baseline"
        )
    other = _other_way(task)
    if other is not None:
        notes.append(f"{outcome.scheme}: {other}")
    return replace(outcome, notes=tuple(notes))


def _other_way(task: Task) -> str | None:
    """Another metric or filter of the same answers that moves the other way."""
    before, after = task.totals
    moved = after.value - before.value
    for one in task.baseline.aggregates:
        other = task.candidate.find(one.metric.name)
        if other is None or one.metric.higher_is_better != before.metric.higher_is_better:
            continue
        if (other.value - one.value) * moved < 0:
            return (
                f"{one.metric.name} of {task.name} goes the other way, "
                f"{one.value:.3f} -> {other.value:.3f}"
            )
    return None


def _suspicious(why: str) -> Refusal:
    return Refusal(
        Category.SUSPICIOUS,
        why,
        help="evaluate it again as it is meant, or leave it out: --task names the others",
    )


def _absent(name: str, label: str, context: Context) -> Outcome:
    error = Refusal(
        Category.NOTHING_MEASURED,
        f"{label} was not evaluated on {name}, which the baseline was",
        help="evaluate it there too, or choose the tasks that count with --task",
    )
    return refused(error, label, context, name)


def _suspect(outcome: Outcome, why: str) -> Outcome:
    return replace(outcome, category=Category.SUSPICIOUS.value, notes=(*outcome.notes, why))


def _told(
    baseline: Evaluation, candidate: Evaluation, missing: Sequence[str], wish: Wish
) -> Iterator[str]:
    for one in (baseline, candidate):
        yield from one.notes
        for name in wish.tasks or one.tasks:
            if name in one.results:
                yield from one.results[name].notes
    if baseline.model == candidate.model and candidate.scheme in (None, baseline.scheme):
        yield f"{baseline.label} and {candidate.label} both name {candidate.model} as their model"
    if wish.tasks:
        return
    more = [name for name in candidate.tasks if name not in baseline.results]
    for whose, names in ((baseline.label, missing), (candidate.label, more)):
        if names:
            yield f"only {whose} has {', '.join(names)}"
