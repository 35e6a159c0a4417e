"""Pools the tasks that one test measured, for gates with task="*"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...core.codes import GateCode
from ...core.comparison.accuracy import Comparison, Pair
from ...core.comparison.pairs import pool, refuse_unpoolable
from ...core.comparison.suspicion import refuse_chance, refuse_too_good
from ...core.errors import Refusal
from ...core.facts import Problem
from ...core.gates.selection import Gate
from ...core.records.run import Metric
from ..evidence import Evidence, Measurement
from .request import GateTarget


def pool_includes(gate: Gate, subject: GateTarget) -> bool:
    """Whether a pool takes a task in: perplexities only when ``metric=`` names them."""
    return gate.metric is not None or subject.metric.kind != "perplexity"


def pooled(gate: Gate, evidence: Evidence, confidence: float, *, allow_better: bool) -> Comparison:
    """The tasks and groups of a test in one comparison, each with the same weight.

    Raises:
        Refusal: part of what the test asked for was refused, one task was measured in two
            ways, a metric that cannot be averaged with others, a baseline at chance, or,
            unless ``allow_better``, a task that is far above its baseline: both would only
            hide what the others lost.
    """
    _refuse_incomplete(evidence)
    taken = [
        measurement for measurement in evidence.measured if pool_includes(gate, measurement.subject)
    ]
    _refuse_twice(taken)
    pairs: list[Pair] = []
    metrics: list[Metric] = []
    for measurement in taken:
        metric = measurement.subject.find(gate.metric) if gate.metric else measurement.metric
        task_pairs = measurement.pairs(metric)
        for pair in task_pairs:
            refuse_unpoolable(metric, pair.baseline, pair.candidate)
            _refuse_large(pair)
        alone = measurement.compare_metric(metric, confidence)
        refuse_chance(alone.slices, gate.minimum, name=measurement.task, confidence=confidence)
        if not allow_better:
            refuse_too_good(alone)
        pairs += task_pairs
        metrics.append(metric)
    names = list(dict.fromkeys(metric.name for metric in metrics))
    comparison = pool(
        pairs,
        task=f"pool of {len(taken)}",
        metric=names[0] if len(names) == 1 else "scores",
        scheme=taken[0].scheme,
        confidence=confidence,
        notes=tuple(dict.fromkeys(note for measurement in taken for note in measurement.notes)),
    )
    expected_shares = [
        measurement.expected for measurement in taken if measurement.expected is not None
    ]
    return replace(comparison, claims=taken[0].claims, expected=max(expected_shares, default=None))


def _refuse_incomplete(evidence: Evidence) -> None:
    if evidence.cut_short:
        raise Refusal(GateCode.POOL_CUT_SHORT, tasks=tuple(evidence.tasks))
    if evidence.refused:
        unnamed = Problem(GateCode.UNNAMED_MEASUREMENT, {})
        refused = [refusal.task or unnamed for refusal in evidence.refused]
        raise Refusal(GateCode.POOL_WITHOUT_REFUSED, refused=tuple(dict.fromkeys(refused)))


def _refuse_twice(taken: Sequence[Measurement]) -> None:
    names = [part.task for measurement in taken for part in measurement.parts]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Refusal(GateCode.TASK_TWICE_IN_POOL, task=twice)


def _refuse_large(pair: Pair) -> None:
    name = pair.metric.name
    if any(max(side.items.scores[name]) > 1.0 for side in (pair.baseline, pair.candidate)):
        raise Refusal(GateCode.SCORES_OUTWEIGH, metric=name, task=pair.baseline.protocol.task)
