"""What suites outside this package use: a backend's conformance, and a baseline's whole life.

Imports pytest; nothing of the plugin itself imports this.
"""

from .answers import GeneratingConformance
from .conformance import BackendConformance
from .cycle import Models, Step, walk
from .files import FilesConformance
from .lifetime import LoadingConformance
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
