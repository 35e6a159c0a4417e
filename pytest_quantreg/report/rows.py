"""One row of a report per outcome: its figures, and its words in the voice of an audience."""

from __future__ import annotations

from dataclasses import replace

from ..core.codes import Category
from ..core.facts import Note
from ..core.gates.outcome import (
    BaselineRecorded,
    JudgedAccuracy,
    JudgedSpeed,
    LostUnjudged,
    MeasuredAccuracy,
    MeasuredSpeed,
    NothingAccepted,
    OtherDevice,
    Outcome,
    RefusedAccuracy,
    RefusedSpeed,
    SpeedBaselineRecorded,
    TimedDetail,
)
from ..core.records.outcome_row import OutcomeRow
from . import messages, speed_messages
from .speed_lines import model_lines, workload_lines
from .unjudged_messages import of_lost_unjudged, with_losses_beside
from .words import PLAIN, Voice

_POOL = "the pool"


def row_of(outcome: Outcome, voice: Voice = PLAIN) -> OutcomeRow:
    """What is read of an outcome, and what programs read."""
    if isinstance(outcome, (JudgedSpeed, MeasuredSpeed, OtherDevice, RefusedSpeed)):
        return _row_of_speed(outcome, voice)
    if isinstance(outcome, (BaselineRecorded, SpeedBaselineRecorded)):
        return _row_of_recording(outcome)
    if isinstance(outcome, JudgedAccuracy):
        verdict = messages.of_verdict(outcome.verdict, outcome.context, voice)
        row = _with_notes(verdict, outcome.notes, voice)
        return row if outcome.beside is None else with_losses_beside(row, outcome.beside, voice)
    if isinstance(outcome, LostUnjudged):
        judged = messages.of_verdict(outcome.verdict, outcome.context, voice)
        return of_lost_unjudged(outcome.comparison, judged, outcome.beside, outcome.context, voice)
    if isinstance(outcome, MeasuredAccuracy):
        return _row_of_measurement(outcome, voice)
    if isinstance(outcome, NothingAccepted):
        return messages.of_nothing_accepted(outcome)
    return _row_of_refusal(outcome, voice)


def _row_of_measurement(outcome: MeasuredAccuracy, voice: Voice) -> OutcomeRow:
    part_of = outcome.part_of or (_POOL if outcome.in_pool else None)
    row = messages.of_measurement(outcome.comparison, outcome.context, voice, part_of=part_of)
    return replace(
        _with_notes(row, outcome.notes, voice),
        gate=str(outcome.gate) if outcome.gate is not None else None,
        category=Category.SUSPICIOUS.value if outcome.doubt is not None else None,
    )


def _with_notes(row: OutcomeRow, notes: tuple[Note, ...], voice: Voice) -> OutcomeRow:
    return replace(row, notes=(*row.notes, *messages.note_words(notes, voice)))


def _row_of_refusal(outcome: RefusedAccuracy, voice: Voice) -> OutcomeRow:
    return messages.of_refusal(
        outcome.error,
        scheme=outcome.scheme,
        context=outcome.context,
        task=outcome.task,
        comparison=outcome.comparison,
        gate=str(outcome.gate) if outcome.gate is not None else None,
        voice=voice,
    )


def _row_of_recording(outcome: BaselineRecorded | SpeedBaselineRecorded) -> OutcomeRow:
    if isinstance(outcome, SpeedBaselineRecorded):
        return speed_messages.of_recorded(
            outcome.workload, outcome.series, outcome.context, present=outcome.present
        )
    return messages.of_recording(
        outcome.accuracy,
        outcome.metric,
        outcome.context,
        present=outcome.present,
        notes=outcome.notes,
    )


def _row_of_speed(
    outcome: JudgedSpeed | MeasuredSpeed | OtherDevice | RefusedSpeed, voice: Voice
) -> OutcomeRow:
    if isinstance(outcome, JudgedSpeed):
        return speed_messages.of_verdict(
            outcome.verdict,
            outcome.context,
            notes=outcome.notes,
            lines=_detail_lines(outcome.detail),
            reasons=outcome.slow,
        )
    if isinstance(outcome, MeasuredSpeed):
        return speed_messages.of_measurement(
            outcome.comparison,
            outcome.context,
            notes=outcome.notes,
            lines=_detail_lines(outcome.detail),
        )
    if isinstance(outcome, OtherDevice):
        return speed_messages.of_other_device(outcome.choice, outcome.context, outcome.mode)
    return speed_messages.of_speed_refusal(
        outcome.error,
        scheme=outcome.scheme,
        context=outcome.context,
        gate=outcome.gate,
        workload=outcome.workload,
        voice=voice,
    )


def _detail_lines(detail: TimedDetail | None) -> tuple[str, ...]:
    if detail is None:
        return ()
    comparison = detail.comparison
    lines = workload_lines(comparison, detail.roofs)
    if detail.models is not None:
        lines += model_lines(comparison.scheme, *detail.models)
    slower = f"{comparison.workload.label} is slower, likely: "
    return (*lines, *(slower + reason for reason in detail.slow))
