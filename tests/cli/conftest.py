"""Commands as a person types them, and what they print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_quantreg.cli import main

from .lm_eval_folders import BASE, evaluated, rows

Run = Callable[..., tuple[int, str]]


def flat(text: str) -> str:
    """The text without its line breaks."""
    return " ".join(text.split())


@pytest.fixture
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is typed in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def base(in_empty_folder: None) -> None:
    """A baseline of 1,000 items there, 80 % right."""
    evaluated("base", {"t": list(rows("base", BASE))})


@pytest.fixture
def quantreg(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command; gives the exit status and what it printed, of either kind."""

    def run(*words: object) -> tuple[int, str]:
        status = main([str(word) for word in words])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run


@pytest.fixture
def said(quantreg: Run) -> Run:
    """Runs the command; gives the exit status and all that it printed, on one line."""

    def run(*words: object) -> tuple[int, str]:
        status, printed = quantreg(*words)
        return status, flat(printed)

    return run
