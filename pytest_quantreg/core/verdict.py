"""What the evidence of one comparison means for one gate: kept, lost, undecided, or no verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import binom

from . import stats
from .comparison import Comparison
from .errors import Category, Refusal
from .gates import Gate, Plan
from .schemes import resolve
from .settings import GateMode

POWER = 0.8
"""Everything that is said about what n items can see holds 4 times in 5."""

TRUTH_STEP = 0.02
"""Items needed are given for a lossless model and for one this far below the minimum."""


@dataclass(frozen=True)
class Verdict:
    """The decision of one gate.

    ``evidence`` is what was shown, ``fails`` whether this gate turns the build red on
    it. ``detectable`` is the highest retention that would have turned ``detect`` red 4
    times in 5, None if none would. ``needed`` holds the items that decide for a
    lossless model and for one ``TRUTH_STEP`` below the minimum.
    """

    gate: Gate
    mode: GateMode
    comparison: Comparison
    evidence: stats.Evidence
    fails: bool
    detectable: float | None
    needed: tuple[stats.ItemsNeeded, stats.ItemsNeeded] | None


def about(items: int) -> int:
    """Two digits, or whole tens, rounded up: a planned number is good for no more."""
    step: int = 10 ** max(len(str(items)) - 2, 1)
    return -(-items // step) * step


def default_discordance(scheme: str) -> float:
    """The share of answers that a sound model of this scheme typically flips.

    Planning value for when nothing flipped: 8-bit schemes flip 2 to 5 % of the answers
    of common tasks and 4-bit schemes 5 to 10 %, so the middle of either.
    """
    weights = resolve(scheme).scheme.weights
    return 0.08 if weights is not None and weights.bits < 8 else 0.04


def refuse_chance(
    *, task: str, right: int, n: int, chance: float, minimum: float, confidence: float
) -> None:
    """Refuses a baseline no better than guessing and a minimum that guessing meets.

    ``right`` of ``n`` baseline answers are right; ``chance`` is the share a guesser
    gets. Raises Refusal (suspicious).
    """
    accuracy = right / n
    low = stats.wilson(right, n, confidence=confidence, sides=1).low
    if low <= chance:
        raise Refusal(
            Category.SUSPICIOUS,
            f"the baseline is not above chance on {task}: {accuracy:.3f} on {n:,} items, and "
            f"guessing scores {chance:.3f}",
            help="nothing can be lost on this task; check its prompts, few-shot examples and "
            "chat template, or gate another task",
        )
    if minimum * accuracy <= chance:
        raise Refusal(
            Category.SUSPICIOUS,
            f"guessing would meet this gate on {task}: {minimum:g} of the baseline's "
            f"{accuracy:.3f} is {minimum * accuracy:.3f}, and guessing scores {chance:.3f}",
            help="raise the minimum or gate a task the baseline is better at",
        )


def refuse_other_scores(gate: Gate, task: str, metric: str, kinds: Mapping[str, str]) -> None:
    """Refuses a gate on a metric that is not 0/1. Raises Refusal (not judged yet).

    ``kinds`` maps every metric of the task to its kind.
    """
    if kinds[metric] != "binary":
        others = [name for name, kind in kinds.items() if kind == "binary"]
        raise _other_scores(gate, task, metric, others)


def _other_scores(gate: Gate, task: str, metric: str, others: Sequence[str]) -> Refusal:
    other = f", or name a metric= that has: {', '.join(others)}" if others else ""
    return Refusal(
        Category.NOT_JUDGED,
        f"{gate} cannot judge {metric} of {task}: its scores are not 0 or 1 with 1 for right, "
        "and this version judges only those",
        help=f"take the marker off this test to have it measured and listed{other}",
    )


def refuse_toothless(
    *,
    task: str,
    right: int,
    n: int,
    total_items: int,
    discordance: float,
    planned: float,
    minimum: float,
    confidence: float,
    max_undetected: float,
) -> None:
    """Refuses a ``detect`` gate that would miss too large a loss. Raises Refusal.

    ``discordance`` is what the gate has teeth or none at. The items that the message
    asks for are enough, 4 times in 5, after a run in which a share ``planned`` of the
    answers flips.
    """
    accuracy = right / n
    floor = minimum - max_undetected
    sees = None
    if stats.can_turn_red(right, n - right, minimum=minimum, confidence=confidence):
        sees = stats.detectable_retention(
            n=n,
            baseline_accuracy=accuracy,
            discordance=discordance,
            minimum=minimum,
            confidence=confidence,
            power=POWER,
        )
        if sees is not None and sees >= floor:
            return
    needed = _enough(
        floor=max(floor, 0.0),
        total=total_items,
        accuracy=accuracy,
        discordance=discordance,
        planned=planned,
        minimum=minimum,
        confidence=confidence,
    )
    seen = "nothing" if sees is None else f"only a retention of {_floor(sees)} or below"
    raise Refusal(
        Category.TOO_WEAK,
        f"{n:,} items are too few for min_retention({minimum:.10g}) on {task}: they would show, "
        f"4 times in 5, {seen}",
        help=_more_items(needed, n, total_items, floor, max_undetected),
    )


def judge(
    gate: Gate, comparison: Comparison, plan: Plan, *, chance: float, max_undetected: float
) -> Verdict:
    """Judges one 0/1 comparison, made at ``plan.confidence``, by one gate.

    Raises:
        Refusal: baseline at chance, a minimum that guessing meets, a detect gate
            without teeth, or a metric that is not 0/1.
    """
    counts = comparison.counts
    if counts is None or comparison.low is None or comparison.high is None:
        raise _other_scores(gate, comparison.task, comparison.metric, ())
    right = counts.both + counts.baseline_only
    refuse_chance(
        task=comparison.task,
        right=right,
        n=counts.n,
        chance=chance,
        minimum=gate.minimum,
        confidence=plan.confidence,
    )
    interval = stats.Interval(comparison.low, comparison.high)
    evidence = stats.evidence(interval, gate.minimum)
    discordance = _planning_discordance(counts, comparison.scheme, evidence, plan)
    if plan.mode is GateMode.DETECT and evidence is not stats.Evidence.LOST:
        refuse_toothless(
            task=comparison.task,
            right=right,
            n=counts.n,
            total_items=comparison.total_items,
            discordance=discordance,
            planned=default_discordance(comparison.scheme),
            minimum=gate.minimum,
            confidence=plan.confidence,
            max_undetected=max_undetected,
        )
    return Verdict(
        gate=gate,
        mode=plan.mode,
        comparison=comparison,
        evidence=evidence,
        fails=_fails(plan.mode, evidence, comparison.retention, gate.minimum),
        detectable=stats.detectable_retention(
            n=counts.n,
            baseline_accuracy=counts.baseline_accuracy,
            discordance=discordance,
            minimum=gate.minimum,
            confidence=plan.confidence,
            power=POWER,
        ),
        needed=_needed(comparison, counts, discordance, gate.minimum),
    )


def _floor(share: float) -> str:
    return f"{math.floor(share * 1000) / 1000:.3f}"


def _fails(mode: GateMode, evidence: stats.Evidence, retention: float, minimum: float) -> bool:
    if mode is GateMode.POINT:
        return retention < minimum
    if mode is GateMode.CERTIFY:
        return evidence is not stats.Evidence.KEPT
    return evidence is stats.Evidence.LOST


def _planning_discordance(
    counts: stats.PairedCounts, scheme: str, evidence: stats.Evidence, plan: Plan
) -> float:
    default = default_discordance(scheme)
    if evidence is stats.Evidence.LOST:
        # A broken candidate's flips say nothing about how much a sound one flips.
        return default
    return stats.planning_discordance(counts, default=default, confidence=plan.confidence)


def _needed(
    comparison: Comparison, counts: stats.PairedCounts, discordance: float, minimum: float
) -> tuple[stats.ItemsNeeded, stats.ItemsNeeded] | None:
    def items(truth: float) -> stats.ItemsNeeded:
        return stats.items_needed(
            truth=truth,
            baseline_accuracy=counts.baseline_accuracy,
            discordance=discordance,
            minimum=minimum,
            confidence=comparison.confidence,
            power=POWER,
            available=comparison.total_items,
        )

    if minimum >= 1 or minimum <= TRUTH_STEP:
        return None
    return items(1.0), items(minimum - TRUTH_STEP)


def _enough(
    *,
    floor: float,
    total: int,
    accuracy: float,
    discordance: float,
    planned: float,
    minimum: float,
    confidence: float,
) -> int | None:
    """Items, as `about` rounds them, that have teeth also when they were measured.

    The check after a run plans with an upper bound of the flips it saw, and that is
    wide on few items: so the flips that a run of so many will at most show, 4 times in
    5, are planned with here. All ``total`` items of the task where rounding goes beyond
    them; None if no number is enough.
    """
    least = stats.items_needed(
        truth=floor,
        baseline_accuracy=accuracy,
        discordance=max(discordance, planned),
        minimum=minimum,
        confidence=confidence,
        power=POWER,
    ).needed
    if least is None:
        return None

    def shows(items: int) -> bool:
        flips = int(binom.ppf(POWER, items, planned))
        bound = stats.wilson(flips, items, confidence=confidence, sides=1).high
        power = stats.detection_power(
            floor,
            n=items,
            baseline_accuracy=accuracy,
            discordance=max(discordance, bound),
            minimum=minimum,
            confidence=confidence,
        )
        return power >= POWER

    items = about(least)
    while not shows(items):
        items = about(items + 1)
    return total if items > total and shows(total) else items


def _more_items(
    needed: int | None, n: int, total: int, floor: float, max_undetected: float
) -> tuple[str, ...]:
    if needed is not None and n < needed <= total:
        return (
            f"about {needed:,} items would show {floor:g}, and the task has "
            f"{total:,}: raise --quant-limit or limit=",
        )
    return (
        f"the task has {total:,} items, too few to show {floor:g}"
        + (f" (about {needed:,} would)" if needed is not None else ""),
        "gate a task with more items, lower the minimum, or allow a larger undetected loss "
        f"(quant_max_undetected, now {max_undetected:g})",
    )
