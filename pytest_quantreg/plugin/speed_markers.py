"""The readers of the markers on speed, memory and load time: checked values in, gates out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ..core import checks
from ..core.checks import checked, checked_or_none
from ..core.gates.speed import (
    MAX_LATENCY,
    MAX_LOAD_TIME,
    MAX_MEMORY,
    MIN_SPEEDUP,
    MIN_THROUGHPUT,
    SpeedGate,
)
from ..core.records.speed import LATENCIES

_PER = ("server", "gpu")
_MEMORY = ("weights", "peak")


def _min_speedup(level: int, /, x: Any, *, gpu: Any = None) -> SpeedGate:
    return SpeedGate(MIN_SPEEDUP, checks.check_speedup(x), level, gpu=_device(gpu))


def _min_throughput(
    level: int, /, tokens_per_second: Any, *, gpu: Any = None, per: Any = "server"
) -> SpeedGate:
    bound = checks.check_throughput(tokens_per_second)
    kind = checked("per", per, checks.check_choice, allowed=_PER)
    return SpeedGate(MIN_THROUGHPUT, bound, level, kind, gpu=_device(gpu))


def _max_latency(
    level: int, /, ms: Any, *, kind: Any = "ttft", percentile: Any = 50, gpu: Any = None
) -> SpeedGate:
    return SpeedGate(
        MAX_LATENCY,
        checks.check_milliseconds(ms),
        level,
        checked("kind", kind, checks.check_choice, allowed=LATENCIES),
        checked("percentile", percentile, checks.check_percentile),
        _device(gpu),
    )


def _max_memory(level: int, /, gib: Any, *, kind: Any = "weights", gpu: Any = None) -> SpeedGate:
    bound = checks.check_gib(gib)
    kind = checked("kind", kind, checks.check_choice, allowed=_MEMORY)
    return SpeedGate(MAX_MEMORY, bound, level, kind, gpu=_device(gpu))


def _max_load_time(level: int, /, s: Any, *, gpu: Any = None) -> SpeedGate:
    bound = checks.check_seconds(s, example=60)
    return SpeedGate(MAX_LOAD_TIME, bound, level, gpu=_device(gpu))


def _device(gpu: Any) -> str | None:
    return checked_or_none("gpu", gpu, checks.check_device)


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
"""Marker -> how it is written, and its reader, which makes its gate at a level."""
