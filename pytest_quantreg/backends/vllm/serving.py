"""Serves a round of requests with vLLM's own scheduler, and notes when tokens came."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...core.codes import EngineCode
from ...core.errors import Refusal, WrongUse
from ...core.records.speed import Load, Request

Clock = Callable[[], float]
Submit = Callable[[str, tuple[int, ...], int], None]
"""Hands a request to the engine: its id, its prompt, its number of new tokens."""

Step = Callable[[], list[tuple[str, int, bool]]]
"""One step of the engine: id, tokens so far and whether it ended, of each that moved."""


@dataclass
class _Running:
    """A request that the engine has."""

    place: int
    arrived: float
    first: float | None = None


def serve(
    load: Load,
    submit: Submit,
    step: Step,
    clock: Clock = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Request, ...]:
    """Keeps at most ``in_flight`` requests in the engine and steps it until all have ended.

    Without arrival times a request counts as arrived when it is handed over: whoever keeps
    so many in flight sends the next when one has ended. With them, the time in the queue
    counts. Seconds since the round began; returned in the order of the prompts. Raises a
    Refusal for a request that ends with another number of tokens than it was asked for.
    """
    waiting = deque(_by_arrival(load))
    running: dict[str, _Running] = {}
    served: dict[int, Request] = {}
    start = clock()
    while waiting or running:
        now = clock() - start
        while waiting and len(running) < load.in_flight and _arrival(load, waiting[0], now) <= now:
            place = waiting.popleft()
            running[str(place)] = _Running(place, _arrival(load, place, now))
            submit(str(place), load.prompts[place], load.output_tokens)
        if not running:
            sleep(max(_arrival(load, waiting[0], now) - now, 0.0))
            continue
        moved = step()
        now = clock() - start
        for name, tokens, ended in moved:
            request = running[name]
            if request.first is None and tokens:
                request.first = now
            if ended:
                del running[name]
                served[request.place] = _finished_request(request, now, tokens, load.output_tokens)
    return tuple(served[place] for place in range(len(load.prompts)))


def engine_steps(engine: Any) -> tuple[Submit, Step]:
    """Return functions that hand requests to vLLM's ``LLMEngine`` and step it, greedily."""
    import vllm

    def submit(name: str, prompt: tuple[int, ...], tokens: int) -> None:
        engine.add_request(
            name,
            vllm.TokensPrompt(prompt_token_ids=list(prompt)),
            vllm.SamplingParams(
                temperature=0.0, max_tokens=tokens, ignore_eos=True, detokenize=False
            ),
        )

    def step() -> list[tuple[str, int, bool]]:
        return [
            (str(output.request_id), len(output.outputs[0].token_ids), bool(output.finished))
            for output in engine.step()
        ]

    return submit, step


def check(load: Load, name: str, positions: int, vocabulary: int) -> None:
    """Raises a Refusal or WrongUse for a round that the model cannot serve."""
    longest = max(map(len, load.prompts), default=0)
    if any(not prompt or max(prompt) >= vocabulary for prompt in load.prompts):
        raise WrongUse(EngineCode.PROMPT_NOT_IN_VOCABULARY, model=name, vocabulary=vocabulary)
    if longest + load.output_tokens > positions:
        raise Refusal(
            EngineCode.TOO_FEW_POSITIONS,
            model=name,
            positions=positions,
            prompt=longest,
            output=load.output_tokens,
            needed=longest + load.output_tokens,
        )


def _finished_request(request: _Running, now: float, tokens: int, wanted: int) -> Request:
    if tokens != wanted or request.first is None:
        raise Refusal(EngineCode.VLLM_STOPPED_EARLY, generated=tokens, requested=wanted)
    return Request(request.arrived, request.first, now, tokens)


def _by_arrival(load: Load) -> list[int]:
    order = range(len(load.prompts))
    arrivals = load.arrivals
    return list(order) if arrivals is None else sorted(order, key=lambda place: arrivals[place])


def _arrival(load: Load, place: int, now: float) -> float:
    return now if load.arrivals is None else load.arrivals[place]
