"""Measures a prepared task on a loaded engine, chunk by chunk, and reads what lm-eval says."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from ...core.codes import TaskCode
from ...core.comparison import item_clusters
from ...core.comparison.generated_answers import kept_facts
from ...core.engine import Engine
from ...core.errors import Refusal
from ...core.records.run import Accuracy, Columns, Items
from . import digests
from .chunks import Runner
from .journal import Chunk, Journal
from .metrics import columns
from .prepared import PreparedTask
from .quiet import quiet
from .reruns import put_back, rerun_chunk, visiting_order

BATCHES = 16
LEAST = {"generate_until": 128, "loglikelihood_rolling": 128}
LEAST_SCORED = 512
MOST_TIES = 0.01
SETTLED_SECONDS = 5.0
"""No time left is told sooner: the first batches also warm the engine up."""


class Progress(Protocol):
    """Hears how far a measurement is; `update` also while third parties are muted."""

    def update(self, done: int, total: int, seconds_left: float | None) -> None:
        """``done`` of ``total`` items; an estimate of the time left, None if unknown."""
        ...

    def say(self, text: str) -> None:
        """One line that a person should read now."""
        ...

    def announce(self, text: str) -> None:
        """One line that must also stand in a log."""
        ...


def chunk_size(output_type: str, batch_size: int) -> int:
    """Items per chunk: at least 16 batches, so that part batches cost little.

    The borders depend on the batch size asked for and never on the number of items:
    a smaller run shares whole chunks with a larger one, bit for bit.
    """
    return max(LEAST.get(output_type, LEAST_SCORED), BATCHES * batch_size)


def measure(
    prepared: PreparedTask,
    engine: Engine,
    *,
    n: int,
    batch_size: int,
    fingerprint: str,
    journal: Journal,
    progress: Progress,
    rerun: int = 0,
    label: str | None = None,
    likelihoods: bool = False,
) -> Accuracy:
    """The first ``n`` items of a task, in chunks that the journal keeps.

    ``fingerprint`` stands for all that decides the responses besides the task and the
    batch size: weights, scheme, engine, versions. The engine is not touched when the
    journal holds every chunk. Out of memory halves the batch size; the one used in
    the end is in the result. Raises a Refusal for scores that are not finite, for
    choices that are all equal, without memory at batch size 1, and for engines that
    fail. An interruption passes through; finished chunks stay in the journal.

    ``rerun`` 1, 2, ... measures the same items once more, visited in another order and
    shared out to other batches; sampled answers are drawn anew. The result has the items
    in the usual order. ``label`` is told before it starts (``run 2 of 3``). With
    ``likelihoods`` the log-likelihood of an item's choices is kept as a fact.
    """
    if n < 1:
        raise Refusal(TaskCode.NO_ITEMS_ASKED_FOR, items=n, task=prepared.protocol.task)
    n = min(n, len(prepared))
    size = chunk_size(prepared.protocol.output_type, batch_size)
    if label:
        progress.say(f"{prepared.protocol.task}: {label}")
    if not rerun:
        visited = prepared
    else:
        order = visiting_order(prepared, n, rerun)
        size = rerun_chunk(prepared, n, size=size, batch_size=batch_size)
        visited = prepared.rearranged(order)
    runner = Runner(visited, engine, rerun, likelihoods=likelihoods)
    run = _Measurement(visited, runner, n, batch_size, fingerprint, journal, progress, rerun)
    chunks = run.chunks(size)
    _refuse_ties(visited, chunks, n)
    result = _result(visited, chunks, n, run)
    return replace(result, items=put_back(result.items, order)) if rerun else result


class _Measurement:
    """One call of `measure`: knows the batch size of the moment and what was resumed."""

    def __init__(
        self,
        prepared: PreparedTask,
        runner: Runner,
        n: int,
        batch_size: int,
        fingerprint: str,
        journal: Journal,
        progress: Progress,
        rerun: int,
    ) -> None:
        self.batch_size = batch_size
        self._n = n
        self.resumed = 0
        self._prepared = prepared
        self._runner = runner
        self._rerun = rerun
        self._fingerprint = fingerprint
        self._journal = journal
        self._progress = progress
        self._seconds = 0.0
        self._measured = 0

    def chunks(self, size: int) -> list[Chunk]:
        chunks = []
        for start in range(0, self._n, size):
            chunks.append(self._chunk(start, min(start + size, self._n)))
            self._report(start + len(chunks[-1].digests), 0.0, 0.0)
        return chunks

    def _report(self, done: int, items: float, seconds: float) -> None:
        """Says that ``done`` are done, ``items`` of them just now in ``seconds``."""
        measured, spent = self._measured + items, self._seconds + seconds
        # Never from a part of a batch: that would take the start for the pace.
        settled = measured >= self.batch_size and spent >= SETTLED_SECONDS
        left = spent / measured * (self._n - done) if settled else None
        self._progress.update(done, self._n, left)

    def _chunk(self, start: int, stop: int) -> Chunk:
        names = self._prepared.digests[start:stop]
        while True:
            key = self._key(names)
            if (chunk := self._stored_chunk(key, names)) is not None:
                return chunk
            if not self._journal.too_large(key):
                if (chunk := self._run(start, stop)) is not None:
                    self._journal.keep(key, chunk, self._progress.say)
                    return chunk
                self._journal.note_too_large(key)
            self._halve()

    def _run(self, start: int, stop: int) -> Chunk | None:
        began, items = time.perf_counter(), stop - start

        def on_progress(share: float) -> None:
            part = share * items
            self._report(start + int(part), part, time.perf_counter() - began)

        chunk = self._runner.run(start, stop, self.batch_size, on_progress)
        if chunk is not None:
            self._seconds += time.perf_counter() - began
            self._measured += items
        return chunk

    def _stored_chunk(self, key: str, names: tuple[str, ...]) -> Chunk | None:
        if (chunk := self._journal.recall(key)) is not None:
            return chunk
        if (chunk := self._journal.read(key, names)) is None:
            return None
        if not self.resumed:
            self._progress.say(f"{self._prepared.protocol.task}: resumes an interrupted run")
        self.resumed += len(names)
        return chunk

    def _key(self, names: Sequence[str]) -> str:
        identity = [
            self._fingerprint,
            self._prepared.protocol_digest,
            self.batch_size,
            list(names),
            self._rerun,
        ]
        return digests.sha(json.dumps(identity))

    def _halve(self) -> None:
        task = self._prepared.protocol.task
        if self.batch_size == 1:
            raise Refusal(TaskCode.TASK_DOES_NOT_FIT, task=task)
        self.batch_size //= 2
        self._progress.say(f"{task}: out of memory, goes on with batch size {self.batch_size}")


def _refuse_ties(prepared: PreparedTask, chunks: Sequence[Chunk], n: int) -> None:
    ties = sum(chunk.ties for chunk in chunks)
    if ties > MOST_TIES * n:
        task = prepared.protocol.task
        raise Refusal(TaskCode.CHOICES_ALL_EQUAL, task=task, ties=ties, items=n)


def _result(prepared: PreparedTask, chunks: Sequence[Chunk], n: int, run: _Measurement) -> Accuracy:
    expected = prepared.protocol.metrics
    passes = []
    for index in range(prepared.protocol.repeats):
        scores: dict[str, list[Any]] = {}
        for chunk in chunks:
            for name, values in chunk.passes[index].items():
                scores.setdefault(name, []).extend(values)
        passes.append(scores)
    with quiet():
        results = columns(prepared.task, expected, passes, prepared.doc_ids[:n])
    return Accuracy(
        protocol=replace(prepared.protocol, metrics=results.metrics),
        items=Items(
            prepared.doc_ids[:n],
            prepared.digests[:n],
            results.scores,
            results.weights,
            _facts(prepared, chunks, n),
        ),
        values=results.values,
        chance=prepared.chance_of(n),
        batch_size=run.batch_size,
        resumed_items=run.resumed,
        notes=(*prepared.notes, *_truncation_notes(prepared.protocol.task, chunks)),
    )


def _facts(prepared: PreparedTask, chunks: Sequence[Chunk], n: int) -> Columns:
    """What is known of every item; a fact that one chunk lacks is known of none."""
    names = [name for name in chunks[0].facts if all(name in chunk.facts for chunk in chunks)]
    facts = {
        name: tuple(float(fact) for chunk in chunks for fact in chunk.facts[name]) for name in names
    }
    if prepared.clusters:
        facts[item_clusters.CLUSTER] = tuple(map(float, prepared.clusters[:n]))
    return {**kept_facts(facts), **item_clusters.copy_column(prepared.copy_keys[:n])}


def _truncation_notes(task: str, chunks: Sequence[Chunk]) -> tuple[str, ...]:
    if not any(chunk.truncations for chunk in chunks):
        return ()
    return (f"{task}: prompts longer than the model's context were cut from the left",)
