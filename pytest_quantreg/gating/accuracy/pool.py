"""Pools the tasks that one test measured, for gates with task="*"."""

from __future__ import annotations

from dataclasses import replace

from ...core.codes import GateCode
from ...core.comparison.accuracy import Comparison
from ...core.errors import Refusal
from ...core.facts import Problem
from ...core.gates.selection import Gate, judges_retention
from ..evidence import Evidence, Measurement
from ..pooling import (
    PoolMember,
    pool_members,
    refuse_counted_twice,
    refuse_incomplete,
    refuse_unlike_shares,
    refuse_unusual_tasks,
)
from .request import GateTarget


def pool_includes(gate: Gate, subject: GateTarget) -> bool:
    """Whether a pool takes a task in: perplexities only when ``metric=`` names them."""
    return judges_retention(subject.metric, named=gate.metric is not None)


def pooled(gate: Gate, evidence: Evidence, confidence: float, *, allow_better: bool) -> Comparison:
    """The tasks and groups of a test in one comparison, each with the same weight.

    Raises:
        Refusal: part of what the test asked for was refused, one task was measured in two
            ways, a metric that cannot be averaged with others, a baseline at chance, or,
            unless ``allow_better``, a task that is far above its baseline: both would only
            hide what the others lost.
    """
    if evidence.cut_short:
        raise Refusal(GateCode.POOL_CUT_SHORT, tasks=tuple(evidence.tasks))
    unnamed = Problem(GateCode.UNNAMED_MEASUREMENT, {})
    refuse_incomplete(refusal.task or unnamed for refusal in evidence.refused)
    taken = [
        measurement for measurement in evidence.measured if pool_includes(gate, measurement.subject)
    ]
    refuse_counted_twice([part.task for measurement in taken for part in measurement.parts])
    members = [_member(measurement, gate) for measurement in taken]
    alone = [
        measurement.compare_metric(member.metric, confidence)
        for measurement, member in zip(taken, members, strict=True)
    ]
    refuse_unusual_tasks(alone, gate.minimum, allow_better=allow_better)
    comparison = pool_members(
        members,
        task=f"pool of {len(taken)}",
        scheme=taken[0].scheme,
        confidence=confidence,
        notes=tuple(dict.fromkeys(note for measurement in taken for note in measurement.notes)),
    )
    expected_shares = [
        measurement.expected for measurement in taken if measurement.expected is not None
    ]
    return replace(comparison, claims=taken[0].claims, expected=max(expected_shares, default=None))


def _member(measurement: Measurement, gate: Gate) -> PoolMember:
    metric = measurement.subject.find(gate.metric) if gate.metric else measurement.metric
    pairs = measurement.pairs(metric)
    refuse_unlike_shares(metric, pairs)
    return PoolMember(metric, tuple(pairs))
