"""The page on backends of one's own shows the example as it is, and the whole Protocol."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_quantreg.core.engine import Backend, Engine, TimedEngine

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "backends.md").read_text("utf-8")
SHOWN = ("quantreg_wordpairs.py", "test_backend.py", "pyproject.toml")


@pytest.mark.parametrize("name", SHOWN)
def test_the_page_shows_the_file(name: str) -> None:
    """A block of the page is the example's file, letter by letter."""
    blocks = re.findall(r"```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert (ROOT / "examples" / "backend" / name).read_text("utf-8") in blocks


@pytest.mark.parametrize("protocol", [Backend, Engine, TimedEngine])
def test_the_page_names_every_member(protocol: type) -> None:
    """Each method and property of the Protocols has its row."""
    members = [name for name in vars(protocol) if not name.startswith("_")]
    assert members
    for name in members:
        assert re.search(rf"^\| `{name}\b", PAGE, re.MULTILINE), name


def test_the_backend_is_short() -> None:
    """It stays an example: some 60 lines of code."""
    source = (ROOT / "examples" / "backend" / "quantreg_wordpairs.py").read_text("utf-8")
    assert len(source.splitlines()) <= 75
