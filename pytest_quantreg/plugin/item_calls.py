"""What the fixtures do in the name of one test: compare, time, record, and note every refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from ..core.codes import OptionCode
from ..core.comparison.accuracy import Comparison, Pair
from ..core.comparison.pairs import compare_items, pool
from ..core.comparison.speed import SpeedResult
from ..core.errors import Category, QuantregError, Refusal
from ..core.gates.outcome import BaselineRecorded, SpeedBaselineRecorded
from ..core.gates.plan import Plan
from ..core.records.speed import Workload
from ..core.settings import Settings, Update
from ..gating import Checker, EvalRequest
from ..gating.speed.record import with_itself
from ..report.words import worded
from . import markers
from .benchmark_figures import published
from .item_state import ItemState
from .recording_command import RecordingCommand

_RESUMED = frozenset({Category.ENGINE, Category.OUT_OF_MEMORY})
"""After these the same command should go on where it stopped."""


@dataclass
class SessionNotes:
    """What the session must know of its calls.

    ``requested`` says that any measurement was requested, ``stopped_short`` that one ended on
    the way and should be resumed by the next session.
    """

    requested: bool = False
    stopped_short: bool = False

    def note(self, error: QuantregError) -> None:
        """An error that ended a call."""
        if isinstance(error, Refusal) and error.category in _RESUMED:
            self.stopped_short = True


class ItemCalls:
    """The calls of one test; ``compare_accuracy`` and ``compare_speed`` end here."""

    def __init__(
        self,
        item: pytest.Item,
        item_state: ItemState,
        settings: Settings,
        checker: Checker,
        session: SessionNotes,
    ) -> None:
        self.settings = settings
        self._item = item
        self._item_state = item_state
        self._evidence = item_state.evidence
        self._checker = checker
        self._session = session
        self._recording = settings.update is not Update.NO
        self._command = RecordingCommand(item.config, settings, item)

    def refuse(self, task: str | None, error: QuantregError) -> None:
        """Notes that a call of compare_accuracy was refused before it began."""
        self._evidence.refuse(worded(error, self._command.voice), task, None)

    def refuse_speed(self, error: QuantregError) -> None:
        """Notes that a call of compare_speed was refused before it began."""
        self._evidence.refuse(worded(error, self._command.voice), None, None, speed=True)

    def compare(self, call: EvalRequest) -> Comparison:
        """Measures and pairs, or records while the session does. Raises QuantregError."""
        evidence, scheme = self._evidence, self._evidence.scheme
        self._session.requested = True
        try:
            self._refuse_late("compare_accuracy")
            if self._recording:
                return self._record(call)
            plan = self._plan()
            measured = self._checker.compare_accuracy(call, scheme, plan)
        except QuantregError as error:
            self._session.note(error)
            evidence.refuse(error, call.request.task, self._checker.known_context(scheme))
            worded(error, self._command.voice)
            raise
        evidence.measured.append(measured)
        return measured.compare_metric(measured.metric, plan.confidence)

    def time(
        self,
        workloads: Sequence[Workload],
        blocks: int | None,
    ) -> SpeedResult:
        """Times both models, or records while the session does. Raises QuantregError."""
        evidence, scheme = self._evidence, self._evidence.scheme
        try:
            self._refuse_late("compare_speed")
            if self._recording:
                return self._record_speed(workloads)
            plan = self._plan()
            timing = self._checker.time(workloads, scheme, plan, blocks=blocks)
        except QuantregError as error:
            self._session.note(error)
            evidence.refuse(error, None, self._checker.known_context(scheme), speed=True)
            worded(error, self._command.voice)
            raise
        if all(earlier.quantized is not timing.quantized for earlier in evidence.timed):
            # What an equal call of this test gave is told, and published, once.
            notes = published(self._item, timing)
            evidence.timed.append(replace(timing, notes=(*timing.notes, *notes)))
        return timing.result(plan.confidence)

    def _record_speed(self, workloads: Sequence[Workload]) -> SpeedResult:
        recorded = self._checker.record_speed(workloads)
        for baseline in recorded:
            self._evidence.recorded.append(
                SpeedBaselineRecorded(
                    baseline.run.workload,
                    tuple(baseline.run.series()),
                    baseline.context,
                    present=baseline.present,
                )
            )
        return with_itself(recorded, self.settings.confidence)

    def _record(self, call: EvalRequest) -> Comparison:
        recorded = self._checker.record(call)
        pairs = []
        for baseline in recorded:
            accuracy = baseline.run.accuracy
            context = self._checker.recording_context(baseline.run)
            self._evidence.recorded.append(
                BaselineRecorded(
                    accuracy, baseline.metric, context, baseline.present, baseline.notes
                )
            )
            self._evidence.stored.append(baseline.name)
            pairs.append(Pair(accuracy, accuracy, baseline.metric))
        # The body goes on with a comparison of the baseline with itself.
        scheme, sure = recorded[0].run.provenance.claimed, self.settings.confidence
        if len(pairs) == 1:
            accuracy, _, metric, _ = pairs[0]
            return compare_items(accuracy, accuracy, metric, scheme=scheme, confidence=sure)
        return pool(
            pairs,
            task=call.request.task,
            metric=pairs[0].metric.name,
            scheme=scheme,
            confidence=sure,
        )

    def _refuse_late(self, fixture: str) -> None:
        if self._item_state.ended is not None:
            raise Refusal(OptionCode.CALLED_AFTER_JUDGMENT, fixture=fixture)

    def _plan(self) -> Plan:
        fixtures = frozenset(self._evidence.fixtures)
        return markers.plan(self._item, self.settings, fixtures, self._item_state.declared)
