"""Test suites for others to use: a backend's conformance, a baseline's life, a scripted engine.

The conformance suite imports pytest; nothing of the plugin itself imports it.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .answers import GeneratingConformance
    from .baseline_life import Models, Step, walk
    from .conformance import BackendConformance
    from .lifetime import LoadingConformance
    from .model_files import FilesConformance
    from .scores import ScoringConformance
    from .timing import TimingConformance

__all__ = [
    "BackendConformance",
    "FilesConformance",
    "GeneratingConformance",
    "LoadingConformance",
    "Models",
    "ScoringConformance",
    "Step",
    "TimingConformance",
    "walk",
]

_HOMES = MappingProxyType(
    {
        "BackendConformance": "conformance",
        "FilesConformance": "model_files",
        "GeneratingConformance": "answers",
        "LoadingConformance": "lifetime",
        "Models": "baseline_life",
        "ScoringConformance": "scores",
        "Step": "baseline_life",
        "TimingConformance": "timing",
        "walk": "baseline_life",
    }
)


# The scripted engine runs in processes that do without pytest.
def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
