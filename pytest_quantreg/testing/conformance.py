"""The whole conformance test of a backend: subclass it in the backend's own test suite."""

from __future__ import annotations

from .answers import GeneratingConformance
from .lifetime import LoadingConformance
from .model_files import FilesConformance
from .scores import ScoringConformance
from .timing import TimingConformance


class BackendConformance(
    FilesConformance,
    ScoringConformance,
    GeneratingConformance,
    LoadingConformance,
    TimingConformance,
):
    """All that `pytest_quantreg.core.engine.Backend` and its engines promise, as tests.

    A subclass sets ``backend_name``, and its suite defines the fixtures ``baseline_spec`` and
    ``quantized_spec``: see `pytest_quantreg.testing.shared.Conformance`.
    """
