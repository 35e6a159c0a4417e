"""Every error is a value: its code has words, and nothing is said where it is raised."""

from __future__ import annotations

import ast
import dataclasses
import string
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import pytest_quantreg
from pytest_quantreg.core import facts
from pytest_quantreg.core.codes import Category, Code, SharedCode
from pytest_quantreg.core.errors import MissingExtra, Refusal
from pytest_quantreg.core.facts import Problem, Quoted, RecordBaseline, Scheme
from pytest_quantreg.report.words import COMMAND_LINE, Voice, words_of
from pytest_quantreg.report.words.tables import ALL_WORDS

ROOT = Path(pytest_quantreg.__file__).parent
CODES = {code for subject in Code.__subclasses__() for code in subject}
RAISERS = frozenset({"Refusal", "WrongUse", "Problem", "CorruptFile", "Smaller", "Changed"})

# Rooms whose errors are values; the others follow.
VALUES: tuple[str, ...] = (
    "backends/",
    "baselines/",
    "cli/",
    "core/hardware/",
    "core/comparison/",
    "core/gates/",
    "core/records/",
    "core/schemes/",
    "core/stats/",
    "gating/",
    "imports/",
    "measure/",
    "report/",
    "testing/",
    "config/",
    "core/checks.py",
    "plugin/",
)


def raised(source: str) -> Iterator[ast.Call]:
    """The places where an error or a problem is made."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in RAISERS:
            yield node


def code_of(call: ast.Call) -> Code | None:
    """The code that a place names."""
    if not call.args:
        return None
    subject, _, member = ast.unparse(call.args[0]).partition(".")
    subjects = {kind.__name__: kind for kind in Code.__subclasses__()}
    return subjects[subject][member] if subject in subjects and member else None


PLACES = [
    (path.relative_to(ROOT).as_posix(), call)
    for path in sorted(ROOT.rglob("*.py"))
    for call in raised(path.read_text("utf-8"))
]


def fields(templates: object) -> set[str] | None:
    """The facts that templates name; None where they are chosen by facts."""
    if callable(templates):
        return None
    lines = (templates,) if isinstance(templates, str) else templates
    assert isinstance(lines, tuple)
    return {
        name.partition(".")[0]
        for line in lines
        for _, name, _, _ in string.Formatter().parse(line)
        if name
    }


def test_facts_are_no_prose() -> None:
    """What an error may state is figures, names, texts of others, remedies and other problems."""
    kinds = {kind for kind in get_args(facts.Fact) if isinstance(kind, type)}
    assert kinds >= {str, int, float, Quoted, Scheme, RecordBaseline, facts.SetOption}
    for kind in (RecordBaseline, facts.SetOption, facts.InstallExtra, Scheme):
        hints = get_type_hints(kind)
        assert {hints[field.name] for field in dataclasses.fields(kind)} <= {
            bool,
            str,
            str | None,
            str | int | float,
        }
    assert get_type_hints(Problem)["code"] is Code


def test_slugs_differ() -> None:
    """No two codes of any subject share the name that files hold."""
    slugs = [code.slug for code in CODES]
    assert sorted(slugs) == sorted(set(slugs))


def test_each_code_has_words() -> None:
    """No code is without words, and no words are without their code."""
    assert set(ALL_WORDS) == CODES


def test_each_code_is_used() -> None:
    """No code stands in its enumeration alone."""
    text = "\n".join(
        path.read_text("utf-8") for path in ROOT.rglob("*.py") if "words" not in path.parts
    )
    unused = [code for code in CODES if f"{type(code).__name__}.{code.name}" not in text]
    assert unused == []


def test_words_find_their_facts() -> None:
    """Wherever a code is raised, it comes with the facts that its words name."""
    wrong = []
    for path, call in PLACES:
        code = code_of(call)
        given = {keyword.arg or "**" for keyword in call.keywords}
        if code is None or "**" in given or ast.unparse(call.func) == "Problem":
            continue
        named = fields(ALL_WORDS[code])
        if named is not None and named != given:
            wrong.append(f"{path}:{call.lineno} {code}: {sorted(named ^ given)}")
    assert wrong == []


@pytest.mark.parametrize("room", VALUES)
def test_nothing_is_said_where_it_is_raised(room: str) -> None:
    """A place that raises gives a code with figures and identifiers, and no sentence."""
    said = [
        f"{path}:{call.lineno}"
        for path, call in PLACES
        if path.startswith(room) and (code_of(call) is None or any(map(is_prose, call.keywords)))
    ]
    assert said == []


def is_prose(keyword: ast.keyword) -> bool:
    """Whether a fact is words of ours: a text with a space in it."""
    return any(
        isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
        for node in ast.walk(keyword.value)
    )


def test_a_third_party_brings_its_words() -> None:
    """A category and texts are shown as given, made printable."""
    error = Refusal(Category.ENGINE, "no {room}\x1b", help=("try again", "or not"))
    assert error.category is Category.ENGINE
    assert str(words_of(error.problem)) == "no {room}\\x1b\n  try again\n  or not" == str(error)


def test_a_voice_names_its_own_command() -> None:
    """The way to record a baseline is the command of whoever is addressed."""
    problem = Problem(
        SharedCode.STATED, {"text": Quoted("x"), "help": (RecordBaseline(), RecordBaseline(True))}
    )
    assert words_of(problem).help == ("pytest --quant-update", "pytest --quant-update=all")
    voice = Voice(lambda remedy: f"mine {remedy.again}")
    assert words_of(problem, voice).help == ("mine False", "mine True")


def test_a_voice_has_templates_of_its_own() -> None:
    """What the command line is told names its options, from the same facts as for all."""
    problem = Problem(SharedCode.GATE_THE_METRIC, {"metric": "acc"})
    assert words_of(problem).what.endswith("min_retention(R, metric='acc')")
    assert words_of(problem, COMMAND_LINE).what.startswith("look at it with --metric acc")
    for code, templates in COMMAND_LINE.words.items():
        assert (fields(templates) or set()) <= (fields(ALL_WORDS[code]) or set()), code


def test_an_extra_says_how_to_install_it() -> None:
    """What a missing package needs is a command to type."""
    words = words_of(MissingExtra("vllm", needed_by="the backend", package="vllm").problem)
    assert words.help == ('install it with: pip install "pytest-quantreg[vllm]"',)


def test_a_scheme_is_named_as_the_project_does() -> None:
    """A project's own scheme is shown with the one that it stands for."""
    problem = Problem(
        SharedCode.STATED, {"text": Quoted("x"), "help": (Scheme("ours", "w8a8-fp8"),)}
    )
    assert words_of(problem).help == ("ours (like w8a8-fp8)",)
