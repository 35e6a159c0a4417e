"""The backends of this package, put through the conformance test that is shipped with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.testing import BackendConformance, FilesConformance, TimingConformance

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def baseline_spec() -> ModelSpec:
    """The example model."""
    return ModelSpec(str(EXAMPLES / "tiny-llama"), "tiny-llama", "native", "transformers")


@pytest.fixture(scope="module")
def quantized_spec() -> ModelSpec:
    """Its checkpoint in w8a8-int8."""
    folder = EXAMPLES / "checkpoints" / "w8a8-int8"
    return ModelSpec(str(folder), "tiny-llama", "w8a8-int8", "transformers")


class TestTransformers(BackendConformance):
    """With a checkpoint that holds its scheme."""

    backend_name = "transformers"


class TestScripted(FilesConformance, TimingConformance):
    """The test double: what it says of files and times; its answers are scripted by task."""

    backend_name = "scripted"

    @pytest.fixture(scope="class")
    @classmethod
    def baseline_spec(cls, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
        """A script of its own, with a template."""
        return _scripted(tmp_path_factory.mktemp("model"), template="<{role}>{content}")

    @pytest.fixture(scope="class")
    @classmethod
    def quantized_spec(cls, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
        """And one of its quantized copy."""
        folder = tmp_path_factory.mktemp("int8")
        spec = _scripted(folder, template="<{role}>{content}", scheme="w8a8-int8")
        return replace(spec, scheme="w8a8-int8")

    def test_equal_files_are_equal(self) -> None:  # type: ignore[override]
        """Not so here: its digest is of what the script says, not of the file's bytes."""

    def test_an_unknown_scheme_is_not_made(self) -> None:  # type: ignore[override]
        """Not so here: which schemes are made stands in the model's own file."""


def _scripted(folder: Path, **script: Any) -> ModelSpec:
    (folder / "scripted.json").write_text(json.dumps(script))
    return ModelSpec(str(folder), "scripted-model", "native", "scripted")
