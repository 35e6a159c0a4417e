"""One session's checks: the way from a call of compare_accuracy to evidence or a baseline."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.engine import Engine
from ..core.gates.outcome import Outcome
from ..core.gates.plan import Plan
from ..core.records.outcome_row import Context
from ..core.records.run import ModelSpec, Provenance, Run
from ..core.records.speed import Workload
from ..core.settings import Settings
from ..measure import Progress
from . import models
from .accuracy.candidate_runs import record_flips
from .accuracy.compare import Comparer
from .accuracy.record import RecordedBaseline, Recorder
from .accuracy.request import EvalRequest
from .engine_session import EngineSession, LoadedModel
from .evidence import Evidence, Measurement
from .preconditions import Preconditions
from .speed.compare import Timer, Timing
from .speed.record import RecordedSpeed, SpeedRecorder


class Checker:
    """Measures or loads, and pairs; one per process, for as long as the session lasts.

    ``session`` is the same in all processes of one session and in no other.
    """

    def __init__(self, settings: Settings, progress: Progress, session: str) -> None:
        self.settings = settings
        self.engines = EngineSession(settings, progress)
        self._preconditions = Preconditions(settings, self.engines, session)
        self._comparer = Comparer(self._preconditions, self._context, session)
        self._recorder = Recorder(self._preconditions)
        self._timer = Timer(self._preconditions)
        self._speed_recorder = SpeedRecorder(self._preconditions)
        self._contexts: dict[str, Context] = {}

    def model_name(self) -> str:
        """What the model under test is called in the store."""
        return self._preconditions.model_name()

    def engine_of(self, spec: ModelSpec) -> Engine:
        """The loaded engine of ``spec``; frees any other first."""
        return self.engines.engine_of(spec)

    def baseline_spec(self) -> ModelSpec:
        """The full-precision model, its scheme (``bf16``, ...) read from its files."""
        return self._preconditions.baseline_spec()

    def compare_accuracy(self, call: EvalRequest, scheme: str, plan: Plan) -> Measurement:
        """Measures the quantized model and pairs it with the stored baseline.

        Raises:
            Refusal: anything that must not be judged; before loading where possible.
        """
        return self._comparer.compare_accuracy(call, scheme, plan)

    def record(self, call: EvalRequest) -> list[RecordedBaseline]:
        """Measures the baseline and stores it, unless a good one is there already.

        One per task where a group of them is asked for.
        """
        return self._recorder.record(call)

    def time(
        self,
        workloads: Sequence[Workload],
        scheme: str,
        plan: Plan,
        *,
        blocks: int | None = None,
    ) -> Timing:
        """Times the quantized model beside its baseline. Raises Refusal as `compare`."""
        timing = self._timer.time_models(workloads, scheme, plan, blocks=blocks)
        self._contexts[scheme] = timing.context
        return timing

    def record_speed(self, workloads: Sequence[Workload]) -> list[RecordedSpeed]:
        """Times the baseline and stores it, unless that is there already."""
        return self._speed_recorder.record(workloads)

    def record_flips(
        self, evidence: Evidence, outcomes: Sequence[Outcome], confidence: float
    ) -> None:
        """Keeps how much a judged checkpoint flips, for the plans of later sessions."""
        record_flips(self._preconditions.flips, evidence, outcomes, confidence)

    def known_context(self, scheme: str) -> Context | None:
        """What the summary may say of a model whose comparison was refused."""
        return self._contexts.get(scheme)

    def recording_context(self, run: Run) -> Context:
        """What the summary says of a recorded baseline."""
        provenance = run.provenance
        loaded = LoadedModel(provenance.effective, provenance.machine, provenance.software)
        return self._context(provenance.model.name, provenance.claimed, provenance, loaded)

    def close(self, *, forget: bool) -> None:
        """Frees the engine; with ``forget`` drops what an interrupted session would resume."""
        self.engines.close(forget=forget)

    def _context(
        self, name: str, scheme: str, baseline: Provenance, loaded: LoadedModel
    ) -> Context:
        self._contexts[scheme] = models.context_of(
            name,
            scheme,
            loaded.software,
            baseline=baseline,
            machine=loaded.machine,
            effective=loaded.effective,
        )
        return self._contexts[scheme]
