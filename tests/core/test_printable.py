"""What files, models and engines say reaches people without acting on their terminal or CI."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.printable import (
    first_line,
    printable,
    printable_json,
    printable_lines,
    quoted_lines,
)
from pytest_quantreg.core.records.outcome_row import Context, OutcomeRow


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred", r"a\x1b[31mred"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\x9b31m\x85", r"a\x9b31m\x85"),
        ("over\rwritten\b\b", r"over\rwritten\x08\x08"),
        ("a\nb", r"a\nb"),
        ("a\u202eb\u2066c\u200bd\ufeff", r"a\u202eb\u2066c\u200bd\ufeff"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("\udcff", r"\udcff"),
        ("::error::x", r"\::error::x"),
        (" \u2003::set-output name=a::b", " \u2003\\::set-output name=a::b"),
        ("x ##vso[task.complete]", r"x #\#vso[task.complete]"),
        ("##[error]x", r"#\#[error]x"),
        ("##teamcity[testFailed]", r"#\#teamcity[testFailed]"),
        ("section_start:1:a\r\x1b[0K", r"section\_start:1:a\r\x1b[0K"),
    ],
)
def test_a_name_acted_on_the_terminal_or_the_ci(text: str, shown: str) -> None:
    """Each is visible and without effect, and cleaning it again changes nothing."""
    assert printable(text) == shown
    assert printable(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "tests/test_x.py::test_y[w8a8-int8-sum]",
        "naïve 模型 модель نموذج 🦙",
        "a\tb  c\u00a0d\u3000e",
        "C:\\models, 50 %, #12, ## head, a::b",
        "std::bad_alloc: section_start, [x]",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    """Test ids, names of every script, tabs, spaces and C++ names are as they were."""
    assert printable(text) == text


@given(st.text())
def test_nothing_acts_whatever_the_text(text: str) -> None:
    """One line of characters that are seen; as JSON the value is the same."""
    shown = printable(text)
    assert printable(shown) == shown
    assert all(char.isprintable() or char.isspace() for char in shown)
    assert len(shown.splitlines()) <= 1
    document = json.dumps([text], ensure_ascii=False)
    assert json.loads(printable_json(document)) == [text]


def test_json_printed_raw_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """A JSON page keeps its values, and prints nothing that acts."""
    value = {"a": "##vso[x]\u202e\x9b", "b": ["section_start:1:x", "::error::"]}
    text = printable_json(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(text) == value
    assert printable_lines(text) == text


def test_a_name_forged_a_line_of_a_refusal() -> None:
    """What stands in a sentence stays in its line, and so does each line of help."""
    error = Refusal(Category.ENGINE, "model a\n  record it: evil", help="x\ny")
    assert str(error) == "model a\\n  record it: evil\n  x\\ny"


def test_the_lines_of_an_engines_error_are_kept_apart() -> None:
    """Its first line stands in the sentence, the others below it, marked as quoted."""
    error = RuntimeError("CUDA error\n\n  record it: evil\nlast")
    assert first_line(error) == "CUDA error"
    assert quoted_lines(error) == ("|   record it: evil", "| last")
    assert first_line(RuntimeError()) == ""


def test_an_outcome_held_what_acts() -> None:
    """Every text of an outcome and its context is printable from the start."""
    context = Context("m\x1b", None, "bf16", "w8a8-int8", "e\n", "GPU\x07")
    outcome = OutcomeRow("lost", True, "w8a8-int8", "a\x1b", ("::error::b",), context, task="t\n")
    assert (outcome.headline, outcome.details, outcome.task) == (
        r"a\x1b",
        (r"\::error::b",),
        r"t\n",
    )
    assert (context.model, context.engine, context.machine) == (r"m\x1b", r"e\n", r"GPU\x07")
    assert OutcomeRow.from_plain(outcome.to_plain()) == outcome
