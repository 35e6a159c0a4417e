"""The run that was accepted last: what no_regression compares with, or why it cannot."""

from __future__ import annotations

from dataclasses import replace

from ...baselines import AcceptedRuns, BaselineKey
from ...core.codes import GateCode
from ...core.comparison.accuracy import Pair
from ...core.comparison.alignment import first_items, refuse_partial
from ...core.comparison.comparability import Candidate, Difference, compare_runs, refused_of
from ...core.comparison.pairs import flipped
from ...core.errors import QuantregError, Refusal
from ...core.facts import Problem, SetOption, noted
from ...core.records.acceptance import Acceptance, Reference, first_with
from ...core.records.run import Accuracy, Metric, Run
from ...core.settings import Settings
from ...measure import PreparedTask
from ..history import FlipCount
from ..memo import Memo


class AcceptedReferences:
    """The accepted runs of a session, each read once.

    A session that accepts (``--quant-accept``) gets the reason why there is nothing to
    compare with; any other is refused.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = AcceptedRuns(settings.baselines)
        self._read: Memo[tuple[Run, Acceptance, Acceptance] | None] = Memo()

    def check_writable(self, key: BaselineKey) -> None:
        """Raises WrongUse where this session could not accept what it is about to measure."""
        if self._settings.accept:
            self._store.check_writable(key)

    def find(
        self, key: BaselineKey, candidate: Candidate, prepared: PreparedTask, n: int
    ) -> Reference:
        """What ``key`` is judged against, as far as is known before a model loads.

        Raises Refusal for none, a damaged one, and one that cannot be compared.
        """
        accepted = self._read.of((key,), lambda: self._load(key))
        if accepted is None:
            if self._settings.accept:
                return Reference(key.stem, why=Problem(GateCode.NOTHING_ACCEPTED_YET, {}))
            raise Refusal(GateCode.NOTHING_ACCEPTED, key=str(key))
        run, last, first = accepted
        part = replace(first_items(run.accuracy, n), chance=prepared.chance_of(n))
        return self.check(Reference(key.stem, run, part, last, first), candidate)

    def flips(self, key: BaselineKey, baseline: Accuracy, metric: Metric) -> tuple[FlipCount, ...]:
        """What the run accepted last changed of the baseline; nothing where none can be read."""
        try:
            accepted = self._read.of((key,), lambda: self._load(key))
        except QuantregError:
            return ()  # a gate that compares with it is refused for that
        if accepted is None or metric.kind not in ("binary", "mean"):
            return ()
        n = min(len(baseline.items), len(accepted[0].accuracy.items))
        before, after = first_items(baseline, n), first_items(accepted[0].accuracy, n)
        scored = all(metric.name in side.items.scores for side in (before, after))
        if not scored or before.items.digests != after.items.digests:
            return ()
        return (FlipCount(n, flipped(Pair(before, after, metric))),)

    def check(
        self, reference: Reference, candidate: Candidate, measured: Accuracy | None = None
    ) -> Reference:
        """Return the reference with its differences as notes.

        Raises Refusal for runs that cannot be compared.
        """
        if reference.run is None or reference.accuracy is None:
            return reference
        # Weights are meant to differ from what was accepted, and there is no base to look at.
        differences = compare_runs(
            reference.run, replace(candidate, base=None), drift=self._settings.drift
        )
        task = reference.run.accuracy.protocol.task
        error = _refusal(task, reference, differences)
        if error is None and measured is not None:
            try:
                refuse_partial(reference.accuracy, measured)
            except Refusal as partial:
                error = partial
        if error is None:
            notes = tuple(noted(task, difference.from_accepted) for difference in differences)
            return replace(reference, notes=notes)
        if self._settings.accept:
            return Reference(reference.stem, last=reference.last, why=error.problem)
        raise error

    def _load(self, key: BaselineKey) -> tuple[Run, Acceptance, Acceptance] | None:
        stored = self._store.load(key)
        if stored is None:
            return None
        run, last = stored
        return run, last, first_with(self._store.history(key), key.stem) or last


def _refusal(task: str, reference: Reference, differences: list[Difference]) -> Refusal | None:
    refused = refused_of(differences)
    if not refused:
        return None
    fewer = None
    if reference.run is not None and "items.missing" in {entry.rule for entry in refused}:
        fewer = SetOption("--quant-limit", len(reference.run.accuracy.items))
    return Refusal(
        GateCode.UNLIKE_ACCEPTED_RUN,
        task=task,
        number=reference.last.number if reference.last is not None else 0,
        first=refused[0].from_accepted,
        others=tuple(difference.from_accepted for difference in refused[1:]),
        fewer=fewer,
    )
