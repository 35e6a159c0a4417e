"""A report as Markdown, for a comment on a pull request or the summary of a CI job."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from ..core.records.outcome_row import LOST, NOT_APPLICABLE, REFUSED, UNDECIDED, OutcomeRow
from .markdown_text import cell, escaped, inline
from .session_outcomes import context_line
from .session_report import GREEN, INCOMPLETE, NOTHING_JUDGED, RECORDED_ONLY, RED, Report
from .speed_table import speed_columns, without_repeats
from .summary import (
    advice_lines,
    contexts,
    counted,
    detectable_lines,
    excused_gates,
    required_lines,
    side_measurements,
    title,
)
from .summary_table import Columns, accepted_columns, columns

COMMENT_LIMIT = 65_000
"""Bytes: GitHub takes 65,536 characters for a comment, and a line of one's own may be added."""

_SIGNS = {
    GREEN: "\N{WHITE HEAVY CHECK MARK} GREEN",
    RED: "\N{CROSS MARK} RED",
    INCOMPLETE: "\N{WARNING SIGN}\N{VARIATION SELECTOR-16} INCOMPLETE",
    RECORDED_ONLY: "\N{MEMO} RECORDED",
    NOTHING_JUDGED: "\N{WARNING SIGN}\N{VARIATION SELECTOR-16} NOTHING JUDGED",
}
_TEXT_COLUMNS = {"task", "metric", "workload", "measured", ""}
_IN_FULL = (LOST, REFUSED)
"""The results whose whole messages stand on the page."""
_OURS = "quantreg: "
_FOLDED = "<details><summary>Software and hardware</summary>"
_FAILED = ("failed", "refused", "error")


class _Rows(NamedTuple):
    """Which rows of a table stay: those with a result of ``loud``, and so many others."""

    loud: tuple[str, ...]
    others: int


_ALL_OPEN = (LOST, REFUSED, UNDECIDED)
_ROWS = (
    *(_Rows(_ALL_OPEN, others) for others in (sys.maxsize, 300, 100, 30, 0)),
    _Rows(_IN_FULL, 0),
)
"""From all to the fewest; the first with which the page fits is taken."""
_LEFT = "*Left out to fit: {left:,} rows, none of them {loud}.*"
_CUT = "*Cut here to fit: {left:,} more lines. The JSON report and pytest's own output hold all.*"


def is_page(data: bytes) -> bool:
    """Whether these are the bytes of a page: its heading, and what is folded at its end."""
    starts = tuple(f"## {sign}: ".encode() for sign in _SIGNS.values())
    return data.startswith(starts) and _FOLDED.encode() in data


def markdown(report: Report, most: int = COMMENT_LIMIT) -> str:
    """The whole page, in at most ``most`` bytes of UTF-8.

    The verdict comes first, then a table per model and scheme, what was lost, what was
    refused, what was undecided and what would decide it, and last, folded away, the
    software and hardware. What does not fit is left out, and said so: first rows of
    tables that nobody needs to look at, then lines from the end.
    """
    groups = [(scheme, every) for (_, scheme), every in report.groups().items()]
    head, tail = _heading(report), _machines(report)
    body: list[str] = []
    for rows in _ROWS:
        body = [line for part in _parts(report, groups, rows) for line in part]
        page = "\n".join([*head, *body, *tail, ""])
        if len(page.encode()) <= most:
            return page
    return _cut_to(head, body, tail, most)


def _heading(report: Report) -> list[str]:
    outcomes = without_repeats(report.outcomes)
    session = report.session
    first = [counted(outcomes) or _nothing(report), excused_gates(outcomes)]
    lines = [f"## {_SIGNS[report.conclusion]}: {inline(', '.join(filter(None, first)))}", ""]
    gated = not any(outcome.fails and not outcome.excused for outcome in report.outcomes)
    if report.conclusion in (RED, INCOMPLETE) and gated:
        lines += [f"No gate failed, but this is not green: {inline(_why(report))}.", ""]
    elif session.incomplete or session.exit_status is None:
        lines += [f"Not all was tested: {inline(_why(report))}.", ""]
    return lines


def _nothing(report: Report) -> str:
    if report.session.incomplete or report.session.exit_status is None:
        return "nothing was measured"
    return "no test compared anything"


def _why(report: Report) -> str:
    session = report.session
    # The last line of a session, as of --quant-require, is its own reason.
    reasons = [line.removeprefix(_OURS) for line in report.lines if line.startswith(_OURS)]
    tests = [f"{count:,} {how}" for how, count in session.tests.items() if how in _FAILED]
    ending = f"{session.ending()} ({', '.join(tests)})" if tests else session.ending()
    return "; ".join(session.incomplete or reasons or [ending])


def _parts(
    report: Report, groups: Sequence[tuple[str, Sequence[OutcomeRow]]], rows: _Rows
) -> Iterator[Iterable[str]]:
    for scheme, every in groups:
        yield _group(scheme, every, rows)
    yield _section("Lost", report, _has_result(LOST))
    yield _section("Refused: nothing may be concluded", report, _has_result(REFUSED))
    yield _undecided(groups)
    yield _notes(report, groups)


def _has_result(result: str) -> Callable[[OutcomeRow], bool]:
    return lambda outcome: outcome.result == result


def _group(scheme: str, every: Sequence[OutcomeRow], rows: _Rows) -> Iterator[str]:
    outcomes = without_repeats(every)
    yield f"### {escaped(title(scheme, outcomes))}"
    yield ""
    for context in contexts(outcomes):
        yield f"{escaped(context_line(context))}  "
    yield ""
    for table in (columns(outcomes), accepted_columns(outcomes), speed_columns(outcomes)):
        yield from _table(table, rows)
    for line in (*required_lines(outcomes), *detectable_lines(outcomes)):
        yield f"- {escaped(line)}"
    yield ""


def _table(table: Columns, rows: _Rows) -> Iterator[str]:
    if not table.cells:
        return
    head = table.heads[0]
    # The verdict has no head in the terminal; a column without one looks like a mistake.
    names = [*head[:-1], "verdict"]
    yield _row([cell(name) for name in names])
    yield _row([":--" if name in _TEXT_COLUMNS else "--:" for name in head])
    others = 0
    for cells, outcome in zip(table.cells, table.outcomes, strict=True):
        if outcome.result not in rows.loud and not outcome.fails:
            others += 1
            if others > rows.others:
                continue
        word = cell(cells[-1])
        bold = outcome.fails and not outcome.excused
        yield _row([*map(cell, cells[:-1]), f"**{word}**" if bold else word])
    yield ""
    if others > rows.others:
        yield _LEFT.format(left=others - rows.others, loud=" or ".join(rows.loud))
        yield ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _section(head: str, report: Report, chosen: Callable[[OutcomeRow], bool]) -> Iterator[str]:
    outcomes = [outcome for outcome in report.outcomes if chosen(outcome)]
    if not outcomes:
        return
    yield f"### {head}"
    yield ""
    for outcome in dict.fromkeys(outcomes):
        yield from _message(outcome)
    yield ""


def _message(outcome: OutcomeRow) -> Iterator[str]:
    excused = " (excused by xfail)" if outcome.excused else ""
    yield f"- {escaped(outcome.headline)}{excused}"
    yield from (f"  - {escaped(line)}" for line in outcome.details)


def _undecided(groups: Sequence[tuple[str, Sequence[OutcomeRow]]]) -> Iterator[str]:
    outcomes = [outcome for _, every in groups for outcome in every if outcome.result == UNDECIDED]
    if not outcomes:
        return
    yield "### Undecided, and what would decide it"
    yield ""
    for outcome in dict.fromkeys(outcomes):
        yield f"- {escaped(outcome.headline)}"
        if outcome.advice:
            yield f"  - {escaped(outcome.advice)}"
    yield ""


def _notes(report: Report, groups: Sequence[tuple[str, Sequence[OutcomeRow]]]) -> Iterator[str]:
    lines = [line for _, every in groups for line in side_measurements(every)]
    others = [outcome for outcome in report.outcomes if outcome.result == NOT_APPLICABLE]
    lines += advice_lines(others)
    lines += (note for outcome in report.outcomes for note in outcome.notes)
    lines += report.lines
    shown = {
        line
        for outcome in report.outcomes
        if outcome.result in _IN_FULL
        for line in outcome.details
    }
    new = [line for line in dict.fromkeys(lines) if line not in shown]
    if not new:
        return
    yield "### Notes"
    yield ""
    yield from (f"- {escaped(line)}" for line in new)
    yield ""


def _machines(report: Report) -> list[str]:
    """The folded part at the end: what ran, where and how it was asked to."""
    session = report.session
    machines = {
        outcome.context.machine for outcome in report.outcomes if outcome.context is not None
    }
    gate = session.gate if session.gate == "point" else f"{session.gate}, {session.confidence:.6g}"
    facts = {
        "software": ", ".join(
            f"{name} {number}" for name, number in sorted(session.versions.items())
        ),
        "hardware": ", ".join(sorted(machines - {""})),
        "gate": gate if session.purpose == "gates" else "",
        "items": f"at most {session.limit:,} per task" if session.limit is not None else "",
        "commit": session.git_commit or "",
        "session": f"{session.started_at} to {session.ended_at or '?'}; {session.ending()}",
        "tests": ", ".join(f"{count:,} {how}" for how, count in session.tests.items()),
    }
    lines = [f"- {name}: {escaped(fact)}" for name, fact in facts.items() if fact]
    return [_FOLDED, "", *lines, "", "</details>"]


def _cut_to(head: Sequence[str], body: Sequence[str], tail: Sequence[str], most: int) -> str:
    """Head and tail whole, and as many lines of the body between them as fit."""
    cut = _CUT.format(left=len(body))
    room = most - len("\n".join([*head, "", cut, "", *tail, ""]).encode())
    kept: list[str] = []
    for line in body:
        room -= len(line.encode()) + 1
        if room < 0:
            break
        kept.append(line)
    cut = _CUT.format(left=len(body) - len(kept))
    return "\n".join([*head, *kept, "", cut, "", *tail, ""])
