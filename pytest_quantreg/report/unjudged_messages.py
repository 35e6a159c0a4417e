"""Verdicts that name the metrics which no gate judges and which are surely lost."""

from __future__ import annotations

from dataclasses import replace

from ..core.codes import SharedCode
from ..core.comparison.accuracy import Comparison
from ..core.facts import Problem
from ..core.gates.outcome import UnjudgedLosses
from ..core.records.outcome_row import LOST, Context, OtherLoss, OutcomeRow
from ..core.settings import GateMode
from .messages import bare, figures, of_measurement, percent, upper
from .words import Voice, words_of


def loss_lines(beside: UnjudgedLosses, voice: Voice) -> list[str]:
    """A line per metric that is lost beside what a gate judges."""
    return [
        f"{comparison.task}: no gate judges {bare(comparison.metric)}, which is surely below "
        f"{beside.minimum:.10g}: it {_share(comparison, beside)}; {_way_out(comparison, voice)}"
        for comparison in beside.comparisons
    ]


def _way_out(comparison: Comparison, voice: Voice) -> str:
    """The edit or the command that judges a metric openly."""
    metric = bare(comparison.metric)
    return words_of(Problem(SharedCode.GATE_THE_METRIC, {"metric": metric}), voice).what


def with_losses_beside(judged: OutcomeRow, beside: UnjudgedLosses, voice: Voice) -> OutcomeRow:
    """The verdict ``judged``, with a line per metric that is lost beside it.

    Under ``certify`` an outcome of its own follows, and the lines are details alone.
    """
    lines = loss_lines(beside, voice)
    certifies = judged.mode == GateMode.CERTIFY.value
    return replace(
        judged,
        details=(*judged.details, *lines),
        notes=judged.notes if certifies else (*judged.notes, *lines),
        also_lost=tuple(_loss(comparison, beside.minimum) for comparison in beside.comparisons),
    )


def of_lost_unjudged(
    comparison: Comparison,
    judged: OutcomeRow,
    beside: UnjudgedLosses,
    context: Context,
    voice: Voice,
) -> OutcomeRow:
    """Under ``certify``: one of the metrics ``beside`` the verdict ``judged``, as lost."""
    share, required = _share(comparison, beside), _required(judged, beside)
    return replace(
        of_measurement(replace(comparison, notes=()), context),
        result=LOST,
        fails=True,
        headline=f"LOST {comparison.scheme} {comparison.task}: no gate judges "
        f"{bare(comparison.metric)}, which {share}; {required}",
        details=(
            *figures(comparison),
            f"certify fails on every metric that is surely lost: {_way_out(comparison, voice)}",
        ),
        gate=judged.gate,
        minimum=beside.minimum,
        mode=judged.mode,
        unjudged=beside.looked_at,
    )


def _required(judged: OutcomeRow, beside: UnjudgedLosses) -> str:
    """State the minimum, of the judged metric, or of its task where several tasks are involved."""
    one_task = len({judged.task, *(comparison.task for comparison in beside.comparisons)}) == 1
    subject = bare(judged.metric) if one_task else None
    return f"{beside.minimum * 100:.10g} % was required of {subject or judged.task}"


def _share(comparison: Comparison, beside: UnjudgedLosses) -> str:
    sure = f"{comparison.confidence * 100:.6g} % confidence"
    if beside.looked_at > 1:
        whole = 100 - (1 - comparison.confidence) * beside.looked_at * 100
        sure += f" ({whole:.6g} % over {beside.looked_at} metrics)"
    most = upper(comparison.high, below=beside.minimum)
    return (
        f"keeps {percent(comparison.retention)} of the baseline's, with {sure} no more than {most}"
    )


def _loss(comparison: Comparison, minimum: float) -> OtherLoss:
    return OtherLoss(
        task=comparison.task,
        metric=comparison.metric,
        minimum=minimum,
        confidence=comparison.confidence,
        baseline=comparison.baseline,
        quantized=comparison.quantized,
        retention=comparison.retention,
        low=comparison.low,
        high=comparison.high if comparison.high is not None else minimum,
        n=comparison.n,
    )
