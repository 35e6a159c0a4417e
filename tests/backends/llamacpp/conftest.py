"""The example model as GGUF, and whole pytest runs over it; only where llama.cpp is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"
TINY = EXAMPLES / "tiny-llama"

# Building llama.cpp takes minutes: `make test-llamacpp` does it, in an environment of its own.
collect_ignore_glob = [] if find_spec("llama_cpp") else ["test_llamacpp_*.py"]

INI = """\
[pytest]
minversion = "9.0"
quant_model = {model!r}
quant_model_name = "tiny-llama"
quant_include_path = [{tasks!r}]
quant_backend = "llamacpp"
quant_baselines = {baselines!r}
quant_backend_arg = ["n_threads=1"]
"""


@dataclass
class Result:
    """How a run of pytest ended, and what it printed."""

    status: int
    printed: str

    @property
    def words(self) -> str:
        """What it printed, whatever its line breaks."""
        return " ".join(self.printed.split())


@dataclass
class Suite:
    """A folder with tests, whose runs share baselines and cache with those of other folders."""

    path: Path
    cache: Path

    def run(self, *arguments: str) -> Result:
        """pytest in a process of its own, as a user starts it."""
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
            cwd=self.path,
            env={**os.environ, "QUANTREG_CACHE_DIR": str(self.cache), "COLUMNS": "120"},
            capture_output=True,
            text=True,
            check=False,
        )
        return Result(done.returncode, done.stdout + done.stderr)


@pytest.fixture(scope="session")
def f16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example model in float16."""
    # Late: the module needs gguf, which not every environment has that looks in here.
    from .convert import convert

    return convert(TINY, tmp_path_factory.mktemp("gguf") / "tiny-llama-f16.gguf")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Baselines and cache of this session's suites."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def make_suite(tmp_path: Path, shared: Path, f16: Path) -> Callable[..., Suite]:
    """Makes a suite of one test file; ``model`` is f16 unless one is given."""

    def make(text: str, *, model: Path | None = None, baselines: Path | None = None) -> Suite:
        ini = INI.format(
            model=str(model or f16),
            tasks=str(EXAMPLES / "tasks"),
            baselines=str(baselines or shared / "baselines"),
        )
        (tmp_path / "pytest.toml").write_text(ini.replace("'", '"'), encoding="utf-8")
        (tmp_path / "test_release.py").write_text(text, encoding="utf-8")
        return Suite(tmp_path, shared / "cache")

    return make
