"""What the evidence of one comparison means for one gate: kept, lost, undecided, or no verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import stats
from .comparison import Comparison
from .errors import Category, Refusal
from .gates import Gate, Plan
from .settings import GateMode
from .sight import TRUTH_STEP, refuse_toothless, sight
from .suspicion import refuse_chance, refuse_too_good


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
    evidence: stats.Evidence
    fails: bool
    detectable: float | None
    needed: tuple[stats.ItemsNeeded, stats.ItemsNeeded] | None
    family: int = 1
    sparse: str | None = None


def refuse_other_scores(gate: Gate, task: str, metric: str, kinds: Mapping[str, str]) -> None:
    """Refuses a gate on a metric without a score per item. Raises Refusal (not judged).

    ``kinds`` maps every metric of the task to its kind.
    """
    if kinds[metric] == "aggregate":
        raise _no_scores(gate, task, metric, [name for name in kinds if kinds[name] != "aggregate"])


def _no_scores(gate: Gate, task: str, metric: str, others: Sequence[str]) -> Refusal:
    other = f", or name a metric= that has: {', '.join(others)}" if others else ""
    return Refusal(
        Category.NOT_JUDGED,
        f"{gate} cannot judge {metric} of {task}: it has no score of 0 or more for each item",
        help=f"take the marker off this test to have it measured and listed{other}",
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
            above its baseline, a detect gate without teeth, or a metric without scores
            per item.
    """
    if comparison.low is None or comparison.high is None:
        raise _no_scores(gate, comparison.task, comparison.metric, ())
    refuse_chance(comparison.slices, gate.minimum, name=comparison.task, confidence=plan.confidence)
    if not allow_better:
        refuse_too_good(comparison)
    sparse = _sparse(comparison)
    evidence = stats.evidence(stats.Interval(comparison.low, comparison.high), gate.minimum)
    if sparse is not None:
        evidence = stats.Evidence.UNDECIDED
    broken = evidence is stats.Evidence.LOST
    seen = sight(comparison, gate.minimum, confidence=plan.confidence, broken=broken)
    if plan.mode is GateMode.DETECT and not broken:
        refuse_toothless(seen, gate, comparison.task, max_undetected=max_undetected)
    needed = None
    if TRUTH_STEP < gate.minimum < 1:
        needed = seen.needed(1.0), seen.needed(gate.minimum - TRUTH_STEP)
    return Verdict(
        gate=gate,
        mode=plan.mode,
        comparison=comparison,
        evidence=evidence,
        fails=_fails(plan.mode, evidence, comparison.retention, gate.minimum),
        detectable=None if sparse is not None else seen.detectable(),
        needed=needed,
        family=plan.family,
        sparse=sparse,
    )


def _sparse(comparison: Comparison) -> str | None:
    """Why an interval that leans on averages cannot be trusted here; None where it can."""
    support = comparison.support
    if comparison.exact or support is None or support.suffices:
        return None
    if support.units < stats.LEAST_UNITS:
        what = f"{support.units} independent items or groups of items"
        return f"{what} are too few to judge, {stats.LEAST_UNITS} are the least"
    return (
        f"the baseline has {support.right:.3g} right answers, too few to judge: "
        f"{stats.LEAST_RIGHT} are the least"
    )


def _fails(mode: GateMode, evidence: stats.Evidence, retention: float, minimum: float) -> bool:
    if mode is GateMode.POINT:
        return retention < minimum
    if mode is GateMode.CERTIFY:
        return evidence is not stats.Evidence.KEPT
    return evidence is stats.Evidence.LOST
