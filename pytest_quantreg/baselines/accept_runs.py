"""Runs that were judged become accepted ones: what the history then says, and what forbids it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..core.codes import StoredCode
from ..core.comparison.alignment import first_items, value_of
from ..core.errors import WrongUse
from ..core.facts import Problem
from ..core.records.acceptance import (
    Acceptance,
    AcceptedTask,
    CandidateRun,
    Drift,
    first_with,
    largest_judged,
    last_with,
)
from ..core.records.run import BASELINE_SCHEMES, Accuracy, Metric, Run
from .accepted import AcceptedRuns
from .key import BaselineKey
from .run_codec import digest
from .store import Store

MOST_NAMED = 5
"""Tasks that a line names; a group may have dozens."""

Runs = Callable[[CandidateRun], "tuple[BaselineKey, Run]"]
"""Gives the run of a kept measurement and what it is filed under."""


@dataclass(frozen=True)
class AcceptanceNote:
    """What a person says with an acceptance: when, from which commit, why.

    ``undecided`` maps a scheme to the gates that were accepted with ``--force``.
    """

    when: str
    git_commit: str | None
    why: str
    undecided: Mapping[str, Sequence[str]] = field(default_factory=dict)


def accept_runs(
    store: AcceptedRuns, kept: Sequence[CandidateRun], runs: Runs, statement: AcceptanceNote
) -> list[str]:
    """Accepts what was judged, of each model, scheme and engine; a line on each.

    All are checked before the first is written. Raises WrongUse for what may not be
    accepted, Refusal for a damaged history.
    """
    best = largest_judged(kept)
    owners = dict.fromkeys(measurement.owner for measurement in best)
    batches = [
        _Batch.of([measurement for measurement in best if measurement.owner == owner], runs)
        for owner in owners
    ]
    for batch in batches:
        batch.check(store.history(batch.key))
        batch.check_baselines(Store(store.root))
    left_out = {
        measurement.owner: _left_out_tasks(kept, best, measurement.owner) for measurement in best
    }
    lines = []
    for owner, batch in zip(owners, batches, strict=True):
        acceptance = store.accept(batch.runs, batch.acceptance(statement), batch.check)
        lines.append(batch.summary_line(acceptance, store.history(batch.key), left_out[owner]))
    return lines


@dataclass(frozen=True)
class _Batch:
    """What is accepted together: the tasks of one model, scheme and engine."""

    kept: tuple[CandidateRun, ...]
    runs: Mapping[BaselineKey, Run]
    digests: Mapping[str, str]

    @classmethod
    def of(cls, kept: Sequence[CandidateRun], runs: Runs) -> _Batch:
        keyed_runs = dict(runs(measurement) for measurement in kept)
        return cls(
            tuple(kept), keyed_runs, {key.stem: digest(key, run) for key, run in keyed_runs.items()}
        )

    @property
    def key(self) -> BaselineKey:
        return next(iter(self.runs))

    def check(self, history: Sequence[Acceptance]) -> None:
        """Raises WrongUse where the history, as it is now, forbids it."""
        weights = {run.provenance.model.weights_digest for run in self.runs.values()}
        if len(weights) > 1:
            raise WrongUse(
                StoredCode.SEVERAL_CHECKPOINTS, scheme=self.key.scheme, count=len(weights)
            )
        for measurement, run in zip(self.kept, self.runs.values(), strict=True):
            last = last_with(history, measurement.stem)
            task = last.of(measurement.stem) if last is not None else None
            if last is None or task is None:
                continue
            if task.digest == self.digests[measurement.stem]:
                raise WrongUse(
                    StoredCode.ALREADY_ACCEPTED, task=measurement.task, number=last.number
                )
            if judged := _judged_before(measurement, run, last, task.digest):
                raise WrongUse(
                    StoredCode.ACCEPTED_SINCE,
                    task=measurement.task,
                    cause=judged,
                    number=last.number,
                )
            if task.items > measurement.items:
                raise WrongUse(
                    StoredCode.FEWER_THAN_ACCEPTED,
                    task=measurement.task,
                    number=last.number,
                    stored=task.items,
                    items=measurement.items,
                )

    def check_baselines(self, store: Store) -> None:
        """Raises WrongUse where what it was judged against is not what the store holds."""
        for measurement, key in zip(self.kept, self.runs, strict=True):
            baseline_keys = (replace(key, scheme=scheme) for scheme in BASELINE_SCHEMES)
            accuracies = [
                store.load(baseline_key).accuracy
                for baseline_key in baseline_keys
                if store.exists(baseline_key)
            ]
            if not any(_is_baseline(accuracy, measurement) for accuracy in accuracies):
                raise WrongUse(
                    StoredCode.JUDGED_AGAINST_OTHER_BASELINE,
                    task=measurement.task,
                    store=store.root.name,
                )

    def acceptance(self, statement: AcceptanceNote) -> Acceptance:
        """How it is put down; number and digests are the store's to fill in."""
        model = next(iter(self.runs.values())).provenance.model
        tasks = (
            _accepted_task(measurement, key, run)
            for measurement, (key, run) in zip(self.kept, self.runs.items(), strict=True)
        )
        return Acceptance(
            number=0,
            accepted_at=statement.when,
            git_commit=statement.git_commit,
            why=statement.why,
            weights_digest=model.weights_digest,
            revision=model.revision,
            tasks=tuple(tasks),
            undecided=tuple(statement.undecided.get(self.key.scheme, ())),
        )

    def summary_line(
        self, acceptance: Acceptance, history: Sequence[Acceptance], left_out: Sequence[str]
    ) -> str:
        """One line: the number, what it replaces, and what is left of the first."""
        earlier = history[: acceptance.number - 1]
        replaced = {
            last.number
            for task in acceptance.tasks
            if (last := last_with(earlier, task.stem)) is not None
        }
        names = _shorten_list([task.task for task in acceptance.tasks])
        parts = [
            f"accepted {self.key.scheme} of {self.key.model} as number {acceptance.number}: {names}"
        ]
        if replaced:
            parts.append(f"in place of number {', '.join(map(str, sorted(replaced)))}")
        drifts = self._drifts(acceptance, earlier)
        if len(drifts) > MOST_NAMED:
            drifts = [min(drifts, key=lambda drift: drift.retention)]
        parts += [
            f"least of all tasks: {drift}" if len(acceptance.tasks) > MOST_NAMED else str(drift)
            for drift in drifts
        ]
        parts += _loosened_minimums(acceptance, earlier)
        if acceptance.undecided:
            parts.append(f"marked as forced ({len(acceptance.undecided)} undecided)")
        if left_out:
            parts.append(f"not accepted, for no min_retention judged it: {_shorten_list(left_out)}")
        return "; ".join(parts)

    def _drifts(self, acceptance: Acceptance, earlier: Sequence[Acceptance]) -> list[Drift]:
        drifts = []
        for task, run in zip(acceptance.tasks, self.runs.values(), strict=True):
            first = first_with(earlier, task.stem)
            first_task = first.of(task.stem) if first is not None else None
            metric = _first_metric(task, run)
            if first is None or first_task is None or metric.name not in first_task.values:
                continue
            drift = Drift(
                task.task,
                first.accepted_at,
                metric,
                *(task.values[metric.name], task.baseline[metric.name]),
                *(first_task.values[metric.name], first_task.baseline[metric.name]),
            )
            if math.isfinite(drift.retention):
                drifts.append(drift)
        return drifts


def _judged_before(
    measurement: CandidateRun, run: Run, last: Acceptance, digest: str
) -> Problem | None:
    """How a run was judged when ``last``, with this digest, was not yet accepted; None if later."""
    against = measurement.against
    if against is None:
        # No gate asked for the accepted run, so that only the clock tells which came first.
        measured = run.provenance.recorded_at
        before = measured < last.accepted_at
        return Problem(StoredCode.MEASURED_AT, {"when": measured}) if before else None
    if against == last.number:
        same = measurement.against_run in ("", digest)
        return None if same else Problem(StoredCode.JUDGED_AGAINST_NAMESAKE, {"number": against})
    if against:
        return Problem(StoredCode.JUDGED_AGAINST, {"number": against})
    return Problem(StoredCode.JUDGED_AGAINST_NONE, {})


def _shorten_list(names: Sequence[str]) -> str:
    """Some of the names, where they are many."""
    if len(names) <= MOST_NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"


def _is_baseline(accuracy: Accuracy, measurement: CandidateRun) -> bool:
    """Whether a stored baseline has the scores that a measurement was judged against."""
    if len(accuracy.items) < measurement.items:
        return False
    cut = first_items(accuracy, measurement.items)
    values = {
        metric.name: value_of(cut, metric)
        for metric in cut.protocol.metrics
        if metric.name in measurement.baseline
    }
    return (
        bool(values)
        and values.keys() == measurement.baseline.keys()
        and all(
            math.isclose(value, measurement.baseline[name], rel_tol=1e-9)
            for name, value in values.items()
        )
    )


def _accepted_task(measurement: CandidateRun, key: BaselineKey, run: Run) -> AcceptedTask:
    accuracy = run.accuracy
    values = {
        metric.name: value_of(accuracy, metric)
        for metric in accuracy.protocol.metrics
        if metric.name in measurement.baseline
    }
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    baseline = {name: measurement.baseline[name] for name in finite}
    assert measurement.minimum is not None
    return AcceptedTask(
        key.stem, measurement.task, measurement.items, finite, baseline, measurement.minimum
    )


def _first_metric(task: AcceptedTask, run: Run) -> Metric:
    metrics = run.accuracy.protocol.metrics
    return next(metric for metric in metrics if metric.name in task.values)


def _loosened_minimums(acceptance: Acceptance, earlier: Sequence[Acceptance]) -> list[str]:
    """Where less is required of the original baseline than when it was last accepted."""
    remarks = []
    for task in acceptance.tasks:
        last = last_with(earlier, task.stem)
        last_task = last.of(task.stem) if last is not None else None
        if last is not None and last_task is not None and task.minimum < last_task.minimum:
            remarks.append(
                f"{task.task}: min_retention was {last_task.minimum:.10g} at number {last.number} "
                f"and is {task.minimum:.10g} now"
            )
    return remarks


def _left_out_tasks(
    kept: Sequence[CandidateRun], best: Sequence[CandidateRun], owner: object
) -> list[str]:
    accepted_stems = {measurement.stem for measurement in best if measurement.owner == owner}
    return list(
        dict.fromkeys(
            measurement.task
            for measurement in kept
            if measurement.owner == owner and measurement.stem not in accepted_stems
        )
    )
