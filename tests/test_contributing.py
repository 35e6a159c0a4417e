"""CONTRIBUTING.md and SECURITY.md name files, functions and targets that exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("CONTRIBUTING.md", "SECURITY.md")
MADE = (
    "pytest_quantreg/backends/pairs/",
    "tests/backends/pairs/",
    "tests/plugin/test_gates_flips.py",
)
"""What the worked examples add."""


@cache
def spans(page: str) -> tuple[str, ...]:
    """The texts in single backquotes, outside of code blocks."""
    text = (ROOT / page).read_text("utf-8")
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)
    return tuple(re.findall(r"`([^`\n]+)`", prose))


@pytest.mark.parametrize("page", PAGES)
def test_paths_exist(page: str) -> None:
    """Each path in backquotes is a file or folder, from the top or from the package."""
    paths = [span for span in spans(page) if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", span)]
    named = [path for path in paths if "/" in path and not path.startswith(MADE)]
    assert len(named) > 5
    tops = (ROOT, ROOT / "pytest_quantreg")
    assert [path for path in named if not any((top / path).exists() for top in tops)] == []


def test_names_exist() -> None:
    """Each function and table that the worked examples change is defined in the package."""
    sources = "\n".join(
        path.read_text("utf-8")
        for folder in ("pytest_quantreg", "tests")
        for path in (ROOT / folder).rglob("*.py")
    )
    names = {
        span
        for span in spans("CONTRIBUTING.md")
        if re.fullmatch(r"_?[A-Z]+(_[A-Z]+)*|_?[a-z]+(_[a-z]+)+|[A-Z][a-z]+[A-Z]\w+", span)
    }
    assert {"MARKERS", "_READERS", "_foresee_gates", "SimpleBackend"} <= names
    pattern = r"^ *(?:(?:class|def) {0}\b|{0}\b.* = )"
    missing = {name for name in names if not re.search(pattern.format(name), sources, re.M)}
    assert missing == {"max_flips", "MAX_FLIPS"}


def test_make_targets_exist() -> None:
    """Each call of make that a page shows is a target of the Makefile."""
    [line] = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.M)
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert set(re.findall(r"(?:`|\$ )make ([\w-]+)", text)) <= set(line.split())
