"""The readers of the markers on speed, memory and load time: checked values in, gates out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ..core.checks import check_speedup
from ..core.errors import WrongUse
from ..core.gates.speed import (
    MAX_LATENCY,
    MAX_LOAD_TIME,
    MAX_MEMORY,
    MIN_SPEEDUP,
    MIN_THROUGHPUT,
    SpeedGate,
)
from ..core.hardware.accelerators import words
from ..core.records.speed import LATENCIES

MOST_GIB = 100_000.0
"""More is a number of bytes."""

_PER = ("server", "gpu")
_MEMORY = ("weights", "peak")


def _min_speedup(x: Any, *, gpu: str | None = None) -> Callable[[int], SpeedGate]:
    bound = check_speedup(_positive(x, "multiples of the baseline's throughput, above 0, e.g. 1.8"))
    return _gate(MIN_SPEEDUP, bound, gpu)


def _min_throughput(
    tokens_per_second: Any, *, gpu: str | None = None, per: str = "server"
) -> Callable[[int], SpeedGate]:
    bound = _positive(tokens_per_second, "generated tokens per second, above 0, e.g. 250")
    return _gate(MIN_THROUGHPUT, bound, gpu, kind=_one_of(per, _PER, "per"))


def _max_latency(
    ms: Any, *, kind: str = "ttft", percentile: Any = 50, gpu: str | None = None
) -> Callable[[int], SpeedGate]:
    bound = _positive(ms, "milliseconds, above 0, e.g. 50")
    return _gate(
        MAX_LATENCY,
        bound,
        gpu,
        kind=_one_of(kind, LATENCIES, "kind"),
        percentile=_percentile(percentile),
    )


def _max_memory(
    gib: Any, *, kind: str = "weights", gpu: str | None = None
) -> Callable[[int], SpeedGate]:
    bound = _positive(gib, "GiB (1024 to the third bytes), above 0, e.g. 24")
    if bound > MOST_GIB:
        raise WrongUse(
            f"did you mean {bound / 1024**3:.3g}? Allowed are GiB, and no more than {MOST_GIB:,.0f}"
        )
    return _gate(MAX_MEMORY, bound, gpu, kind=_one_of(kind, _MEMORY, "kind"))


def _max_load_time(s: Any, *, gpu: str | None = None) -> Callable[[int], SpeedGate]:
    return _gate(MAX_LOAD_TIME, _positive(s, "seconds, above 0, e.g. 60"), gpu)


SPEED_READERS: Mapping[str, tuple[str, Callable[..., Any]]] = MappingProxyType(
    {
        MIN_SPEEDUP: ("min_speedup(x, *, gpu=None)", _min_speedup),
        MIN_THROUGHPUT: (
            'min_throughput(tokens_per_second, *, gpu=None, per="server")',
            _min_throughput,
        ),
        MAX_LATENCY: ('max_latency(ms, *, kind="ttft", percentile=50, gpu=None)', _max_latency),
        MAX_MEMORY: ('max_memory(gib, *, kind="weights", gpu=None)', _max_memory),
        MAX_LOAD_TIME: ("max_load_time(s, *, gpu=None)", _max_load_time),
    }
)
"""Marker -> how it is written, and its reader, which gives a gate for a level."""


def _gate(
    marker: str,
    bound: float,
    gpu: Any,
    *,
    kind: str | None = None,
    percentile: float | None = None,
) -> Callable[[int], SpeedGate]:
    if gpu is not None and (not isinstance(gpu, str) or not words(gpu)):
        raise WrongUse(
            f'gpu={gpu!r}: allowed are words of the device\'s name, e.g. "H100" '
            "(`quantreg hardware` prints it)"
        )
    return lambda level: SpeedGate(marker, bound, level, kind, percentile, gpu)


def _positive(value: Any, allowed: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise WrongUse(f"not a number; allowed are {allowed}")
    if value <= 0:
        raise WrongUse(f"allowed are {allowed}")
    return float(value)


def _percentile(value: Any) -> float:
    allowed = "allowed is from 1 to below 100, e.g. 99"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise WrongUse(f"percentile={value!r}: {allowed}")
    if not 0 < value < 100:
        raise WrongUse(f"percentile={value:g}: {allowed}")
    if value < 1:
        raise WrongUse(f"percentile={value:g}: did you mean {value * 100:g}? A{allowed[1:]}")
    return float(value)


def _one_of(value: Any, allowed: tuple[str, ...], named: str) -> str:
    if value not in allowed:
        raise WrongUse(f"{named}={value!r}: allowed are {', '.join(map(repr, allowed))}")
    return str(value)
