"""The verdict of one gate on one comparison, measured by a test or read from files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from ..core.comparison.accuracy import Comparison
from ..core.errors import Refusal
from ..core.gates.outcome import JudgedAccuracy, LostUnjudged, RefusedAccuracy
from ..core.gates.plan import Plan
from ..core.gates.selection import Gate
from ..core.gates.unjudged_metrics import ComparisonAt, surely_lost
from ..core.gates.verdict import judge
from ..core.records.outcome_row import Context
from ..core.settings import GateMode


class Strictness(Protocol):
    """What gates refuse to judge: settings of a session, or options of a command."""

    @property
    def max_undetected(self) -> float:
        """The largest loss below the minimum that a ``detect`` gate may miss."""

    @property
    def allow_better(self) -> bool:
        """Whether a candidate may be far above its baseline."""


def judge_gate(
    gate: Gate, comparison: Comparison, plan: Plan, context: Context, strictness: Strictness
) -> JudgedAccuracy | RefusedAccuracy:
    """The verdict, or why there is none beside the figures."""
    try:
        verdict = judge(
            gate,
            comparison,
            plan,
            max_undetected=strictness.max_undetected,
            # A better run than the last accepted one is no sign of another protocol: that the
            # gate on the baseline looks at.
            allow_better=strictness.allow_better or gate.of_accepted,
        )
    except Refusal as error:
        return RefusedAccuracy(error, comparison.scheme, context, comparison.task, gate, comparison)
    return JudgedAccuracy(verdict, context)


def with_unjudged_losses(
    judged: JudgedAccuracy, others: Sequence[ComparisonAt], minimum: float, plan: Plan
) -> list[JudgedAccuracy | LostUnjudged]:
    """The verdict with what is surely lost of ``others``, which under ``certify`` fail too."""
    beside = surely_lost(others, minimum, confidence=plan.confidence)
    if beside is None:
        return [judged]
    extended: list[JudgedAccuracy | LostUnjudged] = [replace(judged, beside=beside)]
    if plan.mode is GateMode.CERTIFY:
        extended += [
            LostUnjudged(comparison, judged.verdict, beside, judged.context)
            for comparison in beside.comparisons
        ]
    return extended
