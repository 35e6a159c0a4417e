"""Scores of one task, of both models, as what is pooled is made of: strata."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .score import FloatArray

LEAST_UNITS = 20
"""Fewer independent items or clusters say too little about their own spread."""

LEAST_RIGHT = 10
"""Fewer right baseline answers say too little about what can be lost."""


@dataclass(frozen=True, eq=False)
class Stratum:
    """One task's scores, an item each, in one order; they are finite and >= 0.

    ``baseline`` may be the mean over several ``runs`` of the baseline. ``weight`` is the
    task's in the pool: pooled retention is sum(weight * mean quantized score) over
    sum(weight * mean baseline score). ``clusters`` names for each item what it shares
    with others, such as a passage; without them every item stands for itself.
    ``excess`` is the variance of one run's total beyond independent flips of its items,
    in squared score units (`rerun_noise`). ``repetition`` is by how much copies among items
    that stand for themselves inflate the variance of a mean: n items say what n/repetition
    distinct ones do.

    Raises ValueError for unequal lengths, scores that are no number or below 0, a weight
    that is not above 0, fewer than one run, a negative excess, or a repetition below 1.
    """

    baseline: ArrayLike
    quantized: ArrayLike
    weight: float = 1.0
    clusters: ArrayLike | None = None
    runs: int = 1
    excess: float = 0.0
    repetition: float = 1.0

    def __post_init__(self) -> None:
        before, after = paired_scores(self.baseline, self.quantized)
        for name, scores in (("baseline", before), ("quantized", after)):
            if scores.size and float(scores.min()) < 0.0:
                raise ValueError(
                    f"{name} score {scores.min():g}: retention is a share of scores that "
                    "are 0 or more; judge another metric"
                )
            object.__setattr__(self, name, scores)
        object.__setattr__(self, "clusters", cluster_codes(self.clusters, before.size))
        if not 0.0 < self.weight < math.inf:
            raise ValueError(f"weight={self.weight!r} must be a finite number above 0")
        if self.runs < 1:
            raise ValueError(f"runs={self.runs!r}: a baseline has one run or more")
        if not 0.0 <= self.excess < math.inf:
            raise ValueError(f"excess={self.excess!r} is not a variance")
        if not 1.0 <= self.repetition < math.inf:
            raise ValueError(f"repetition={self.repetition!r} must be 1 or more")

    @property
    def scores(self) -> tuple[FloatArray, FloatArray]:
        """Baseline and quantized scores as arrays."""
        return np.asarray(self.baseline), np.asarray(self.quantized)

    @property
    def n(self) -> int:
        """Number of items."""
        return int(self.scores[0].size)

    @property
    def codes(self) -> NDArray[np.int64] | None:
        """Cluster of each item, numbered from 0; None where items stand for themselves."""
        return None if self.clusters is None else np.asarray(self.clusters, dtype=np.int64)

    @property
    def units(self) -> int:
        """Number of clusters, or of items where they stand for themselves."""
        codes = self.codes
        return self.n if codes is None else int(codes.max(initial=-1)) + 1


HEAVY_ITEM = 0.01
"""No item of a task with fewer right answers than that may weigh more of a pool than this.

Simulated: with a task of five items and a quarter of the weight, of which the baseline
happens to have none right, `certify` passes 29 % of models that lost that task whole.
"""


@dataclass(frozen=True)
class Support:
    """What an interval rests on: independent units, and full scores of the baseline.

    ``blind`` is the share of the weight that lies on tasks with too few right answers, each
    item of which weighs too much (`HEAVY_ITEM`).
    """

    units: int
    right: float
    blind: float = 0.0

    @property
    def suffices(self) -> bool:
        """Whether there is enough to judge: `LEAST_UNITS`, `LEAST_RIGHT`, nothing blind."""
        return self.units >= LEAST_UNITS and self.right >= LEAST_RIGHT and self.blind == 0.0


def support(strata: Sequence[Stratum]) -> Support:
    """Units over all strata, and the baseline's scores in units of the task's largest."""
    whole = math.fsum(stratum.weight for stratum in strata)
    rights = [_right_answers(stratum) for stratum in strata]
    blind = [
        stratum.weight / whole
        for stratum, right in zip(strata, rights, strict=True)
        if right < LEAST_RIGHT and stratum.n and stratum.weight > HEAVY_ITEM * whole * stratum.n
    ]
    units = sum(stratum.units for stratum in strata)
    return Support(units, math.fsum(rights), math.fsum(blind) if len(strata) > 1 else 0.0)


def _right_answers(stratum: Stratum) -> float:
    before, after = stratum.scores
    largest = max(float(before.max(initial=0.0)), float(after.max(initial=0.0)))
    return float(before.sum()) / largest if largest > 0.0 else 0.0


def pooled_estimate(strata: Sequence[Stratum]) -> float:
    """sum(weight * mean quantized) / sum(weight * mean baseline); x/0 is inf, 0/0 NaN.

    Raises ValueError when nothing is pooled; a stratum without items counts for nothing.
    """
    before, after = pooled_means(strata)
    if before > 0.0:
        return after / before
    return math.inf if after > 0.0 else math.nan


def pooled_means(strata: Sequence[Stratum]) -> tuple[float, float]:
    """Weighted sums of the mean scores, baseline and quantized."""
    if not strata:
        raise ValueError("no strata: there is nothing to pool")
    held = [stratum for stratum in strata if stratum.n]
    return (
        math.fsum(stratum.weight * float(stratum.scores[0].mean()) for stratum in held),
        math.fsum(stratum.weight * float(stratum.scores[1].mean()) for stratum in held),
    )


def paired_scores(baseline: ArrayLike, quantized: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Two 1-d float arrays of one length; ValueError for others and for NaN or infinity."""
    before = np.asarray(baseline, dtype=np.float64)
    after = np.asarray(quantized, dtype=np.float64)
    for name, scores in (("baseline", before), ("quantized", after)):
        if scores.ndim != 1:
            raise ValueError(f"{name} scores have the shape {scores.shape}, not one per item")
        strange = np.flatnonzero(~np.isfinite(scores))
        if strange.size:
            at = int(strange[0])
            raise ValueError(f"{name} score {scores[at]} of item {at} is not a number")
    if before.size != after.size:
        raise ValueError(
            f"{before.size} baseline scores and {after.size} quantized scores: "
            "pairs need one of each per item"
        )
    return before, after


def cluster_codes(clusters: ArrayLike | None, n: int) -> NDArray[np.int64] | None:
    """Clusters numbered from 0 in the order they appear; ValueError unless one per item."""
    if clusters is None:
        return None
    names = clusters.tolist() if isinstance(clusters, np.ndarray) else list(clusters)  # type: ignore[arg-type]
    if len(names) != n:
        raise ValueError(f"{len(names)} clusters for {n} items: each item needs one")
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def cluster_sums(codes: NDArray[np.int64], values: FloatArray) -> FloatArray:
    """Sum of the values of each cluster, in the order of its number."""
    return np.asarray(np.bincount(codes, weights=values), dtype=np.float64)
