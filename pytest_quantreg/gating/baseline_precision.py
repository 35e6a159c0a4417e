"""Whether a baseline ran in the full precision that its files hold."""

from __future__ import annotations

import re

from ..core.codes import GateCode
from ..core.errors import Refusal
from ..core.facts import Fact, Problem, Scheme
from ..core.records.run import UNVERIFIED, EffectiveScheme
from .speed.preconditions import FULL_PRECISION

_SMALL_CACHE = re.compile(r"(?:int|fp|q)[2-8](?!\d)|(?:turbo|ultra)quant", re.IGNORECASE)
"""Types of a KV cache of less than 16 bits, as engines spell them: fp8, q8_0, int8."""


def refuse_quantized_baseline(claimed: str, effective: EffectiveScheme) -> None:
    """Refuses a baseline that ran quantized though its files are not. Raises Refusal.

    An engine argument for both models does that, and then hides what quantizing loses.
    """
    if claimed not in FULL_PRECISION or effective.mode == UNVERIFIED:
        return
    quantized = effective.quantized_layers > 0
    if not quantized and not _SMALL_CACHE.search(effective.kv_cache):
        return
    runs: Fact = Scheme(effective.scheme) if effective.scheme else effective.weights
    if not quantized:
        runs = with_cache(Scheme(claimed), effective)
    raise Refusal(GateCode.BASELINE_RUNS_QUANTIZED, runs=runs, holds=Scheme(claimed))


def with_cache(scheme: Fact, effective: EffectiveScheme) -> Problem:
    """A scheme and the type of the KV cache beside it, as they are shown."""
    return Problem(GateCode.WITH_KV_CACHE, {"scheme": scheme, "cache": effective.kv_cache})
