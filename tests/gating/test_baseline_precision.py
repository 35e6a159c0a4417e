"""Baselines that ran quantized though their files hold full precision."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.run import EffectiveScheme
from pytest_quantreg.gating.baseline_precision import refuse_quantized_baseline

from ..wording import refused

BF16 = EffectiveScheme("bf16", *("bfloat16",) * 3, "matmul", "full precision", 0, 22)
NF4 = replace(BF16, scheme="bnb-nf4", weights="nf4", mode="native", quantized_layers=21)


@pytest.mark.parametrize(
    "cache",
    ["bfloat16", "float16", "float32", "bf16", "fp16", "unquantized", "not told by the server"],
)
def test_full_precision_is_let_in(cache: str) -> None:
    """A cache of 16 bits or more, in the words of any engine."""
    refuse_quantized_baseline("bf16", replace(BF16, kv_cache=cache))


@pytest.mark.parametrize(
    "cache",
    [
        *("fp8 e4m3, scales 1.0", "fp8 per tensor", "bfloat16 and fp8 e4m3", "q8_0", "iq4_nl"),
        *("float16 keys, q4_0 values", "int8 per token head", "nvfp4", "turboquant k8v4"),
    ],
)
def test_a_quantized_cache_is_refused(cache: str) -> None:
    """It would hide what a quantized cache loses."""
    with refused("the baseline runs as bf16, KV cache") as caught:
        refuse_quantized_baseline("bf16", replace(BF16, kv_cache=cache))
    assert caught.value.category is Category.NOT_COMPARABLE


def test_quantized_weights_are_refused() -> None:
    """An argument that quantizes both models leaves nothing to compare with."""
    with refused("the baseline runs as bnb-nf4, and its files hold bf16"):
        refuse_quantized_baseline("bf16", NF4)


def test_a_model_that_was_born_so_is_let_in() -> None:
    """What files hold quantized is the baseline; and of a server only files are known."""
    refuse_quantized_baseline("native", NF4)
    refuse_quantized_baseline("bf16", replace(NF4, mode="unverified"))
