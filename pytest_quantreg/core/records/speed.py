"""The plain values of speed: what is asked of a model, and how long it took."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..codes import SpeedCode
from ..errors import WrongUse

SYNCHRONOUS = "synchronous"
ASYNCHRONOUS = "asynchronous"

DEPLOYMENTS = (SYNCHRONOUS, ASYNCHRONOUS)

LATENCIES = ("ttft", "tpot", "e2e")
"""Time to the first token, time per further token, and end to end."""

MOST = 10_000_000
"""Of tokens, requests or rounds; more is a slip, and no engine holds as many."""

_COUNTS = ("batch_size", "prompt_tokens", "output_tokens", "rounds", "requests")


@dataclass(frozen=True)
class Workload:
    """One way of using a model, measured in ``rounds`` after ``warmup`` rounds.

    ``deployment`` is ``synchronous`` (one batch of ``batch_size`` requests after another)
    or ``asynchronous`` (``batch_size`` requests in flight; with ``request_rate``, per
    second, they arrive at random times and at most so many are in flight). A round has
    ``requests`` requests, each with its own prompt of ``prompt_tokens`` tokens, and each
    generates exactly ``output_tokens``.

    Raises WrongUse for one that cannot be measured as its label says.
    """

    deployment: str = SYNCHRONOUS
    batch_size: int = 1
    prompt_tokens: int = 128
    output_tokens: int = 64
    rounds: int = 10
    warmup: int = 2
    requests: int = 1
    request_rate: float | None = None

    def __post_init__(self) -> None:
        if self.deployment not in DEPLOYMENTS:
            raise WrongUse(
                SpeedCode.UNKNOWN_DEPLOYMENT, deployment=self.deployment, known=DEPLOYMENTS
            )
        for name in _COUNTS:
            _refuse_other_than_count(name, getattr(self, name), least=1)
        _refuse_other_than_count("warmup", self.warmup, least=0)
        if self.request_rate is not None:
            object.__setattr__(self, "request_rate", _rate(self.request_rate))
        elif self.requests < self.batch_size:
            raise WrongUse(
                SpeedCode.FEWER_REQUESTS_THAN_AT_ONCE,
                requests=self.requests,
                at_once=self.batch_size,
            )

    @property
    def label(self) -> str:
        """``batch 1``, ``64 in flight`` or ``8 requests/s``, as tables call it."""
        if self.request_rate is not None:
            return f"{self.request_rate:g} requests/s"
        if self.deployment == ASYNCHRONOUS:
            return f"{self.batch_size} in flight"
        return f"batch {self.batch_size}"


def _refuse_other_than_count(name: str, value: object, *, least: int) -> None:
    if type(value) is not int or not least <= value <= MOST:
        raise WrongUse(SpeedCode.NOT_A_COUNT, name=name, value=repr(value), least=least, most=MOST)


def _rate(value: object) -> float:
    # Of type int or float, as no bool is; NaN lies between no bounds.
    if type(value) not in (int, float) or not 1 / MOST < value < MOST:  # type: ignore[operator]
        raise WrongUse(SpeedCode.NOT_A_RATE, value=repr(value))
    return float(value)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Load:
    """One round as an engine is given it.

    ``prompts`` are token ids, one sequence per request. At most ``in_flight`` requests
    may be under way at once. ``arrivals`` are the seconds, from the start of the round,
    before which a request must not begin; None: all are there at once.
    """

    prompts: tuple[tuple[int, ...], ...]
    output_tokens: int
    in_flight: int
    arrivals: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Request:
    """One request of a round; seconds since the round began."""

    arrived: float
    first_token: float
    ended: float
    output_tokens: int

    def latency(self, kind: str) -> float:
        """Seconds: ``ttft``, ``tpot`` (mean per token after the first) or ``e2e``.

        NaN for the ``tpot`` of a request that generated a single token.
        """
        if kind == "ttft":
            return self.first_token - self.arrived
        if kind == "e2e":
            return self.ended - self.arrived
        further = self.output_tokens - 1
        return (self.ended - self.first_token) / further if further > 0 else math.nan


@dataclass(frozen=True)
class Round:
    """The requests of one round. ``block`` counts the processes it ran in, from 0."""

    requests: tuple[Request, ...]
    block: int = 0

    @property
    def seconds(self) -> float:
        """From the start of the round to its last token."""
        return max(request.ended for request in self.requests)

    @property
    def tokens_per_second(self) -> float:
        """Generated tokens, prompts not counted."""
        return sum(request.output_tokens for request in self.requests) / self.seconds

    @property
    def requests_per_second(self) -> float:
        """Requests answered."""
        return len(self.requests) / self.seconds


@dataclass(frozen=True)
class Footprint:
    """What a loaded model occupies, in bytes, on the device that holds most of it.

    ``loaded`` maps a dtype to the bytes of weights before the first forward; ``weights``
    is all of them after warm-up (None where the engine cannot tell). ``peak`` is the
    allocator's peak during the workload, on a CPU the resident memory of the process, and
    ``peak_of`` which of both (``allocator`` or ``resident``). ``streamed`` is the bytes of
    weights that one decoding step reads, ``kv_per_token`` those of the KV cache per token
    of context and request. ``kv_cache_tokens`` is what the engine's KV cache holds, where
    it has a fixed one; ``disk`` the size of the files.
    """

    loaded: Mapping[str, int] = field(default_factory=dict)
    weights: int | None = None
    peak: int | None = None
    peak_of: str = "allocator"
    streamed: int | None = None
    kv_per_token: int | None = None
    kv_cache_tokens: int | None = None
    disk: int | None = None


@dataclass(frozen=True)
class DeviceState:
    """How the device was when a model ran on it; None or empty where nobody can say.

    ``clock_mhz`` and ``memory_clock_mhz`` are the current clocks, ``power_limit_w`` in
    watts, ``temperature_c`` in degrees Celsius, ``others`` how many other processes use
    the card, ``throttled`` why the clocks are held down. On a CPU ``threads`` is how many
    the engine computes with, and ``load_average`` that of the last minute.
    """

    clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    power_limit_w: float | None = None
    temperature_c: float | None = None
    others: float | None = None
    throttled: str | None = None
    threads: int | None = None
    load_average: float | None = None


@dataclass(frozen=True)
class Series:
    """One model under one workload: every round, in the order in which they ran."""

    workload: Workload
    rounds: tuple[Round, ...]

    def units(self) -> tuple[tuple[Round, ...], ...]:
        """The rounds by block where there are several, else one by one: what is independent."""
        blocks = list(dict.fromkeys(round_.block for round_ in self.rounds))
        if len(blocks) < 2:
            return tuple((round_,) for round_ in self.rounds)
        return tuple(
            tuple(round_ for round_ in self.rounds if round_.block == block) for block in blocks
        )

    def throughputs(self) -> tuple[float, ...]:
        """Generated tokens per second of each unit."""
        return tuple(_throughput(unit) for unit in self.units())

    def latencies(self, kind: str) -> tuple[tuple[float, ...], ...]:
        """Seconds of each request, by unit."""
        return tuple(
            tuple(request.latency(kind) for round_ in unit for request in round_.requests)
            for unit in self.units()
        )


@dataclass(frozen=True)
class ModelSpeed:
    """One model measured in one session: a series per workload, and what it occupied.

    ``load_seconds`` holds, per fresh process, the seconds from its start until the model
    could answer. ``bandwidth`` is the device's measured copy bandwidth in bytes read plus
    written per second.
    """

    series: tuple[Series, ...]
    footprint: Footprint = field(default_factory=Footprint)
    load_seconds: tuple[float, ...] = ()
    bandwidth: float | None = None
    states: tuple[DeviceState, ...] = ()


def _throughput(unit: Sequence[Round]) -> float:
    tokens = sum(request.output_tokens for round_ in unit for request in round_.requests)
    return tokens / math.fsum(round_.seconds for round_ in unit)
