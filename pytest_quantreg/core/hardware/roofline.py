"""What the device's memory allows a decoding model, and why one may fall short of it.

Decoding reads every weight once per step, whatever the batch, and each request's KV cache;
where that is what takes the time, a step cannot be shorter than these bytes take to read.
(S. Williams, A. Waterman, D. Patterson: Roofline, CACM 52(4), 2009.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..records.run import EffectiveScheme
from ..records.speed import Footprint, Series, Workload

BOUND_BY_BYTES = 0.5
"""A model that reaches less than this share of its bound waits for something else."""


MUCH_SLOWER = 0.8
"""Below this share of its baseline's pace a model that bytes do not bind has another burden too."""


@dataclass(frozen=True)
class Roof:
    """One model's decoding against its bound, in generated tokens per second.

    ``bound`` follows from the bytes, ``decode`` was measured (prompts left out).
    """

    bound: float
    decode: float

    @property
    def share(self) -> float:
        """How much of the bound was reached; over 1 where caches hold part of the weights."""
        return self.decode / self.bound


def roof(footprint: Footprint, series: Series, bandwidth: float | None) -> Roof | None:
    """The bound of one model under one workload; None where something of it is unknown.

    ``bandwidth`` is that of a copy, bytes read plus written per second.
    """
    if series.workload.request_rate is not None:
        return None  # how many are decoded together is not known
    decode = _decode_rate(series)
    if not (bandwidth and footprint.streamed and decode):
        return None
    step = bytes_per_step(footprint, series.workload)
    in_step = min(series.workload.batch_size, series.workload.requests)
    return Roof(bandwidth / step * in_step, decode)


def bytes_per_step(footprint: Footprint, workload: Workload) -> float:
    """The bytes that one decoding step reads: the weights, and half-filled KV caches."""
    context = workload.prompt_tokens + workload.output_tokens / 2
    in_step = min(workload.batch_size, workload.requests)
    return (footprint.streamed or 0) + in_step * context * (footprint.kv_per_token or 0)


def slow_reasons(
    baseline: Roof | None, quantized: Roof | None, effective: EffectiveScheme
) -> Iterator[str]:
    """Why a quantized model may be slower than its baseline, the likeliest first."""
    if effective.mode == "weight-only fallback":
        yield (
            f"activations fell back to {effective.activations}: this device has no kernel for the "
            "whole scheme, and weights are unpacked on the way"
        )
    unpacking = f"dequantizing, or a slow kernel, takes the time here ({effective.kernel})"
    if quantized is not None:
        unpacking += f": it reaches {quantized.share * 100:.0f} % of what its bytes allow"
    if baseline is None or quantized is None:
        if quantized is not None and quantized.share < BOUND_BY_BYTES:
            yield unpacking
        return
    small = baseline.share < BOUND_BY_BYTES
    if small:
        yield (
            f"the model is too small, or the batch too large, to be bound by its bytes: the "
            f"baseline reaches {baseline.share * 100:.0f} % of what they allow, so fewer bytes "
            "gain little"
        )
    if quantized.decode >= baseline.decode:
        yield (
            "the prompts take longer, and no token after them: reading prompts is bound by "
            f"computing, and weights are unpacked for it ({effective.kernel})"
        )
    elif quantized.bound <= baseline.bound:
        yield "it reads no fewer bytes per token than its baseline"
    elif not small or quantized.decode < MUCH_SLOWER * baseline.decode:
        yield unpacking


def _decode_rate(series: Series) -> float | None:
    """Tokens per second after the first, all requests of a step together; the median round."""
    seconds = sorted(
        value for unit in series.latencies("tpot") for value in unit if value == value and value > 0
    )
    if not seconds:
        return None
    in_step = min(series.workload.batch_size, series.workload.requests)
    return in_step / seconds[len(seconds) // 2]
