"""A report as the terminal shows it, on paper: the summary of a session that is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .session_report import Report
from .summary import excused_gates
from .terminal import write_summary

if TYPE_CHECKING:
    import pytest

WIDTH = 80


class _Paper:
    """What `write_summary` asks of a terminal, without colours."""

    fullwidth = WIDTH

    def __init__(self) -> None:
        self.text = ""

    @property
    def _tw(self) -> _Paper:
        return self

    def write(self, text: str, **_: bool) -> None:
        self.text += text

    def write_line(self, line: str) -> None:
        self.text += f"{line}\n"

    def write_sep(self, sep: str, title: str) -> None:
        fill = sep * max((WIDTH - len(title) - 2) // 2, 1)
        line = f"{fill} {title} {fill}"
        self.write_line(line + sep if len(line) < WIDTH else line)


def plain(report: Report) -> str:
    """The summary at 80 columns, and how the session ended."""
    paper = _Paper()
    write_summary(report, cast("pytest.TerminalReporter", paper))
    session = report.session
    ended = f"{session.ending()}, {session.ended_at}" if session.ended_at else ""
    began = f"begun {session.started_at}" if not ended else ""
    excused = excused_gates(report.outcomes)
    parts = [report.conclusion.upper(), excused, ended, *session.incomplete, began]
    paper.write_line("; ".join(part for part in parts if part))
    return paper.text
