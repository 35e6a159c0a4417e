"""All outcomes of a session as one value, wherever its tests ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from ..core.records.acceptance import CandidateRun
from ..core.records.outcome_row import (
    JUDGED,
    NOT_APPLICABLE,
    RECORDED,
    REFUSED,
    Context,
    OutcomeRow,
)
from ..core.settings import GateMode, Settings, Update


class SummarySource(Protocol):
    """Source of a summary: a session that runs, or the report of one that ran."""

    def groups(self) -> dict[tuple[str, str], list[OutcomeRow]]:
        """The outcomes by (model, scheme)."""

    def closing(self) -> list[str]:
        """The last lines."""


class SessionReport:
    """Collects what came with the test reports; knows nothing of pytest.

    ``outcomes`` are in the order in which tests ended, ``loads`` counts how often each
    model was loaded, over all workers. ``kept`` is what may be accepted, ``stored`` the
    names of the baselines that were recorded or found present.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.outcomes: list[OutcomeRow] = []
        self.loads: dict[str, int] = {}
        self._seen: set[OutcomeRow] = set()
        self._fed: set[str] = set()
        self._idle: dict[str, None] = {}
        self._generated: set[str] = set()
        self._unjudged: dict[str, None] = {}
        self._answers: dict[tuple[str, str], dict[str, None]] = {}
        self._tries: dict[str, list[tuple[Mapping[str, Any], str]]] = {}
        self._reruns: dict[str, list[str]] = {}
        self.kept: list[CandidateRun] = []
        self.stored: dict[str, None] = {}

    def add_try(self, plain: Mapping[str, Any], test: str, why: str) -> None:
        """Takes those of a try after which ``test`` is run again, and why it is.

        What it found counts only where no other try comes to its end.
        """
        self._tries.setdefault(test, []).append((plain, why))

    def end_tries(self) -> None:
        """No test is run any more: what was found by tries that none followed counts."""
        while self._tries:
            test, [*_, (plain, _)] = self._tries.popitem()
            self.add(plain, test)

    def add(self, plain: Mapping[str, Any], test: str = "") -> None:
        """Takes the plain values of one report of ``test``."""
        if "outcomes" in plain and (tries := self._tries.pop(test, ())):
            self._reruns[test] = [why for _, why in tries]
        for outcome in map(OutcomeRow.from_plain, plain.get("outcomes", ())):
            # Many tests may measure one task, which is done once, and told once; a refusal
            # is each test's own.
            if outcome not in self._seen or outcome.result == REFUSED:
                self.outcomes.append(outcome)
            self._seen.add(outcome)
        for name, count in plain.get("loads", {}).items():
            self.loads[name] = self.loads.get(name, 0) + count
        self._fed.update(plain.get("fed", ()))
        self._idle.update(dict.fromkeys(plain.get("idle", ())))
        self._generated.update(plain.get("generated", ()))
        self._unjudged.update(dict.fromkeys(plain.get("unjudged", ())))
        for scheme, task, digest in plain.get("answers", ()):
            self._answers.setdefault((task, digest), {})[scheme] = None
        self.stored.update(dict.fromkeys(plain.get("stored", ())))
        self.kept += [CandidateRun(**values) for values in plain.get("kept", ())]

    def closing(self) -> list[str]:
        """The last lines of the summary: gates that guard nothing, and what was loaded."""
        lines = [
            f"{gate} judged nothing: no test below this marker measured what it judges"
            for gate in self._idle
            if gate not in self._fed
        ]
        lines += [
            f"{' and '.join(schemes)} gave identical answers on {task}: they may be one model "
            "under two names"
            for (task, _), schemes in self._answers.items()
            if len(schemes) > 1
        ]
        certified = self._judged_schemes(GateMode.CERTIFY.value) - self._generated
        if untested := [scheme for scheme in self.settings.schemes if scheme in certified]:
            lines.append(
                f"certify: no generate-until task was judged for {', '.join(untested)}: how "
                "answers are generated was not tested"
            )
        for test, reasons in self._reruns.items():
            why = f", first after: {reasons[0]}" if reasons[0] else ""
            lines.append(f"{test} ran {len(reasons) + 1} times{why}")
        if self.loads:
            loads = [f"{name} {_times(count)}" for name, count in sorted(self.loads.items())]
            lines.append(f"loaded: {', '.join(loads)}")
        return lines

    def header(self) -> str | None:
        """One line for the head of the session; None when nothing is gated or recorded."""
        settings = self.settings
        if settings.update is not Update.NO and settings.model is not None:
            which = "every baseline" if settings.update is Update.ALL else "absent baselines"
            return f"quantreg: records {which} of {settings.model.given}; no gate is judged"
        if not settings.schemes:
            return None
        schemes = [
            f"{scheme} (from the checkpoint's files)" if scheme in settings.of_files else scheme
            for scheme in settings.schemes
        ]
        return f"quantreg: {', '.join(schemes)}, {self.gate_words()}"

    def gate_words(self) -> str:
        """``detect, 95 %``: the session's gate."""
        return f"{self.settings.gate.value}, {self.settings.confidence * 100:g} %"

    def groups(self) -> dict[tuple[str, str], list[OutcomeRow]]:
        """The outcomes by (model, scheme), in the order in which the schemes were asked for."""
        return grouped(self.outcomes, self.settings.schemes)

    def unmet_requirement(self) -> str:
        """Why --quant-require would fail this session; empty when it holds.

        A failed gate that an xfail excused counts as not judged.
        """
        flag = "quantreg: --quant-require:"
        if not self.settings.schemes:
            return f"{flag} no gate was judged, for want of --quant-scheme"
        judged = {
            outcome.scheme
            for outcome in self.outcomes
            if outcome.result in JUDGED and not outcome.excused
        }
        if lacking := [scheme for scheme in self.settings.schemes if scheme not in judged]:
            why = [f"{scheme} ({self._why_unjudged(scheme)})" for scheme in lacking]
            return f"{flag} no gate was judged for {', '.join(why)}"
        first, *others = [*self._unjudged] or [""]
        more = f" (and {len(others):,} more)" if others else ""
        return f"{flag} {first}{more}" if first else ""

    def unjudged_generation(self) -> str:
        """Why a scheme with a quantized KV cache fails this session; empty when none does.

        Only generating reads what is in the cache, so that other tasks cannot show a loss.
        """
        judged = self._judged_schemes() - self._generated
        choose = self.settings.catalogue.choose
        lacking = [
            scheme
            for scheme in self.settings.schemes
            if scheme in judged and choose(scheme).kv is not None
        ]
        if not lacking:
            return ""
        return (
            f"quantreg: {', '.join(lacking)}: no gate judged generated answers, and nothing else "
            "reads the quantized KV cache: gate a generate-until task such as gsm8k too"
        )

    def _judged_schemes(self, mode: str | None = None) -> set[str]:
        """The schemes of which a gate judged scores, under ``mode`` or any."""
        return {
            outcome.scheme
            for outcome in self.outcomes
            if outcome.result in JUDGED and outcome.speed is None and mode in (None, outcome.mode)
        }

    def unreported_failure(self, *, early: bool = True) -> str:
        """What failed although no test did: its session was ended from inside; else empty.

        Not ``early``: after all its tests, by a hook that sets another exit status.
        """
        failed = [outcome for outcome in self.outcomes if outcome.fails and not outcome.excused]
        ending = "the session was ended early, and" if early else "the exit status was changed, but"
        return f"quantreg: {ending} {failed[0].headline}" if failed else ""

    def interrupted(self) -> str:
        """The one line after Ctrl-C: what is left of the work."""
        recorded = any(outcome.result == RECORDED for outcome in self.outcomes)
        stored = "what was recorded is whole" if recorded else "nothing stored was changed"
        return (
            f"quantreg: interrupted; {stored}, and finished items are kept: "
            "the same command goes on where it stopped"
        )

    def _why_unjudged(self, scheme: str) -> str:
        results = {outcome.result for outcome in self.outcomes if outcome.scheme == scheme}
        if any(outcome.excused for outcome in self.outcomes if outcome.scheme == scheme):
            return "an xfail excused its failed gates"
        if REFUSED in results:
            return "its tests were refused"
        if NOT_APPLICABLE in results:
            return "the thresholds of its tests are for other accelerators"
        if results:
            timed = all(
                outcome.speed is not None for outcome in self.outcomes if outcome.scheme == scheme
            )
            marker = "min_speedup" if timed else "min_retention"
            return f"its tests measured, and no marker such as {marker} said what must hold"
        return "none of its tests compared anything"


def grouped(
    outcomes: Iterable[OutcomeRow], schemes: Sequence[str]
) -> dict[tuple[str, str], list[OutcomeRow]]:
    """Outcomes by (model, scheme), in the order of ``schemes``."""
    groups: dict[tuple[str, str], list[OutcomeRow]] = {}
    for outcome in outcomes:
        model = outcome.context.model if outcome.context is not None else ""
        groups.setdefault((model, outcome.scheme), []).append(outcome)
    # A refusal before anything was known of the model joins its scheme's group.
    for (model, scheme), homeless in list(groups.items()):
        homes = [key for key in groups if key[1] == scheme and key[0]]
        if not model and homes:
            groups[homes[0]] += homeless
            del groups[(model, scheme)]
    # Under xdist the order in which tests end is anyone's guess.
    positions = {scheme: position for position, scheme in enumerate(schemes)}
    return dict(sorted(groups.items(), key=lambda group: positions.get(group[0][1], -1)))


def context_line(context: Context) -> str:
    """``tiny-llama 3f2a9c1; transformers 5.17.0; cpu; runs as w8a8-int8 (emulated)``."""
    model = f"{context.model} {context.revision}" if context.revision else context.model
    parts = [model, context.engine, context.machine]
    if context.runs_as:
        parts.append(f"runs as {context.runs_as}")
    if context.layers:
        parts.append(f"{context.layers} quantized")
    return "; ".join(part for part in parts if part)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
