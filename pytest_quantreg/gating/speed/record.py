"""Times the full-precision model and keeps its sessions, for gates that run without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...baselines import SpeedKey
from ...core.codes import SpeedCode
from ...core.comparison.comparability import Candidate
from ...core.comparison.speed import SpeedComparison, SpeedResult
from ...core.errors import Refusal
from ...core.records.outcome_row import Context
from ...core.records.run import Machine, ModelSpec
from ...core.records.speed import ModelSpeed, Workload
from ...core.records.speed_run import SpeedRun, sessions_of
from ...core.secret_values import without_secrets
from ...measure.accelerator import detect
from ...measure.speed.measure import measure_alone
from .. import models
from ..preconditions import Preconditions
from ..provenance import git_commit, now
from .engine_process import EngineProcess, prepare_process, refuse_shared
from .preconditions import refuse_unfit_baseline
from .stored_baselines import SpeedBaselines


@dataclass(frozen=True)
class RecordedSpeed:
    """A speed baseline that is stored now; ``present`` says that it was before."""

    run: SpeedRun
    context: Context
    present: bool = False


class SpeedRecorder:
    """Records speed baselines, one call at a time."""

    def __init__(self, preconditions: Preconditions) -> None:
        self._preconditions = preconditions
        self._engines = preconditions.engines
        self._settings = preconditions.settings
        self._stored = SpeedBaselines(preconditions.settings)

    def record(self, workloads: Sequence[Workload]) -> list[RecordedSpeed]:
        """Times the baseline in as many sessions as are to be stored and are not there yet."""
        refuse_shared(self._settings)
        for workload in workloads:
            _refuse_short(workload)
        spec = self._preconditions.baseline_spec()
        keys = self._stored_keys(spec, workloads)
        if keys and (present := self._present(spec, keys)) is not None:
            return present
        self._stored.store.check_writable(*keys)
        runs = self._session(spec, workloads)
        for key, run in runs.items():
            if not self._stored.missing(key):
                self._refuse_other(key, spec, run.machine)
        # Counted before each session: another process may record the same.
        while wanted := [key for key in runs if self._stored.missing(key)]:
            for key in wanted:
                self._stored.keep(key, runs[key])
            if any(self._stored.missing(key) for key in runs):
                runs = self._session(spec, workloads)
        return [self._recorded(key) for key in runs]

    def _stored_keys(self, spec: ModelSpec, workloads: Sequence[Workload]) -> list[SpeedKey]:
        """What is stored of all workloads, as far as the device can be told without loading."""
        device = detect()
        for count in range(1, device.count + 1):
            here = Machine(device.kind, device.name, count)
            keys = [
                self._stored.key(spec.name, spec.scheme, workload, here) for workload in workloads
            ]
            if all(self._stored.store.exists(key) for key in keys):
                return keys
        return []

    def _present(self, spec: ModelSpec, keys: Sequence[SpeedKey]) -> list[RecordedSpeed] | None:
        """What is stored already, if nothing is to be added to it."""
        if any(self._stored.missing(key) for key in keys):
            return None
        device = detect()
        if any(self._stored.store.load(key).machine.kind != device.kind for key in keys):
            return None  # the engine calls the device otherwise: it shall say what it is
        for key in keys:
            here = Machine(device.kind, device.name, self._stored.store.load(key).machine.count)
            self._refuse_other(key, spec, here)
        return [self._recorded(key) for key in keys]

    def _refuse_other(self, key: SpeedKey, spec: ModelSpec, machine: Machine) -> None:
        """Refuses to call present what is of another model, or of other software."""
        identity, software = self._engines.identify(spec), self._engines.software(spec)
        self._stored.refuse_other(key, Candidate(identity, software, machine, base=identity))

    def _recorded(self, key: SpeedKey) -> RecordedSpeed:
        run = self._stored.store.load(key)
        context = models.context_of(
            run.model.name,
            run.scheme,
            run.software,
            machine=run.machine,
            effective=run.effective,
        )
        return RecordedSpeed(run, context, present=not self._stored.fresh(key))

    def _session(self, spec: ModelSpec, workloads: Sequence[Workload]) -> dict[SpeedKey, SpeedRun]:
        """One session of the baseline, in a fresh process."""
        started = prepare_process(self._engines, spec, refuse_unfit_baseline(spec))
        speed = measure_alone(
            started.open,
            workloads,
            seed=self._settings.seed,
            vocab_size=self._engines.identify(spec).vocab_size,
            say=self._engines.say,
            name=spec.scheme,
        )
        return self._runs(spec, started, speed)

    def _runs(
        self, spec: ModelSpec, started: EngineProcess, speed: ModelSpeed
    ) -> dict[SpeedKey, SpeedRun]:
        assert started.machine is not None
        assert started.effective is not None
        commit = git_commit(self._settings.baselines.parent)
        runs = {}
        private = self._engines.capabilities.private_args
        args = {
            name: without_secrets(value, name)
            for name, value in spec.args.items()
            if name not in private
        }
        when = sessions_of(speed, recorded_at=now(), git_commit=commit, args=args)
        for workload, session in when:
            key = self._stored.key(spec.name, spec.scheme, workload, started.machine)
            runs[key] = SpeedRun(
                replace(self._engines.identify(spec), name=spec.name),
                spec.scheme,
                workload,
                started.machine,
                self._engines.software(spec),
                started.effective,
                (session,),
            )
        return runs


LEAST_ROUNDS = 5
"""Of a stored session: fewer say little about its own speed."""


def _refuse_short(workload: Workload) -> None:
    """Refuses to store what is too cold or too short to be compared with. Raises Refusal."""
    if workload.warmup < 1 or workload.rounds < LEAST_ROUNDS:
        raise Refusal(
            SpeedCode.SHORT_SPEED_BASELINE,
            rounds=workload.rounds,
            warmup=workload.warmup,
            least=LEAST_ROUNDS,
        )


def with_itself(recorded: Sequence[RecordedSpeed], confidence: float) -> SpeedResult:
    """What a test goes on with while its baseline is recorded: the baseline beside itself."""
    series = [baseline.run.series()[-1] for baseline in recorded]
    newest = recorded[0].run.sessions[-1]
    speed = ModelSpeed(tuple(series), newest.footprint, newest.load_seconds, newest.bandwidth)
    scheme = recorded[0].run.scheme
    compared = (
        SpeedComparison(scheme, timed.workload, timed, timed, (), confidence) for timed in series
    )
    return SpeedResult(scheme, tuple(compared), speed, speed)
