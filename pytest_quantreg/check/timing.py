"""From one call of compare_speed to evidence: both models timed in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..baselines import SpeedKey
from ..core.comparable import Candidate, refusal
from ..core.comparable_speed import comparable_models
from ..core.errors import Category, Refusal
from ..core.outcome import Context
from ..core.plan import Plan
from ..core.record import EffectiveScheme, Machine, ModelSpec
from ..core.speed import ModelSpeed, Series, Workload
from ..core.speed_comparison import SpeedComparison, SpeedResult
from ..core.speed_gates import device_name, fits
from ..core.speed_record import SpeedRun, sessions_of
from ..core.speed_verdict import (
    blocks_needed,
    loads_needed,
    refuse_senseless,
    refuse_too_few,
)
from ..measure.accelerator import detect
from ..measure.speed import BLOCKS, measure_alone, measure_pair
from . import models
from .bench import Bench
from .grounds import Grounds
from .opened import Opened
from .provenance import git_commit, now
from .speed_baselines import Found, SpeedBaselines
from .stored import Recording

MANY, MANY_ON_CPU = 64, 8
"""Requests in flight that saturate an accelerator, or a CPU, unless a test says otherwise."""


@dataclass(frozen=True)
class Timing:
    """What one call of compare_speed measured.

    ``baseline`` is None where only stored sessions (``stored``, by workload) were at hand.
    """

    scheme: str
    workloads: tuple[Workload, ...]
    quantized: ModelSpeed
    baseline: ModelSpeed | None
    stored: tuple[tuple[Series, ...], ...]
    machine: Machine
    effective: EffectiveScheme
    context: Context
    notes: tuple[str, ...] = ()

    def result(self, confidence: float) -> SpeedResult:
        """Both models compared, each bound at this one-sided confidence."""
        return SpeedResult(
            self.scheme,
            tuple(self._compared(place, confidence) for place in range(len(self.workloads))),
            self.quantized,
            self.baseline,
        )

    def _compared(self, place: int, confidence: float) -> SpeedComparison:
        return SpeedComparison(
            scheme=self.scheme,
            workload=self.workloads[place],
            quantized=self.quantized.series[place],
            baseline=self.baseline.series[place] if self.baseline is not None else None,
            stored=self.stored[place] if self.stored else (),
            confidence=confidence,
        )


@dataclass(frozen=True)
class RecordedSpeed:
    """A speed baseline that is stored now; ``present`` says that it was before."""

    run: SpeedRun
    context: Context
    present: bool = False


class Timer:
    """Times the quantized model beside its baseline, one call at a time."""

    def __init__(self, grounds: Grounds) -> None:
        self._grounds = grounds
        self._bench: Bench = grounds.bench
        self._settings = grounds.settings
        self._stored = SpeedBaselines(grounds.settings)
        self._done: dict[tuple[object, ...], Timing] = {}

    def compare(
        self, workloads: Sequence[Workload], scheme: str, plan: Plan, recording: Recording
    ) -> Timing:
        """Times both models under every workload, once per session.

        Raises:
            Refusal: anything that must not be judged; before loading where possible.
        """
        self._refuse_shared()
        self._foresee(workloads, plan)
        spec = self._grounds.tested(scheme)
        live = self._settings.model is not None
        base = self._grounds.baseline_spec() if live else None
        if base is not None:
            self._refuse_unlike(base, spec)
        else:
            schemes = models.baseline_schemes(self._bench.identify(spec))
            self._stored.refuse_absent(self._grounds.model_name(), schemes, workloads, recording)
        loads = loads_needed(plan)
        key = (spec.key(), tuple(workloads), loads, _blocks(plan), plan.mode)
        if key not in self._done:
            self._done[key] = self._time(spec, base, workloads, plan, loads, recording)
        return self._done[key]

    def _time(
        self,
        spec: ModelSpec,
        base: ModelSpec | None,
        workloads: Sequence[Workload],
        plan: Plan,
        loads: int,
        recording: Recording,
    ) -> Timing:
        notes: list[str] = []
        found: Found | None = None

        def check(effective: EffectiveScheme, machine: Machine) -> None:
            nonlocal found
            refuse_emulated(spec.scheme, effective)
            told = models.refuse_unlike_claim(spec.scheme, effective, plan.mode, self._settings)
            notes.extend(note for note in told if note not in notes)
            if base is None and found is None:
                # Only now is the device known; whether it has a baseline is asked before rounds.
                found = self._found(spec, machine, workloads, recording)

        quantized = self._opened(spec, check)
        before: ModelSpeed | None = None
        vocab = self._bench.identify(spec).vocab_size
        if base is not None:
            baseline = self._opened(base, lambda *_: None)
            before, now = measure_pair(
                baseline.open,
                quantized.open,
                workloads,
                exclusive=self._bench.exclusive,
                seed=self._settings.seed,
                vocab_size=min(vocab, self._bench.identify(base).vocab_size),
                say=self._bench.say,
                extra_loads=loads - 1,
                blocks=_blocks(plan),
                names=(base.scheme, spec.scheme),
            )
        else:
            now = measure_alone(
                quantized.open,
                workloads,
                seed=self._settings.seed,
                vocab_size=vocab,
                say=self._bench.say,
                extra_loads=loads - 1,
                name=spec.scheme,
            )
        machine, effective = quantized.machine, quantized.effective
        assert machine is not None
        assert effective is not None
        against = base.scheme if base is not None else ""
        if found is not None:
            against = found.scheme
            notes += found.notes
        context = models.context_of(
            spec.name,
            spec.scheme,
            self._bench.backend.software(),
            machine=machine,
            effective=effective,
        )
        notes += disturbances(now, before)
        return Timing(
            scheme=spec.scheme,
            workloads=tuple(workloads),
            quantized=now,
            baseline=before,
            stored=found.series if found is not None else (),
            machine=machine,
            effective=effective,
            context=replace(context, baseline_scheme=against),
            notes=tuple(dict.fromkeys(notes)),
        )

    def _found(
        self,
        spec: ModelSpec,
        machine: Machine,
        workloads: Sequence[Workload],
        recording: Recording,
    ) -> Found:
        """The stored sessions that a model on ``machine`` may be judged against."""
        identity = self._bench.identify(spec)
        return self._stored.find(
            Candidate(identity, self._bench.backend.software(), machine),
            self._grounds.model_name(),
            models.baseline_schemes(identity),
            workloads,
            recording,
        )

    def record(self, workloads: Sequence[Workload]) -> list[RecordedSpeed]:
        """Times the baseline in as many sessions as are to be stored and are not there yet."""
        self._refuse_shared()
        spec = self._grounds.baseline_spec()
        if (present := self._present(spec, workloads)) is not None:
            return present
        self._stored.store.check_writable()
        runs = self._session(spec, workloads)
        missing = {key: self._stored.missing(key) for key in runs}
        for key, run in runs.items():
            if not missing[key]:
                self._refuse_other(key, spec, run.machine)
        for number in range(max(missing.values())):
            runs = self._session(spec, workloads) if number else runs
            for key, run in runs.items():
                if number < missing[key]:
                    self._stored.keep(key, run)
        return [self._recorded(key) for key in missing]

    def _present(
        self, spec: ModelSpec, workloads: Sequence[Workload]
    ) -> list[RecordedSpeed] | None:
        """What is stored already, as far as the device can be told without loading."""
        found = detect()
        here = Machine(found.kind, found.name)
        keys = [self._stored.key(spec.name, spec.scheme, one, here) for one in workloads]
        if not all(self._stored.store.exists(key) for key in keys):
            return None
        if any(self._stored.missing(key) for key in keys):
            return None
        for key in keys:
            self._refuse_other(key, spec, here)
        return [self._recorded(key) for key in keys]

    def _refuse_other(self, key: SpeedKey, spec: ModelSpec, machine: Machine) -> None:
        """Refuses to call present what is of another model, or of other software."""
        identity, software = self._bench.identify(spec), self._bench.backend.software()
        self._stored.refuse_other(key, Candidate(identity, software, machine, base=identity))

    def _recorded(self, key: SpeedKey) -> RecordedSpeed:
        run = self._stored.store.load(key)
        context = models.context_of(
            run.model.name,
            run.scheme,
            self._bench.backend.software(),
            machine=run.machine,
            effective=run.effective,
        )
        return RecordedSpeed(run, context, present=not self._stored.fresh(key))

    def _session(self, spec: ModelSpec, workloads: Sequence[Workload]) -> dict[SpeedKey, SpeedRun]:
        """One session of the baseline, in a fresh process."""
        opened = self._opened(spec, lambda *_: None)
        speed = measure_alone(
            opened.open,
            workloads,
            seed=self._settings.seed,
            vocab_size=self._bench.identify(spec).vocab_size,
            say=self._bench.say,
            name=spec.scheme,
        )
        return self._runs(spec, opened, speed)

    def _runs(self, spec: ModelSpec, opened: Opened, speed: ModelSpeed) -> dict[SpeedKey, SpeedRun]:
        assert opened.machine is not None
        assert opened.effective is not None
        commit = git_commit(self._settings.baselines.parent)
        runs = {}
        for workload, session in sessions_of(speed, recorded_at=now(), git_commit=commit):
            key = self._stored.key(spec.name, spec.scheme, workload, opened.machine)
            runs[key] = SpeedRun(
                replace(self._bench.identify(spec), name=spec.name),
                spec.scheme,
                workload,
                opened.machine,
                self._bench.backend.software(),
                opened.effective,
                (session,),
            )
        return runs

    def _opened(self, spec: ModelSpec, check: Callable[[EffectiveScheme, Machine], None]) -> Opened:
        # What this process holds would be missing to the others.
        self._bench.slot.close()
        opened = Opened(spec, self._settings, check, self._bench.slot.note)
        opened.prepared = self._bench.backend.prepare(spec, self._bench.say)
        return opened

    def _foresee(self, workloads: Sequence[Workload], plan: Plan) -> None:
        """Refuses before loading what no model could rightly pass or fail."""
        found = detect()
        here = self._settings.gpu or device_name(Machine(found.kind, found.name))
        # One for another accelerator must refuse nothing; judging asks again, of the true device.
        gates = [one for one in plan.speed if one.of_workload and fits(one, here)]
        for workload in workloads:
            refuse_senseless(gates, workload)
            most = _blocks(plan) if self._bench.exclusive else workload.rounds
            units = min(workload.rounds, most)
            refuse_too_few(gates, workload, plan, units=units)

    def _refuse_shared(self) -> None:
        if self._settings.workers > 1 and not self._settings.share_device:
            raise Refusal(
                Category.WRONG_USE,
                f"{self._settings.workers} xdist workers would time models side by side and slow "
                "each other down",
                help=(
                    "run the tests of speed without -n, or with -n 1",
                    "where each worker has a device of its own: ini key "
                    'quant_speed_xdist = "allow"',
                ),
            )

    def _refuse_unlike(self, base: ModelSpec, spec: ModelSpec) -> None:
        """Refuses two models of which one cannot be made from the other, or that are one."""
        ours, theirs = self._bench.identify(base), self._bench.identify(spec)
        differences = comparable_models(ours, Candidate(theirs, self._bench.backend.software()))
        if (error := refusal(differences, "the speed")) is not None:
            raise error
        if ours.weights_digest == theirs.weights_digest and not spec.quantize:
            raise Refusal(
                Category.SUSPICIOUS,
                f"the model tested as {spec.scheme} is compared with itself: its weights are "
                "those of the baseline, to the bit",
                help="name the full-precision model with --quant-model",
            )


def _blocks(plan: Plan) -> int:
    """Blocks of each model, where only one at a time is loaded: a gate must be able to decide."""
    return max(BLOCKS, blocks_needed(plan))


def saturating() -> int:
    """How many requests in flight keep the device at hand busy: `MANY`, fewer on a CPU."""
    return MANY_ON_CPU if detect().kind == "cpu" else MANY


def with_itself(recorded: Sequence[RecordedSpeed], confidence: float) -> SpeedResult:
    """What a test goes on with while its baseline is recorded: the baseline beside itself."""
    series = [one.run.series()[-1] for one in recorded]
    newest = recorded[0].run.sessions[-1]
    speed = ModelSpeed(tuple(series), newest.footprint, newest.load_seconds, newest.bandwidth)
    scheme = recorded[0].run.scheme
    compared = (SpeedComparison(scheme, one.workload, one, one, (), confidence) for one in series)
    return SpeedResult(scheme, tuple(compared), speed, speed)


def refuse_emulated(scheme: str, effective: EffectiveScheme) -> None:
    """Refuses to time what is unpacked before it runs: not the kernel that ships."""
    if effective.mode == "emulated":
        raise Refusal(
            Category.NOT_JUDGED,
            f"{scheme} is emulated here ({effective.kernel}), which is not the kernel you ship",
            help=(
                "its accuracy can be judged, its speed and memory cannot",
                "use an engine, or a format, that has kernels for it on this device: "
                "`quantreg hardware` lists them",
            ),
        )


def disturbances(quantized: ModelSpeed, baseline: ModelSpeed | None) -> Iterator[str]:
    """What went on around the models while they were timed, as notes."""
    states = [*quantized.states, *(baseline.states if baseline is not None else ())]
    if throttled := sorted({one.throttled for one in states if one.throttled}):
        yield f"the device held its clocks down: {', '.join(throttled)}"
    on_card = [one.others for one in states if one.power_limit_w is not None and one.others]
    # That both models may live at once is reckoned with where states are read.
    if others := max(on_card, default=0.0):
        what = "process" if others == 1 else "processes"
        yield f"{others:.0f} other {what} used the card while the models were timed"
