"""Single rounds of a workload: their prompts and arrivals, and whether they may be counted."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass
from typing import TypeAlias

from ...core.codes import SpeedCode
from ...core.errors import Refusal
from ...core.records.speed import Load, Request, Workload

Prompt: TypeAlias = tuple[int, ...]

TOUCH_PROMPT, TOUCH_TOKENS = 16, 4


@dataclass(frozen=True)
class Rounds:
    """Makes the loads of all rounds: the same for every model, others in every round.

    Prompts are token ids drawn evenly below ``vocab_size``.
    """

    seed: int
    vocab_size: int

    def load(self, workload: Workload, number: int) -> Load:
        """Round ``number`` from 0; those of the warm-up are negative."""
        # The whole workload: two that differ in anything share no prompt.
        draw = random.Random(f"{self.seed} {workload!r} {number}")
        prompts = self._prompts(workload.requests, workload.prompt_tokens, draw)
        return Load(prompts, workload.output_tokens, workload.batch_size, _arrivals(workload, draw))

    def touch(self, workload: Workload, number: int) -> Load:
        """A short load before round ``number``: one batch of a few tokens, not counted."""
        # Not the prompts of the round: an engine that keeps prefixes would skip their work.
        draw = random.Random(f"touch {self.seed} {workload!r} {number}")
        count = min(workload.requests, workload.batch_size)
        prompts = self._prompts(count, min(TOUCH_PROMPT, workload.prompt_tokens), draw)
        return Load(prompts, min(TOUCH_TOKENS, workload.output_tokens), workload.batch_size)

    def _prompts(self, count: int, length: int, draw: random.Random) -> tuple[Prompt, ...]:
        return tuple(
            tuple(draw.randrange(self.vocab_size) for _ in range(length)) for _ in range(count)
        )


def check_answers(requests: tuple[Request, ...], load: Load, model: str, workload: str) -> None:
    """Raises Refusal unless every request has all its tokens at times that can be."""
    if len(requests) != len(load.prompts):
        raise Refusal(
            SpeedCode.REQUESTS_UNANSWERED,
            model=model,
            workload=workload,
            answered=len(requests),
            asked=len(load.prompts),
        )
    for request in requests:
        if request.output_tokens != load.output_tokens:
            raise Refusal(
                SpeedCode.OTHER_NUMBER_OF_TOKENS,
                model=model,
                workload=workload,
                generated=request.output_tokens,
                asked=load.output_tokens,
            )
        ordered = 0 <= request.arrived <= request.first_token <= request.ended < math.inf
        # NaN compares false with everything, so it is not ordered either.
        if not ordered or request.ended == request.arrived:
            raise Refusal(
                SpeedCode.IMPOSSIBLE_TIMES,
                model=model,
                workload=workload,
                times=(request.arrived, request.first_token, request.ended),
            )


def _arrivals(workload: Workload, draw: random.Random) -> tuple[float, ...] | None:
    """Arrivals of a Poisson process: gaps are exponential with mean 1/rate."""
    if workload.request_rate is None:
        return None
    rate = workload.request_rate
    return tuple(itertools.accumulate(draw.expovariate(rate) for _ in range(workload.requests)))
