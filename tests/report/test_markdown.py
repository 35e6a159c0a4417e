"""Markdown: the verdict first, nothing of a text mistaken for markup, and never too long."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pytest_quantreg.core.records.outcome_row import OutcomeRow
from pytest_quantreg.report.markdown import COMMENT_LIMIT, markdown
from pytest_quantreg.report.markdown_text import cell, escaped

from .report_samples import (
    CONTEXT,
    EVERY,
    FASTER,
    IS_RECORDED,
    IS_REFUSED,
    KEEPS,
    LOSES,
    ONLY_MEASURED,
    WAVERS,
    report,
)

READER = MarkdownIt("gfm-like", {"linkify": False})


def texts(page: str) -> list[str]:
    """What a reader sees of the page, block by block."""
    return [
        "".join(child.content for child in token.children or () if child.type == "text")
        for token in READER.parse(page)
        if token.type == "inline"
    ]


def kinds(page: str) -> set[str]:
    """Every kind of markup in the page."""
    tokens = READER.parse(page)
    inner = [child for token in tokens for child in token.children or ()]
    return {token.type for token in (*tokens, *inner)}


@pytest.mark.parametrize(
    ("outcomes", "changes", "first"),
    [
        ((KEEPS,), {}, "GREEN: 1 kept"),
        ((KEEPS, LOSES), {}, "RED: 1 kept, 1 lost"),
        ((KEEPS, IS_REFUSED), {}, "RED: 1 kept, 1 refused"),
        ((KEEPS, WAVERS), {}, "GREEN: 1 kept, 1 undecided"),
        ((KEEPS, replace(LOSES, excused=True)), {}, "GREEN: 1 kept, 1 lost"),
        ((KEEPS,), {"exit_status": 1}, "RED: 1 kept"),
        ((KEEPS,), {"exit_status": 3}, "RED: 1 kept"),
        ((KEEPS,), {"exit_status": 2, "incomplete": ("interrupted",)}, "INCOMPLETE: 1 kept"),
        ((LOSES,), {"exit_status": 2, "incomplete": ("interrupted",)}, "RED: 1 lost"),
        ((), {"exit_status": None, "ended_at": None}, "INCOMPLETE: nothing was measured"),
        ((), {"exit_status": 2, "incomplete": ("x",)}, "INCOMPLETE: nothing was measured"),
        ((), {"exit_status": 5}, "NOTHING JUDGED: no test compared anything"),
        ((ONLY_MEASURED,), {}, "NOTHING JUDGED: 1 not judged"),
        ((IS_RECORDED,), {"purpose": "records"}, "RECORDED: 1 recorded"),
    ],
)
def test_the_verdict_comes_first(
    outcomes: tuple[OutcomeRow, ...], changes: dict[str, Any], first: str
) -> None:
    """The first line has the word and the counts; green is only what is known to be."""
    line = markdown(report(*outcomes, **changes)).splitlines()[0]
    assert line.startswith("## ")
    assert f" {first}" in line


def test_what_is_not_green_without_a_lost_gate_says_why() -> None:
    """Other tests that failed and an interruption are named below the first line."""
    page = markdown(report(KEEPS, exit_status=1, tests={"passed": 1, "failed": 2}))
    assert "No gate failed, but this is not green: failed (2 failed)." in page
    page = markdown(report(KEEPS, exit_status=1, lines=("quantreg: --quant-require: no gate",)))
    assert "No gate failed, but this is not green: --quant-require: no gate." in page
    stopped = ("stopped early: stopping after 1 failures",)
    page = markdown(report(KEEPS, LOSES, incomplete=stopped))
    assert "Not all was tested: stopped early: stopping after 1 failures." in page


def test_the_order_of_the_page() -> None:
    """Verdict, table, lost, refused, undecided with what would decide it, notes, machines."""
    page = markdown(report(*EVERY, lines=("loaded: tiny once",)))
    heads = [line for line in page.splitlines() if line.startswith(("#", "| task", "<details>"))]
    assert [re.sub(r"^#+ ", "", head) for head in heads[1:]] == [
        "w8a8-int8 against bf16, detect, 95 %",
        "| task | metric | base | quant | retention | interval | n | lost | won | verdict |",
        "Lost",
        "Refused: nothing may be concluded",
        "Undecided, and what would decide it",
        "Notes",
        "<details><summary>Software and hardware</summary>",
    ]
    seen = texts(page)
    assert "about 3,100 items decide 0.98 if the model is lossless; the task has 1,319" in seen
    assert "record it: pytest test_gate.py --quant-update" in seen
    assert "speed-up: not applicable here: min_speedup is for A40" in seen
    assert "baseline: 1,000 tok/s" in seen
    assert "loaded: tiny once" in seen
    assert "hardware: NVIDIA H100 80GB HBM3" in seen


def test_tables_have_the_figures_of_the_terminal() -> None:
    """One row per gate, the failing ones bold, figures rounded as in the summary."""
    page = markdown(report(KEEPS, LOSES, FASTER))
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert rows[1] == "| :-- | :-- | --: | --: | --: | --: | --: | --: | --: | :-- |"
    assert rows[2] == (
        "| recall | acc\\_norm | 0.832 | 0.831 | 0.998 | 0.993-1.006 | 1,500 | 12 | 11 | kept |"
    )
    assert rows[3].endswith("| 1,500 | 474 | 11 | **LOST** |")
    assert rows[4] == "| workload | measured | base | quant |  | interval | required | verdict |"
    assert rows[6] == (
        "| batch 16 | speed-up | 1,000 | 1,930 | tok/s | 1.9-1.96x | \\&gt;= 1.8x | kept |"
    ).replace("\\&gt;", "&gt;")
    tables = [token for token in READER.parse(page) if token.type == "table_open"]
    assert len(tables) == 2


HOSTILE = "a|b `c` <img src=x onerror=1> **d** _e_ [f](http://g) ![h](i) @team #12 &amp; ~~j~~ $k$"


def test_hostile_names_are_shown_as_they_are() -> None:
    """Names and messages with markup of every kind come out as the text that they are."""
    bad = replace(
        LOSES,
        task=HOSTILE,
        metric=HOSTILE,
        headline=HOSTILE,
        details=(HOSTILE, "```", "# h", "- l", "1. n", "<!--", "</details>"),
        context=replace(CONTEXT, model=HOSTILE),
        advice=HOSTILE,
    )
    page = markdown(report(bad, replace(bad, result="undecided", fails=False)))
    seen = texts(page)
    assert HOSTILE in seen
    assert {"```", "# h", "- l", "1. n", "<!--", "</details>"} <= set(seen)
    assert not kinds(page) & {"code_inline", "image", "link_open", "em_open", "s_open", "fence"}
    # Besides what breaks mentions, the only tags are those that fold the last part.
    tags = set(re.findall(r"<(?!!-- -->)[^>]*>", page))
    assert tags == {"<details>", "<summary>", "</summary>", "</details>"}
    assert "@team" not in page
    assert "#12" not in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {11}


@given(st.text(max_size=60))
def test_any_text_is_one_line_of_text(text: str) -> None:
    """Whatever a text holds, it is read as text alone, and as all of its visible words."""
    shown = escaped(text)
    assert "\n" not in shown
    assert kinds(f"- x {shown}") <= {
        *("bullet_list_open", "list_item_open", "paragraph_open", "inline", "text"),
        *("bullet_list_close", "list_item_close", "paragraph_close", "html_inline"),
        *("text_special",),
    }
    assert "<" not in shown.replace("<!-- -->", "")
    row = READER.parse(f"| a | b |\n| - | - |\n| {cell(text)} | end |")
    assert [token.content for token in row if token.type == "inline"][-1] == "end"


def test_turned_around_and_hidden_characters_are_made_visible() -> None:
    """Text that would be read backwards, or not at all, shows the names of its characters."""
    assert escaped("a\N{RIGHT-TO-LEFT OVERRIDE}b\x1b[31m\N{ZERO WIDTH SPACE}c") == (
        r"a\\u202eb\\x1b\[31m\\u200bc"
    )


@pytest.mark.parametrize("most", [COMMENT_LIMIT, 5_000])
@pytest.mark.parametrize("outcome", [LOSES, IS_REFUSED, WAVERS])
def test_what_is_too_long_is_cut_and_says_so(outcome: OutcomeRow, most: int) -> None:
    """A thousand outcomes fit, with the verdict and the machines whole, and a line of the cut."""
    many = [replace(outcome, task=f"t{i}", headline=f"{'é' * 300} {i}") for i in range(1_000)]
    page = markdown(report(KEEPS, *many), most)
    assert most - 2_500 < len(page.encode()) <= most
    assert page.splitlines()[0] == markdown(report(KEEPS, *many), 10**9).splitlines()[0]
    assert re.search(r"\*Cut here to fit: [\d,]+ more lines\.", page)
    assert page.endswith("</details>\n")
    assert page.count("<details>") == page.count("</details>") == 1


@pytest.mark.parametrize("many", [KEEPS, WAVERS])
def test_what_failed_is_never_left_out_for_what_did_not(many: OutcomeRow) -> None:
    """Of very many rows the kept ones go first, then the undecided; lost and refused ones stay."""
    rows = [replace(many, task=f"t{i}", headline=f"{many.result} {i}") for i in range(2_000)]
    page = markdown(report(*rows, LOSES, IS_REFUSED))
    assert len(page.encode()) <= COMMENT_LIMIT
    assert "| **LOST** |" in page
    assert "| **REFUSED** |" in page
    assert LOSES.headline in page
    assert "no baseline of pick" in page
    [left] = re.findall(r"Left out to fit: ([\d,]+) rows, none of them lost or refused", page)
    assert page.count(f"| {many.result} |") == 2_000 - int(left.replace(",", ""))


def test_the_count_of_the_cut_is_true() -> None:
    """As many lines are said to be left out as the whole page has more."""
    made = report(*(replace(LOSES, task=f"t{i}") for i in range(500)))
    whole, cut = markdown(made, 10**9), markdown(made, 20_000)
    [left] = re.findall(r"fit: ([\d,]+) more", cut)
    # The line of the cut and the empty ones around it are more.
    assert int(left.replace(",", "")) == whole.count("\n") - cut.count("\n") + 3


def test_long_words_are_clipped() -> None:
    """One message of a megabyte leaves room for the others."""
    long = "x" * 10**6
    bad = replace(LOSES, headline=long, task=long, context=replace(CONTEXT, model=long))
    page = markdown(report(bad, IS_REFUSED, incomplete=(long,), exit_status=2))
    assert len(page) < 20_000
    assert "no baseline of pick" in page
