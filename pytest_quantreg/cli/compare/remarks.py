"""What a comparison of evaluations shows beside its verdicts, told in notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...core.errors import Refusal
from ...core.gates.outcome import Outcome
from ...core.records.evaluation import Evaluation
from ...report.messages import bare, floor_3
from ...report.words import COMMAND_LINE, words_of
from .pair import Task, pair_task
from .pool import ComparePolicy, unpoolable_names
from .sanity_checks import same_model

MOST_PARTS = 5
"""Tasks of a group that a note names."""


def lost_parts(
    task: Task, baseline: Evaluation, candidate: Evaluation, policy: ComparePolicy
) -> Iterator[str]:
    """Which tasks of a group surely fall short by themselves: its mean may hide them."""
    parts = [name for name in task.baseline.parts if name in baseline.results]
    if policy.minimum is None or not parts:
        return
    # So many looks at once find a loss where there is none no more often than one does.
    confidence = 1.0 - (1.0 - policy.confidence) / len(parts)
    losses = []
    for name in parts:
        try:
            part = pair_task(name, baseline, candidate, task.metric.name)
            comparison = part.compare_results(
                label=candidate.label, scheme=None, confidence=confidence
            )
        except (KeyError, Refusal):  # not there, or not comparable: its group says so
            continue
        if comparison.high is not None and comparison.high < policy.minimum:
            losses.append(f"{name} keeps {floor_3(comparison.retention)}")
    if losses:
        rest = f" and {len(losses) - MOST_PARTS} more" if len(losses) > MOST_PARTS else ""
        yield (
            f"{candidate.label}: {task.name} as a whole hides a loss below {policy.minimum:g}: "
            f"{', '.join(losses[:MOST_PARTS])}{rest}; gate such tasks with --task"
        )


def remarks(task: Task, row: Outcome) -> Iterator[str]:
    """What else the figures of a task show."""
    if row.lost == 0 and row.won == 0:
        yield (
            f"{row.scheme}: no score of {task.name} changed: it cannot be told from the baseline"
        )
    contradiction = _contradicting_metric(task)
    if contradiction is not None:
        yield f"{row.scheme}: {contradiction}"


def _contradicting_metric(task: Task) -> str | None:
    """Another metric or filter of the same answers that moves the other way."""
    before, after = task.totals
    moved = after.value - before.value
    for before_other in task.baseline.aggregates:
        after_other = task.candidate.find(before_other.metric.name)
        if (
            after_other is None
            or before_other.metric.higher_is_better != before.metric.higher_is_better
        ):
            continue
        if (after_other.value - before_other.value) * moved < 0:
            return (
                f"{before_other.metric.name} of {task.name} goes the other way, "
                f"{before_other.value:.3f} -> {after_other.value:.3f}"
            )
    return None


def unpooled_notes(tasks: Sequence[Task], policy: ComparePolicy) -> Iterator[str]:
    """Why no gate judges all tasks together, where nobody asked for it by --pooled."""
    judged = [task for task in tasks if policy.judges(task.metric)]
    names = unpoolable_names(judged)
    if names and len(judged) > 1 and policy.minimum is not None and not policy.pooled:
        yield (
            f"scores of {', '.join(names)} cannot be averaged with others: each task is judged by "
            "itself, and none together"
        )


def perplexity_note(task: Task) -> str:
    """Why a perplexity has no verdict."""
    return (
        f"{task.name}: {bare(task.metric.name)} is listed and not judged: a share of a "
        "perplexity says little; name another of its metrics with --metric"
    )


def side_notes(
    baseline: Evaluation, candidate: Evaluation, missing: Sequence[str], policy: ComparePolicy
) -> Iterator[str]:
    """What is told of both sides once: their own notes, one model twice, tasks of one alone."""
    for side in (baseline, candidate):
        yield from side.notes
        for name in policy.tasks or side.tasks:
            if name in side.results:
                yield from side.results[name].notes
    for problem in same_model(baseline, candidate, declared=policy.allow_rerun):
        yield words_of(problem, COMMAND_LINE).what
    if policy.tasks:
        return
    more = [name for name in candidate.tasks if name not in baseline.results]
    for label, names in ((baseline.label, missing), (candidate.label, more)):
        if names:
            yield f"only {label} has {', '.join(names)}"
