"""Further runs of one model on the same items: other batches in, the same order of items out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ...core.codes import TaskCode
from ...core.comparison.alignment import items_at, same_kinds
from ...core.errors import Refusal
from ...core.records.run import Accuracy, Items, Protocol
from . import digests
from .prepared import PreparedTask

CHUNKS = 8
"""A rerun has at least as many chunks where the items suffice: engines sort the requests of
a chunk by length, so that only another share-out puts other requests into one batch."""


def visiting_order(prepared: PreparedTask, n: int, rerun: int) -> list[int]:
    """Positions of the first ``n`` items in the order in which a rerun visits them."""
    names = prepared.digests[:n]
    salt = f"{prepared.protocol_digest}|rerun {rerun}"
    return digests.permutation(names, salt, prepared.protocol.seed)


def rerun_chunk(prepared: PreparedTask, n: int, *, size: int, batch_size: int) -> int:
    """Items per chunk of a rerun: an eighth of all, at most ``size``, at least one batch."""
    requests = sum(len(item) for item in prepared.requests[:n])
    one_batch = math.ceil(batch_size * n / max(requests, 1))
    return max(one_batch, min(size, math.ceil(n / CHUNKS)), 1)


def put_back(items: Items, order: Sequence[int]) -> Items:
    """The items of a rerun in the order of the task's other measurements."""
    return items_at(items, sorted(range(len(order)), key=order.__getitem__))


def with_reruns(first: Accuracy, others: Sequence[Accuracy]) -> Accuracy:
    """``first`` with the scores of further runs of the same model in ``items.reruns``.

    Only scores of binary and mean metrics are kept; a metric that is 0/1 in one run and
    not in another is ``mean`` in all. Everything else stays as the first run has it; of a
    task without such metrics nothing is kept (`gains_from_reruns`).
    Raises Refusal (not comparable) for runs of other items or with other metrics.
    """
    for other in others:
        if other.items.digests != first.items.digests:
            raise Refusal(TaskCode.RERUN_OF_OTHER_ITEMS, task=first.protocol.task)
        first, other = same_kinds(first, other)
        if other.protocol != first.protocol:
            raise Refusal(TaskCode.RERUN_ASKED_OTHERWISE, task=first.protocol.task)
    names = _rerun_metrics(first.protocol)
    if not names:
        return first
    scores = tuple({name: other.items.scores[name] for name in names} for other in others)
    items = replace(first.items, reruns=(*first.items.reruns, *scores))
    return replace(first, items=items)


def gains_from_reruns(protocol: Protocol) -> bool:
    """Whether a task has a metric whose scores of further runs are kept at all."""
    return bool(_rerun_metrics(protocol))


def _rerun_metrics(protocol: Protocol) -> list[str]:
    return [metric.name for metric in protocol.metrics if metric.kind in ("binary", "mean")]
