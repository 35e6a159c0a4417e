"""Runs that were judged become accepted ones: what the history then says, and what forbids it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..core.comparison.alignment import first_items, value_of
from ..core.errors import WrongUse
from ..core.records.acceptance import (
    Acceptance,
    AcceptedTask,
    Drift,
    Kept,
    chosen,
    first_with,
    last_with,
)
from ..core.records.run import BASELINE_SCHEMES, Accuracy, Metric, Run
from .accepted import AcceptedRuns
from .key import BaselineKey
from .run_codec import digest
from .store import Store

MOST_NAMED = 5
"""Tasks that a line names; a group may have dozens."""

Runs = Callable[[Kept], "tuple[BaselineKey, Run]"]
"""Gives the run of a kept measurement and what it is filed under."""


@dataclass(frozen=True)
class Said:
    """What a person says with an acceptance: when, from which commit, why.

    ``undecided`` maps a scheme to the gates that were accepted with ``--force``.
    """

    when: str
    git_commit: str | None
    why: str
    undecided: Mapping[str, Sequence[str]] = field(default_factory=dict)


def accept_runs(store: AcceptedRuns, kept: Sequence[Kept], runs: Runs, said: Said) -> list[str]:
    """Accepts what was judged, of each model, scheme and engine; a line on each.

    All are checked before the first is written. Raises WrongUse for what may not be
    accepted, Refusal for a damaged history.
    """
    best = chosen(kept)
    owners = dict.fromkeys(one.owner for one in best)
    batches = [_Batch.of([one for one in best if one.owner == owner], runs) for owner in owners]
    for batch in batches:
        batch.check(store.history(batch.key))
        batch.check_baselines(Store(store.root))
    left = {one.owner: _left_out(kept, best, one.owner) for one in best}
    lines = []
    for owner, batch in zip(owners, batches, strict=True):
        made = store.accept(batch.runs, batch.acceptance(said), batch.check)
        lines.append(batch.told(made, store.history(batch.key), left[owner]))
    return lines


@dataclass(frozen=True)
class _Batch:
    """What is accepted together: the tasks of one model, scheme and engine."""

    kept: tuple[Kept, ...]
    runs: Mapping[BaselineKey, Run]
    digests: Mapping[str, str]

    @classmethod
    def of(cls, kept: Sequence[Kept], runs: Runs) -> _Batch:
        found = dict(runs(one) for one in kept)
        return cls(tuple(kept), found, {key.stem: digest(key, run) for key, run in found.items()})

    @property
    def key(self) -> BaselineKey:
        return next(iter(self.runs))

    def check(self, history: Sequence[Acceptance]) -> None:
        """Raises WrongUse where the history, as it is now, forbids it."""
        weights = {run.provenance.model.weights_digest for run in self.runs.values()}
        if len(weights) > 1:
            raise WrongUse(f"the runs at {self.key.scheme} are of {len(weights)} checkpoints")
        for one, run in zip(self.kept, self.runs.values(), strict=True):
            last = last_with(history, one.stem)
            task = last.of(one.stem) if last is not None else None
            if last is None or task is None:
                continue
            if task.digest == self.digests[one.stem]:
                raise WrongUse(
                    f"this run of {one.task} was already accepted as number {last.number}"
                )
            if before := _judged_before(one, run, last, task.digest):
                raise WrongUse(
                    f"{one.task} was {before}, and number {last.number} was accepted since",
                    help="judge it again: type the same pytest command once more",
                )
            if task.items > one.items:
                raise WrongUse(
                    f"{one.task}: number {last.number} holds {task.items:,} items, and this run "
                    f"{one.items:,}: a reference never becomes smaller",
                    help="run it with as many items (--quant-limit, limit=)",
                )

    def check_baselines(self, store: Store) -> None:
        """Raises WrongUse where what it was judged against is not what the store holds."""
        for one, key in zip(self.kept, self.runs, strict=True):
            stored = (replace(key, scheme=scheme) for scheme in BASELINE_SCHEMES)
            found = [store.load(known).accuracy for known in stored if store.exists(known)]
            if not any(_is_baseline(accuracy, one) for accuracy in found):
                raise WrongUse(
                    f"{one.task} was judged against another baseline than {store.root.name}/ holds",
                    help="judge it with this store: --quant-baselines DIR",
                )

    def acceptance(self, said: Said) -> Acceptance:
        """How it is put down; number and digests are the store's to fill in."""
        model = next(iter(self.runs.values())).provenance.model
        tasks = (
            _task(one, key, run)
            for one, (key, run) in zip(self.kept, self.runs.items(), strict=True)
        )
        return Acceptance(
            number=0,
            accepted_at=said.when,
            git_commit=said.git_commit,
            why=said.why,
            weights_digest=model.weights_digest,
            revision=model.revision,
            tasks=tuple(tasks),
            undecided=tuple(said.undecided.get(self.key.scheme, ())),
        )

    def told(self, made: Acceptance, history: Sequence[Acceptance], left_out: Sequence[str]) -> str:
        """One line: the number, what it replaces, and what is left of the first."""
        before = history[: made.number - 1]
        old = {
            last.number for one in made.tasks if (last := last_with(before, one.stem)) is not None
        }
        names = _few([one.task for one in made.tasks])
        parts = [f"accepted {self.key.scheme} of {self.key.model} as number {made.number}: {names}"]
        if old:
            parts.append(f"in place of number {', '.join(map(str, sorted(old)))}")
        drifts = self._drifts(made, before)
        if len(drifts) > MOST_NAMED:
            drifts = [min(drifts, key=lambda one: one.retention)]
        parts += [
            f"least of all tasks: {one}" if len(made.tasks) > MOST_NAMED else str(one)
            for one in drifts
        ]
        parts += _loosened(made, before)
        if made.undecided:
            parts.append(f"marked as forced ({len(made.undecided)} undecided)")
        if left_out:
            parts.append(f"not accepted, for no min_retention judged it: {_few(left_out)}")
        return "; ".join(parts)

    def _drifts(self, made: Acceptance, before: Sequence[Acceptance]) -> list[Drift]:
        found = []
        for one, run in zip(made.tasks, self.runs.values(), strict=True):
            first = first_with(before, one.stem)
            then = first.of(one.stem) if first is not None else None
            metric = _first_metric(one, run)
            if first is None or then is None or metric.name not in then.values:
                continue
            drift = Drift(
                one.task,
                first.accepted_at,
                metric,
                *(one.values[metric.name], one.baseline[metric.name]),
                *(then.values[metric.name], then.baseline[metric.name]),
            )
            if math.isfinite(drift.retention):
                found.append(drift)
        return found


def _judged_before(one: Kept, run: Run, last: Acceptance, digest: str) -> str:
    """How a run was judged when ``last``, with this digest, was not yet accepted; or ""."""
    if one.against is not None:
        what = f"against number {one.against}" if one.against else "when nothing was accepted"
        if one.against == last.number and one.against_run not in ("", digest):
            return f"judged against another number {last.number}, of another store or history"
        return f"judged {what}" if one.against != last.number else ""
    # No gate asked for the accepted run, so that only the clock tells which came first.
    measured = run.provenance.recorded_at
    return f"measured at {measured}" if measured < last.accepted_at else ""


def _few(names: Sequence[str]) -> str:
    """Some of the names, where they are many."""
    if len(names) <= MOST_NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"


def _is_baseline(accuracy: Accuracy, one: Kept) -> bool:
    """Whether a stored baseline has the scores that a measurement was judged against."""
    if len(accuracy.items) < one.items:
        return False
    cut = first_items(accuracy, one.items)
    values = {
        metric.name: value_of(cut, metric)
        for metric in cut.protocol.metrics
        if metric.name in one.baseline
    }
    return (
        bool(values)
        and values.keys() == one.baseline.keys()
        and all(
            math.isclose(value, one.baseline[name], rel_tol=1e-9) for name, value in values.items()
        )
    )


def _task(one: Kept, key: BaselineKey, run: Run) -> AcceptedTask:
    accuracy = run.accuracy
    values = {
        metric.name: value_of(accuracy, metric)
        for metric in accuracy.protocol.metrics
        if metric.name in one.baseline
    }
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    baseline = {name: one.baseline[name] for name in finite}
    assert one.minimum is not None
    return AcceptedTask(key.stem, one.task, one.items, finite, baseline, one.minimum)


def _first_metric(one: AcceptedTask, run: Run) -> Metric:
    metrics = run.accuracy.protocol.metrics
    return next(metric for metric in metrics if metric.name in one.values)


def _loosened(made: Acceptance, before: Sequence[Acceptance]) -> list[str]:
    """Where less is required of the original baseline than when it was last accepted."""
    found = []
    for one in made.tasks:
        last = last_with(before, one.stem)
        then = last.of(one.stem) if last is not None else None
        if last is not None and then is not None and one.minimum < then.minimum:
            found.append(
                f"{one.task}: min_retention was {then.minimum:.10g} at number {last.number} and is "
                f"{one.minimum:.10g} now"
            )
    return found


def _left_out(kept: Sequence[Kept], best: Sequence[Kept], owner: object) -> list[str]:
    taken = {one.stem for one in best if one.owner == owner}
    return list(
        dict.fromkeys(one.task for one in kept if one.owner == owner and one.stem not in taken)
    )
