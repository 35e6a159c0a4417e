"""What a comparison of evaluations shows beside its verdicts, told in notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ...core.errors import Refusal
from ...core.gates.outcome import Outcome
from ...core.records.evaluation import Evaluation
from ...report.messages import bare, floor_3
from .pair import Task, task_of
from .pool import ComparePolicy, apart
from .sanity_checks import same_model

MOST_PARTS = 5
"""Tasks of a group that a note names."""


def lost_parts(
    task: Task, baseline: Evaluation, candidate: Evaluation, policy: ComparePolicy
) -> Iterator[str]:
    """Which tasks of a group surely fall short by themselves: its mean may hide them."""
    parts = [one for one in task.baseline.parts if one in baseline.results]
    if policy.minimum is None or not parts:
        return
    # So many looks at once find a loss where there is none no more often than one does.
    confidence = 1.0 - (1.0 - policy.confidence) / len(parts)
    found = []
    for name in parts:
        try:
            one = task_of(name, baseline, candidate, task.metric.name)
            made = one.compare_results(label=candidate.label, scheme=None, confidence=confidence)
        except (KeyError, Refusal):  # not there, or not comparable: its group says so
            continue
        if made.high is not None and made.high < policy.minimum:
            found.append(f"{name} keeps {floor_3(made.retention)}")
    if found:
        rest = f" and {len(found) - MOST_PARTS} more" if len(found) > MOST_PARTS else ""
        yield (
            f"{candidate.label}: {task.name} as a whole hides a loss below {policy.minimum:g}: "
            f"{', '.join(found[:MOST_PARTS])}{rest}; gate such tasks with --task"
        )


def remarked(task: Task, outcome: Outcome) -> Outcome:
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


def kept_apart(tasks: Sequence[Task], policy: ComparePolicy) -> Iterator[str]:
    """Why no gate judges all tasks together, where nobody asked for it by --pooled."""
    judged = [one for one in tasks if policy.judges(one.metric)]
    names = apart(judged)
    if names and len(judged) > 1 and policy.minimum is not None and not policy.pooled:
        yield (
            f"scores of {', '.join(names)} cannot be averaged with others: each task is judged by "
            "itself, and none together"
        )


def left_out(task: Task) -> str:
    """Why a perplexity has no verdict."""
    return (
        f"{task.name}: {bare(task.metric.name)} is listed and not judged: a share of a "
        "perplexity says little; name another of its metrics with --metric"
    )


def told(
    baseline: Evaluation, candidate: Evaluation, missing: Sequence[str], policy: ComparePolicy
) -> Iterator[str]:
    """What is told of both sides once: their own notes, one model twice, tasks of one alone."""
    for one in (baseline, candidate):
        yield from one.notes
        for name in policy.tasks or one.tasks:
            if name in one.results:
                yield from one.results[name].notes
    yield from same_model(baseline, candidate, declared=policy.allow_rerun)
    if policy.tasks:
        return
    more = [name for name in candidate.tasks if name not in baseline.results]
    for whose, names in ((baseline.label, missing), (candidate.label, more)):
        if names:
            yield f"only {whose} has {', '.join(names)}"
