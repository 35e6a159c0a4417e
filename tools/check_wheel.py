"""Build the wheel, install it into an empty environment and check what users get from it."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "pytest_quantreg"
DATA = ("*.py", "*.json", "py.typed")
"""The files of the package that the wheel must hold."""

LEFT_BEHIND = (
    *(".git", ".*_cache", ".hypothesis", ".quantreg", ".venv*"),
    *("*.egg-info", "__pycache__", "build", "dist"),
)
"""What a working copy holds beside its sources; an old ``build/`` would end up in the wheel."""


def main() -> int:
    """Run every check and return the exit status: 0 where all hold, else 1."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="quantreg-wheel-") as place:
        folder = Path(place)
        try:
            wheel = build(folder)
            problems = [*content_problems(wheel), *install_problems(wheel, folder)]
        except subprocess.CalledProcessError as error:
            print(error.stdout, file=sys.stderr)
            problems = [f"exit status {error.returncode}: {' '.join(map(str, error.cmd))}"]
    for problem in problems:
        print(f"check_wheel: {problem}", file=sys.stderr)
    if problems:
        return 1
    print(f"check_wheel: {wheel.name} holds and prints what it should", end=" ")
    print(f"({time.monotonic() - began:.0f} s)")
    return 0


def build(folder: Path) -> Path:
    """Build the wheel from a clean copy of the sources and return its path."""
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, source)
    [wheel] = folder.glob("*.whl")
    return wheel


def content_problems(wheel: Path) -> Iterator[str]:
    """Yield a line for each file that is missing from the wheel or does not belong there."""
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    expected = {
        path.relative_to(ROOT).as_posix()
        for pattern in DATA
        for path in (ROOT / PACKAGE).rglob(pattern)
    }
    for name in sorted(expected - held):
        yield f"{name} is not in the wheel"
    for name in sorted(held - expected):
        if not name.split("/")[0].endswith(".dist-info"):
            yield f"{name} does not belong in the wheel"


def install_problems(wheel: Path, folder: Path) -> Iterator[str]:
    """Install the wheel and yield a line for each marker or scheme that is not printed."""
    run(sys.executable, "-m", "venv", folder / "venv")
    binaries = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    run(binaries / "python", "-m", "pip", "install", "-c", ROOT / "constraints.txt", wheel)
    empty = folder / "empty"
    empty.mkdir()
    listed = run(binaries / "pytest", "--markers", cwd=empty)
    for name in markers():
        if f"@pytest.mark.{name}(" not in listed:
            yield f"pytest --markers does not list {name}"
    rows = {
        line.partition(" ")[0]
        for line in run(binaries / "quantreg", "schemes", cwd=empty).splitlines()
    }
    for name in schemes():
        if name not in rows:
            yield f"quantreg schemes does not list {name}"


def markers() -> list[str]:
    """Return the names of the markers, read from the source of the option table."""
    for node in ast.walk(_tree("plugin/option_table.py")):
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "MARKERS":
            assert node.value is not None
            return [text.partition("(")[0] for text in ast.literal_eval(node.value)]
    raise LookupError("plugin/option_table.py has no MARKERS")


def schemes() -> list[str]:
    """Return the names of the schemes that quantize something, read from the scheme table."""
    calls = [
        node
        for node in ast.walk(_tree("core/schemes/table.py"))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Scheme"
    ]
    found = [
        str(ast.literal_eval(call.args[0])) for call in calls if ast.unparse(call.args[2]) != "None"
    ]
    if not found:
        raise LookupError("core/schemes/table.py has no schemes")
    return found


def run(*words: str | Path, cwd: Path | None = None) -> str:
    """Run a program without the caller's PYTHONPATH and return its output.

    Raises:
        CalledProcessError: an exit status other than 0; the output is in ``stdout``.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**environment, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return done.stdout


def _tree(path: str) -> ast.Module:
    return ast.parse((ROOT / PACKAGE / path).read_text("utf-8"))


if __name__ == "__main__":
    sys.exit(main())
