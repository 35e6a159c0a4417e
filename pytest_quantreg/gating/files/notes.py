"""What a comparison of evaluations shows beside its verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ...core.codes import CommandCode
from ...core.comparison.accuracy import Comparison
from ...core.facts import Fact, Note, Problem
from ...core.gates.unjudged_metrics import surely_lost
from ...core.records.evaluation import Evaluation
from ...core.settings import GateMode
from .pair import Task, pair_task
from .policy import ComparePolicy
from .pool import unpoolable_names
from .sanity_checks import identical_candidates, same_model

MOST_PARTS = 5
"""Tasks of a group that a note names."""


def lost_parts(
    task: Task, baseline: Evaluation, candidate: Evaluation, policy: ComparePolicy
) -> Iterator[Problem]:
    """Which tasks of a group surely fall short by themselves: its mean may hide them."""
    if policy.minimum is None:
        return
    parts = [
        partial(_compare_part, name, task.metric.name, baseline, candidate)
        for name in task.baseline.parts
        if name in baseline.results and name in candidate.results
    ]
    hidden = surely_lost(parts, policy.minimum, confidence=policy.confidence)
    if hidden is None:
        return
    losses = [
        Problem(CommandCode.PART_KEEPS, {"task": part.task, "retention": part.retention})
        for part in hidden.comparisons
    ]
    yield Problem(
        CommandCode.LOSSES_HIDDEN_IN_GROUP,
        {
            "label": candidate.label,
            "group": task.name,
            "minimum": policy.minimum,
            "losses": tuple(losses[:MOST_PARTS]),
            "more": len(losses) - MOST_PARTS,
        },
    )


def _compare_part(
    name: str, metric: str, baseline: Evaluation, candidate: Evaluation, confidence: float
) -> Comparison:
    part = pair_task(name, baseline, candidate, metric)
    return part.compare_results(label=candidate.label, scheme=None, confidence=confidence)


def notes_on(task: Task, comparison: Comparison) -> Iterator[Problem]:
    """What else the figures of a task show."""
    label = comparison.scheme
    if comparison.lost == 0 and comparison.won == 0:
        yield Problem(CommandCode.NO_SCORE_CHANGED, {"label": label, "task": task.name})
    contradiction = _contradicting_metric(task, label)
    if contradiction is not None:
        yield contradiction


def _contradicting_metric(task: Task, label: str) -> Problem | None:
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
            return Problem(
                CommandCode.OTHER_METRIC_MOVES_AWAY,
                {
                    "label": label,
                    "metric": before_other.metric.name,
                    "task": task.name,
                    "baseline": before_other.value,
                    "quantized": after_other.value,
                },
            )
    return None


def unpooled_notes(tasks: Sequence[Task], policy: ComparePolicy) -> Iterator[Problem]:
    """Why no gate judges all tasks together, where nobody asked for it by --pooled."""
    judged = [task for task in tasks if policy.judges(task.metric)]
    names = unpoolable_names(judged)
    if names and len(judged) > 1 and policy.minimum is not None and not policy.pooled:
        yield Problem(CommandCode.NOT_AVERAGED, {"tasks": tuple(names)})


def perplexity_note(task: Task) -> Problem:
    """Why a perplexity has no verdict."""
    facts = {"task": task.name, "metric": task.metric.name.removesuffix(",none")}
    return Problem(CommandCode.PERPLEXITY_LISTED, facts)


def side_notes(
    baseline: Evaluation, candidate: Evaluation, missing: Sequence[str], policy: ComparePolicy
) -> Iterator[Note]:
    """What is noted of both sides once: their own notes, one model twice, tasks of one alone."""
    for side in (baseline, candidate):
        yield from side.notes
        for name in policy.tasks or side.tasks:
            if name in side.results:
                yield from side.results[name].notes
    yield from same_model(baseline, candidate, declared=policy.allow_rerun)
    if policy.tasks:
        return
    more = [name for name in candidate.tasks if name not in baseline.results]
    for label, names in ((baseline.label, missing), (candidate.label, more)):
        if names:
            facts: dict[str, Fact] = {"label": label, "tasks": tuple(names)}
            yield Problem(CommandCode.ONLY_ONE_SIDE_HAS, facts)


def notes_on_candidates(
    candidates: Sequence[Evaluation], widths: Sequence[float], policy: ComparePolicy
) -> Iterator[Problem]:
    """What is noted of all candidates; ``widths`` are those of intervals had they been paired."""
    if widths:
        facts = {"narrowest": min(widths), "widest": max(widths)}
        yield Problem(CommandCode.INTERVALS_OF_TOTALS, facts)
    yield from identical_candidates(candidates)
    gated = policy.minimum is not None
    if len(candidates) > 1 and gated and policy.mode is GateMode.CERTIFY:
        yield Problem(
            CommandCode.SEVERAL_CERTIFIED,
            {"candidates": len(candidates), "percent": policy.confidence * 100},
        )
