"""How engines of the vLLM backend start, and why they do not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_quantreg.backends.vllm import VllmBackend
from pytest_quantreg.core.errors import Category
from pytest_quantreg.report.words import words_of

from ...wording import refused, wrong_use
from .conftest import EXAMPLES, TINY
from .loading import loaded, spec_of

# vLLM and what it imports warn of themselves.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def backend(tmp_path: Path) -> VllmBackend:
    """A backend with a cache of its own."""
    return VllmBackend(cache_dir=tmp_path / "cache")


def test_nothing_changed_is_seen(backend: VllmBackend) -> None:
    """A way of quantizing that vLLM applies to experts alone leaves this model as it was."""
    args = {"quantization": "int8_per_channel_weight_only"}
    effective = loaded(backend, spec_of(TINY, "w8a16-int8", quantize=True, **args))
    assert (effective.effective.scheme, effective.effective.quantized_layers) == ("bf16", 0)
    effective.close()


def test_a_missing_kernel_is_told(backend: VllmBackend, tmp_path: Path) -> None:
    """A checkpoint that this vLLM has no kernel for is refused with its reason."""
    folder = tmp_path / "w8a16"
    shutil.copytree(EXAMPLES / "checkpoints" / "w4a16-int4-rtn", folder)
    config = folder / "config.json"
    text = config.read_text("utf-8")
    assert '"num_bits": 4' in text
    config.write_text(text.replace('"num_bits": 4', '"num_bits": 8'), encoding="utf-8")
    with refused("no kernel for it on this device") as caught:
        loaded(backend, spec_of(folder, "w8a16-int8"))
    assert caught.value.category is Category.UNUSABLE_MODEL
    assert "Failed to find a kernel" in words_of(caught.value.problem).help[-1]


def test_too_large_a_cache_is_out_of_memory(backend: VllmBackend) -> None:
    """An engine that does not fit is refused as such, with what may help."""
    with refused("does not fit into memory") as caught:
        loaded(backend, spec_of(TINY, "native", kv_cache_memory_bytes=1 << 45))
    assert caught.value.category is Category.OUT_OF_MEMORY


def test_what_vllm_does_not_make(backend: VllmBackend) -> None:
    """A scheme that needs another package names the way out before anything is loaded."""
    with wrong_use("llm-compressor") as caught:
        backend.check_makes("w8a8-int8")
    assert "--quant-checkpoint=w8a8-int8=FOLDER" in " ".join(words_of(caught.value.problem).help)
    backend.check_makes("w8a8-fp8+kv-fp8")


def test_closed_engines_say_so(backend: VllmBackend) -> None:
    """A handle that outlives its engine raises instead of answering."""
    effective = loaded(backend, spec_of(EXAMPLES / "checkpoints" / "w8a8-fp8", "w8a8-fp8"))
    assert effective.effective.kernel == "ChannelWiseTorchFP8ScaledMMLinearKernel"
    effective.close()
    effective.close()
    with wrong_use("not loaded any more"):
        effective.lm(1)
