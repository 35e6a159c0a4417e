"""What else was measured beside what was judged: a line per model, workload and device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core import stats
from ..core.comparison.speed import SpeedComparison, gib
from ..core.hardware.roofline import Roof
from ..core.records.speed import LATENCIES, DeviceState, Footprint, ModelSpeed, Series, Workload
from .number_format import figure


def described(workload: Workload) -> str:
    """``batch 16, 128+64 tokens``: prompt and generated."""
    return f"{workload.label}, {workload.prompt_tokens}+{workload.output_tokens} tokens"


def workload_lines(
    comparison: SpeedComparison, roofs: tuple[Roof | None, Roof | None]
) -> list[str]:
    """What was measured of both models under one workload, a line each, and their bounds."""
    now = comparison.quantized
    lines = [f"{described(comparison.workload)}, {_rounds(comparison)}"]
    before = comparison.baseline
    if before is not None:
        lines.append(f"  baseline: {_series(before)}")
    lines.append(f"  {comparison.scheme}: {_series(now)}")
    labelled = zip(("baseline", comparison.scheme), roofs, strict=True)
    bounds = [
        f"{name} {figure(roof.bound)} tok/s (decoding reaches {roof.share * 100:.0f} %)"
        for name, roof in labelled
        if roof is not None
    ]
    if bounds:
        lines.append(f"  the bytes allow: {', '.join(bounds)}")
    return lines


def model_lines(scheme: str, quantized: ModelSpeed, baseline: ModelSpeed | None) -> list[str]:
    """Memory and load time of both models, a line each."""
    models = [("baseline", baseline)] if baseline is not None else []
    lines = []
    for name, speed in [*models, (scheme, quantized)]:
        parts = [*_memory(speed.footprint), *_loads(speed.load_seconds)]
        if parts:
            lines.append(f"{name}: {', '.join(parts)}")
    states = [*quantized.states, *(baseline.states if baseline is not None else ())]
    if device := list(_device(states)):
        lines.append(f"device: {', '.join(device)}")
    return lines


def stored_sessions(count: int) -> str:
    """``3 stored sessions``."""
    return f"{count} stored session{'' if count == 1 else 's'}"


def _rounds(comparison: SpeedComparison) -> str:
    workload = comparison.workload
    text = f"{len(comparison.quantized.rounds)} rounds after {workload.warmup} of warm-up"
    if comparison.baseline is None and not comparison.stored:
        return text
    if comparison.baseline is None:
        return f"{text}, against {stored_sessions(len(comparison.stored))} of the baseline"
    units = len(comparison.quantized.units())
    return text if units == len(comparison.quantized.rounds) else f"{text}, in {units} blocks"


def _series(series: Series) -> str:
    speed = stats.typical(series.throughputs()).estimate
    request_rate = stats.typical(
        [timed_round.requests_per_second for timed_round in series.rounds]
    ).estimate
    parts = [f"{figure(speed)} tok/s", f"{figure(request_rate)} requests/s"]
    for kind in LATENCIES:
        if kind == "tpot" and series.workload.output_tokens < 2:
            continue
        values = [
            figure(1000 * stats.quantile_interval(series.latencies(kind), percentile).estimate)
            for percentile in (50, 90, 99)
        ]
        parts.append(f"{kind} {'/'.join(values)} ms")
    return f"{', '.join(parts)} (p50/p90/p99)"


def _memory(footprint: Footprint) -> Iterator[str]:
    if footprint.weights is not None:
        loaded = ", ".join(
            f"{figure(gib(size))} {dtype}" for dtype, size in sorted(footprint.loaded.items())
        )
        as_loaded = f" (as loaded: {loaded})" if loaded else ""
        yield f"weights {figure(gib(footprint.weights))} GiB{as_loaded}"
    if footprint.peak is not None:
        yield f"peak {figure(gib(footprint.peak))} GiB ({footprint.peak_of})"
    if footprint.kv_cache_tokens is not None:
        yield f"KV cache for {footprint.kv_cache_tokens:,} tokens"
    if footprint.disk is not None:
        yield f"{figure(gib(footprint.disk))} GiB on disk"


def _device(states: Sequence[DeviceState]) -> Iterator[str]:
    """How the device was, from the least to the most of what was read before and after."""
    for name, unit, suffix in (
        ("clock_mhz", "MHz", ""),
        ("memory_clock_mhz", "MHz", " memory"),
        ("power_limit_w", "W", " limit"),
        ("temperature_c", "C", ""),
    ):
        values = [value for state in states if (value := getattr(state, name)) is not None]
        if values:
            yield f"{_span(min(values), max(values))} {unit}{suffix}"
    if threads := sorted({state.threads for state in states if state.threads is not None}):
        yield f"{' or '.join(map(str, threads))} thread{'' if threads == [1] else 's'}"
    if loads := [state.load_average for state in states if state.load_average is not None]:
        yield f"load average {_span(min(loads), max(loads))}"


def _span(least: float, most: float) -> str:
    low, high = figure(least), figure(most)
    return low if low == high else f"{low}-{high}"


def _loads(seconds: Sequence[float]) -> Iterator[str]:
    if seconds:
        ordered = sorted(seconds)
        times = f" (median of {len(seconds)})" if len(seconds) > 1 else ""
        yield f"loads in {figure(ordered[len(ordered) // 2])} s{times}"
