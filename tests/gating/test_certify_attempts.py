"""The file that counts attempts at certify may hold anything; a gate goes on all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_quantreg.gating.history import Attempts


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b"\xff\xfe",
        b"null",
        b'{"checkpoint": "abc"}',
        b'{"checkpoint": "abc", "session": ',
        b"9" * 5_000,
    ],
)
def test_lines_that_say_nothing_are_passed_over(tmp_path: Path, line: bytes) -> None:
    """What stands before and after them still counts."""
    path = tmp_path / "attempts.jsonl"
    first_line = json.dumps({"checkpoint": "abc", "session": "first", "when": "then"}).encode()
    path.write_bytes(first_line + b"\n" + line + b"\n")
    assert Attempts(path, "second").count("abc", "now") == 2
    assert Attempts(path, "third").count("abc", "now") == 3
    assert Attempts(path, "fourth").count("other", "now") == 1
