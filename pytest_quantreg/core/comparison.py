"""Two measurements of the same items, paired: what was lost, won and kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from . import stats
from .errors import Category, Refusal
from .record import Accuracy, Metric


@dataclass(frozen=True)
class Comparison:
    """One metric of one task on the same ``n`` items of baseline and quantized model.

    ``baseline`` and ``quantized`` are the metric's values on those items (NaN where
    `first_items` leaves it unknown);
    ``retention`` their ratio, read so that 1 is kept and less is worse (inverted for
    metrics where lower is better). ``low`` and ``high`` are the two one-sided bounds at
    ``confidence``, None when the metric is not 0/1. ``lost_items`` and ``won_items``
    are the ``doc_id`` of items that only the baseline, or only the quantized model, got
    right, in ascending order.
    """

    scheme: str
    task: str
    metric: str
    n: int
    total_items: int
    confidence: float
    baseline: float
    quantized: float
    retention: float
    low: float | None
    high: float | None
    counts: stats.PairedCounts | None
    lost_items: tuple[int, ...] = field(repr=False)
    won_items: tuple[int, ...] = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def flips(self) -> float | None:
        """Share of the items that changed between right and wrong, either way."""
        return self.counts.flips if self.counts is not None else None


def compare(
    baseline: Accuracy,
    candidate: Accuracy,
    metric: Metric,
    *,
    scheme: str,
    confidence: float,
    notes: tuple[str, ...] = (),
) -> Comparison:
    """Pairs two measurements of the same items in the same order.

    Raises:
        ValueError: the items differ; comparability is checked before (`comparable`).
    """
    if baseline.items.digests != candidate.items.digests:
        raise ValueError("the two measurements do not hold the same items in the same order")
    counts, low, high = None, None, None
    lost: tuple[int, ...] = ()
    won: tuple[int, ...] = ()
    values = _value(baseline, metric), _value(candidate, metric)
    # With lower-is-better a 1 is a wrong answer, and the paired counts would be upside down.
    if metric.kind == "binary" and metric.higher_is_better:
        before, after = baseline.items.scores[metric.name], candidate.items.scores[metric.name]
        counts = stats.PairedCounts.of(before, after)
        interval = stats.retention_interval(
            counts.both,
            counts.quantized_only,
            counts.baseline_only,
            counts.neither,
            confidence=confidence,
            sides=1,
        )
        low, high = interval
        rows = list(zip(baseline.items.doc_ids, before, after, strict=True))
        lost = tuple(sorted(doc for doc, was, now in rows if was > now))
        won = tuple(sorted(doc for doc, was, now in rows if was < now))
    return Comparison(
        scheme=scheme,
        task=baseline.protocol.task,
        metric=metric.name,
        n=len(baseline.items),
        total_items=baseline.protocol.total_items,
        confidence=confidence,
        baseline=values[0],
        quantized=values[1],
        retention=_ratio(*values, higher_is_better=metric.higher_is_better),
        low=low,
        high=high,
        counts=counts,
        lost_items=lost,
        won_items=won,
        notes=notes,
    )


def refuse_partial(baseline: Accuracy, candidate: Accuracy) -> None:
    """Refuses metrics with scores in one of the two alone. Raises Refusal (not comparable).

    A task's own scoring may leave a metric out for some answers, such as empty ones.
    """
    for metric in baseline.protocol.metrics:
        has = [metric.name in one.items.scores for one in (baseline, candidate)]
        if has[0] != has[1]:
            whose = "the quantized model's" if has[0] else "the baseline's"
            raise Refusal(
                Category.NOT_COMPARABLE,
                f"{metric.name} of {baseline.protocol.task} is missing for some of {whose} answers",
                help="the task's scoring returns no such metric for them; let it return 0 instead",
            )


def same_kinds(baseline: Accuracy, candidate: Accuracy) -> tuple[Accuracy, Accuracy]:
    """Both with a metric called 0/1 only where it is so in both.

    Whether scores such as shares are all 0 or 1 depends on the answers and on how many
    items there are; that is no difference between two ways of measuring.
    """
    kinds = [{one.name: one.kind for one in of.protocol.metrics} for of in (baseline, candidate)]
    either = {"binary", "mean"}
    loose = {name for name in kinds[0] if {kind.get(name) for kind in kinds} == either}
    return _loosened(baseline, loose), _loosened(candidate, loose)


def _loosened(accuracy: Accuracy, names: set[str]) -> Accuracy:
    metrics = tuple(
        replace(one, kind="mean") if one.name in names else one for one in accuracy.protocol.metrics
    )
    return replace(accuracy, protocol=replace(accuracy.protocol, metrics=metrics))


def first_items(accuracy: Accuracy, n: int) -> Accuracy:
    """The first ``n`` items of a measurement, with the metrics' values on those.

    A value that scores of items cannot give (BLEU, F1) is NaN when items are left out.
    """
    if n >= len(accuracy.items):
        return accuracy
    few = replace(accuracy, items=accuracy.items.first(n))
    values = {
        metric.name: _value_of_few(few, metric, accuracy)
        for metric in accuracy.protocol.metrics
        if metric.name in accuracy.values
    }
    return replace(few, values=values)


def _value_of_few(few: Accuracy, metric: Metric, whole: Accuracy) -> float:
    if metric.kind in ("binary", "mean"):
        return _value(few, metric)
    if metric.kind != "perplexity":
        return math.nan
    # Which of lm-eval's perplexities it is, the value of the whole tells.
    known = whole.values[metric.name]
    fits = [form for form in _PERPLEXITIES if math.isclose(form(_loss(whole, metric)), known)]
    return fits[0](_loss(few, metric)) if fits else math.nan


def _value(accuracy: Accuracy, metric: Metric) -> float:
    if metric.kind in ("binary", "mean"):
        scores = accuracy.items.scores[metric.name]
        return math.fsum(scores) / len(scores)
    return accuracy.values[metric.name]


def _loss(accuracy: Accuracy, metric: Metric) -> float:
    """Negative log-likelihood per unit of weight (word, byte), in nats."""
    weights = accuracy.items.weights[metric.name]
    return -math.fsum(accuracy.items.scores[metric.name]) / math.fsum(weights)


def _bits(nats: float) -> float:
    return nats / math.log(2)


_PERPLEXITIES: tuple[Callable[[float], float], ...] = (math.exp, _bits)


def _ratio(baseline: float, quantized: float, *, higher_is_better: bool) -> float:
    above, below = (quantized, baseline) if higher_is_better else (baseline, quantized)
    if below == 0:
        return 1.0 if above == 0 else math.inf
    return above / below
