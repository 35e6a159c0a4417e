"""What a run imports that does not use the plugin, and what it does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ENGINES = ["torch", "transformers", "vllm", "lm_eval", "llmcompressor", "datasets", "accelerate"]
LIBRARIES = ["numpy", "scipy", "jsonschema"]

RUN = """
import json, sys
import pytest

class Spy:
    def pytest_unconfigure(self):
        print("MODULES", json.dumps(sorted(sys.modules)))

sys.exit(pytest.main(sys.argv[1:], plugins=[Spy()]))
"""


def modules(folder: Path, *args: str) -> tuple[set[str], str]:
    """What a pytest process of its own has imported at its end, and what it printed."""
    words = [sys.executable, "-c", RUN, "-p", "no:cacheprovider"]
    run = subprocess.run(
        [*words, *args], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr
    [line] = [line for line in run.stdout.splitlines() if line.startswith("MODULES ")]
    return set(json.loads(line.removeprefix("MODULES "))), run.stdout


def ours(imported: set[str]) -> set[str]:
    """The modules of the package."""
    return {name for name in imported if name.partition(".")[0] == "pytest_quantreg"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A suite that has nothing to do with models."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (tmp_path / "test_x.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_x(n, tmp_path): pass\n"
        "class TestA:\n"
        "    def test_y(self): pass\n",
        "utf-8",
    )
    return tmp_path


def test_unused_plugin_imports_nothing(folder: Path) -> None:
    """A run without our options, markers and fixtures imports the hooks and the table alone."""
    imported, output = modules(folder)
    assert "quantreg-" in output  # it is registered
    assert "3 passed" in output
    assert imported.isdisjoint(ENGINES)
    assert imported.isdisjoint(LIBRARIES)
    assert ours(imported) == {
        "pytest_quantreg",
        "pytest_quantreg.plugin",
        "pytest_quantreg.plugin.option_table",
    }


@pytest.mark.parametrize("option", ["--help", "--markers"])
def test_texts_import_nothing(option: str, folder: Path) -> None:
    """Help costs no more."""
    imported, _ = modules(folder, option)
    assert imported.isdisjoint([*ENGINES, *LIBRARIES])
    assert len(ours(imported)) == 3


def test_skipped_gate_imports_no_engine(folder: Path) -> None:
    """A gate that is skipped for lack of a scheme needs our own code and no engine."""
    (folder / "test_x.py").write_text(
        "import pytest\n"
        "@pytest.mark.min_retention(0.9)\n"
        "def test_x(compare_accuracy): compare_accuracy('sum')\n",
        "utf-8",
    )
    imported, output = modules(folder)
    assert "1 skipped" in output
    assert imported.isdisjoint(ENGINES)


def test_refused_options_import_no_engine(folder: Path) -> None:
    """Options are checked, and the backend found, before any engine is imported."""
    (folder / "model").mkdir()
    imported, _ = modules(folder, "--quant-model=model", "--quant-backend=transformers")
    assert "pytest_quantreg.backends.transformers" in imported
    assert imported.isdisjoint(ENGINES)
