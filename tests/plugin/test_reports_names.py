"""What an engine says of the machine it ran on does not travel with the reports."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path

import pytest

from .conftest import Suite


def test_reports_do_not_name_the_machine(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The terminal shows the engine's own words; Markdown, JSON and the job's page do not."""
    monkeypatch.setattr(socket, "gethostname", lambda: "gpu-node-17")
    monkeypatch.setattr(getpass, "getuser", lambda: "mallory")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "page.md"))
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        def test_sum(compare_accuracy):
            compare_accuracy("sum")
        """
    )
    assert suite.record().ret == 0
    said = "worker of mallory on gpu-node-17.corp.example did not answer"
    suite.checkpoint("int8", unusable=said)
    result = suite.gate("--quant-report=r.md", "--quant-report=r.json")
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"*{said}*"])
    for path in (suite.path / "r.md", suite.path / "r.json", tmp_path / "page.md"):
        text = path.read_text("utf-8")
        assert "worker of ... on ... did not answer" in " ".join(text.split())
        assert "mallory" not in text
        assert "gpu-node-17" not in text
        assert "corp" not in text
