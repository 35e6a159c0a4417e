"""The stored speed baselines of a session: found for the device at hand, or refused by name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from ...baselines import Smaller, SpeedKey, SpeedStore
from ...baselines.speed_validation import moment
from ...core.codes import SpeedCode
from ...core.comparison.comparability import Candidate, refusal
from ...core.comparison.speed_comparability import comparable_speed
from ...core.errors import Refusal
from ...core.facts import Problem, RecordBaseline
from ...core.records.run import Machine
from ...core.records.speed import ModelSpeed, Series, Workload
from ...core.records.speed_run import SpeedRun, SpeedSession
from ...core.settings import Settings, Update
from .preconditions import unlike_states

_A_DAY = timedelta(days=1)


@dataclass(frozen=True)
class StoredSpeed:
    """The stored sessions of the baseline, by workload; ``scheme`` is the baseline's."""

    series: tuple[tuple[Series, ...], ...]
    scheme: str
    notes: tuple[str | Problem, ...]
    sessions: tuple[SpeedSession, ...] = ()


class SpeedBaselines:
    """What the store holds of one session's model."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.store = SpeedStore(settings.baselines)
        self._kept: Counter[SpeedKey] = Counter()
        self._before: dict[SpeedKey, int] = {}
        self._anew: dict[SpeedKey, SpeedRun] = {}

    def key(self, model: str, scheme: str, workload: Workload, machine: Machine) -> SpeedKey:
        """What a speed baseline is filed under."""
        return SpeedKey(
            model, scheme, self._settings.backend, workload, machine.accelerator, machine.count
        )

    def refuse_absent(
        self,
        model: str,
        schemes: Sequence[str],
        workloads: Sequence[Workload],
    ) -> None:
        """Refuses before loading what is stored for no accelerator at all. Raises Refusal."""
        nowhere = Machine("cpu", "no such accelerator")
        for workload in workloads:
            keys = [self.key(model, scheme, workload, nowhere) for scheme in schemes]
            if not any(self.store.accelerators(key) for key in keys):
                raise _absent(model, workload)

    def find(
        self,
        candidate: Candidate,
        model: str,
        schemes: Sequence[str],
        workloads: Sequence[Workload],
        *,
        sessions: int = 1,
    ) -> StoredSpeed:
        """The sessions stored for the machine of ``candidate``, at least so many each.

        Raises Refusal.
        """
        runs = [self._load(candidate, model, schemes, workload) for workload in workloads]
        notes: list[str | Problem] = []
        for run, workload in zip(runs, workloads, strict=True):
            _refuse_colder(run, workload)
            differences = comparable_speed(run, candidate, drift=self._settings.drift)
            if (error := refusal(differences, "the speed")) is not None:
                raise error
            notes += [difference.problem for difference in differences]
        count = min(len(run.sessions) for run in runs)
        if count < sessions:
            raise Refusal(SpeedCode.ONE_STORED_SESSION, record=RecordBaseline())
        source_note = (
            f"the baseline's speed is that of {count} stored session"
            f"{'' if count == 1 else 's'}, not of this one (--quant-model=REF runs both side "
            "by side)"
        )
        return StoredSpeed(
            tuple(run.series() for run in runs),
            runs[0].scheme,
            tuple(dict.fromkeys((source_note, *notes, *_stored_notes(runs)))),
            tuple(session for run in runs for session in run.sessions),
        )

    def in_state(self, stored: StoredSpeed, now: ModelSpeed, *, needed: bool) -> StoredSpeed:
        """Return ``stored``, or nothing where another state refuses it and it is not ``needed``."""
        try:
            self.refuse_other_state(stored, now)
        except Refusal as error:
            if needed:
                raise
            return StoredSpeed((), "", (error.problem,))
        return stored

    def refuse_other_state(self, stored: StoredSpeed, now: ModelSpeed) -> None:
        """Refuses sessions of another number of threads or power limit. Raises Refusal."""
        then = [state for session in stored.sessions for state in session.states]
        if (unlike := unlike_states(then, now.states)) is not None:
            raise Refusal(SpeedCode.STORED_UNDER_OTHER_STATE, stored=unlike[0], now=unlike[1])

    def _load(
        self,
        candidate: Candidate,
        model: str,
        schemes: Sequence[str],
        workload: Workload,
    ) -> SpeedRun:
        assert candidate.machine is not None
        keys = [self.key(model, scheme, workload, candidate.machine) for scheme in schemes]
        key = next((stored_key for stored_key in keys if self.store.exists(stored_key)), None)
        if key is not None:
            return self.store.load(key)
        others = sorted(
            {other for absent_key in keys for other in self.store.accelerators(absent_key)}
        )
        if not others:
            raise _absent(model, workload)
        raise Refusal(
            SpeedCode.SPEED_OF_OTHER_ACCELERATOR,
            here=keys[0].devices,
            model=model,
            workload=workload.label,
            others=tuple(others),
            record=RecordBaseline(),
        )

    def missing(self, key: SpeedKey) -> int:
        """How many sessions are still to be recorded for ``key``.

        Anew as many as were stored at the least, and once in a session.
        """
        wanted = self._settings.repeats
        if self._settings.update is Update.ALL:
            return max(wanted, self._sessions_before(key)) - self._kept[key]
        have = len(self.store.load(key).sessions) if self.store.exists(key) else 0
        return max(wanted - have, 0)

    def keep(self, key: SpeedKey, run: SpeedRun) -> None:
        """Stores a session; with --quant-update=all the last one replaces what was, with all new.

        An interruption before it leaves the old sessions whole.
        """
        last = self.missing(key) == 1
        if self._settings.update is not Update.ALL:
            self.store.add(key, run)
        else:
            begun = self._anew.get(key)
            self._anew[key] = run if begun is None else begun.continued(run)
            if last:
                self._replace(key)
        self._kept[key] += 1

    def _replace(self, key: SpeedKey) -> None:
        """Stores what was recorded anew, unless another process stored more in the meantime.

        More sessions are `missing` then.
        """
        try:
            self.store.save(key, self._anew[key], never_smaller=True)
        except Smaller:
            self._before[key] = self.store.sessions(key)
        else:
            del self._anew[key]

    def fresh(self, key: SpeedKey) -> bool:
        """Whether this session has recorded some of ``key``."""
        return self._kept[key] > 0

    def refuse_other(self, key: SpeedKey, candidate: Candidate) -> None:
        """Refuses what is stored for ``key`` if it is not of the model that is recorded now."""
        stored = self.store.load(key)
        differences = comparable_speed(stored, candidate, drift=self._settings.drift)
        if (error := refusal(differences, "the speed")) is not None:
            raise error

    def _sessions_before(self, key: SpeedKey) -> int:
        """How many sessions were stored when this session began to record ``key`` anew."""
        if key not in self._before:
            self._before[key] = self.store.sessions(key)
        return self._before[key]


def _absent(model: str, workload: Workload) -> Refusal:
    return Refusal(
        SpeedCode.NO_SPEED_BASELINE,
        model=model,
        workload=workload.label,
        record=RecordBaseline(),
    )


def _refuse_colder(run: SpeedRun, workload: Workload) -> None:
    """Refuses sessions with less warm-up than what is compared with them."""
    least = min(session.warmup for session in run.sessions)
    if least < workload.warmup:
        raise Refusal(
            SpeedCode.STORED_AFTER_LESS_WARMUP,
            workload=workload.label,
            stored=least,
            asked=workload.warmup,
            record=RecordBaseline(again=True),
        )


def _stored_notes(runs: Sequence[SpeedRun]) -> Iterator[str]:
    """Notes on stored sessions: how near in time, throttled, with which engine arguments."""
    sessions = [session for run in runs for session in run.sessions]
    times = sorted(moment(session.recorded_at) for session in sessions)
    several = min(len(run.sessions) for run in runs) > 1
    if several and times[-1] - times[0] < _A_DAY:
        yield (
            "all stored sessions are of one day: another day may differ from them by more than "
            "they do from each other"
        )
    if held := sorted(
        {state.throttled for session in sessions for state in session.states if state.throttled}
    ):
        yield f"the device held its clocks down when the baseline was recorded: {', '.join(held)}"
    if any(state.others for session in sessions for state in session.states):
        yield "other processes used the card when the baseline was recorded"
    for args in {
        json.dumps(dict(session.args), sort_keys=True): session.args for session in sessions
    }.values():
        if args:
            arguments = ", ".join(f"{name}={value}" for name, value in sorted(args.items()))
            yield f"the baseline was recorded with {arguments}"
