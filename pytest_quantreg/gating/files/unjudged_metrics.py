"""The metrics of two evaluations that no gate judges, for the verdicts beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ...core.codes import CommandCode
from ...core.comparison.accuracy import Comparison
from ...core.errors import Refusal
from ...core.gates.outcome import AccuracyOutcome, JudgedAccuracy
from ...core.gates.unjudged_metrics import ComparisonAt, is_score
from ...core.records.evaluation import Evaluation
from ..gate_verdicts import with_unjudged_losses
from .pair import Task, claimed_scheme, pair_task
from .policy import ComparePolicy


def with_other_metrics(
    outcome: AccuracyOutcome,
    tasks: Sequence[Task],
    baseline: Evaluation,
    candidate: Evaluation,
    policy: ComparePolicy,
) -> list[AccuracyOutcome]:
    """The outcome of some tasks, a verdict with what is lost of their other metrics."""
    if not isinstance(outcome, JudgedAccuracy):
        return [outcome]
    others = [other for task in tasks for other in _other_metrics(task, baseline, candidate)]
    return [*with_unjudged_losses(outcome, others, outcome.verdict.gate.minimum, policy.plan)]


def _other_metrics(
    task: Task, baseline: Evaluation, candidate: Evaluation
) -> Iterator[ComparisonAt]:
    """The other scores of a task, and of each task of a group."""
    for name in (task.name, *task.baseline.parts):
        ours, theirs = baseline.results.get(name), candidate.results.get(name)
        if ours is None or theirs is None:
            continue
        for aggregate in ours.aggregates:
            metric = aggregate.metric.name
            if metric == task.metric.name or not theirs.find(metric):
                continue
            if is_score(aggregate.metric) and ours.is_mean(metric):
                yield _deferred_comparison(name, metric, task, baseline, candidate)


def _deferred_comparison(
    name: str, metric: str, task: Task, baseline: Evaluation, candidate: Evaluation
) -> ComparisonAt:
    def compare(confidence: float) -> Comparison:
        sibling = _task_by_metric(name, metric, task, baseline, candidate)
        if not is_score(sibling.metric) or sibling.suspicion is not None:
            raise Refusal(CommandCode.METRIC_NOT_JUDGED, metric=metric, task=name)
        return sibling.compare_results(
            label=candidate.label, scheme=claimed_scheme(candidate), confidence=confidence
        )

    return compare


def _task_by_metric(
    name: str, metric: str, task: Task, baseline: Evaluation, candidate: Evaluation
) -> Task:
    """The task by another metric; pairing the items of a large one twice takes long."""
    if name == task.name and len(task.parts) == 1:
        sides = task.parts[0]
        matches = [
            candidate_metric
            for candidate_metric in sides[0].protocol.metrics
            if candidate_metric.name == metric
        ]
        if matches and all(metric in side.items.scores for side in sides):
            return replace(task, metric=matches[0])
    return pair_task(name, baseline, candidate, metric)
