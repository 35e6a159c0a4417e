"""The backend, put through the conformance test of pytest-quantreg."""

from pathlib import Path

import pytest

from pytest_quantreg.core.record import ModelSpec
from pytest_quantreg.testing import BackendConformance

MODEL = str(Path(__file__).parent / "model")


@pytest.fixture(scope="module")
def baseline_spec() -> ModelSpec:
    """The model as it was trained."""
    return ModelSpec(ref=MODEL, name="model", scheme="native", backend="wordpairs")


@pytest.fixture(scope="module")
def quantized_spec() -> ModelSpec:
    """The same, rounded by the backend itself."""
    return ModelSpec(MODEL, "model", "w8a16-int8", "wordpairs", quantize=True)


class TestWordPairs(BackendConformance):
    """Every promise of a backend, held or not."""

    backend_name = "wordpairs"
