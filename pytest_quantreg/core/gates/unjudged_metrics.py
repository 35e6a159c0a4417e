"""Metrics that no gate judges, and which of them are surely lost all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ..comparison.accuracy import Comparison
from ..errors import Refusal
from ..records.run import Metric
from .verdict import too_sparse

Compared: TypeAlias = Callable[[float], Comparison]
"""A metric that no gate judges: its comparison at a one-sided confidence."""


def is_score(metric: Metric) -> bool:
    """Whether a metric has a score per item, of which it is known which way is better."""
    return metric.kind in ("binary", "mean") and isinstance(metric.higher_is_better, bool)


def surely_lost(
    others: Sequence[Compared], minimum: float, *, confidence: float
) -> list[Comparison]:
    """Those whose upper bound is below ``minimum`` at a confidence that all of them share.

    So many looks at once find a loss where there is none no more often than one gate does
    (Bonferroni). What cannot be compared is passed over.
    """
    if not others:
        return []
    each = 1.0 - (1.0 - confidence) / len(others)
    found = []
    for compared in others:
        try:
            made = compared(each)
        except Refusal:
            continue
        if made.high is not None and made.high < minimum and _is_enough(made):
            found.append(made)
    return found


def _is_enough(made: Comparison) -> bool:
    return made.exact or made.support is None or too_sparse(made.support) is None
