"""From one call to a stored baseline: the full-precision model measured and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...baselines import BaselineKey, Changed
from ...core.codes import GateCode
from ...core.comparison.baseline_diff import replacement_note, unpaired_note
from ...core.comparison.pairs import refuse_unpoolable
from ...core.facts import Note, Problem
from ...core.records.run import Accuracy, Metric, ModelSpec, Provenance, Run
from ...core.settings import Update
from ...measure import PreparedTask, gains_from_reruns, with_reruns
from ..baseline_precision import refuse_quantized_baseline
from ..engine_session import LoadedModel
from ..preconditions import Preconditions
from ..provenance import git_commit, now
from .request import EvalRequest, with_group_metric
from .stored_baselines import Size


@dataclass(frozen=True)
class RecordedBaseline:
    """A stored baseline, ``present`` when it was there before this session.

    ``name`` is its path in the store without an ending.
    """

    run: Run
    metric: Metric
    present: bool = False
    notes: tuple[Note, ...] = ()
    name: str = ""


class Recorder:
    """Measures baselines and stores them, unless good ones are there already."""

    def __init__(self, preconditions: Preconditions) -> None:
        self._preconditions = preconditions
        self._engines = preconditions.engines
        self._settings = preconditions.settings
        self._store = preconditions.store
        self._stored = preconditions.stored
        self._notes: dict[BaselineKey, tuple[Note, ...]] = {}

    def record(self, call: EvalRequest) -> list[RecordedBaseline]:
        """The baseline of a task, or of every task of a group. Raises Refusal."""
        group = self._engines.group(call.request)
        calls = [call] if group is None else call.for_tasks(group.subtasks)
        if group is not None:
            self._refuse_unpoolable([with_group_metric(task_call, group) for task_call in calls])
        return [self._record(with_group_metric(task_call, group)) for task_call in calls]

    def _refuse_unpoolable(self, calls: Sequence[EvalRequest]) -> None:
        """Refuses a group that no gate could judge, before any of it is measured."""
        spec = self._preconditions.baseline_spec()
        for call in calls:
            protocol = self._engines.prepare(call.request, spec).protocol
            refuse_unpoolable(call.metric_of(protocol), task=call.request.task)

    def _record(self, call: EvalRequest) -> RecordedBaseline:
        """Recording anew never leaves fewer items, or runs, than were stored."""
        try:
            return self._record_once(call)
        except Changed:
            # What another process stored in the meantime may be larger: decide anew.
            return self._record(call)

    def _record_once(self, call: EvalRequest) -> RecordedBaseline:
        """The same. Raises Changed where another process recorded it in the meantime."""
        self._store.check_writable()
        spec = self._preconditions.baseline_spec()
        prepared = self._engines.prepare(call.request, spec)
        n = self._preconditions.items(call, prepared)
        key = self._preconditions.key(call, prepared, spec.scheme)
        if (run := self._stored.fresh(key, n)) is not None:
            return self._recorded(call, key, run, notes=self._notes[key])
        seen = self._store.state(key)
        self._stored.forget(key)
        if (run := self._present(call, spec, prepared, key, n)) is not None:
            return self._recorded(call, key, run, present=True)
        self._store.check_writable(key)
        stored_size = self._stored.size(key)
        requested, n = n, max(n, min(stored_size.items, len(prepared)))
        runs = max(self._runs(prepared), stored_size.runs)
        loaded = self._engines.load(spec)
        refuse_quantized_baseline(spec.scheme, loaded.effective)
        accuracy = self._measure(spec, prepared, n, runs)
        run = Run(self._provenance(spec, loaded), replace(accuracy, resumed_items=0))
        replacement_notes = self._describe_replaced(call, key, run, stored_size)
        self._store.save(key, run, seen=seen)
        self._stored.note(key, run)
        notes: tuple[Note, ...] = self._engines.measurement_notes(
            spec, accuracy, batch_size=self._engines.capabilities.batch_size
        )
        if n > requested:
            notes += (f"{call.request.task}: {requested:,} items asked for, {n:,} as were stored",)
        if self._settings.repeats > 1 and runs == 1:
            notes += (f"{call.request.task}: one run; a perplexity gains nothing from more",)
        notes += replacement_notes
        self._notes[key] = notes
        return self._recorded(call, key, run, notes=notes)

    def _describe_replaced(
        self, call: EvalRequest, key: BaselineKey, run: Run, stored_size: Size
    ) -> tuple[Note, ...]:
        """What became of the baseline that this one replaces; nothing where there was none."""
        if not self._store.exists(key):
            return ()
        task = call.request.task
        if not stored_size.items:
            return (unpaired_note(task, Problem(GateCode.REPLACED_UNREADABLE, {})),)
        old, new = self._store.load(key).accuracy, run.accuracy
        metric = call.metric_of(new.protocol)
        return (replacement_note(old, new, metric, confidence=self._settings.confidence),)

    def _recorded(
        self,
        call: EvalRequest,
        key: BaselineKey,
        run: Run,
        *,
        present: bool = False,
        notes: tuple[Note, ...] = (),
    ) -> RecordedBaseline:
        name = "/".join((*key.folder, key.stem))
        return RecordedBaseline(run, call.metric_of(run.accuracy.protocol), present, notes, name)

    def _runs(self, prepared: PreparedTask) -> int:
        """How many runs are asked for; perplexities keep but one."""
        return self._settings.repeats if gains_from_reruns(prepared.protocol) else 1

    def _measure(self, spec: ModelSpec, prepared: PreparedTask, n: int, runs: int) -> Accuracy:
        """``runs`` runs in as many batch orders, one after another."""
        size = self._engines.capabilities.batch_size
        first, *others = (
            self._engines.measure(
                spec,
                prepared,
                n,
                batch_size=size,
                rerun=index,
                runs=runs,
            )
            for index in range(runs)
        )
        return with_reruns(first, others) if others else first

    def _present(
        self,
        call: EvalRequest,
        spec: ModelSpec,
        prepared: PreparedTask,
        key: BaselineKey,
        n: int,
    ) -> Run | None:
        """The stored baseline if it is sound and large enough; None to record anew.

        Raises Refusal for one that this session could not be compared with: it is
        replaced only when asked for in so many words.
        """
        if self._settings.update is not Update.ABSENT or not self._store.exists(key):
            return None
        run = self._stored.read(key)
        items = run.accuracy.items
        candidate = self._preconditions.candidate(spec, run, prepared, min(n, len(items)))
        base = self._engines.identify(spec)
        self._preconditions.differences(run, call, spec, replace(candidate, base=base))
        enough = len(items) >= n and 1 + len(items.reruns) >= self._runs(prepared)
        return run if enough else None

    def _provenance(self, spec: ModelSpec, loaded: LoadedModel) -> Provenance:
        return Provenance(
            model=replace(self._engines.identify(spec), name=spec.name),
            claimed=spec.scheme,
            effective=loaded.effective,
            software=self._engines.software(spec),
            machine=loaded.machine,
            recorded_at=now(),
            git_commit=git_commit(self._settings.baselines.parent),
        )
