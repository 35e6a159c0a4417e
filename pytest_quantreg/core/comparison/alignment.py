"""Two measurements of one task made to fit each other: the same items, metrics and kinds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..codes import GateCode
from ..errors import Refusal
from ..records.columns import picked
from ..records.run import Accuracy, Columns, Items, Metric


def items_at(items: Items, rows: Sequence[int]) -> Items:
    """The items in these rows alone, in their order."""

    def of(columns: Columns) -> Columns:
        return {name: picked(column, rows) for name, column in columns.items()}

    return Items(
        picked(items.doc_ids, rows),
        picked(items.digests, rows),
        of(items.scores),
        of(items.weights),
        of(items.facts),
        tuple(of(rerun) for rerun in items.reruns),
    )


def refuse_partial(baseline: Accuracy, candidate: Accuracy) -> None:
    """Refuses metrics with scores in one of the two alone. Raises Refusal (not comparable).

    A task's own scoring may leave a metric out for some answers, such as empty ones.
    """
    for metric in baseline.protocol.metrics:
        scored = [metric.name in accuracy.items.scores for accuracy in (baseline, candidate)]
        if scored[0] != scored[1]:
            task = baseline.protocol.task
            if scored[0]:
                raise Refusal(GateCode.UNSCORED_BY_CANDIDATE, metric=metric.name, task=task)
            raise Refusal(GateCode.UNSCORED_BY_BASELINE, metric=metric.name, task=task)


def same_kinds(baseline: Accuracy, candidate: Accuracy) -> tuple[Accuracy, Accuracy]:
    """Both with a metric called 0/1 only where it is so in both.

    Whether scores such as shares are all 0 or 1 depends on the answers and on how many
    items there are; that is no difference between two ways of measuring.
    """
    kinds = [
        {metric.name: metric.kind for metric in accuracy.protocol.metrics}
        for accuracy in (baseline, candidate)
    ]
    either = {"binary", "mean"}
    loose = {name for name in kinds[0] if {kind.get(name) for kind in kinds} == either}
    return _loosened(baseline, loose), _loosened(candidate, loose)


def _loosened(accuracy: Accuracy, names: set[str]) -> Accuracy:
    metrics = tuple(
        replace(metric, kind="mean") if metric.name in names else metric
        for metric in accuracy.protocol.metrics
    )
    return replace(accuracy, protocol=replace(accuracy.protocol, metrics=metrics))


def first_items(accuracy: Accuracy, n: int) -> Accuracy:
    """The first ``n`` items of a measurement, with the metrics' values on those.

    A value that scores of items cannot give (BLEU, F1) is NaN when items are left out.
    """
    return accuracy if n >= len(accuracy.items) else on_items(accuracy, accuracy.items.first(n))


def on_items(accuracy: Accuracy, items: Items) -> Accuracy:
    """A measurement on some of its items, with the metrics' values on those (`first_items`)."""
    few = replace(accuracy, items=items)
    values = {
        metric.name: value_of_few(few, metric, accuracy)
        for metric in accuracy.protocol.metrics
        if metric.name in accuracy.values
    }
    return replace(few, values=values)


def value_of_few(few: Accuracy, metric: Metric, whole: Accuracy) -> float:
    """The metric's value on ``few`` items of a ``whole`` measurement; NaN where unknown."""
    if metric.kind in ("binary", "mean"):
        return value_of(few, metric)
    if metric.kind != "perplexity":
        return math.nan
    form = perplexity_form(whole, metric)
    return form(_loss(few, metric)) if form is not None else math.nan


def perplexity_form(accuracy: Accuracy, metric: Metric) -> Callable[[float], float] | None:
    """Makes lm-eval's figure of nats per unit: ``math.exp`` or `bits`; None if neither does.

    Which of its perplexities it is, the figure itself tells.
    """
    reported = accuracy.values[metric.name]
    if not math.isfinite(reported):
        return None
    fits = [form for form in _PERPLEXITIES if math.isclose(form(_loss(accuracy, metric)), reported)]
    return fits[0] if fits else None


def value_of(accuracy: Accuracy, metric: Metric) -> float:
    """The metric's value on the items: their mean, or what lm-eval made of them."""
    if metric.kind in ("binary", "mean"):
        scores = accuracy.items.scores[metric.name]
        return math.fsum(scores) / len(scores)
    return accuracy.values[metric.name]


def _loss(accuracy: Accuracy, metric: Metric) -> float:
    """Negative log-likelihood per unit of weight (word, byte), in nats."""
    weights = accuracy.items.weights[metric.name]
    return -math.fsum(accuracy.items.scores[metric.name]) / math.fsum(weights)


def bits(nats: float) -> float:
    """``nats`` in bits."""
    return nats / math.log(2)


_PERPLEXITIES: tuple[Callable[[float], float], ...] = (math.exp, bits)


def check_same_items(baseline: Accuracy, candidate: Accuracy) -> None:
    """Raises ValueError unless both hold the same items in the same order."""
    if baseline.items.digests != candidate.items.digests:
        raise ValueError("the two measurements do not hold the same items in the same order")


def ratio_of(baseline: float, quantized: float, *, higher_is_better: bool | None) -> float:
    """Retention: 1 for 0/0, inf where there was nothing to keep, NaN without a direction."""
    if higher_is_better is None:
        return math.nan
    above, below = (quantized, baseline) if higher_is_better else (baseline, quantized)
    if below == 0:
        return 1.0 if above == 0 else math.inf
    return above / below
