"""What suites outside this package use to test their own parts: a backend's conformance.

Imports pytest; nothing of the plugin itself imports this.
"""

from .answers import GeneratingConformance
from .conformance import BackendConformance
from .files import FilesConformance
from .lifetime import LoadingConformance
from .scores import ScoringConformance
from .timing import TimingConformance

__all__ = [
    "BackendConformance",
    "FilesConformance",
    "GeneratingConformance",
    "LoadingConformance",
    "ScoringConformance",
    "TimingConformance",
]
