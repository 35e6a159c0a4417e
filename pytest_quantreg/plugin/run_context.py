"""One pytest session's quantreg: between the hooks, the checks and the report."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ..core.errors import QuantregError, Refusal, WrongUse
from ..core.gates.outcome import NOT_RECORDED, Outcome, RefusedAccuracy, RefusedSpeed
from ..core.gates.plan import Plan
from ..core.gates.selection import unused_gates
from ..core.printable import printable
from ..core.records.outcome_row import JUDGED, MEASURED, OutcomeRow
from ..core.settings import Update
from ..gating import (
    Checker,
    Evidence,
    candidate_runs_of,
    fed_gates,
    fed_speed_gates,
    judge_evidence,
)
from ..gating.models import quantized_spec
from ..gating.scheme_detection import named_by_files
from ..report import messages
from ..report.junit import PREFIX, properties
from ..report.progress import TerminalProgress
from ..report.rows import row_of
from ..report.session_outcomes import SessionReport
from ..report.session_report import Report
from ..report.terminal import write_summary
from ..report.words import words_of
from . import collection, markers
from .accept import KeptRuns
from .fixtures import Fixtures
from .item_state import (
    ITEM_STATE,
    EndOfTest,
    GateFailed,
    ItemState,
    annotate_report,
    cleaned,
    generated,
    is_due,
    is_end,
    judged_generation,
    lost_before,
    message,
    own_error,
    place_skip,
    reason,
    redact_outcomes,
    show,
    with_earlier_losses,
    without_gate,
)
from .option_table import COMPARE_FIXTURES
from .options import read, secrets_of
from .recording_command import RecordingCommand
from .report_files import Reporter
from .requirement import PASSING, write_line
from .unused_baselines import unused_line


class RunContext:
    """Everything of ours that lives as long as the session; made on first use.

    ``required`` says that --quant-require was set when the session began. ``last_line`` is
    the one that a session which was not to end with 0, or was interrupted, ends with.
    """

    def __init__(self, config: pytest.Config, session: str, *, required: bool) -> None:
        self.config = config
        self._session = session
        self._required = required
        self.secrets = secrets_of(config)
        try:
            self.settings = named_by_files(read(config))
            progress = TerminalProgress(config, self.secrets)
            self.checker = Checker(self.settings, progress, session)
            self._check_request()
            self.reporter = Reporter(config, self.settings, self.secrets)
            self.reporter.begin()
        except WrongUse as error:
            raise pytest.UsageError(self.secrets.redact(str(words_of(error.problem)))) from None
        self.report = SessionReport(self.settings)
        self.fixtures = Fixtures(config, self.settings, self.checker)
        self._reported_loads: dict[str, int] = {}
        self.last_line = ""

    @property
    def recording(self) -> bool:
        """Whether this session records baselines and judges nothing."""
        return self.settings.update is not Update.NO

    # -- options and collection ------------------------------------------------------

    def header(self) -> str | None:
        """The line above the collection; None when nothing is gated or recorded."""
        line = self.report.header()
        return printable(self.secrets.redact(line)) if line else line

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """One run per requested scheme; none while recording."""
        collection.parametrize(metafunc, self.settings)

    def check_report(self, report: pytest.CollectReport) -> None:
        """Fails the collection of a file or class with wrong markers."""
        collection.check_report(report, self.settings)

    def check_collected(self, session: pytest.Session) -> None:
        """Skips what cannot run; refuses wrong markers that hooks have added."""
        collection.check_collected(session, self.settings)

    def _check_request(self) -> None:
        """Tells before collection what would stop every gate. Raises WrongUse."""
        backend = self.checker.engines.backend
        if not self.settings.schemes and not self.recording:
            return
        backend.software()
        if self.recording:
            return
        for scheme in self.settings.schemes:
            spec = quantized_spec(self.settings, "", scheme)
            if spec.quantize and not spec.made_by_argument:
                backend.check_makes(scheme)
            with contextlib.suppress(Refusal):
                # A server that nobody named is told now, one that is down by the tests.
                self.checker.engines.software(spec)

    # -- running -----------------------------------------------------------------------

    def begin(self, item: pytest.Item, *, ours: bool) -> None:
        """A test is about to run; of an earlier try only the gates that it lost are left.

        One that is not ours by its arguments and markers may become so in its body.
        """
        callspec = getattr(item, "callspec", None)
        scheme = callspec.params.get("quant_scheme", "") if callspec is not None else ""
        item_state = ItemState(Evidence(scheme=str(scheme)), ours=ours, lost=lost_before(item))
        item.stash[ITEM_STATE] = item_state
        self.fixtures.current = item_state.evidence
        # Another try of the same test shall not add to what JUnit has of the first.
        kept = [pair for pair in item.user_properties if not pair[0].startswith(PREFIX)]
        item.user_properties[:] = kept

    def start_body(self, item: pytest.Item) -> None:
        """Setup is over: from here on the test's markers can only grow."""
        if (item_state := item.stash.get(ITEM_STATE, None)) is not None:
            item_state.declared = markers.carried(item)

    def stop_short(self, item: pytest.Item) -> None:
        """``pytest.exit`` or Ctrl-C in a body: what it measured is judged and listed.

        No report will come for the test, so its outcomes go to the summary directly.
        """
        item_state = item.stash.get(ITEM_STATE, None)
        if item_state is None or not item_state.evidence.touched or item_state.ended is not None:
            return
        item_state.evidence.fixtures.update(getattr(item, "fixturenames", ()))
        item_state.evidence.cut_short = True
        outcomes = redact_outcomes(self._outcomes(item, item_state, "setup"), self.secrets)
        plain = {
            "outcomes": [outcome.to_plain() for outcome in outcomes],
            "generated": generated(item_state),
        }
        self.report.add({**plain, "unjudged": without_gate(item, item_state, outcomes)})

    def end(self, item: pytest.Item, when: str, error: BaseException | None) -> None:
        """Judges a test of which a phase has ended, by ``error`` or well.

        The call is judged always, setup when it failed after fixtures had measured or
        were refused, teardown when it was refused something more. Raises GateFailed for
        lost and refused gates, and pytest's skip for a recorded baseline, in place of
        how the phase ended.
        """
        item_state = item.stash.get(ITEM_STATE, None)
        if item_state is None:
            return
        evidence = item_state.evidence
        if isinstance(error, QuantregError) and not evidence.refused:
            evidence.refuse(error, None, None)
        if not is_due(item_state, when, failed=error is not None):
            return
        evidence.fixtures.update(getattr(item, "fixturenames", ()))
        evidence.cut_short = isinstance(error, (pytest.skip.Exception, pytest.xfail.Exception))
        outcomes = redact_outcomes(self._outcomes(item, item_state, when), self.secrets)
        item_state.judged_refusals = len(evidence.refused)
        item_state.ended = EndOfTest(when, tuple(outcomes), own_error(error))
        item_state.losing += tuple(
            outcome for outcome in outcomes if outcome.fails and outcome.result in JUDGED
        )
        item.user_properties.extend(properties(outcomes))
        if item_state.ended.error is not None:
            return
        failing = item_state.ended.failing
        if failing and (item_state.ended.refused or not isinstance(error, pytest.xfail.Exception)):
            raise GateFailed(message(failing))
        if when == "call" and self.recording and evidence.fixtures & COMPARE_FIXTURES:
            raise pytest.skip.Exception(_recorded_headlines(evidence))

    def _outcomes(self, item: pytest.Item, item_state: ItemState, when: str) -> list[OutcomeRow]:
        """The rows of what a phase measured or was refused, in the voice of the test."""
        evidence = item_state.evidence
        voice = RecordingCommand(self.config, self.settings, item).voice
        if when == "teardown":
            evidence = Evidence(
                evidence.scheme, refused=evidence.refused[item_state.judged_refusals :]
            )
        if self.recording:
            refused = [
                RefusedSpeed(refusal.error, NOT_RECORDED)
                if refusal.speed
                else RefusedAccuracy(refusal.error, NOT_RECORDED, task=refusal.task)
                for refusal in evidence.refused
            ]
            return [row_of(outcome, voice) for outcome in (*evidence.recorded, *refused)]
        if not self.settings.schemes:
            return []
        try:
            plan, added = self._plans(item, item_state)
        except WrongUse as error:
            return [row_of(RefusedAccuracy(error, evidence.scheme), voice)]
        try:
            outcomes = self._judged(item_state, evidence, plan, added, when)
            self.checker.record_flips(evidence, outcomes, plan.confidence)
            rows = list(dict.fromkeys(row_of(outcome, voice) for outcome in outcomes))
            if added is not None:
                rows = _without_repeats(rows)
            item_state.generated = judged_generation(evidence, rows)
            return with_earlier_losses(item_state, rows)
        except Exception as error:
            # A fault of ours must not be what an xfail excuses.
            return [messages.of_fault(error, scheme=evidence.scheme)]

    def _judged(
        self, item_state: ItemState, evidence: Evidence, plan: Plan, added: Plan | None, when: str
    ) -> list[Outcome]:
        if evidence.measured:
            fed = fed_gates(plan, evidence)
            spare = unused_gates(plan.gates, fed.__contains__, measured=True)
            item_state.idle = tuple(map(str, spare))
            item_state.fed = tuple(map(str, fed))
            item_state.kept = tuple(candidate_runs_of(plan, evidence))
        if evidence.timed:
            timed = fed_speed_gates(plan, evidence)
            item_state.idle += tuple(str(gate) for gate in plan.speed if gate not in timed)
            item_state.fed += tuple(map(str, timed))
        ended = when == "call" and not item_state.not_for_scheme
        outcomes = judge_evidence(plan, evidence, self.settings, body_ended=ended)
        if added is not None:
            outcomes += judge_evidence(added, evidence, self.settings, body_ended=ended)
        return outcomes

    def _plans(self, item: pytest.Item, item_state: ItemState) -> tuple[Plan, Plan | None]:
        """The gates as the body began, and those that it added to them.

        What a body does to its own markers can add a gate, and neither take one away
        nor loosen it.
        """
        fixtures = frozenset(item_state.evidence.fixtures)
        now = markers.plan(item, self.settings, fixtures)
        if item_state.declared is None:
            return now, None
        plan = markers.plan(item, self.settings, fixtures, item_state.declared)
        added = tuple(gate for gate in now.gates if gate not in plan.gates)
        speed = tuple(gate for gate in now.speed if gate not in plan.speed)
        if not added and not speed:
            return plan, None
        return plan, replace(plan, gates=added, speed=speed, judged_elsewhere=plan.gates)

    def annotate_report(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> None:
        """Puts what the gates said on the report, as plain JSON types."""
        plain: dict[str, Any] = {}
        if loads := self._new_loads():
            plain["loads"] = loads
        item_state = item.stash.get(ITEM_STATE, None)
        if (
            item_state is not None
            and item_state.ended is not None
            and item_state.ended.when == report.when
        ):
            plain.update(annotate_report(item, item_state, item_state.ended, report))
            if report.skipped and self.recording and not hasattr(report, "wasxfail"):
                place_skip(item, report)
        elif report.failed and call.excinfo and isinstance(call.excinfo.value, QuantregError):
            # The report of a subtest; that of the whole test tells it again, judged.
            show(item, report, f"REFUSED: {call.excinfo.value}")
        cleaned(report, self.secrets, ours=item_state is not None and item_state.is_ours)
        if plain:
            report.quantreg = plain  # type: ignore[attr-defined]  # reports take any

    def _new_loads(self) -> dict[str, int]:
        loads = dict(self.checker.engines.slot.loads)
        new = {
            name: count - self._reported_loads.get(name, 0)
            for name, count in loads.items()
            if count != self._reported_loads.get(name, 0)
        }
        self._reported_loads = loads
        return new

    # -- the end of the session ----------------------------------------------------------

    def collect(self, report: pytest.TestReport, plain: dict[str, Any]) -> None:
        """Takes what came with a report, from this process or a worker."""
        if is_end(report):
            self.report.add(plain, report.nodeid)
        else:
            self.report.add_try(plain, report.nodeid, reason(report))

    def summarize(self, terminal: pytest.TerminalReporter) -> None:
        """Writes the summary."""
        write_summary(self.report, terminal)

    def finish(self, session: pytest.Session) -> None:
        """Frees what is held; decides the exit status as far as it is known."""
        self.report.end_tries()
        ended_well = session.exitstatus in (*PASSING, pytest.ExitCode.TESTS_FAILED)
        self.checker.close(forget=ended_well and not self.fixtures.notes.stopped_short)
        self.settle(session)
        if session.exitstatus == pytest.ExitCode.INTERRUPTED:
            self.last_line = self._interrupted()

    def settle(self, session: pytest.Session) -> None:
        """Decides the exit status where no single test can.

        Under --quant-require, and for a quantized KV cache that nothing has read.
        """
        if hasattr(self.config, "workerinput") or self.config.option.collectonly:
            return
        self.reporter.note_missing(session)
        if session.exitstatus in PASSING and (lacking := self.lacking()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self.last_line = lacking

    def lacking(self) -> str:
        """Why a session that pytest would end with 0 must not; empty where it may."""
        early = "; ".join(self.reporter.missing)
        unmet = self.report.unmet_requirement() if self._required else ""
        why = (
            unmet
            or self.report.unjudged_generation()
            or self.report.unreported_failure(early=early != "")
        )
        if not why and early and self._required:
            why = f"quantreg: --quant-require: not every test ran: {early}"
        return why

    def conclude(self, session: pytest.Session) -> None:
        """Has the last word, when all other plugins had theirs: exit status, reports, last line."""
        self.settle(session)
        self._write_reports(session)
        if self.last_line and not self._required:  # which prints it after all of pytest's
            self._write_line(self.last_line, red=True)

    def _write_reports(self, session: pytest.Session) -> None:
        """Writes the reports, when nothing can change any more; one that fails is a failure."""
        versions: Mapping[str, str] = {}
        if self.reporter.wanted and (self.settings.schemes or self.recording):
            versions = self.checker.engines.backend.software().versions
        kept = KeptRuns(self.settings, self.report)
        written = self.reporter.end(session, self.report, versions, self.last_line, kept.packed)
        for line in written.notices:
            self._write_line(line)
        for line in written.failed:
            self._write_line(line, red=True)
        if written.failed and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self.reporter.report is not None and self.settings.accept:
            self._accept(session, kept, self.reporter.report)
        if not hasattr(self.config, "workerinput"):
            kept.clean(self._session)
            if session.exitstatus == pytest.ExitCode.OK and self.recording:
                self._print_unused()

    def _print_unused(self) -> None:
        line = unused_line(self.config, self.settings, self.checker, self.report.stored)
        if line:
            self._write_line(line)

    def _accept(self, session: pytest.Session, kept: KeptRuns, report: Report) -> None:
        """Accepts what was kept; where that is not to be, the session did not do its work."""
        result = kept.accept(report, Path(self.config.invocation_params.dir))
        for line in result.lines:
            self._write_line(line)
        if result.failed:
            self.last_line = result.failed
            if session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _write_line(self, line: str, *, red: bool = False) -> None:
        write_line(self.config, self.secrets.redact(line), red=red)

    def _interrupted(self) -> str:
        """What an interruption has cost; empty when nothing of ours was measured."""
        gates = bool(self.settings.schemes) or self.recording
        # xdist's controller hears of a measurement only once it is over.
        apart = gates and getattr(self.config.option, "dist", "no") != "no"
        return self.report.interrupted() if apart or self.fixtures.notes.requested else ""

    def scheduler(self, log: Any) -> Any:
        """xdist's scheduler that keeps the items of a scheme together; None for its own."""
        gates = self.settings.schemes or self.recording
        if not gates or self.config.option.dist != "load":
            return None
        from .xdist_scheduling import SchemeScheduling

        return SchemeScheduling(self.config, log, self.settings)


def _without_repeats(rows: Sequence[OutcomeRow]) -> list[OutcomeRow]:
    """The rows without those of a measurement that another row judges."""
    judged = {_measured_value(row) for row in rows if row.result != MEASURED}
    return [row for row in rows if row.result != MEASURED or _measured_value(row) not in judged]


def _measured_value(outcome: OutcomeRow) -> tuple[object, ...]:
    """What was measured, whether or not a gate judged it."""
    timed = (outcome.speed.subject, outcome.speed.quantity) if outcome.speed is not None else ()
    return (outcome.task, outcome.metric, *timed)


def _recorded_headlines(evidence: Evidence) -> str:
    if not evidence.recorded:
        return "nothing recorded: the test compared nothing"
    return "; ".join(row_of(outcome).headline for outcome in evidence.recorded)
