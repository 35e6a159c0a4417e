"""Which figures of a timed model go to pytest-benchmark, where that is installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from ..core.records.speed import Series, Workload
from ..gating import Timing

PLAIN = Workload()


def published(item: pytest.Item, timing: Timing) -> tuple[str, ...]:
    """Publishes the quantized model's rounds; returns notes where something was not."""
    if not item.config.pluginmanager.has_plugin("pytest-benchmark"):
        return ()
    # Its insides are met only where it is there.
    adapter: Any = import_module(".benchmark_adapter", __package__)
    notes = [
        adapter.publish(
            item,
            _label(series.workload),
            [timed_round.seconds for timed_round in series.rounds],
            _extra_info(timing, place, series),
        )
        for place, series in enumerate(timing.quantized.series)
    ]
    return tuple(dict.fromkeys(note for note in notes if note is not None))


def _label(workload: Workload) -> str:
    """All that makes seconds comparable: pytest-benchmark compares by name alone."""
    parts = [workload.label]
    tokens = (workload.prompt_tokens, workload.output_tokens)
    if tokens != (PLAIN.prompt_tokens, PLAIN.output_tokens):
        parts.append(f"{tokens[0]}+{tokens[1]} tokens")
    if workload.requests != workload.batch_size:
        parts.append(f"{workload.requests} requests")
    return ", ".join(parts)


def _extra_info(timing: Timing, place: int, series: Series) -> dict[str, object]:
    workload = series.workload
    baseline = timing.baseline
    return {
        "scheme": timing.scheme,
        "model": timing.context.model,
        "engine": timing.context.engine,
        "accelerator": timing.machine.accelerator,
        "deployment": workload.deployment,
        "batch_size": workload.batch_size,
        "prompt_tokens": workload.prompt_tokens,
        "output_tokens": workload.output_tokens,
        "generated_tokens_per_round": workload.output_tokens * workload.requests,
        "tokens_per_second": [timed_round.tokens_per_second for timed_round in series.rounds],
        "baseline_scheme": timing.context.baseline_scheme,
        "baseline_rounds": None
        if baseline is None
        else [timed_round.seconds for timed_round in baseline.series[place].rounds],
    }
