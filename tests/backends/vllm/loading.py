"""Models as a gate would ask for them, loaded in the process of the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_quantreg.backends.vllm import VllmBackend
from pytest_quantreg.backends.vllm.engine import VllmEngine
from pytest_quantreg.core.records.run import ModelSpec

ARGS = {"enforce_eager": True, "max_num_seqs": 8, "kv_cache_memory_bytes": 1 << 28}


def spec_of(folder: Path, scheme: str, *, quantize: bool = False, **args: Any) -> ModelSpec:
    """The example model, or what was made of it, at a scheme."""
    return ModelSpec(
        str(folder), "tiny-llama", scheme, "vllm", quantize=quantize, args={**ARGS, **args}
    )


def loaded(backend: VllmBackend, spec: ModelSpec) -> VllmEngine:
    """The engine of a spec, prepared first."""
    return backend.load(backend.prepare(spec, print))
