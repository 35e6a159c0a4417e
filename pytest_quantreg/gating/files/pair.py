"""Two results of one task as one comparison: item by item where items are there, else by totals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...core.codes import CommandCode
from ...core.comparison.accuracy import Comparison, Pair
from ...core.comparison.alignment import on_items, refuse_partial, same_kinds
from ...core.comparison.comparability import Difference, Level, aligned
from ...core.comparison.pairs import compare_items, pool
from ...core.comparison.partial_comparability import differences
from ...core.comparison.suspicion import answers, judged_as_rerun
from ...core.comparison.unpaired import compare_totals
from ...core.errors import Refusal, WrongUse
from ...core.facts import Note, Problem, noted
from ...core.records.evaluation import Aggregate, Evaluation, Result
from ...core.records.metric_directions import compared_instead
from ...core.records.run import Accuracy, Items, Metric
from ...core.schemes.names import resolve
from .sanity_checks import (
    PairSuspicion,
    find_pair_suspicion,
    identical_answers,
    is_rerun,
)

_CLOSE = 1e-6


@dataclass(frozen=True)
class Task:
    """One task or group of two evaluations, found comparable.

    ``parts`` are the pairs of results whose items are compared, itself alone for a task;
    empty where items are not at hand on both sides.
    """

    name: str
    baseline: Result
    candidate: Result
    metric: Metric
    parts: tuple[tuple[Accuracy, Accuracy], ...]
    weights: tuple[float, ...]
    notes: tuple[Note, ...]
    pair_suspicion: PairSuspicion | None = None
    below: tuple[tuple[Result, Result], ...] = ()
    """The results of a group's tasks; what makes one of them suspect makes the group so."""

    @property
    def paired(self) -> bool:
        """Whether every item's scores are at hand."""
        return bool(self.parts)

    @property
    def leaves(self) -> tuple[str, ...]:
        """The names of its tasks: of a group those below it, else its own."""
        return tuple(part.task for part, _ in self.below) or (self.name,)

    @property
    def totals(self) -> tuple[Aggregate, Aggregate]:
        """The totals of the metric, the baseline's first."""
        totals = [side.find(self.metric.name) for side in (self.baseline, self.candidate)]
        if totals[0] is None or totals[1] is None:
            raise _lacks_metric(self.candidate, self.metric.name)
        return totals[0], totals[1]

    @property
    def suspicion(self) -> PairSuspicion | None:
        """What makes the figures of either side, or both as a pair, suspect; None if nothing."""
        for pair in ((self.baseline, self.candidate), *self.below):
            for side, result in zip(("baseline", "candidate"), pair, strict=True):
                cause = result.suspicion(self.metric.name)
                if cause is not None:
                    return PairSuspicion(
                        Problem(
                            CommandCode.SIDE_SUSPECT,
                            {"side": side, "task": result.task, "cause": cause},
                        )
                    )
        return self.pair_suspicion

    def compare_results(self, *, label: str, scheme: str | None, confidence: float) -> Comparison:
        """The comparison, paired where it can be."""
        if not self.parts:
            return compare_totals(
                *self.totals,
                task=self.name,
                total=self.candidate.total,
                label=label,
                confidence=confidence,
                chance=self.baseline.chance,
                notes=self.notes,
            )
        if len(self.parts) == 1:
            before, after = self.parts[0]
            comparison = compare_items(
                before, after, self.metric, scheme=label, confidence=confidence, notes=self.notes
            )
        else:
            comparison = pool(
                self.pairs(),
                task=self.name,
                metric=self.metric.name,
                scheme=label,
                confidence=confidence,
                notes=self.notes,
            )
        return claiming(scheme, replace(comparison, task=self.name))

    def pairs(self) -> list[Pair]:
        """What a pool takes of it, the weights summing to 1."""
        return [
            Pair(before, after, self.metric, weight)
            for (before, after), weight in zip(self.parts, self.weights, strict=True)
        ]


def pair_task(
    name: str,
    baseline: Evaluation,
    candidate: Evaluation,
    metric: str | None,
    *,
    declared: bool = False,
    same: PairSuspicion | None = None,
) -> Task:
    """One task of both evaluations.

    ``declared``: the candidate is a rerun on purpose. ``same``: why both are the same weights.

    Raises Refusal where the two cannot be compared, or lack the metric.
    """
    before, after = baseline.results[name], candidate.results[name]
    remarks = _noted_differences(before, after)
    below = _paired_parts(name, baseline, candidate)
    remarks += [difference for pair in below for difference in _noted_differences(*pair)]
    chosen = _chosen_aggregate(name, before, after, metric)
    one_model, rerun = baseline.model == candidate.model, is_rerun(baseline, candidate)
    pairs = [(before, after), *below]
    suspicions = [
        find_pair_suspicion(*pair, one_model=one_model, rerun=rerun or declared) for pair in pairs
    ]
    parts = _pair_items(below or pairs, chosen.metric)
    weights = _weights(parts, chosen)
    if len(parts) > 1 and not weights:
        parts = ()
    notes: list[Note] = [noted(name, difference.problem) for difference in dict.fromkeys(remarks)]
    first = before.aggregates[0].metric
    if metric is None and chosen.metric != first:
        notes.append(compared_instead(name, first, chosen.metric))
    for accuracies in parts:
        notes += answers(*accuracies)
    if declared and not rerun:
        identical = filter(None, (identical_answers(*pair) for pair in pairs))
        notes += map(judged_as_rerun, identical)
    suspect = next(filter(None, suspicions), same)
    shown = _shown_metric(parts, chosen.metric)
    return Task(name, before, after, shown, parts, weights, tuple(notes), suspect, below)


def _paired_parts(
    name: str, baseline: Evaluation, candidate: Evaluation
) -> tuple[tuple[Result, Result], ...]:
    """The results of a group's tasks on both sides; empty for a task.

    Raises Refusal where the group has other tasks on each side, or lacks some.
    """
    for side_name, side in (("baseline", baseline), ("candidate", candidate)):
        _refuse_parts_missing(side_name, side, name)
    names = _leaf_tasks(baseline.results[name], baseline)
    if set(names) != set(_leaf_tasks(candidate.results[name], candidate)):
        raise Refusal(CommandCode.OTHER_PARTS, task=name)
    return tuple((baseline.results[part], candidate.results[part]) for part in names)


def _chosen_aggregate(name: str, before: Result, after: Result, metric: str | None) -> Aggregate:
    """The baseline's total by the metric, which both sides have and direct alike."""
    chosen = before.find(metric)
    if chosen is None:
        raise _lacks_metric(before, metric or "")
    counterpart = after.find(chosen.metric.name)
    if counterpart is None:
        raise Refusal(
            CommandCode.CANDIDATE_LACKS_METRIC,
            task=after.task,
            metric=chosen.metric.name,
            metrics=_metric_names(after),
        )
    _refuse_turned(chosen, counterpart, name)
    return chosen


def _shown_metric(parts: Sequence[tuple[Accuracy, Accuracy]], metric: Metric) -> Metric:
    """The metric as the items have it, in the direction that its results file gives."""
    if len(parts) == 1:
        metrics = parts[0][0].protocol.metrics
        item_metric = next(candidate for candidate in metrics if candidate.name == metric.name)
        # Items of an import may have been stored by a version that guessed the direction.
        return replace(item_metric, higher_is_better=metric.higher_is_better)
    return replace(metric, kind="mean") if parts else metric


def _refuse_parts_missing(side_name: str, side: Evaluation, name: str) -> None:
    """Refuses a group of which only some tasks are at hand: the others may be the lossy ones."""
    known_names = {*side.results, *side.unmeasured}
    missing = [part for part in side.results[name].parts if part not in known_names]
    if missing:
        raise Refusal(
            CommandCode.PARTS_MISSING,
            side=side_name,
            task=name,
            parts=len(side.results[name].parts),
            missing=tuple(missing[:3]),
        )


def claiming(scheme: str | None, comparison: Comparison) -> Comparison:
    """The comparison of a candidate that claims a scheme.

    Without one nobody knows how many answers usually flip, so that planning goes by the width
    of the interval itself.
    """
    return replace(comparison, claims=scheme) if scheme else replace(comparison, own_width=True)


def claimed_scheme(evaluation: Evaluation) -> str | None:
    """The scheme it claims; None where nobody said, and for a name of a project's own."""
    try:
        return resolve(evaluation.scheme).name if evaluation.scheme else None
    except WrongUse:  # an import without --scheme stores "unknown"
        return None


def _leaf_tasks(group: Result, evaluation: Evaluation) -> list[str]:
    """The tasks of a group, at any depth; groups below it hold no items of their own."""
    results = evaluation.results
    return [part for part in group.parts if part in results and not results[part].parts]


def _noted_differences(baseline: Result, candidate: Result) -> list[Difference]:
    """The differences of one task that a note names; refuses the others."""
    task_differences = differences(baseline, candidate)
    refused = [difference for difference in task_differences if difference.level is Level.REFUSE]
    if refused:
        raise Refusal(
            CommandCode.NOT_ASKED_ALIKE,
            task=baseline.task,
            first=_field_differs(refused[0]),
            others=tuple(map(_field_differs, refused[1:6])),
            ways_out=tuple(dict.fromkeys(difference.way_out for difference in refused)),
        )
    return task_differences


def _field_differs(difference: Difference) -> Problem:
    return Problem(
        CommandCode.FIELD_DIFFERS,
        {
            "field": difference.field,
            "baseline": difference.baseline,
            "candidate": difference.candidate,
            "why": difference.why,
        },
    )


def _pair_items(
    results: Sequence[tuple[Result, Result]], metric: Metric
) -> tuple[tuple[Accuracy, Accuracy], ...]:
    """The items of every result, those of the baseline in the candidate's order; else nothing."""
    pairs = []
    for reference, result in results:
        before, after = reference.accuracy, result.accuracy
        if before is None or after is None:
            return ()
        refuse_partial(before, after)
        _refuse_cut(before, result, after)
        _refuse_picked(before, after)
        before, after = same_kinds(before, after)
        scored = [metric.name in side.items.scores for side in (before, after)]
        if not all(scored):
            return ()
        pairs.append((_select_items(before, after.items), after))
    return tuple(pairs)


def _refuse_cut(baseline: Accuracy, result: Result, candidate: Accuracy) -> None:
    """Refuses fewer items where nothing says that a limit was set. Raises Refusal."""
    n, expected = len(candidate.items), len(baseline.items)
    if n < expected and result.total is None:
        raise Refusal(CommandCode.LOG_CUT_OFF, task=result.task, items=n, expected=expected)


def _refuse_picked(baseline: Accuracy, candidate: Accuracy) -> None:
    """Refuses some of the baseline's items that are not its first ones. Raises Refusal.

    A limit takes the first. Others were left out by somebody, or by what went wrong on them.
    """
    n = len(candidate.items)
    if n >= len(baseline.items):
        return
    candidate_ids = set(candidate.items.doc_ids)
    gap = next((doc for doc in baseline.items.doc_ids[:n] if doc not in candidate_ids), None)
    if gap is not None:
        raise Refusal(
            CommandCode.NOT_THE_FIRST_ITEMS,
            task=baseline.protocol.task,
            items=n,
            expected=len(baseline.items),
            doc=gap,
        )


def _refuse_turned(baseline: Aggregate, candidate: Aggregate, task: str) -> None:
    if baseline.metric.higher_is_better != candidate.metric.higher_is_better:
        raise Refusal(
            CommandCode.OTHER_DIRECTION,
            metric=baseline.metric.name,
            task=task,
            baseline=_direction(baseline.metric),
            candidate=_direction(candidate.metric),
        )


def _direction(metric: Metric) -> Problem:
    if metric.higher_is_better is None:
        return Problem(CommandCode.OF_UNKNOWN_DIRECTION, {})
    if metric.higher_is_better:
        return Problem(CommandCode.BETTER_WHEN_HIGHER, {})
    return Problem(CommandCode.BETTER_WHEN_LOWER, {})


def _select_items(baseline: Accuracy, items: Items) -> Accuracy:
    """The baseline on the candidate's items alone, in its order, with its values on those."""
    baseline_items = baseline.items
    if baseline_items.doc_ids == items.doc_ids:
        return baseline
    picked = aligned(baseline_items, items)
    if len(picked) == len(baseline_items):
        return replace(baseline, items=picked)
    return on_items(baseline, picked)


def _weights(parts: Sequence[tuple[Accuracy, Accuracy]], group: Aggregate) -> tuple[float, ...]:
    """By items or alike: whichever gives the group's own value; empty if neither does."""
    if len(parts) < 2:
        return (1.0,) * len(parts)
    name = group.metric.name
    means = [math.fsum(baseline.items.scores[name]) / len(baseline.items) for baseline, _ in parts]
    sizes = [len(baseline.items) for baseline, _ in parts]
    for weights in (sizes, [1] * len(sizes)):
        total_weight = sum(weights)
        value = math.fsum(w * mean for w, mean in zip(weights, means, strict=True)) / total_weight
        if abs(value - group.value) < _CLOSE:
            return tuple(weight / total_weight for weight in weights)
    return ()


def _lacks_metric(result: Result, name: str) -> Refusal:
    return Refusal(
        CommandCode.METRIC_ABSENT,
        task=result.task,
        metric=name,
        metrics=_metric_names(result),
    )


def _metric_names(result: Result) -> tuple[str, ...]:
    return tuple(aggregate.metric.name for aggregate in result.aggregates)
