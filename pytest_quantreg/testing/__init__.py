"""What suites outside this package use: a backend's conformance, and a baseline's whole life.

Imports pytest; nothing of the plugin itself imports this.
"""

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
