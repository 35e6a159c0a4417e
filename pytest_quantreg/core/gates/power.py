"""What a comparison of so many items can see, and how many items would decide it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from .. import stats
from ..codes import GateCode
from ..comparison.accuracy import Comparison, Slice
from ..errors import Refusal
from ..facts import Fact
from ..schemes.names import resolve
from ..stats import binomial
from .selection import Gate

POWER = 0.8
"""Everything that is said about what n items can see holds 4 times in 5."""

TRUTH_STEP = 0.02
"""Items needed are given for a lossless model and for one this far below the minimum."""


class GatePower(Protocol):
    """What ``n`` of the ``total`` items there are can show of one minimum."""

    @property
    def n(self) -> int:
        """The items compared."""
        ...

    @property
    def total(self) -> int:
        """The items there are."""
        ...

    @property
    def detectable(self) -> float | None:
        """The highest retention that turns ``detect`` red with `POWER`; None if none does."""
        ...

    def needed(self, truth: float) -> stats.ItemsNeeded:
        """Items that decide for a model truly at ``truth``, capped by ``total``."""
        ...

    def enough(self, floor: float) -> int | None:
        """Items that would also be enough in the eyes of a check after they were measured."""
        ...


def observed_power(
    comparison: Comparison, minimum: float, *, confidence: float, broken: bool = False
) -> GatePower:
    """The sight of a comparison that was made.

    Planned with the upper Wilson bound of the flips it saw, and with the scheme's default
    where nothing flipped: what other checkpoints flipped must not decide about this one.
    Where the candidate is ``broken`` (its flips say nothing about how much a sound one
    flips), with what was seen of the model at this scheme before. Where items are not the
    units (passages, runs that shift as a whole), with the width of its own interval.
    """
    if comparison.own_width or not comparison.slices:
        return _of_bounds(comparison, minimum, confidence)
    default = default_discordance(comparison.claims or comparison.scheme)
    discordance = planned = comparison.expected or default
    if not broken:
        distinct = [piece.effective for piece in comparison.slices]
        changed = math.ceil(math.fsum(distinct_slice.changed for distinct_slice in distinct) - 1e-9)
        n = sum(distinct_slice.n for distinct_slice in distinct)
        flips = stats.PairedCounts(0, 0, min(changed, n), max(n - changed, 0))
        discordance = stats.planning_discordance(flips, default=default, confidence=confidence)
    return planned_power(
        comparison.slices,
        minimum,
        confidence=confidence,
        discordance=discordance,
        planned=planned,
        exact=comparison.counts is not None,
    )


def planned_power(
    slices: Sequence[Slice],
    minimum: float,
    *,
    confidence: float,
    discordance: float,
    planned: float,
    exact: bool,
) -> GatePower:
    """The sight of tasks whose baseline is known.

    ``discordance`` is the share of flips it is taken with, ``planned`` the one that a
    sound model of the scheme is expected to make. ``exact`` counts 0/1 tables instead
    of approximating by the normal distribution; for one task alone. Where items are copies
    of each other, it is the sight of as many distinct ones as say the same.
    """
    if any(piece.repetition > 1.0 for piece in slices):
        distinct = planned_power(
            [piece.effective for piece in slices],
            minimum,
            confidence=confidence,
            discordance=discordance,
            planned=planned,
            exact=exact,
        )
        n, total = (sum(values) for values in zip(*((s.n, s.total) for s in slices), strict=True))
        return _Copied(distinct, n, total)
    if exact and len(slices) == 1:
        return _Counts(slices[0], minimum, confidence, discordance, planned)
    return _Layers(tuple(slices), minimum, confidence, discordance, planned)


def default_discordance(scheme: str) -> float:
    """The share of answers that a sound model of this scheme typically flips.

    Planning value for when nothing flipped: 8-bit schemes flip 2 to 5 % of the answers
    of common tasks and 4-bit schemes 5 to 10 %, so the middle of either.
    """
    weights = resolve(scheme).scheme.weights
    return 0.08 if weights is not None and weights.bits < 8 else 0.04


def refuse_underpowered(power: GatePower, gate: Gate, task: str, *, max_undetected: float) -> None:
    """Refuses a ``detect`` gate that would miss too large a loss. Raises Refusal (too weak).

    The items that the message asks for are enough, 4 times in 5, after a run in which as
    many answers flip as is planned for.
    """
    floor = gate.minimum - max_undetected
    detectable = power.detectable
    if detectable is not None and detectable >= floor:
        return
    needed = power.enough(max(floor, 0.0))
    raise Refusal(
        GateCode.TOO_FEW_ITEMS_TO_SEE,
        **_as_ratios(gate, detectable, max(floor, 0.0)),
        gate=gate.bare,
        task=task,
        n=power.n,
        total=power.total,
        needed=needed,
        more=int(_may_compare_more(power, gate, needed)),
        max_undetected=max_undetected,
    )


def _as_ratios(gate: Gate, detectable: float | None, floor: float) -> dict[str, Fact]:
    """What the items show, and what they were to show, in the terms of the gate's marker."""
    if not gate.of_perplexity:
        shown = None if detectable is None else math.floor(detectable * 1000) / 1000
        return {"perplexity": 0, "detectable": shown, "wanted": floor}
    shown = None if detectable is None else _ceiling(1.0 / detectable)
    return {"perplexity": 1, "detectable": shown, "wanted": _ceiling(1.0 / floor)}


def _may_compare_more(power: GatePower, gate: Gate, needed: int | None) -> bool:
    """Whether the task has items that were not compared and that would show enough."""
    if power.n >= power.total:
        return False
    return gate.of_perplexity if needed is None else power.n < needed <= power.total


def refuse_unable_to_fail(comparison: Comparison, gate: Gate, *, confidence: float) -> None:
    """Refuses a gate that would pass if every right baseline answer were lost (too weak).

    Of right and wrong answers alone: elsewhere so little decides nothing. Raises Refusal.
    """
    counts = comparison.counts
    if counts is None or not comparison.exact:
        return
    right = counts.both + counts.baseline_only
    if stats.can_turn_red(right, counts.n - right, minimum=gate.minimum, confidence=confidence):
        return
    raise Refusal(GateCode.TOO_FEW_ITEMS_TO_FAIL, gate=gate.bare, task=comparison.task, n=counts.n)


def n_items(n: int) -> str:
    """``1 item``, ``1,500 items``."""
    return f"{n:,} item" + ("" if n == 1 else "s")


def about(items: int) -> int:
    """Two digits, or whole tens, rounded up: a planned number is good for no more."""
    step: int = 10 ** max(len(str(items)) - 2, 1)
    return -(-items // step) * step


@dataclass(frozen=True)
class _Counts:
    """One task of right and wrong answers: sums over tables, no approximation."""

    slice: Slice
    minimum: float
    confidence: float
    discordance: float
    planned: float

    @property
    def n(self) -> int:
        return self.slice.n

    @property
    def total(self) -> int:
        return self.slice.total

    @cached_property
    def detectable(self) -> float | None:
        right = round(self.slice.accuracy * self.n)
        if not stats.can_turn_red(
            right, self.n - right, minimum=self.minimum, confidence=self.confidence
        ):
            return None
        return stats.detectable_retention(
            n=self.n,
            baseline_accuracy=self.slice.accuracy,
            discordance=self.discordance,
            minimum=self.minimum,
            confidence=self.confidence,
            power=POWER,
        )

    def needed(self, truth: float) -> stats.ItemsNeeded:
        return stats.items_needed(
            truth=truth,
            baseline_accuracy=self.slice.accuracy,
            discordance=self.discordance,
            minimum=self.minimum,
            confidence=self.confidence,
            power=POWER,
            available=self.total,
        )

    def enough(self, floor: float) -> int | None:
        # The check after a run plans with an upper bound of the flips it saw, and that is
        # wide on few items: so the flips that a run of so many will at most show, 4 times
        # in 5, are planned with here.
        more = replace(self, discordance=max(self.discordance, self.planned))
        least = more.needed(floor).needed
        if least is None:
            return None
        items = about(least)
        while not self._shows(floor, items):
            items = about(items + 1)
        return self.total if items > self.total and self._shows(floor, self.total) else items

    def _shows(self, floor: float, items: int) -> bool:
        flips = binomial.quantile(POWER, items, self.planned)
        bound = stats.wilson(flips, items, confidence=self.confidence, sides=1).high
        power = stats.detection_power(
            floor,
            n=items,
            baseline_accuracy=self.slice.accuracy,
            discordance=max(self.discordance, bound),
            minimum=self.minimum,
            confidence=self.confidence,
        )
        return power >= POWER


@dataclass(frozen=True)
class _Layers:
    """Several tasks, or scores between 0 and 1: by the normal approximation."""

    slices: tuple[Slice, ...]
    minimum: float
    confidence: float
    discordance: float
    planned: float

    @property
    def n(self) -> int:
        return sum(piece.n for piece in self.slices)

    @property
    def total(self) -> int:
        return sum(piece.total for piece in self.slices)

    @cached_property
    def detectable(self) -> float | None:
        return stats.pooled_detectable_retention(
            self._layers(), minimum=self.minimum, confidence=self.confidence, power=POWER
        )

    def needed(self, truth: float) -> stats.ItemsNeeded:
        return stats.pooled_items_needed(
            truth,
            self._layers(),
            minimum=self.minimum,
            confidence=self.confidence,
            power=POWER,
        )

    def enough(self, floor: float) -> int | None:
        more = replace(self, discordance=max(self.discordance, self.planned))
        least = more.needed(floor).needed
        return about(least) if least is not None else None

    def _layers(self) -> list[stats.Layer]:
        return [
            stats.Layer(piece.n, piece.accuracy, self.discordance, piece.weight, piece.total)
            for piece in self.slices
        ]


@dataclass(frozen=True)
class _Bounds:
    """A comparison without right and wrong: by the width of its own interval.

    On the scale of the logarithm the distance ``half`` from the estimate to a bound is
    the quantile times the standard error, which falls with the root of the items.
    """

    n: int
    total: int
    half: float
    minimum: float
    confidence: float

    @property
    def detectable(self) -> float | None:
        if not math.isfinite(self.half):
            return None
        return self.minimum * math.exp(-self.half * self._reach())

    def needed(self, truth: float) -> stats.ItemsNeeded:
        verdict = (
            stats.IntervalVerdict.KEPT if truth >= self.minimum else stats.IntervalVerdict.LOST
        )
        items = None
        if truth > 0.0 and truth != self.minimum and math.isfinite(self.half):
            distance = abs(math.log(truth / self.minimum))
            items = max(math.ceil(self.n * (self.half * self._reach() / distance) ** 2), 1)
        capped = items is None or items > self.total
        return stats.ItemsNeeded(items, self.total if capped else items, capped, verdict)

    def enough(self, floor: float) -> int | None:
        least = self.needed(floor).needed
        return about(least) if least is not None else None

    def _reach(self) -> float:
        return 1.0 + stats.normal_quantile(POWER, 1) / stats.normal_quantile(self.confidence, 1)


@dataclass(frozen=True)
class _Copied:
    """Items some of which are copies: the sight of fewer distinct ones, counted in items."""

    distinct: GatePower
    n: int
    total: int

    @property
    def detectable(self) -> float | None:
        return self.distinct.detectable

    def needed(self, truth: float) -> stats.ItemsNeeded:
        answer = self.distinct.needed(truth)
        needed = self._items(answer.needed)
        return replace(answer, needed=needed, n=self.total if answer.capped else needed)

    def enough(self, floor: float) -> int | None:
        return self._items(self.distinct.enough(floor))

    def _items(self, distinct: int | None) -> int | None:
        if distinct is None:
            return None
        items = math.ceil(distinct * self.n / self.distinct.n)
        return min(items, self.total) if distinct <= self.distinct.total else items


def _of_bounds(comparison: Comparison, minimum: float, confidence: float) -> _Bounds:
    low, high = comparison.low, comparison.high
    half = math.inf
    if low is not None and high is not None and 0.0 < low <= high < math.inf:
        half = math.log(high / low) / 2.0
    return _Bounds(comparison.n, comparison.total_items, half, minimum, confidence)


def _ceiling(ratio: float) -> float:
    return math.ceil(ratio * 1000) / 1000
