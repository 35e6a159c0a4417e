"""Whether a baseline ran in the full precision that its files hold."""

from __future__ import annotations

import re

from ..core.errors import Category, Refusal
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
    runs = effective.scheme if quantized else f"{claimed}, KV cache {effective.kv_cache}"
    raise Refusal(
        Category.NOT_COMPARABLE,
        f"the baseline runs as {runs or effective.weights}, and its files hold {claimed}",
        help=(
            "an engine argument quantizes it; give that to the other model alone: "
            "--quant-backend-arg=quantized:KEY=VALUE",
            "and record the baseline of full precision: --quant-update=all",
        ),
    )
