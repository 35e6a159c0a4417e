"""What a comparison of two measurements says: what was lost, won and kept, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import stats
from ..facts import Note
from ..records.run import Accuracy, Metric

TOKEN_PERPLEXITY = Metric("token_perplexity", False, "perplexity")
"""Perplexity per token of the models' own tokenizer, which lm-eval does not report."""

SURE = 0.999
"""One-sided confidence of `Comparison.surely`."""

Floats: TypeAlias = NDArray[np.float64]


class Pair(NamedTuple):
    """Two measurements of the same items, one metric of theirs, and its weight in a pool."""

    baseline: Accuracy
    candidate: Accuracy
    metric: Metric
    weight: float = 1.0


@dataclass(frozen=True)
class Slice:
    """One task of a comparison as planning sees it.

    ``accuracy`` is the baseline's mean score and ``changed`` the sum of the squared
    changes, both in full scores: for 0/1 the share right and the number of flips.
    ``chance`` is the share a guesser gets, None where guessing means nothing. ``repetition``
    is by how much copies among the items inflate the variance of a mean.
    """

    task: str
    n: int
    total: int
    weight: float
    accuracy: float
    changed: float
    chance: float | None
    repetition: float = 1.0

    @property
    def effective(self) -> Slice:
        """As many distinct items as say no less than these do; itself without copies."""
        if self.repetition == 1.0:
            return self
        n, total = (max(int(count / self.repetition), 1) for count in (self.n, self.total))
        changed = self.changed / self.repetition
        return replace(self, n=n, total=total, changed=changed, repetition=1.0)


@dataclass(frozen=True)
class Floor:
    """How much the baseline differs from itself, and the candidate from it.

    ``noise`` is about the baseline's runs; ``candidate`` is by how much an item's score
    differs from that of a run of the baseline, on average; ``of_items`` says that scores
    are 0/1, so that these are shares of the items.
    ``within`` says that this is no more than the most different two of the runs, and that
    no loss or gain stands out.
    """

    noise: stats.RerunNoise
    candidate: float
    within: bool
    of_items: bool = True


@dataclass(frozen=True)
class Comparison:
    """One metric on the same ``n`` items of baseline and quantized model.

    ``baseline`` and ``quantized`` are the metric's values on those items (NaN where
    `first_items` leaves it unknown);
    ``retention`` their ratio, read so that 1 is kept and less is worse (inverted for
    metrics where lower is better). ``low`` and ``high`` are the two one-sided bounds at
    ``confidence``, None when the metric has no score per item; ``surely`` is the lower
    bound at 99.9 %. ``counts`` are those of a 0/1 metric run once. ``lost_items`` and
    ``won_items`` are the ``doc_id`` of items whose score fell, or rose, in ascending
    order, and ``lost`` and ``won`` how many those are (None for perplexities); of
    tasks that are pooled (``slices``) only the numbers are known.
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
    low: float | None = None
    high: float | None = None
    counts: stats.PairedCounts | None = None
    lost_items: tuple[int, ...] = field(default=(), repr=False)
    won_items: tuple[int, ...] = field(default=(), repr=False)
    notes: tuple[Note, ...] = ()
    lost: int | None = None
    won: int | None = None
    surely: float | None = None
    support: stats.Support | None = None
    slices: tuple[Slice, ...] = field(default=(), repr=False)
    floor: Floor | None = None
    own_width: bool = False
    """Whether units are other than items, so that only the interval itself tells its width."""
    empty: tuple[float, float] | None = None
    truncated: tuple[float, float] | None = None
    """Shares of the answers of baseline and quantized model, where they generate."""
    claims: str = ""
    """What ``scheme`` stands for, where that is a name of the project's own."""
    expected: float | None = None
    """The share of flips seen of the model at this scheme before; None where none was."""
    reference: str = "the baseline"
    """What was compared with, where that is not the full-precision model: an accepted run."""
    of_first_accepted: float | None = None
    """The share of the first accepted run's retention that is left; of one task or group."""
    exact: bool = False
    """Whether ``counts`` alone make the interval: 0/1 scores, one run each, no clusters."""

    @property
    def flips(self) -> float | None:
        """Share of the items that changed between right and wrong, either way.

        Of several runs of the baseline, on average; None for other scores.
        """
        if self.floor is not None and self.floor.of_items:
            return self.floor.candidate
        return self.counts.flips if self.counts is not None else None
