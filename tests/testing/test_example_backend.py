"""The example of a backend by a third party: found, conforming, and gating real models."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

Run: TypeAlias = "Callable[..., tuple[int, str]]"

APART = """
import pytest
from pytest_quantreg.testing import GeneratingConformance, LoadingConformance
from quantreg_wordpairs import WordPairsBackend
from test_backend import baseline_spec, quantized_spec

class Apart(WordPairsBackend):
    own_process = True

class TestApart(GeneratingConformance, LoadingConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, cache_dir):
        return Apart(cache_dir=cache_dir)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example with its model, and what pip would note of its entry point."""
    place = tmp_path_factory.mktemp("example")
    # What somebody made there by hand is not part of it.
    made = shutil.ignore_patterns("model", "baselines", "build", "*.egg-info", "__pycache__")
    folder = Path(shutil.copytree(EXAMPLES / "backend", place / "backend", ignore=made))
    shutil.copytree(EXAMPLES / "tasks", place / "tasks")
    shutil.copyfile(EXAMPLES / "world.py", place / "world.py")
    entry = re.search(r"^wordpairs = \"(.+)\"$", (folder / "pyproject.toml").read_text(), re.M)
    assert entry is not None
    noted = folder / "quantreg_wordpairs-1.0.dist-info"
    noted.mkdir()
    (noted / "METADATA").write_text("Metadata-Version: 2.1\nName: quantreg-wordpairs\nVersion: 1\n")
    point = f"[pytest_quantreg.backends]\nwordpairs = {entry.group(1)}\n"
    (noted / "entry_points.txt").write_text(point)
    (folder / "test_apart.py").write_text(APART)
    subprocess.run([sys.executable, "make_model.py", "model"], cwd=folder, check=True)
    return folder


@pytest.fixture
def run(installed: Path) -> Run:
    """pytest in the example's folder; its exit status and what it printed."""

    def run(*words: str) -> tuple[int, str]:
        paths = os.pathsep.join([str(installed), *filter(None, [os.environ.get("PYTHONPATH")])])
        cache = str(installed.parent / "cache")
        environment = {**os.environ, "PYTHONPATH": paths, "QUANTREG_CACHE_DIR": cache}
        environment["COLUMNS"] = "80"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", *words],
            cwd=installed,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_it_conforms(run: Run) -> None:
    """The example passes the conformance test; timing alone is left out, and shown."""
    status, output = run("test_backend.py", "-rs")
    assert status == 0, output
    assert "4 skipped" in output
    assert output.count("SKIPPED [") == 4
    assert "this engine cannot be timed: compare_speed refuses it" in output


@pytest.mark.slow
def test_it_conforms_in_a_process_of_its_own(run: Run) -> None:
    """So does the same backend where its engines are loaded in a worker and asked over a pipe."""
    status, output = run("test_apart.py")
    assert status == 0, output
    assert "skipped" not in output


@pytest.mark.slow
def test_it_gates(run: Run) -> None:
    """Its sound int8 model is kept, its rough int4 model is lost, others are wrong use."""
    status, output = run("test_release.py", "--quant-update")
    assert (status, "2 recorded" in output) == (0, True), output
    status, output = run("test_release.py", "--quant-scheme=w8a16-int8", "--quant-require")
    assert (status, "2 kept" in output) == (0, True), output
    assert "runs as w8a16-int8 (native)" in output
    status, output = run("test_release.py", "--quant-scheme=w4a16-int4", "--quant-require")
    assert (status, "1 kept, 1 lost" in output) == (1, True), output
    status, output = run("test_release.py", "--quant-scheme=w8a8-fp8")
    assert status == 4
    assert "the wordpairs backend cannot make it" in output
