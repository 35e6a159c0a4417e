"""Runs one chunk of items through an engine and scores it with lm-eval's own filters."""

from __future__ import annotations

import gc
import hashlib
import math
import time
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

from ...core.codes import TaskCode
from ...core.engine import Engine
from ...core.errors import QuantregError, Refusal
from .item_facts import Notes
from .journal import Chunk
from .metrics import numbers
from .prepared import PreparedTask
from .quiet import quiet, seeded
from .task_loading import cause_of
from .templates import compiled_once

SHOWN = 5
TICK_SECONDS = 1.0


class Runner:
    """Puts chunks of one task to one engine; keeps lm-eval's model object per batch size."""

    def __init__(
        self, prepared: PreparedTask, engine: Engine, rerun: int = 0, *, likelihoods: bool = False
    ) -> None:
        self._likelihoods = likelihoods
        self._prepared = prepared
        self._engine = engine
        self._rerun = rerun
        self._lm: tuple[int, Any] | None = None

    def run(
        self, start: int, stop: int, batch_size: int, on_progress: Callable[[float], None]
    ) -> Chunk | None:
        """The items from ``start`` to ``stop``; None if memory does not suffice for them.

        ``on_progress`` receives the share that is done, 0..1, about once a second.
        """
        notes = Notes(self._prepared.protocol, stop - start, likelihoods=self._likelihoods)
        try:
            with (
                quiet(_Clock(self._requests(start, stop), on_progress)) as captured,
                compiled_once(),
            ):
                lm = self._model(batch_size)
                passes = [
                    self._pass(lm, start, stop, index, notes)
                    for index in range(self._prepared.protocol.repeats)
                ]
        except QuantregError:
            raise
        except Exception as error:
            if not self._engine.is_out_of_memory(error):
                raise self._failed(error) from error
        else:
            return Chunk(
                self._prepared.digests[start:stop],
                tuple(scores for scores, _ in passes),
                passes[0][1],
                captured.truncations,
                notes.facts(),
            )
        # Only here, where the exception and the tensors of its frames are gone.
        self._lm = None
        gc.collect()
        return None

    def _requests(self, start: int, stop: int) -> int:
        items = self._prepared.requests[start:stop]
        count = sum(request.repeats for item in items for request in item)
        return int(count) * self._prepared.protocol.repeats

    def _model(self, batch_size: int) -> Any:
        if self._lm is None or self._lm[0] != batch_size:
            self._lm = None
            self._lm = (batch_size, self._engine.lm(batch_size))
        return self._lm[1]

    def _pass(
        self, lm: Any, start: int, stop: int, index: int, notes: Notes
    ) -> tuple[dict[str, list[Any]], int]:
        items = [
            [_fresh(request) for request in item] for item in self._prepared.requests[start:stop]
        ]
        protocol = self._prepared.protocol
        seed = _seed(protocol.seed, protocol.task, index, start, self._rerun)
        with seeded(python=seed, numpy=seed, torch=seed):
            cut = _respond(lm, items)
        self._refuse_not_a_number(items, start)
        notes.add(lm, items, cut)
        return self._score(items), sum(_tied(item) for item in items)

    def _score(self, items: list[list[Any]]) -> dict[str, list[Any]]:
        task = self._prepared.task
        previous, task._instances = task._instances, [request for item in items for request in item]
        try:
            task.apply_filters()
        finally:
            task._instances = previous
        scores: dict[str, list[Any]] = {}
        for name in items[0][0].filtered_resps:
            for item in items:
                results = [request.filtered_resps[name] for request in item]
                for metric, value in task.process_results(item[0].doc, results).items():
                    scores.setdefault(f"{metric},{name}", []).append(numbers(value))
        return scores

    def _refuse_not_a_number(self, items: list[list[Any]], start: int) -> None:
        bad = [start + i for i, item in enumerate(items) if any(map(_nan, item))]
        if bad:
            raise Refusal(
                TaskCode.LOGPROB_NOT_A_NUMBER,
                task=self._prepared.protocol.task,
                bad=len(bad),
                items=len(items),
                shown=tuple(self._prepared.doc_ids[i] for i in bad[:SHOWN]),
            )

    def _failed(self, error: Exception) -> Refusal:
        task = self._prepared.protocol.task
        return Refusal(TaskCode.ENGINE_FAILED_ON_TASK, task=task, cause=cause_of(error))


class _Clock:
    """Turns the movements of lm-eval's hidden bars into a share of the requests."""

    def __init__(self, requests: int, on_progress: Callable[[float], None]) -> None:
        self._requests = requests
        self._on_progress = on_progress
        self._moved = 0.0
        self._next = time.perf_counter() + TICK_SECONDS

    def __call__(self, moved: float) -> None:
        self._moved += moved
        now = time.perf_counter()
        if now >= self._next:
            self._next = now + TICK_SECONDS
            # Rolling requests move their bars once per window: more often than once each.
            self._on_progress(min(1.0, self._moved / self._requests))


def _fresh(request: Any) -> Any:
    # The requests are shared by all measurements of the task, and responses are
    # written into them.
    fresh = copy(request)
    fresh.resps, fresh.filtered_resps = [], {}
    return fresh


def _respond(lm: Any, items: list[list[Any]]) -> dict[int, list[bool]]:
    """Puts the answers into the requests; returns which were cut, per id of a request."""
    by_type: dict[str, list[Any]] = {}
    for item in items:
        for request in item:
            by_type.setdefault(request.request_type, []).extend([request] * request.repeats)
    cut: dict[int, list[bool]] = {}
    for kind, requests in by_type.items():
        responses = getattr(lm, kind)(requests)
        for request, response in zip(requests, responses, strict=True):
            request.resps.append(response)
        if kind == "generate_until" and hasattr(lm, "cut_answers"):
            for request, was_cut in zip(requests, lm.cut_answers, strict=True):
                cut.setdefault(id(request), []).append(was_cut)
    return cut


def _logprob(response: Any) -> float | None:
    value = response[0] if isinstance(response, (tuple, list)) else response
    return None if value is None or isinstance(value, str) else float(value)


def _nan(request: Any) -> bool:
    if request.request_type == "generate_until":
        return any(response is None for response in request.resps)
    logprobs = [_logprob(response) for response in request.resps]
    return any(value is None or math.isnan(value) for value in logprobs)


def _tied(item: Sequence[Any]) -> bool:
    scored = [request.resps[0] for request in item if request.request_type == "loglikelihood"]
    return len(scored) > 1 and len({_logprob(response) for response in scored}) == 1


def _seed(seed: int, task: str, index: int, start: int, rerun: int) -> int:
    # Per pass, chunk and rerun, so that a resumed run draws what an uninterrupted one does.
    text = f"{seed}|{task}|{index}|{start}" + (f"|{rerun}" if rerun else "")
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
