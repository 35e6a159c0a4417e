"""Marks that look like ours and are registered nowhere: each is a gate that guards nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import pytest

from ..core.codes import OptionCode
from ..core.facts import Problem
from .option_table import OUR_MARKERS

NOT_BUILT: Mapping[str, str] = MappingProxyType(
    {
        "max_flips": "min_retention",
        "max_divergence": "max_perplexity_ratio",
        "min_agreement": "min_retention",
        "max_length_ratio": "min_retention",
        "min_exact_match": "min_retention",
    }
)
"""Marker that is announced and does nothing yet -> the nearest that does."""

MOST_EDITS = 2


def misspelt(config: pytest.Config, names: Iterable[str]) -> dict[str, Problem]:
    """Name -> what is wrong with it, of those ``names`` of marks that cannot be meant so."""
    unknown = set(names) - OUR_MARKERS
    if unknown:
        unknown -= _registered(config)
    found = {name: _problem(name) for name in sorted(unknown)}
    return {name: problem for name, problem in found.items() if problem is not None}


def _problem(name: str) -> Problem | None:
    if name in NOT_BUILT:
        return Problem(OptionCode.MARKER_NOT_BUILT, {"name": name, "instead": NOT_BUILT[name]})
    distances = {ours: edits(name.casefold(), ours) for ours in sorted(OUR_MARKERS)}
    near = min(distances, key=lambda ours: distances[ours])
    if distances[near] > MOST_EDITS:
        return None
    return Problem(OptionCode.MISSPELT_MARKER, {"name": name, "nearest": near})


def _registered(config: pytest.Config) -> set[str]:
    """The names that pytest, plugins and the project's ini file have registered."""
    lines: list[str] = config.getini("markers")
    return {line.partition(":")[0].partition("(")[0].strip() for line in lines}


def edits(left: str, right: str) -> int:
    """Letters to add, drop, replace or swap with their neighbour to make one of the other."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, letter in enumerate(left, 1):
        before, last, row = row, before, [i]
        for j, other in enumerate(right, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and (letter, left[i - 2]) == (right[j - 2], other):
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
