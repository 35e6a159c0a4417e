"""Metrics that no gate judges, and which of them are surely lost all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ..comparison.accuracy import Comparison
from ..errors import Refusal
from ..records.run import Metric
from .outcome import UnjudgedLosses
from .verdict import too_sparse

ComparisonAt: TypeAlias = Callable[[float], Comparison]
"""A metric that no gate judges: its comparison at a one-sided confidence."""


def is_score(metric: Metric) -> bool:
    """Whether a metric has a score per item, of which it is known which way is better."""
    return metric.kind in ("binary", "mean") and isinstance(metric.higher_is_better, bool)


def surely_lost(
    others: Sequence[ComparisonAt], minimum: float, *, confidence: float
) -> UnjudgedLosses | None:
    """Those, if any, whose upper bound is below ``minimum`` at a confidence that all of them share.

    So many looks at once find a loss where there is none no more often than one gate does
    (Bonferroni). What cannot be compared is passed over.
    """
    if not others:
        return None
    per_look = 1.0 - (1.0 - confidence) / len(others)
    lost = []
    for compared in others:
        try:
            comparison = compared(per_look)
        except Refusal:
            continue
        if comparison.high is not None and comparison.high < minimum and _is_enough(comparison):
            lost.append(comparison)
    return UnjudgedLosses(tuple(lost), minimum, len(others)) if lost else None


def _is_enough(comparison: Comparison) -> bool:
    return comparison.exact or comparison.support is None or too_sparse(comparison.support) is None
