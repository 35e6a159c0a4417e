"""Single rounds of a workload: their prompts and arrivals, and whether they may be counted."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass
from typing import TypeAlias

from ...core.errors import Category, Refusal, WrongUse
from ...core.records.speed import ASYNCHRONOUS, SYNCHRONOUS, Load, Request, Workload

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


def check(workload: Workload) -> None:
    """Raises WrongUse for a workload that cannot be what its label says."""
    if workload.deployment not in (SYNCHRONOUS, ASYNCHRONOUS):
        raise WrongUse(
            f"deployment {workload.deployment!r} is not known",
            help=f"known: {SYNCHRONOUS}, {ASYNCHRONOUS}",
        )
    for name in ("batch_size", "prompt_tokens", "output_tokens", "rounds", "requests"):
        if getattr(workload, name) < 1:
            raise WrongUse(f"{workload.label}: {name} is {getattr(workload, name)}, not 1 or more")
    if workload.warmup < 0:
        raise WrongUse(f"{workload.label}: warmup is {workload.warmup}, not 0 or more")
    rate = workload.request_rate
    if rate is not None and not (0 < rate < math.inf):
        raise WrongUse(f"{workload.label}: request_rate is {rate}, not a number above 0")
    if rate is None and workload.requests < workload.batch_size:
        raise WrongUse(
            f"{workload.label}: a round of {workload.requests} requests never has "
            f"{workload.batch_size} of them under way",
            help=f"give a round {workload.batch_size} requests or more",
        )


def check_answers(requests: tuple[Request, ...], load: Load, subject: str) -> None:
    """Raises Refusal unless every request has all its tokens at times that can be."""
    if len(requests) != len(load.prompts):
        raise _refused(subject, f"answered {len(requests)} of {len(load.prompts)} requests")
    for request in requests:
        if request.output_tokens != load.output_tokens:
            wanted = f"where {load.output_tokens} were asked for"
            raise _refused(subject, f"generated {request.output_tokens} tokens {wanted}")
        ordered = 0 <= request.arrived <= request.first_token <= request.ended < math.inf
        # NaN compares false with everything, so it is not ordered either.
        if not ordered or request.ended == request.arrived:
            times = (request.arrived, request.first_token, request.ended)
            raise _refused(subject, f"gave impossible times {times}")


def _arrivals(workload: Workload, draw: random.Random) -> tuple[float, ...] | None:
    """Arrivals of a Poisson process: gaps are exponential with mean 1/rate."""
    if workload.request_rate is None:
        return None
    rate = workload.request_rate
    return tuple(itertools.accumulate(draw.expovariate(rate) for _ in range(workload.requests)))


def _refused(subject: str, problem: str) -> Refusal:
    return Refusal(
        Category.ENGINE,
        f"{subject}: the engine {problem}",
        help="times of unequal work are not compared; is the engine made for other requests?",
    )
