"""Paired right and wrong answers of two models on the same items, counted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class PairedCounts:
    """Items by who had them right; all counts are >= 0.

    ``quantized_only`` are answers won, ``baseline_only`` answers lost.
    """

    both: int
    quantized_only: int
    baseline_only: int
    neither: int

    def __post_init__(self) -> None:
        for name, count in zip(self.__dataclass_fields__, self.cells, strict=True):
            if count < 0:
                raise ValueError(f"{name}={count}: a count of items is never negative")

    @classmethod
    def of(cls, baseline: ArrayLike, quantized: ArrayLike) -> PairedCounts:
        """Counts two equally long 1-d arrays of scores, one 0 or 1 per item, in one order.

        Raises ValueError for any other score or shape, naming it.
        """
        before, after = _scores("baseline", baseline), _scores("quantized", quantized)
        if before.shape != after.shape:
            raise ValueError(
                f"{before.size} baseline scores and {after.size} quantized scores: "
                "pairs need one of each per item"
            )
        both = int(np.count_nonzero(before & after))
        won = int(np.count_nonzero(after)) - both
        lost = int(np.count_nonzero(before)) - both
        return cls(both, won, lost, int(before.size) - both - won - lost)

    @property
    def cells(self) -> tuple[int, int, int, int]:
        """(both, quantized_only, baseline_only, neither), as `retention_interval` takes them."""
        return (self.both, self.quantized_only, self.baseline_only, self.neither)

    @property
    def n(self) -> int:
        """Number of items."""
        return sum(self.cells)

    @property
    def baseline_accuracy(self) -> float:
        """Share of items that the baseline has right; NaN without items."""
        return _share(self.both + self.baseline_only, self.n)

    @property
    def quantized_accuracy(self) -> float:
        """Share of items that the quantized model has right; NaN without items."""
        return _share(self.both + self.quantized_only, self.n)

    @property
    def retention(self) -> float:
        """Quantized over baseline accuracy; inf (0/0: NaN) if the baseline has none right."""
        quantized, baseline = self.both + self.quantized_only, self.both + self.baseline_only
        return math.inf if quantized and not baseline else _share(quantized, baseline)

    @property
    def flips(self) -> float:
        """Share of items on which the two disagree; NaN without items."""
        return _share(self.quantized_only + self.baseline_only, self.n)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _scores(name: str, scores: ArrayLike) -> NDArray[np.bool_]:
    values = np.asarray(scores)
    if values.ndim != 1:
        raise ValueError(f"{name} scores have the shape {values.shape}, not one per item")
    right = values == 1
    strange = np.flatnonzero(~(right | (values == 0)))
    if strange.size:
        at = int(strange[0])
        raise ValueError(
            f"{name} score {values[at]!s} of item {at} is neither 0 nor 1 "
            f"({strange.size} of {values.size} items): counts are for right or wrong only"
        )
    return np.asarray(right, dtype=np.bool_)
