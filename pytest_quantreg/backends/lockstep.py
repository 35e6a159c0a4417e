"""Serves the requests of a round on engines that decode a batch in step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..core.records.speed import Load, Request

Generate = Callable[[Sequence[tuple[int, ...]]], tuple[float, float]]
"""Prompts -> seconds until each has its first token, and until all have their last."""


def serve_in_groups(
    load: Load, generate: Generate, clock: Callable[[], float], sleep: Callable[[float], None]
) -> tuple[Request, ...]:
    """Takes what has arrived, at most ``in_flight`` at a time, and waits when nothing has.

    Without arrival times a request counts as arrived when its group begins: whoever
    keeps so many in flight sends the next when one has ended. With them, the time in
    the queue counts. ``clock`` and ``sleep`` are in seconds. Returned in the order of
    the prompts.
    """
    start = clock()
    served: dict[int, Request] = {}
    waiting = _by_arrival(load)
    while waiting:
        now = clock() - start
        group = [place for place in waiting[: load.in_flight] if _arrival(load, place, now) <= now]
        if not group:
            sleep(_arrival(load, waiting[0], now) - now)
            continue
        waiting = waiting[len(group) :]
        begun = clock() - start
        first, total = generate([load.prompts[place] for place in group])
        for place in group:
            arrived = _arrival(load, place, begun)
            served[place] = Request(arrived, begun + first, begun + total, load.output_tokens)
    return tuple(served[place] for place in range(len(load.prompts)))


def _by_arrival(load: Load) -> list[int]:
    order = range(len(load.prompts))
    arrivals = load.arrivals
    return list(order) if arrivals is None else sorted(order, key=lambda place: arrivals[place])


def _arrival(load: Load, place: int, now: float) -> float:
    return now if load.arrivals is None else load.arrivals[place]
