"""Reports are written whole, kept where they cannot be, and nothing waits for ever."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from pytest_quantreg.report.output_files import add_to_summary, write

from .report_samples import KEEPS, report


def test_a_pipe_that_nobody_reads(tmp_path: Path) -> None:
    """It is an error of one line; opened as a file it would hold the session up for ever."""
    pipe = tmp_path / "r.md"
    os.mkfifo(pipe)
    assert write(report(KEEPS), pipe) == "No such device or address"
    assert add_to_summary(report(KEEPS), pipe) == "it is not a file"
    assert pipe.is_fifo()


def test_a_pipe_that_is_read_gets_the_whole_page(tmp_path: Path) -> None:
    """Also one that is longer than the pipe holds at a time."""
    pipe, file = tmp_path / "r.json", tmp_path / "s.json"
    made = report(*(KEEPS for _ in range(300)))
    os.mkfifo(pipe)
    pieces: list[bytes] = []
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    def read() -> None:
        # Nothing comes before the writer is there; nothing more comes once it has gone.
        while not (pieces and pieces[-1] == b""):
            with suppress(BlockingIOError):
                piece = os.read(reader, 1 << 20)
                pieces.extend([piece] if pieces or piece else [])

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    assert write(made, pipe) == ""
    thread.join(20)
    os.close(reader)
    assert write(made, file) == ""
    assert b"".join(pieces) == file.read_bytes()
    assert file.stat().st_size > 65_536


def test_a_full_disk_keeps_the_report_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old file stays to the byte, no draft is left, and the reason is given."""
    path = tmp_path / "r.md"
    path.write_text("of before", "utf-8")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    assert write(report(KEEPS), path) == "No space left on device"
    assert path.read_text("utf-8") == "of before"
    assert [file.name for file in tmp_path.iterdir()] == ["r.md"]
