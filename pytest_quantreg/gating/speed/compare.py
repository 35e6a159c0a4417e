"""From one call of compare_speed to evidence: both models timed in processes of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...core.codes import SpeedCode
from ...core.comparison.comparability import Candidate, refusal
from ...core.comparison.speed import SpeedComparison, SpeedResult
from ...core.comparison.speed_comparability import comparable_models
from ...core.errors import Category, Refusal
from ...core.facts import Problem
from ...core.gates.plan import Plan
from ...core.gates.speed import MIN_SPEEDUP, SpeedGate, device_name, fits
from ...core.gates.speed_verdict import (
    blocks_needed,
    loads_needed,
    refuse_senseless,
    refuse_too_few,
    sensible,
)
from ...core.records.outcome_row import Context
from ...core.records.run import EffectiveScheme, Machine, ModelSpec
from ...core.records.speed import ModelSpeed, Series, Workload
from ...core.settings import GateMode
from ...measure.accelerator import detect
from ...measure.speed.measure import BLOCKS, measure_alone, measure_pair
from .. import models
from ..engine_session import EngineSession
from ..memo import Memo
from ..preconditions import Preconditions
from .engine_process import EngineProcess, prepare_process, refuse_shared
from .preconditions import (
    disturbances,
    emulated,
    refuse_emulated,
    refuse_other_device,
    refuse_other_state,
    refuse_unfit_baseline,
    refuse_wider,
    unequal_arguments,
)
from .stored_baselines import SpeedBaselines, StoredSpeed


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
    notes: tuple[str | Problem, ...] = ()

    def result(self, confidence: float) -> SpeedResult:
        """Both models compared, each bound at this one-sided confidence."""
        return SpeedResult(
            self.scheme,
            tuple(self._compare(place, confidence) for place in range(len(self.workloads))),
            self.quantized,
            self.baseline,
        )

    def _compare(self, place: int, confidence: float) -> SpeedComparison:
        return SpeedComparison(
            scheme=self.scheme,
            workload=self.workloads[place],
            quantized=self.quantized.series[place],
            baseline=self.baseline.series[place] if self.baseline is not None else None,
            stored=self.stored[place] if self.stored else (),
            confidence=confidence,
        )


@dataclass(frozen=True)
class _TimingRequest:
    """What is to be timed: ``loads`` fresh processes at the least, in ``blocks`` if need be.

    ``against`` says that a gate judges the speed-up, so that the baseline is needed.
    """

    spec: ModelSpec
    workloads: tuple[Workload, ...]
    mode: GateMode
    loads: int
    blocks: int
    against: bool

    def key(self) -> tuple[object, ...]:
        """Equal for two that are measured alike."""
        return (self.spec.key(), self.workloads, self.mode, self.loads, self.blocks, self.against)


class Timer:
    """Times the quantized model beside its baseline, one call at a time."""

    def __init__(self, preconditions: Preconditions) -> None:
        self._preconditions = preconditions
        self._engines: EngineSession = preconditions.engines
        self._settings = preconditions.settings
        self._stored = SpeedBaselines(preconditions.settings)
        self._done: Memo[Timing] = Memo()

    def time_models(
        self,
        workloads: Sequence[Workload],
        scheme: str,
        plan: Plan,
        *,
        blocks: int | None = None,
    ) -> Timing:
        """Times both models under every workload, once per session.

        ``blocks`` of each, or as many as the gates need, where they take turns by block.

        Raises:
            Refusal: anything that must not be judged; before loading where possible.
        """
        refuse_shared(self._settings)
        gates = self._foresee(workloads, plan, blocks or 0)
        spec = self._preconditions.tested(scheme)
        self._refuse_known_emulated(spec)
        request = _TimingRequest(
            spec,
            tuple(workloads),
            plan.mode,
            loads=loads_needed(gates, plan),
            blocks=max(_blocks(gates, plan), blocks or 0),
            against=any(gate.marker == MIN_SPEEDUP for gate in gates),
        )
        timing = self._time_shared(request)
        if plan.mode is not GateMode.CERTIFY or not gates:
            return timing
        attempt = self._preconditions.attempt(spec, plan.confidence)
        return replace(timing, notes=(*timing.notes, attempt))

    def _time_shared(self, request: _TimingRequest) -> Timing:
        """One measurement for tests with gates on the speed-up and without, where both fit."""
        without: Problem | None = None
        if self._settings.model is not None and not request.against:
            both = replace(request, against=True)
            try:
                return self._done.of(both.key(), lambda: self._time(both))
            except Refusal as error:
                if error.category is not Category.OUT_OF_MEMORY:
                    raise
                # That a model fits where its baseline does not is what it was quantized for.
                without = error.problem
        return self._done.of(request.key(), lambda: self._time(request, without))

    def _time(self, request: _TimingRequest, without: Problem | None = None) -> Timing:
        """Both models, or the quantized one ``without`` its baseline, for that reason."""
        spec = request.spec
        has_model = self._settings.model is not None
        base = self._preconditions.baseline_spec() if has_model and without is None else None
        notes: list[str | Problem] = [without] if without is not None else []
        notes += self._refuse_unlike(base, spec) if base is not None else []
        has_stored = not has_model and self._has_stored(request)
        stored_speed: StoredSpeed | None = None

        def check(effective: EffectiveScheme, machine: Machine) -> None:
            nonlocal stored_speed
            refuse_emulated(spec.scheme, effective)
            claim_notes = models.refuse_unlike_claim(
                spec.scheme, effective, request.mode, self._settings
            )
            notes.extend(note for note in claim_notes if note not in notes)
            if has_stored and stored_speed is None:
                # Only now is the device known; whether it has a baseline is asked before rounds.
                stored_speed = self._find_stored(request, machine)

        self._preconditions.before_loading(spec)
        quantized = prepare_process(self._engines, spec, check)
        baseline, quantized_speed = self._measure(request, base, quantized, notes)
        machine, effective = quantized.machine, quantized.effective
        assert machine is not None
        assert effective is not None
        if stored_speed is not None:
            stored_speed = self._stored.in_state(
                stored_speed, quantized_speed, needed=request.against
            )
            notes += stored_speed.notes
        series = stored_speed.series if stored_speed is not None else ()
        if baseline is None and not series:
            notes.append("the baseline was not timed: nothing is said of speed-ups")
        notes += disturbances(quantized_speed, baseline)
        return Timing(
            scheme=spec.scheme,
            workloads=request.workloads,
            quantized=quantized_speed,
            baseline=baseline,
            stored=series,
            machine=machine,
            effective=effective,
            context=self._context(spec, machine, effective, base or stored_speed),
            notes=tuple(note for at, note in enumerate(notes) if note not in notes[:at]),
        )

    def _context(
        self,
        spec: ModelSpec,
        machine: Machine,
        effective: EffectiveScheme,
        reference: ModelSpec | StoredSpeed | None,
    ) -> Context:
        software = self._engines.software(spec)
        context = models.context_of(
            spec.name, spec.scheme, software, machine=machine, effective=effective
        )
        return replace(context, baseline_scheme=reference.scheme if reference is not None else "")

    def _measure(
        self,
        request: _TimingRequest,
        base: ModelSpec | None,
        quantized: EngineProcess,
        notes: list[str | Problem],
    ) -> tuple[ModelSpeed | None, ModelSpeed]:
        """Both models, or the quantized one where the other is not at hand, nor needed."""
        vocab = self._engines.identify(request.spec).vocab_size
        if base is not None:
            baseline = prepare_process(self._engines, base, refuse_unfit_baseline(base))
            notes += unequal_arguments(base, request.spec, self._engines.capabilities.private_args)
            both = measure_pair(
                baseline.open,
                quantized.open,
                request.workloads,
                exclusive=self._engines.capabilities.exclusive,
                seed=self._settings.seed,
                vocab_size=min(vocab, self._engines.identify(base).vocab_size),
                say=self._engines.say,
                announce=self._engines.announce,
                extra_loads=request.loads - 1,
                blocks=request.blocks,
                names=(base.scheme, request.spec.scheme),
            )
            assert baseline.machine is not None
            assert quantized.machine is not None
            notes += refuse_other_device(baseline.machine, quantized.machine)
            refuse_other_state(*both)
            return both
        alone = measure_alone(
            quantized.open,
            request.workloads,
            seed=self._settings.seed,
            vocab_size=vocab,
            say=self._engines.say,
            announce=self._engines.announce,
            extra_loads=request.loads - 1,
            name=request.spec.scheme,
        )
        return None, alone

    def _has_stored(self, request: _TimingRequest) -> bool:
        """Whether sessions of the baseline are stored; refuses their absence if they are needed."""
        try:
            self._stored.refuse_absent(
                self._preconditions.model_name(),
                models.baseline_schemes(self._engines.identify(request.spec)),
                request.workloads,
            )
        except Refusal:
            if request.against:
                raise
            return False
        return True

    def _find_stored(self, request: _TimingRequest, machine: Machine) -> StoredSpeed:
        """The stored sessions that a model on ``machine`` may be judged against."""
        identity = self._engines.identify(request.spec)
        try:
            return self._stored.find(
                Candidate(identity, self._engines.software(request.spec), machine),
                self._preconditions.model_name(),
                models.baseline_schemes(identity),
                request.workloads,
                sessions=2 if request.against and request.mode is GateMode.DETECT else 1,
            )
        except Refusal as error:
            if request.against:
                raise
            return StoredSpeed((), "", (error.problem,))

    def _refuse_known_emulated(self, spec: ModelSpec) -> None:
        """Refuses before anything is made what this engine is known to emulate."""
        if not spec.quantize or spec.made_by_argument:
            return  # what a checkpoint holds, or an argument asks for, is known once loaded
        choice = self._preconditions.kernel(spec)
        if choice is not None and choice.mode == "emulated":
            raise emulated(spec.scheme, choice.why)

    def _foresee(self, workloads: Sequence[Workload], plan: Plan, blocks: int) -> list[SpeedGate]:
        """Refuses before loading what no model could rightly pass or fail.

        Returns the gates that are for the device at hand, as far as it is known by now.
        """
        device = detect()
        here = self._settings.gpu or device_name(Machine(device.kind, device.name))
        # One for another accelerator must refuse nothing; judging asks again, of the true device.
        gates = [gate for gate in plan.speed if fits(gate, here)]
        for workload in workloads:
            judged = [gate for gate in gates if gate.of_workload and sensible(gate, workload)]
            refuse_senseless(gates, workload)
            most = max(_blocks(gates, plan), blocks)
            units = (
                min(workload.rounds, most)
                if self._engines.capabilities.exclusive
                else workload.rounds
            )
            refuse_too_few(judged, workload, plan, units=units)
        return [gate for gate in gates if any(sensible(gate, load) for load in workloads)]

    def _refuse_unlike(self, base: ModelSpec, spec: ModelSpec) -> list[str | Problem]:
        """Refuses two models of which one cannot be made from the other, or that are one.

        Returns the differences that are only noted.
        """
        ours, theirs = self._engines.identify(base), self._engines.identify(spec)
        software = self._engines.software(base), self._engines.software(spec)
        differences = comparable_models(ours, Candidate(theirs, software[1]), software[0])
        if (error := refusal(differences, "the speed")) is not None:
            raise error
        notes: list[str | Problem] = []
        if ours.weights_digest == theirs.weights_digest and not spec.quantize:
            same = Problem(SpeedCode.TIMED_AGAINST_ITSELF, {"scheme": spec.scheme})
            if not self._settings.allow_rerun:
                raise Refusal.of(same)
            notes.append(Problem(SpeedCode.TIMED_AS_RERUN, {"cause": same}))
        refuse_wider(base, ours.dtype, theirs.dtype)
        return [*(difference.problem for difference in differences), *notes]


def _blocks(gates: Sequence[SpeedGate], plan: Plan) -> int:
    """Blocks of each model, where only one at a time is loaded: a gate must be able to decide."""
    return max(BLOCKS, blocks_needed(gates, plan))
