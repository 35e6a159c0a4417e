"""Compares two results by their totals alone, where no item's scores are at hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from .. import stats
from ..facts import Note
from ..records.evaluation import Aggregate
from ..strict_json import LARGEST
from .accuracy import SURE, Comparison, Slice
from .alignment import ratio_of
from .pairs import pooled_metric

USUAL_FLIPS = 0.05
MOST_FLIPS = 0.3
"""What a sound quantized model changes, to show what pairing would buy: this share of its
answers, and where nearly all are right (or wrong) this share of the rarer kind. Measured on
the published counts of an NVFP4 model on some 70 tasks: .10 to .36 of the rarer kind."""


def compare_totals(
    baseline: Aggregate,
    candidate: Aggregate,
    *,
    task: str,
    total: int | None,
    label: str,
    confidence: float,
    chance: float | None = None,
    notes: tuple[Note, ...] = (),
) -> Comparison:
    """Two totals of one task as a comparison, with the interval of independent answers.

    Without an interval where it takes what the files do not say: the number of items, or a
    standard error where scores are not right and wrong.
    """
    comparison = Comparison(
        scheme=label,
        task=task,
        metric=baseline.metric.name,
        n=candidate.n or 0,
        total_items=max(total or 0, candidate.n or 0),
        confidence=confidence,
        baseline=baseline.value,
        quantized=candidate.value,
        retention=ratio_of(
            baseline.value, candidate.value, higher_is_better=baseline.metric.higher_is_better
        ),
        notes=notes,
        own_width=True,
    )
    data = independent(baseline, candidate)
    if data is None:
        return comparison
    if not (isinstance(data, stats.Shares) and baseline.metric.higher_is_better):
        chance = None  # known of right and wrong answers alone
    piece = Slice(task, comparison.n, comparison.total_items, 1.0, baseline.value, 0.0, chance)
    return _with_bounds(comparison, [data], (piece,))


def pool_totals(
    parts: Sequence[tuple[str, Aggregate, Aggregate]], *, label: str, confidence: float
) -> Comparison | None:
    """Several tasks as one, each with the same weight; None where one of them has no interval.

    ``parts`` are a task's name, its total of the baseline and that of the candidate.
    """
    data = [independent(before, after) for _, before, after in parts]
    poolable = [
        task_data
        for task_data, (_, before, _) in zip(data, parts, strict=True)
        if task_data is not None and before.metric.higher_is_better and max(task_data.means) <= 1.0
    ]
    if len(poolable) < len(parts) or not parts:
        return None
    n = sum(after.n or 0 for _, _, after in parts)
    values = [
        math.fsum(task_data.means[side] for task_data in poolable) / len(parts) for side in (0, 1)
    ]
    comparison = Comparison(
        scheme=label,
        task=f"all {len(parts)} tasks",
        metric=pooled_metric(before.metric.name for _, before, _ in parts),
        n=n,
        total_items=n,
        confidence=confidence,
        baseline=values[0],
        quantized=values[1],
        retention=ratio_of(values[0], values[1], higher_is_better=True),
        own_width=True,
    )
    return _with_bounds(comparison, poolable, ())


def independent(baseline: Aggregate, candidate: Aggregate) -> stats.Shares | stats.Means | None:
    """What the interval is made of; the sides change places where lower is better."""
    if baseline.metric.higher_is_better is None:
        return None
    if not baseline.metric.higher_is_better:
        baseline, candidate = candidate, baseline
    if not baseline.n or not candidate.n:
        return None
    right = baseline.right, candidate.right
    if None not in right:
        return stats.Shares(right[0] or 0, baseline.n, right[1] or 0, candidate.n)
    # Scores that are not all alike have an error: one of 0 was never worked out.
    errors = baseline.stderr or None, candidate.stderr or None
    if None in errors or min(baseline.value, candidate.value) < 0.0:
        return None
    figures = baseline.value, errors[0] or 0.0, candidate.value, errors[1] or 0.0
    return stats.Means(*figures) if max(figures) < LARGEST else None


def paired_width(comparison: Comparison) -> float | None:
    """How wide the interval would be with every item's score: a share of what it is now.

    For a lossless model that changes the usual share of its answers, beside the interval of
    two totals of the same size. None where that is not known.
    """
    n, accuracy = comparison.n, comparison.baseline
    if comparison.low is None or n < 1 or not 0.0 < accuracy <= 1.0:
        return None
    right = round(accuracy * n)
    flipped = round(min(USUAL_FLIPS * n, MOST_FLIPS * min(right, n - right)) / 2.0)
    paired = stats.retention_interval(
        right - flipped,
        flipped,
        flipped,
        n - right - flipped,
        confidence=comparison.confidence,
        sides=1,
    )
    apart = stats.unpaired_retention(
        [stats.Shares(right, n, right, n)], confidence=comparison.confidence, sides=1
    )
    widths = [high - low for low, high in (paired, apart)]
    share = widths[0] / widths[1] if widths[1] > 0 and math.isfinite(widths[1]) else math.inf
    return share if share < 0.95 else None


def _with_bounds(
    comparison: Comparison, data: Sequence[stats.Shares | stats.Means], slices: tuple[Slice, ...]
) -> Comparison:
    low, high = stats.unpaired_retention(data, confidence=comparison.confidence, sides=1)
    surely = stats.unpaired_retention(data, confidence=SURE, sides=1).low
    return replace(comparison, low=low, high=high, surely=surely, slices=slices)
