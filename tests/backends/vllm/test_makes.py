"""Which schemes the vLLM backend makes of full-precision weights, and what it says of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantreg.backends.vllm import VllmBackend
from pytest_quantreg.backends.vllm.backend import ONLINE
from pytest_quantreg.report.words import words_of

from ...wording import says, wrong_use


@pytest.fixture
def backend(tmp_path: Path) -> VllmBackend:
    """Nothing of it needs vLLM here."""
    return VllmBackend(cache_dir=tmp_path)


@pytest.mark.parametrize("scheme", [*ONLINE, "w8a8-fp8-rtn", "w8a8-fp8+kv-fp8", "bf16"])
def test_what_vllm_makes(backend: VllmBackend, scheme: str) -> None:
    """By rounding to nearest, while it loads; the KV cache is its own affair."""
    backend.check_makes(scheme)


@pytest.mark.parametrize(
    ("scheme", "what", "way"),
    [
        ("w4a16-int4+kv-fp8", "but does not make w4a16-int4", "=w4a16-int4+kv-fp8=REF"),
        ("w8a8-fp8-gptq", "gptq needs calibration data", "--quant-scheme=w8a8-fp8"),
        ("w4a4-nvfp4", "cannot be made here", "--quant-checkpoint=w4a4-nvfp4=REF"),
        ("q4_k_m", "GGUF files", "--quant-backend=llamacpp"),
        ("bnb-nf4", "bitsandbytes left it", "--quant-backend transformers"),
    ],
)
def test_what_it_does_not_make(backend: VllmBackend, scheme: str, what: str, way: str) -> None:
    """Why not, and the option that helps; no other backend is blamed."""
    with wrong_use() as caught:
        backend.check_makes(scheme)
    assert what in words_of(caught.value.problem).what
    assert way in " ".join(words_of(caught.value.problem).help)
    assert "transformers backend cannot" not in says(caught.value)
