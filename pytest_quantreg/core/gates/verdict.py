"""What the evidence of one comparison means for one gate: kept, lost, undecided, or no verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .. import stats
from ..codes import GateCode
from ..comparison.accuracy import Comparison
from ..comparison.suspicion import refuse_unusual
from ..errors import Refusal
from ..facts import Problem
from ..settings import GateMode
from .plan import Plan
from .power import TRUTH_STEP, observed_power, refuse_unable_to_fail, refuse_underpowered
from .selection import Gate


@dataclass(frozen=True)
class Verdict:
    """The decision of one gate.

    ``evidence`` is what was shown, ``fails`` whether this gate turns the build red on
    it. ``detectable`` is the highest retention that would have turned ``detect`` red 4
    times in 5, None if none would. ``needed`` holds the items that decide for a
    lossless model and for one ``TRUTH_STEP`` below the minimum. ``family`` is how many
    gates share the confidence. ``sparse`` says why nothing can be decided on so little.
    """

    gate: Gate
    mode: GateMode
    comparison: Comparison
    evidence: stats.IntervalVerdict
    fails: bool
    detectable: float | None
    needed: tuple[stats.ItemsNeeded, stats.ItemsNeeded] | None
    family: int = 1
    sparse: Problem | None = None

    @property
    def is_lost(self) -> bool:
        """Whether a loss was shown; a point gate shows one by failing."""
        if self.mode is GateMode.POINT:
            return self.fails
        return self.evidence is stats.IntervalVerdict.LOST


def refuse_other_scores(gate: Gate, task: str, metric: str, kinds: Mapping[str, str]) -> None:
    """Refuses a gate on a metric without a score per item. Raises Refusal (not judged).

    ``kinds`` maps every metric of the task to its kind.
    """
    if kinds[metric] == "aggregate":
        raise _no_scores(gate, task, metric, [name for name in kinds if kinds[name] != "aggregate"])


def _no_scores(gate: Gate, task: str, metric: str, others: Sequence[str]) -> Refusal:
    return Refusal(
        GateCode.NO_SCORE_TO_JUDGE,
        gate=str(gate),
        metric=metric,
        task=task,
        others=tuple(others),
    )


def judge(
    gate: Gate,
    comparison: Comparison,
    plan: Plan,
    *,
    max_undetected: float,
    allow_better: bool = False,
) -> Verdict:
    """Judges one comparison, made at ``plan.confidence``, by one gate.

    Raises:
        Refusal: a baseline at chance, a minimum that guessing meets, a candidate far
            above its baseline, an undecided detect gate without teeth, one that could not
            turn red at all, or a metric without scores per item.
    """
    if comparison.low is None or comparison.high is None:
        raise _no_scores(gate, comparison.task, comparison.metric, ())
    refuse_unusual(comparison, gate.minimum, allow_better=allow_better)
    support = comparison.support
    sparse = too_sparse(support) if support is not None and not comparison.exact else None
    evidence = stats.evidence(stats.Interval(comparison.low, comparison.high), gate.minimum)
    if sparse is not None:
        evidence = stats.IntervalVerdict.UNDECIDED
    broken = evidence is stats.IntervalVerdict.LOST
    # The flips of a broken candidate, or of one trained further, are not those of a sound one.
    unusual = broken or comparison.low > 1.0
    power = observed_power(comparison, gate.minimum, confidence=plan.confidence, broken=unusual)
    if plan.mode is GateMode.DETECT and not broken:
        # Evidence that decides needs no teeth: they matter where nothing was shown.
        if evidence is stats.IntervalVerdict.UNDECIDED:
            refuse_underpowered(power, gate, comparison.task, max_undetected=max_undetected)
        refuse_unable_to_fail(comparison, gate, confidence=plan.confidence)
        if support is not None and sparse is not None:
            refuse_sparse(support, gate, comparison.task)
    needed = None
    if TRUTH_STEP < gate.minimum < 1:
        needed = power.needed(1.0), power.needed(gate.minimum - TRUTH_STEP)
    return Verdict(
        gate=gate,
        mode=plan.mode,
        comparison=comparison,
        evidence=evidence,
        fails=_fails(plan.mode, evidence, comparison.retention, gate.minimum),
        detectable=None if sparse is not None else power.detectable,
        needed=needed,
        family=plan.family,
        sparse=sparse,
    )


def refuse_sparse(support: stats.Support, gate: Gate, task: str) -> None:
    """Refuses a ``detect`` gate on so little that it could never turn red. Raises Refusal."""
    if (sparse := too_sparse(support)) is not None:
        raise Refusal(GateCode.SPARSE, gate=str(gate), task=task, cause=sparse)


def too_sparse(support: stats.Support) -> Problem | None:
    """Why an interval that leans on averages cannot be trusted here; None where it can."""
    if support.suffices:
        return None
    if support.units < stats.LEAST_UNITS:
        return Problem(GateCode.FEW_UNITS, {"units": support.units, "least": stats.LEAST_UNITS})
    if support.right < stats.LEAST_RIGHT:
        return Problem(GateCode.FEW_RIGHT, {"right": support.right, "least": stats.LEAST_RIGHT})
    return Problem(GateCode.HEAVY_ITEMS, {"share": stats.HEAVY_ITEM * 100})


def _fails(
    mode: GateMode, evidence: stats.IntervalVerdict, retention: float, minimum: float
) -> bool:
    if mode is GateMode.POINT:
        return retention < minimum
    if mode is GateMode.CERTIFY:
        return evidence is not stats.IntervalVerdict.KEPT
    return evidence is stats.IntervalVerdict.LOST
