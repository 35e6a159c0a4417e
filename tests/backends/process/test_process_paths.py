"""Processes of ours, and a current folder whose files are called like modules of Python."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import pytest

from pytest_quantreg.backends.checkpoint_cache import run_in_process
from pytest_quantreg.backends.process.child import environment
from pytest_quantreg.backends.process.remote import RemoteEngine
from pytest_quantreg.core.records.run import ModelSpec

NAMES = ("random", "json", "importlib", "queue", "selectors", "torch", "numpy", "llmcompressor")


@pytest.fixture
def traps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder holds a file for each of the names, which fails when it is imported."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the folder ran')")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_random_py_broke_making_a_scheme(traps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What quantizes on the fly runs Python's own modules; what the tests have comes after them."""
    (traps / "maker.py").write_text(
        "import json, random, sys\n\ndef serve(): print(json.load(sys.stdin)['source'])\n\n"
        "if __name__ == '__main__': serve()"
    )
    # As `python -m pytest` and the folders of tests do.
    monkeypatch.syspath_prepend(str(traps))
    made = run_in_process("maker", {"source": "tiny"})
    assert (made.returncode, made.stdout, made.stderr) == (0, "tiny\n", "")


@pytest.mark.parametrize("package", ["checkpoint", "llamacpp"])
def test_the_process_that_quantizes_has_a_module(package: str) -> None:
    """What `run_in_process` is told to start is there, and has the function that it calls."""
    source = files(f"pytest_quantreg.backends.{package}").joinpath("quantize.py").read_text("utf-8")
    (name,) = re.findall(r'run_in_process\(f"\{__package__\}\.(\w+)"', source)
    assert callable(import_module(f"pytest_quantreg.backends.{package}.{name}").serve)


def test_a_random_py_and_the_worker(traps: Path) -> None:
    """An engine in a process of its own starts, whatever lies in the folder of the tests."""
    (traps / "scripted.json").write_text(json.dumps({}), "utf-8")
    spec = ModelSpec(str(traps), "m", "native", "scripted")
    with RemoteEngine.start(spec, cache_dir=traps / "cache", timed=False) as engine:
        assert engine.effective.mode == "full precision"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="PYTHONSAFEPATH came with Python 3.11")
def test_a_random_py_and_the_processes_of_an_engine(traps: Path) -> None:
    """vLLM starts Python again, which does not look into the folder either."""
    assert traps
    done = subprocess.run(
        [sys.executable, "-c", "import random; random.random()"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
