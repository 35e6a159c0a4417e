"""What lies at the top of the project, so that nothing is committed there by accident."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .test_layers import MAY_IMPORT

ROOT = Path(__file__).parents[1]

ALLOWED = frozenset(
    {
        *(".ci", ".github", ".gitignore", ".pre-commit-config.yaml"),
        *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md"),
        *("Makefile", "pyproject.toml", "constraints.txt"),
        *("constraints-llamacpp.txt", "constraints-vllm.txt"),
        *("baselines", "benchmarks", "docs", "examples", "pytest_quantreg", "tests", "tools"),
    }
)


def _committed() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return listed.stdout.splitlines()


def test_the_top_holds_known_names_alone() -> None:
    """A file or folder that is committed there has its place in this list, and is there."""
    assert {path.partition("/")[0] for path in _committed()} == ALLOWED


def test_tests_mirror_the_rooms() -> None:
    """A folder of tests is named after a room, or holds data or the tests of tools."""
    folders = {
        path.split("/")[1]
        for path in _committed()
        if path.count("/") > 1 and path.startswith("tests/")
    }
    assert folders <= {*MAY_IMPORT, "data", "tools"}
