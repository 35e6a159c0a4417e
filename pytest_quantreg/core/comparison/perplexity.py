"""Compares perplexities: per token as gates do, or as lm-eval reports them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from .. import stats
from ..facts import Note
from ..records.run import Accuracy, Metric
from .accuracy import SURE, TOKEN_PERPLEXITY, Comparison, Floats
from .alignment import bits, check_same_items, perplexity_form, ratio_of, value_of
from .item_clusters import copy_notes, units_of


def compare_tokens(
    baseline: Accuracy,
    candidate: Accuracy,
    metric: Metric,
    *,
    scheme: str,
    confidence: float,
    notes: tuple[Note, ...] = (),
) -> Comparison | None:
    """Perplexity per token, whatever the unit of ``metric`` (word, byte, bits).

    ``metric`` is any perplexity of the task: all of them are made of the same
    log-likelihoods. None where the tokens were not counted, or not alike.

    Raises:
        ValueError: the items differ.
    """
    check_same_items(baseline, candidate)
    tokens = [accuracy.items.facts.get("tokens") for accuracy in (baseline, candidate)]
    if tokens[0] is None or tokens[0] != tokens[1]:
        return None
    return _per_unit(
        baseline,
        candidate,
        metric,
        TOKEN_PERPLEXITY.name,
        np.asarray(tokens[0], dtype=np.float64),
        scheme=scheme,
        confidence=confidence,
        notes=(*notes, *copy_notes(baseline.protocol.task, baseline.items, candidate.items)),
    )


def compare_perplexity(
    baseline: Accuracy,
    candidate: Accuracy,
    metric: Metric,
    *,
    scheme: str,
    confidence: float,
    notes: tuple[Note, ...] = (),
) -> Comparison:
    """A metric without a mean score: a perplexity, else its values without an interval.

    Retention is the inverted ratio of the figures that lm-eval reports, and NaN for a metric
    of unknown direction.
    """
    judgeable = metric.kind == "perplexity" and metric.higher_is_better is not None
    form = perplexity_form(baseline, metric) if judgeable else None
    if form is math.exp:
        weights = np.asarray(baseline.items.weights[metric.name], dtype=np.float64)
        return _per_unit(
            baseline,
            candidate,
            metric,
            metric.name,
            weights,
            scheme=scheme,
            confidence=confidence,
            notes=notes,
        )
    values = value_of(baseline, metric), value_of(candidate, metric)
    comparison = Comparison(
        scheme=scheme,
        task=baseline.protocol.task,
        metric=metric.name,
        n=len(baseline.items),
        total_items=baseline.protocol.total_items,
        confidence=confidence,
        baseline=values[0],
        quantized=values[1],
        retention=ratio_of(*values, higher_is_better=metric.higher_is_better),
        notes=notes,
    )
    return _with_bits(comparison, baseline, candidate, metric) if form is bits else comparison


def _with_bits(
    comparison: Comparison, baseline: Accuracy, candidate: Accuracy, metric: Metric
) -> Comparison:
    """With the bounds of a ratio of bits per byte, over the same bytes."""
    now, before = (
        -np.asarray(accuracy.items.scores[metric.name], np.float64)
        for accuracy in (candidate, baseline)
    )
    if min(now.min(), before.min()) < 0.0:
        return comparison
    stratum = stats.Stratum(now, before, clusters=units_of(baseline.items, candidate.items))
    low, high = stats.pooled_retention([stratum], confidence=comparison.confidence, sides=1)
    surely = stats.pooled_retention([stratum], confidence=SURE, sides=1).low
    support = stats.support([stratum])
    return replace(comparison, low=low, high=high, surely=surely, support=support)


def _per_unit(
    baseline: Accuracy,
    candidate: Accuracy,
    metric: Metric,
    called: str,
    units: Floats,
    *,
    scheme: str,
    confidence: float,
    notes: tuple[Note, ...],
) -> Comparison:
    """The ratio of exp(nats per unit), documents being what varies."""
    before, after = (
        np.asarray(accuracy.items.scores[metric.name], dtype=np.float64)
        for accuracy in (baseline, candidate)
    )
    clusters = units_of(baseline.items, candidate.items)

    def ratio(level: float) -> stats.Interval:
        return stats.perplexity_ratio_interval(
            before, after, units, confidence=level, sides=1, clusters=clusters
        )

    rises = ratio(confidence)
    return Comparison(
        scheme=scheme,
        task=baseline.protocol.task,
        metric=called,
        n=len(before),
        total_items=baseline.protocol.total_items,
        confidence=confidence,
        baseline=_perplexity(before, units),
        quantized=_perplexity(after, units),
        retention=1.0 / stats.perplexity_ratio(before, after, units),
        low=_inverse(rises.high),
        high=_inverse(rises.low),
        notes=notes,
        surely=_inverse(ratio(SURE).high),
        support=stats.Support(len(set(clusters)) if clusters else len(before), math.inf),
    )


def _perplexity(loglikelihoods: Floats, units: Floats) -> float:
    try:
        return math.exp(-float(np.sum(loglikelihoods)) / float(np.sum(units)))
    except (OverflowError, ZeroDivisionError):
        return math.inf


def _inverse(value: float) -> float:
    return math.inf if value == 0.0 else 1.0 / value
