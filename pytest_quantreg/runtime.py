"""One pytest session's quantreg: between the hooks, the checks and the report."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import pytest

from . import markers
from .check import Ask, Checker, Evidence, Refused, judge
from .check.handles import ModelHandle
from .check.models import baseline_spec, quantized_spec
from .compare import CompareAccuracy
from .core.comparison import Comparison, compare
from .core.engine import Engine
from .core.errors import Category, QuantregError, Refusal, WrongUse
from .core.outcome import REFUSED, Outcome
from .core.record import ModelSpec
from .core.settings import Update
from .measure import default_metric, find_metric
from .option_table import COMPARE_FIXTURES
from .options import read, recording_command
from .report import messages
from .report.progress import TerminalProgress
from .report.session import SessionReport
from .report.terminal import write_summary

NO_SCHEME = "no --quant-scheme given, e.g. --quant-scheme=w8a8-fp8"


Made = TypeVar("Made")


class GateFailed(pytest.fail.Exception):  # type: ignore[name-defined,misc]  # an attribute
    """A lost or refused gate; pytest shows its message without a traceback."""


@dataclass(frozen=True)
class Ended:
    """How a test's body ended and what its gates said; waits for the report."""

    outcomes: tuple[Outcome, ...]
    own_error: bool

    @property
    def refused(self) -> bool:
        """Whether anything was refused, which no xfail excuses."""
        return any(one.result == REFUSED for one in self.outcomes)


EVIDENCE = pytest.StashKey[Evidence]()
ENDED = pytest.StashKey[Ended]()
CHECKED = pytest.StashKey[bool]()


class Runtime:
    """Everything of ours that lives as long as the session; made on first use."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        try:
            self.settings = read(config)
            self.checker = Checker(self.settings, TerminalProgress(config))
            self._check_request()
        except WrongUse as error:
            raise pytest.UsageError(str(error)) from None
        self.report = SessionReport(self.settings)
        self._current: pytest.Item | None = None
        self._loads_told: dict[str, int] = {}
        self._last_line = ""

    # -- options and collection ------------------------------------------------------

    def header(self) -> str | None:
        """The line above the collection; None when nothing is gated or recorded."""
        return self.report.header()

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """One run per requested scheme; none while recording."""
        for mark in metafunc.definition.iter_markers("parametrize"):
            names = mark.args[0] if mark.args else mark.kwargs.get("argnames", "")
            if "quant_scheme" in (names.split(",") if isinstance(names, str) else names):
                raise pytest.Collector.CollectError(
                    "quant_scheme is parametrized by --quant-scheme; choose schemes for a test "
                    "with @pytest.mark.quant_schemes(...)"
                )
        if self.settings.update is not Update.NO:
            return
        schemes = markers.schemes_for(metafunc.definition, self.settings.schemes)
        if schemes:
            metafunc.parametrize(
                "quant_scheme", schemes, ids=schemes, indirect=True, scope="session"
            )

    def check(self, items: Sequence[pytest.Item], error: type[Exception]) -> None:
        """Raises one clean ``error`` for all wrong markers; skips what cannot run."""
        wrong: dict[str, None] = {}
        for item in items:
            for line in markers.problems(item):
                wrong[f"{item.nodeid.partition('[')[0]}: {line}"] = None
        if wrong:
            raise error("\n".join(wrong))
        for item in items:
            if CHECKED not in item.stash:
                item.stash[CHECKED] = True
                self._skip_without_scheme(item)

    def _skip_without_scheme(self, item: pytest.Item) -> None:
        fixtures = set(getattr(item, "fixturenames", ()))
        callspec = getattr(item, "callspec", None)
        if "quant_scheme" not in fixtures or (callspec and "quant_scheme" in callspec.params):
            return
        if self.settings.update is not Update.NO:
            if fixtures & COMPARE_FIXTURES:
                return
            reason = "recording baselines: no quantized model is run"
        elif self.settings.schemes:
            reason = f"not for {', '.join(self.settings.schemes)} (marker quant_schemes)"
        else:
            reason = NO_SCHEME
        item.add_marker(pytest.mark.skip(reason=reason))

    def _check_request(self) -> None:
        """Tells before collection what would stop every gate. Raises WrongUse."""
        if not self.settings.schemes and self.settings.update is Update.NO:
            return
        backend = self.checker.backend
        backend.software()
        if self.settings.update is not Update.NO:
            return
        for scheme in self.settings.schemes:
            if quantized_spec(self.settings, "", scheme).quantize:
                backend.check_makes(scheme)

    # -- fixtures --------------------------------------------------------------------

    def scheme_of(self, request: pytest.FixtureRequest) -> str:
        """The scheme of the current test; skips or refuses where there is no one."""
        if hasattr(request, "param"):
            return str(request.param)
        if self.settings.update is not Update.NO:
            return self._guard(self.checker.baseline_scheme)
        if not self.settings.schemes:
            pytest.skip(NO_SCHEME)
        if len(self.settings.schemes) > 1:
            self._refuse(
                Refusal(
                    Category.WRONG_USE,
                    f"{len(self.settings.schemes)} schemes are under test, and a fixture got by "
                    "request.getfixturevalue cannot run the test once for each",
                    help="request the fixture as an argument of the test",
                )
            )
        return self.settings.schemes[0]

    def baseline_handle(self) -> ModelHandle:
        """The full-precision model."""

        def make() -> ModelHandle:
            spec = baseline_spec(self.settings, self.checker.model_name())
            return ModelHandle(spec, self.checker.baseline_scheme(), self._loader(spec))

        return self._guard(make)

    def quantized_handle(self, scheme: str) -> ModelHandle:
        """The model under test."""

        def make() -> ModelHandle:
            spec = quantized_spec(self.settings, self.checker.model_name(), scheme)
            return ModelHandle(spec, scheme, self._loader(spec))

        if self.settings.update is not Update.NO:
            pytest.skip("recording baselines: no quantized model is run")
        return self._guard(make)

    def comparer(self, item: pytest.Item, scheme: str) -> CompareAccuracy:
        """What the fixture compare_accuracy gives to ``item``."""
        if EVIDENCE not in item.stash:
            self.begin(item)
        if self.settings.update is Update.NO and not markers.schemes_for(item, [scheme]):
            pytest.skip(f"not for {scheme} (marker quant_schemes)")
        evidence = item.stash[EVIDENCE]
        evidence.scheme = scheme
        evidence.fixtures.add("compare_accuracy")
        return CompareAccuracy(
            lambda ask: self._compare(item, ask, scheme),
            seed=self.settings.seed,
            include_paths=self.settings.include_paths,
            refuse=lambda task, error: evidence.refused.append(Refused(scheme, error, task)),
        )

    def _compare(self, item: pytest.Item, ask: Ask, scheme: str) -> Comparison:
        evidence = item.stash[EVIDENCE]
        try:
            if self.settings.update is not Update.NO:
                return self._record(evidence, ask)
            plan = markers.plan(item, self.settings, frozenset(evidence.fixtures))
            measured = self.checker.compare(
                ask, scheme, plan, lambda: recording_command(self.settings, self._target(item))
            )
        except QuantregError as error:
            evidence.refused.append(
                Refused(scheme, error, ask.request.task, self.checker.known_context(scheme))
            )
            raise
        evidence.measured.append(measured)
        return measured.compare(measured.metric, plan.confidence)

    def _record(self, evidence: Evidence, ask: Ask) -> Comparison:
        run, present = self.checker.record(ask)
        accuracy = run.accuracy
        metric = (
            find_metric(accuracy.protocol, ask.metric)
            if ask.metric
            else default_metric(accuracy.protocol)
        )
        context = self.checker.recording_context(run)
        evidence.recorded.append(messages.of_recording(accuracy, metric, context, present=present))
        # The body goes on with a comparison of the baseline with itself.
        return compare(
            accuracy,
            accuracy,
            metric,
            scheme=run.provenance.claimed,
            confidence=self.settings.confidence,
        )

    def _target(self, item: pytest.Item) -> str:
        """The test without its parameters, as typed where pytest was started."""
        path = os.path.relpath(item.path, self.config.invocation_params.dir)
        names = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
        return "::".join([path, *names, getattr(item, "originalname", None) or item.name])

    def _loader(self, spec: ModelSpec) -> Callable[[], Engine]:
        return lambda: self._guard(lambda: self.checker.engine_of(spec))

    def _guard(self, make: Callable[[], Made]) -> Made:
        """Runs ``make``; its refusal is kept for the verdict, whatever the test does."""
        try:
            return make()
        except QuantregError as error:
            self._refuse(error)

    def _refuse(self, error: QuantregError) -> NoReturn:
        if self._current is not None:
            evidence = self._current.stash[EVIDENCE]
            evidence.refused.append(Refused(evidence.scheme, error))
        raise GateFailed(f"REFUSED: {error}", pytrace=False) from None

    # -- running -----------------------------------------------------------------------

    def begin(self, item: pytest.Item) -> None:
        """A test of ours is about to run; whatever an earlier try left is gone."""
        callspec = getattr(item, "callspec", None)
        scheme = callspec.params.get("quant_scheme", "") if callspec is not None else ""
        item.stash[EVIDENCE] = Evidence(scheme=str(scheme))
        if ENDED in item.stash:
            del item.stash[ENDED]
        self._current = item

    def end(self, item: pytest.Item, error: BaseException | None) -> None:
        """Judges the gates of a test whose body has ended, by ``error`` or well.

        Raises GateFailed for lost and refused gates, and pytest's skip for a recorded
        baseline, in place of how the body ended.
        """
        if EVIDENCE not in item.stash:
            return
        evidence = item.stash[EVIDENCE]
        evidence.fixtures.update(getattr(item, "fixturenames", ()))
        own_error = error is not None and not isinstance(
            error, (pytest.skip.Exception, pytest.xfail.Exception, GateFailed, QuantregError)
        )
        if isinstance(error, QuantregError) and not evidence.refused:
            evidence.refused.append(Refused(evidence.scheme, error))
        outcomes = self._outcomes(item, evidence)
        item.stash[ENDED] = Ended(tuple(outcomes), own_error)
        if own_error:
            return
        failing = [one for one in outcomes if one.fails]
        lost_only = not any(one.result == REFUSED for one in failing)
        if failing and not (lost_only and isinstance(error, pytest.xfail.Exception)):
            raise GateFailed(_message(failing), pytrace=False) from None
        if self.settings.update is not Update.NO and evidence.fixtures & COMPARE_FIXTURES:
            raise pytest.skip.Exception(_recorded(evidence)) from None

    def _outcomes(self, item: pytest.Item, evidence: Evidence) -> list[Outcome]:
        if self.settings.update is not Update.NO:
            refused = (
                messages.of_refused_recording(one.error, one.task) for one in evidence.refused
            )
            return [*evidence.recorded, *refused]
        try:
            plan = markers.plan(item, self.settings, frozenset(evidence.fixtures))
        except WrongUse as error:
            return [messages.of_refusal(error, scheme=evidence.scheme, context=None, task=None)]
        return judge(
            plan,
            evidence,
            find_metric=find_metric,
            max_undetected=self.settings.max_undetected,
        )

    def dress(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Puts what the gates said on the report, as plain JSON types."""
        plain: dict[str, Any] = {}
        if loads := self._new_loads():
            plain["loads"] = loads
        if report.when == "call" and ENDED in item.stash:
            plain.update(self._dress_call(item.stash[ENDED], item, report))
        if plain:
            report.quantreg = plain  # type: ignore[attr-defined]  # reports take any

    def _dress_call(
        self, ended: Ended, item: pytest.Item, report: pytest.TestReport
    ) -> dict[str, Any]:
        expected = hasattr(report, "wasxfail")
        if expected and ended.refused:
            del report.wasxfail
            report.outcome = "failed"
        excused = expected and not ended.refused
        outcomes = [one.excuse() if excused and one.fails else one for one in ended.outcomes]
        if ended.own_error:
            report.sections.append(("quantreg", _message(outcomes) if outcomes else ""))
        elif report.failed:
            _set_headline(report)
        elif report.skipped and self.settings.update is not Update.NO and not excused:
            path, line, _ = item.reportinfo()
            text = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            report.longrepr = (os.fspath(path), (line or 0) + 1, text)
        return {
            "outcomes": [one.to_plain() for one in outcomes],
            "refused": ended.refused and (expected or not ended.own_error),
        }

    def _new_loads(self) -> dict[str, int]:
        loads = dict(self.checker.slot.loads)
        new = {
            name: count - self._loads_told.get(name, 0)
            for name, count in loads.items()
            if count != self._loads_told.get(name, 0)
        }
        self._loads_told = loads
        return new

    # -- the end of the session ----------------------------------------------------------

    def collect(self, plain: dict[str, Any]) -> None:
        """Takes what came with a report, from this process or a worker."""
        self.report.add(plain)

    def summarize(self, terminal: pytest.TerminalReporter) -> None:
        """Writes the summary."""
        write_summary(self.report, terminal)

    def finish(self, session: pytest.Session) -> None:
        """Frees what is held; under --quant-require decides the exit status."""
        ended_well = session.exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.TESTS_FAILED,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        )
        self.checker.close(ended_well=ended_well)
        if hasattr(self.config, "workerinput") or self.config.option.collectonly:
            return
        lacking = self.report.unmet_requirement()
        if lacking and session.exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self._last_line = lacking

    def last_line(self) -> None:
        """The line below pytest's own last one, when --quant-require failed the session."""
        terminal = self.config.pluginmanager.getplugin("terminalreporter")
        if self._last_line and terminal is not None:
            terminal.write_line(self._last_line, red=True)

    def scheduler(self, log: Any) -> Any:
        """xdist's scheduler that keeps the items of a scheme together; None for its own."""
        gates = self.settings.schemes or self.settings.update is not Update.NO
        if not gates or self.config.option.dist != "load":
            return None
        from .scheduling import SchemeScheduling

        return SchemeScheduling(self.config, log, self.settings)


def _message(outcomes: Sequence[Outcome]) -> str:
    """Refusals first: they say that nothing may be concluded from the rest."""
    lines: list[str] = []
    for one in sorted(outcomes, key=lambda one: (one.result != REFUSED, not one.fails)):
        lines += [one.headline, *(f"  {line}" for line in one.details)]
    return "\n".join(lines)


def _recorded(evidence: Evidence) -> str:
    if not evidence.recorded:
        return "nothing recorded: the test compared nothing"
    return "; ".join(one.headline for one in evidence.recorded)


def _set_headline(report: pytest.TestReport) -> None:
    """pytest shows reprcrash.message in the short summary, whole when CI is set."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        first = str(crash.message).partition("\n")[0]
        crash.message = first.removeprefix(f"{GateFailed.__module__}.GateFailed: ").removeprefix(
            "Failed: "
        )
