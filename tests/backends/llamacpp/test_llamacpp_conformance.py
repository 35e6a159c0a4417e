"""The llama.cpp backend, put through the conformance test that is shipped with the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantreg.backends.llamacpp import LlamacppBackend
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.testing import BackendConformance


@pytest.fixture(scope="module")
def baseline_spec(f16: Path) -> ModelSpec:
    """The example model in float16."""
    return ModelSpec(str(f16), "tiny-llama", "native", "llamacpp", args={"n_threads": 1})


@pytest.fixture(scope="module")
def quantized_spec(f16: Path, shared: Path) -> ModelSpec:
    """A file of the same in 8 bits."""
    spec = ModelSpec(
        str(f16), "tiny-llama", "gguf-q8_0", "llamacpp", quantize=True, args={"n_threads": 1}
    )
    backend = LlamacppBackend(cache_dir=shared / "cache" / "checkpoints")
    return backend.prepare(spec, lambda _: None)


class TestLlamacpp(BackendConformance):
    """In a process of its own, as a session loads it."""

    backend_name = "llamacpp"
