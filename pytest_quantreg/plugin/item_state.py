"""How one test of ours ended: what its evidence says, and what its reports show of that."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import TracebackType
from typing import Any
from warnings import WarningMessage

import pytest

from ..core.errors import QuantregError
from ..core.printable import printable, printable_lines
from ..core.records.acceptance import CandidateRun
from ..core.records.outcome_row import JUDGED, REFUSED, OutcomeRow
from ..core.secret_values import Secrets
from ..gating import Evidence
from ..report.junit import FAILURE, failure_type
from .markers import DeclaredMark
from .requirement import unjudged


class GateFailed(pytest.fail.Exception):  # type: ignore[name-defined,misc]  # an attribute
    """A lost or refused gate; pytest shows its message without a traceback.

    pytest keeps what a session's fixture raised and raises it again, by way of
    `with_traceback`, for every test that asks: ``on_raise`` is called each time, so that no
    later test can catch it unnoticed.
    """

    def __init__(self, message: str, on_raise: Callable[[], None] | None = None) -> None:
        super().__init__(printable_lines(message), pytrace=False)
        self._on_raise = on_raise

    def with_traceback(self, traceback: TracebackType | None) -> GateFailed:
        """Raised once more."""
        if self._on_raise is not None:
            self._on_raise()
        error: GateFailed = super().with_traceback(traceback)
        return error


@dataclass(frozen=True)
class EndOfTest:
    """What the gates said after the phase ``when``; ``error`` is the test's own exception."""

    when: str
    outcomes: tuple[OutcomeRow, ...]
    error: BaseException | None

    @property
    def refused(self) -> bool:
        """Whether anything was refused, which no xfail excuses."""
        return any(outcome.result == REFUSED for outcome in self.outcomes)

    @property
    def failing(self) -> list[OutcomeRow]:
        """The outcomes that turn the test red."""
        return [outcome for outcome in self.outcomes if outcome.fails]


@dataclass
class ItemState:
    """One run of one test: the evidence it left, and how it ended as far as it has.

    ``ours`` says that its arguments or markers name something of ours, ``judged_refusals`` how
    many of its refusals have been judged, ``not_for_scheme`` that it is not for this scheme,
    ``declared`` the marks it carried when its body began, ``generated`` that a gate judged
    answers which the model generated, ``kept`` what was measured and may be accepted, ``lost``
    the gates that earlier tries of the same test lost and ``losing`` those that this one did.
    """

    evidence: Evidence = field(default_factory=Evidence)
    ours: bool = False
    declared: tuple[DeclaredMark, ...] | None = None
    judged_refusals: int = 0
    not_for_scheme: bool = False
    ended: EndOfTest | None = None
    fed: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    generated: bool = False
    kept: tuple[CandidateRun, ...] = ()
    lost: tuple[OutcomeRow, ...] = ()
    losing: tuple[OutcomeRow, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether it names something of ours, or its body has asked for it."""
        return self.ours or self.evidence.touched


ITEM_STATE = pytest.StashKey[ItemState]()


_ENDS = ("passed", "failed", "skipped")
_AGAIN = "measured before the test was run again: trying again does not turn a failed gate green"


def is_end(report: pytest.TestReport) -> bool:
    """Whether a report ends a phase of its test: plugins that run it again have other outcomes."""
    return report.outcome in _ENDS


def reason(report: pytest.TestReport) -> str:
    """The first line of what failed."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(getattr(crash, "message", "")).partition("\n")[0]


def lost_before(item: pytest.Item) -> tuple[OutcomeRow, ...]:
    """The gates that earlier tries of a test failed on evidence; a refusal may be tried again."""
    item_state = item.stash.get(ITEM_STATE, None)
    return (
        tuple(with_earlier_losses(item_state, item_state.losing)) if item_state is not None else ()
    )


def with_earlier_losses(item_state: ItemState, outcomes: Sequence[OutcomeRow]) -> list[OutcomeRow]:
    """The outcomes of a try, and the gates lost before it that it did not lose again."""
    again = {_gate_of(outcome) for outcome in outcomes if outcome.fails}
    lost = [outcome for outcome in item_state.lost if _gate_of(outcome) not in again]
    noted = [
        outcome
        if _AGAIN in outcome.details
        else replace(outcome, details=(*outcome.details, _AGAIN))
        for outcome in lost
    ]
    return [*outcomes, *noted]


def _gate_of(outcome: OutcomeRow) -> tuple[object, ...]:
    timed = (outcome.speed.subject, outcome.speed.quantity) if outcome.speed is not None else ()
    return (outcome.scheme, outcome.task, outcome.metric, outcome.gate, *timed)


def is_due(item_state: ItemState, when: str, *, failed: bool) -> bool:
    """Whether the end of a phase is the moment to judge."""
    evidence = item_state.evidence
    if when == "call":
        return item_state.is_ours
    if when == "setup":
        return failed and (evidence.touched or bool(item_state.lost))
    return len(evidence.refused) > item_state.judged_refusals


def own_error(error: BaseException | None) -> BaseException | None:
    """``error`` if it is the test's own failure: no skip, no xfail and none of ours."""
    passing: tuple[type[BaseException], ...] = (
        pytest.skip.Exception,
        pytest.xfail.Exception,
        GateFailed,
        QuantregError,
    )
    if (unittest := sys.modules.get("unittest")) is not None:
        passing = (*passing, unittest.SkipTest)
    return None if isinstance(error, passing) else error


def message(outcomes: Sequence[OutcomeRow]) -> str:
    """Refusals first: they say that nothing may be concluded from the rest."""
    lines: list[str] = []
    for outcome in sorted(
        outcomes, key=lambda outcome: (outcome.result != REFUSED, not outcome.fails)
    ):
        lines += [outcome.headline, *(f"  {line}" for line in outcome.details)]
    return "\n".join(lines)


def annotate_report(
    item: pytest.Item, item_state: ItemState, ended: EndOfTest, report: pytest.TestReport
) -> dict[str, Any]:
    """Makes a report say what the gates said; returns the plain values it shall carry."""
    expected = hasattr(report, "wasxfail")
    lost = any(outcome.fails for outcome in ended.outcomes)
    if not report.failed and (ended.refused or (lost and not expected)):
        _unhide(item, ended, report)
        _set_type(item, ended, report)
    elif report.failed and ended.error is None:
        _set_headline(item, report)
        _set_type(item, ended, report)
    excused = expected and not report.failed
    outcomes = [
        outcome.excuse() if excused and outcome.fails else outcome for outcome in ended.outcomes
    ]
    if excused and ended.failing:
        # What an xfail excused opens its line in the short summary, and its case in JUnit.
        reason = getattr(report, "wasxfail", "").removeprefix("reason: ") or "no reason given"
        report.wasxfail = f"{ended.failing[0].headline} (xfail: {reason})"
    shown = outcomes if ended.error is not None or not report.failed else _passing(outcomes)
    if shown:
        report.sections.append(("quantreg", message(shown)))
    return {
        "outcomes": [outcome.to_plain() for outcome in outcomes],
        "refused": ended.refused and report.failed and (expected or ended.error is None),
        "fed": list(item_state.fed),
        "idle": list(item_state.idle),
        "generated": generated(item_state),
        "kept": [asdict(run) for run in item_state.kept],
        "answers": item_state.evidence.answers(),
        "stored": list(item_state.evidence.stored),
        # What a teardown is refused comes on top of what was judged before.
        "unjudged": [] if ended.when == "teardown" else without_gate(item, item_state, outcomes),
    }


def without_gate(
    item: pytest.Item, item_state: ItemState, outcomes: Sequence[OutcomeRow]
) -> list[str]:
    """What a test measured for --quant-require in vain, in words."""
    return unjudged(item.nodeid, item_state.evidence, outcomes)


def judged_generation(evidence: Evidence, outcomes: Sequence[OutcomeRow]) -> bool:
    """Whether a gate judged answers that the model generated, alone or in a pool."""
    # Outcomes hold names as people read them.
    names, tasks = (set(map(printable, group)) for group in (evidence.generating, evidence.tasks))
    return bool(names) and any(
        # What is no task's own is the pool of all of them.
        outcome.result in JUDGED
        and outcome.speed is None
        and (outcome.task in names or outcome.task not in tasks)
        for outcome in outcomes
    )


def generated(item_state: ItemState) -> list[str]:
    """The scheme of a test of which generated answers were judged, else nothing."""
    return [item_state.evidence.scheme] if item_state.generated else []


def place_skip(item: pytest.Item, report: pytest.TestReport) -> None:
    """Lets a skip of ours name the test, not our line that raised it."""
    path, line, _ = item.reportinfo()
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    report.longrepr = (os.fspath(path), (line or 0) + 1, text)


def redact_outcomes(outcomes: Iterable[OutcomeRow], secrets: Secrets) -> list[OutcomeRow]:
    """The outcomes without secrets in their words; what programs read in them stays."""
    redact = secrets.redact
    return [
        replace(
            outcome,
            headline=redact(outcome.headline),
            details=tuple(map(redact, outcome.details)),
            advice=redact(outcome.advice) if outcome.advice else outcome.advice,
            notes=tuple(map(redact, outcome.notes)),
        )
        for outcome in outcomes
    ]


def cleaned(report: pytest.TestReport, secrets: Secrets, *, ours: bool) -> None:
    """Takes secrets out of what a report shows; of a test of ours also what a CI acts on.

    What an engine raises in its body is shown with the test's own traceback.
    """
    if ours:
        report.longrepr = _rewrite(report.longrepr, printable_lines)
        # Engines log and warn with names from the files of a model.
        report.sections = _rewrite(report.sections, printable_lines)
    if secrets.values:
        report.longrepr = _rewrite(report.longrepr, secrets.redact_exactly)
        report.sections = _rewrite(report.sections, secrets.redact_exactly)


def clean_warning(warning: WarningMessage, secrets: Secrets) -> None:
    """Takes the same out of a warning before pytest lists it."""
    text = str(warning.message)
    if (shown := printable_lines(secrets.redact_exactly(text))) != text:
        warning.message = shown


def _rewrite(shown: Any, change: Callable[[str], str]) -> Any:
    """Every text changed in what a report shows: texts, lists of them, and pytest's own values."""
    if isinstance(shown, str):
        return change(shown)
    if isinstance(shown, tuple):
        return tuple(_rewrite(part, change) for part in shown)
    if isinstance(shown, list):
        return [_rewrite(part, change) for part in shown]
    if type(shown).__module__.startswith("_pytest."):
        for name, value in list(getattr(shown, "__dict__", {}).items()):
            object.__setattr__(shown, name, _rewrite(value, change))
    return shown


def _passing(outcomes: Sequence[OutcomeRow]) -> list[OutcomeRow]:
    return [outcome for outcome in outcomes if not outcome.fails]


def _unhide(item: pytest.Item, ended: EndOfTest, report: pytest.TestReport) -> None:
    """Turns red what an xfail or another plugin made of a refused or lost test."""
    text = message(ended.failing)
    if ended.error is not None:
        kind = type(ended.error).__name__
        text += f"\n  besides, the test raised {kind}: {printable(str(ended.error))}"
    report.__dict__.pop("wasxfail", None)
    report.outcome = "failed"
    show(item, report, text)


def show(item: pytest.Item, report: pytest.TestReport, text: str) -> None:
    """Makes ``text`` what a report of a failure says, without a traceback."""
    try:
        raise GateFailed(text) from None
    except GateFailed as error:
        report.longrepr = item.repr_failure(pytest.ExceptionInfo.from_exception(error))
    _set_headline(item, report)


def _set_type(item: pytest.Item, ended: EndOfTest, report: pytest.TestReport) -> None:
    """Says for JUnit what kind of failure it is."""
    # JUnit's case is made from the properties of the report that closes it: the call's where
    # the teardown failed as well, else the teardown's, which gets the item's.
    for where in (item.user_properties, report.user_properties):
        where.append((FAILURE, failure_type(ended.failing)))


def _set_headline(item: pytest.Item, report: pytest.TestReport) -> None:
    """pytest shows reprcrash in the short summary, whole when CI is set, and in --tb=line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return
    first = str(crash.message).partition("\n")[0]
    crash.message = first.removeprefix(f"{GateFailed.__module__}.GateFailed: ")
    path, line, _ = item.reportinfo()
    crash.path, crash.lineno = os.fspath(path), (line or 0) + 1
