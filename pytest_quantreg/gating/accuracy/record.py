"""From one call to a stored baseline: the full-precision model measured and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...baselines import BaselineKey, Changed
from ...core.comparison.baseline_diff import replaced
from ...core.comparison.pairs import refuse_unpoolable
from ...core.records.run import Accuracy, Metric, ModelSpec, Provenance, Run
from ...core.settings import Update
from ...measure import PreparedTask, gains_from_reruns, with_reruns
from ..baseline_precision import refuse_quantized_baseline
from ..engine_session import Loaded
from ..provenance import git_commit, now
from .preconditions import Grounds
from .request import Ask, asked
from .stored_baselines import Recording, Size


@dataclass(frozen=True)
class Recorded:
    """A stored baseline, ``present`` when it was there before this session.

    ``name`` is its path in the store without an ending.
    """

    run: Run
    metric: Metric
    present: bool = False
    notes: tuple[str, ...] = ()
    name: str = ""


class Recorder:
    """Measures baselines and stores them, unless good ones are there already."""

    def __init__(self, grounds: Grounds) -> None:
        self._grounds = grounds
        self._bench = grounds.bench
        self._settings = grounds.settings
        self._store = grounds.store
        self._stored = grounds.stored
        self._notes: dict[BaselineKey, tuple[str, ...]] = {}

    def record(self, ask: Ask, recording: Recording) -> list[Recorded]:
        """The baseline of a task, or of every task of a group. Raises Refusal."""
        group = self._bench.group(ask.request)
        asks = [ask] if group is None else ask.each(group.subtasks)
        if group is not None:
            self._refuse_unpoolable([asked(one, group) for one in asks])
        return [self._record(asked(one, group), recording) for one in asks]

    def _refuse_unpoolable(self, asks: Sequence[Ask]) -> None:
        """Refuses a group that no gate could judge, before any of it is measured."""
        spec = self._grounds.baseline_spec()
        for one in asks:
            protocol = self._bench.prepare(one.request, spec).protocol
            refuse_unpoolable(one.metric_of(protocol), task=one.request.task)

    def _record(self, ask: Ask, recording: Recording) -> Recorded:
        """Recording anew never leaves fewer items, or runs, than were stored."""
        try:
            return self._record_once(ask, recording)
        except Changed:
            # What another process stored in the meantime may be larger: decide anew.
            return self._record(ask, recording)

    def _record_once(self, ask: Ask, recording: Recording) -> Recorded:
        """The same. Raises Changed where another process recorded it in the meantime."""
        self._store.check_writable()
        spec = self._grounds.baseline_spec()
        prepared = self._bench.prepare(ask.request, spec)
        n = self._grounds.items(ask, prepared)
        key = self._grounds.key(ask, prepared, spec.scheme)
        if (run := self._stored.fresh(key, n)) is not None:
            return self._recorded(ask, key, run, notes=self._notes[key])
        seen = self._store.state(key)
        self._stored.forget(key)
        if (run := self._present(ask, spec, prepared, key, n, recording)) is not None:
            return self._recorded(ask, key, run, present=True)
        self._store.check_writable(key)
        had = self._stored.size(key)
        asked, n = n, max(n, min(had.items, len(prepared)))
        runs = max(self._runs(prepared), had.runs)
        loaded = self._bench.load(spec)
        refuse_quantized_baseline(spec.scheme, loaded.effective)
        accuracy = self._measure(spec, prepared, n, runs)
        run = Run(self._provenance(spec, loaded), replace(accuracy, resumed_items=0))
        told = self._replaced(ask, key, run, had)
        self._store.save(key, run, seen=seen)
        self._stored.note(key, run)
        notes = self._bench.told(spec, accuracy, batch_size=self._bench.batch_size)
        if n > asked:
            notes += (f"{ask.request.task}: {asked:,} items asked for, {n:,} as were stored",)
        if self._settings.repeats > 1 and runs == 1:
            notes += (f"{ask.request.task}: one run; a perplexity gains nothing from more",)
        notes += told
        self._notes[key] = notes
        return self._recorded(ask, key, run, notes=notes)

    def _replaced(self, ask: Ask, key: BaselineKey, run: Run, had: Size) -> tuple[str, ...]:
        """What became of the baseline that this one replaces; nothing where there was none."""
        if not self._store.exists(key):
            return ()
        task = ask.request.task
        if not had.items:
            return (f"{task}: not paired with what it replaces: that could not be read",)
        old, new = self._store.load(key).accuracy, run.accuracy
        metric = ask.metric_of(new.protocol)
        return (replaced(old, new, metric, confidence=self._settings.confidence),)

    def _recorded(
        self,
        ask: Ask,
        key: BaselineKey,
        run: Run,
        *,
        present: bool = False,
        notes: tuple[str, ...] = (),
    ) -> Recorded:
        name = "/".join((*key.folder, key.stem))
        return Recorded(run, ask.metric_of(run.accuracy.protocol), present, notes, name)

    def _runs(self, prepared: PreparedTask) -> int:
        """How many runs are asked for; perplexities keep but one."""
        return self._settings.repeats if gains_from_reruns(prepared.protocol) else 1

    def _measure(self, spec: ModelSpec, prepared: PreparedTask, n: int, runs: int) -> Accuracy:
        """``runs`` runs in as many batch orders, one after another."""
        first, *others = (
            self._bench.measure(
                spec, prepared, n, batch_size=self._bench.batch_size, rerun=index, runs=runs
            )
            for index in range(runs)
        )
        return with_reruns(first, others) if others else first

    def _present(
        self,
        ask: Ask,
        spec: ModelSpec,
        prepared: PreparedTask,
        key: BaselineKey,
        n: int,
        recording: Recording,
    ) -> Run | None:
        """The stored baseline if it is sound and large enough; None to record anew.

        Raises Refusal for one that this session could not be compared with: it is
        replaced only when asked for in so many words.
        """
        if self._settings.update is not Update.ABSENT or not self._store.exists(key):
            return None
        run = self._stored.read(key, recording)
        items = run.accuracy.items
        candidate = self._grounds.candidate(spec, run, prepared, min(n, len(items)))
        base = self._bench.identify(spec)
        self._grounds.differ(run, ask, spec, recording)(replace(candidate, base=base))
        enough = len(items) >= n and 1 + len(items.reruns) >= self._runs(prepared)
        return run if enough else None

    def _provenance(self, spec: ModelSpec, loaded: Loaded) -> Provenance:
        return Provenance(
            model=replace(self._bench.identify(spec), name=spec.name),
            claimed=spec.scheme,
            effective=loaded.effective,
            software=self._bench.software(spec),
            machine=loaded.machine,
            recorded_at=now(),
            git_commit=git_commit(self._settings.baselines.parent),
        )
