"""Makes the words of a problem: a headline and the lines below it, in the voice of an audience."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ...core.codes import Code
from ...core.errors import QuantregError
from ...core.facts import (
    Fact,
    InstallExtra,
    Problem,
    Quoted,
    RecordBaseline,
    Scheme,
    SetOption,
    Words,
)
from ...core.printable import printable
from .tables import ALL_WORDS
from .template import Table


def record_command(remedy: RecordBaseline) -> str:
    """The command for whoever is not in the middle of a test."""
    return "pytest --quant-update=all" if remedy.again else "pytest --quant-update"


@dataclass(frozen=True)
class Voice:
    """How an audience is addressed.

    ``record`` is the command that records a baseline there, ``words`` are templates that the
    audience has in place of those for all.
    """

    record: Callable[[RecordBaseline], str] = record_command
    words: Table = field(default_factory=lambda: MappingProxyType({}))


PLAIN = Voice()
"""For whoever is in no test and at no command line."""


def words_of(problem: Problem, voice: Voice = PLAIN) -> Words:
    """What ``problem`` says to that audience, each line `printable`."""
    what, *lines = templates_of(problem.code, problem.facts, voice)
    formatter = _Formatter(voice)
    help = [line for template in lines for line in formatter.lines(template, problem.facts)]
    return Words(printable(formatter.vformat(what, (), problem.facts)), tuple(map(printable, help)))


def worded(error: QuantregError, voice: Voice = PLAIN) -> QuantregError:
    """The same error with its words, for whoever shows it by `str`."""
    error.words = words_of(error.problem, voice)
    return error


class _Formatter(string.Formatter):
    """Templates as of `str.format`, for facts.

    Of a tuple each element is formatted, and they are joined by commas, or with ``:;`` by
    semicolons. Further formats are ``:s`` of a whole number (a plural's s), ``:and`` and
    ``:or`` of a tuple, ``:each``, which makes a line of each element, ``:help``, which is the
    lines below a nested problem, and ``:name`` of a scheme, which leaves out what it is like.
    """

    def __init__(self, voice: Voice) -> None:
        self._voice = voice

    def lines(self, template: str, facts: Mapping[str, Fact]) -> list[str]:
        """A line of help: none where a fact that it names is None or empty."""
        fields = [(name, spec) for _, name, spec, _ in self.parse(template) if name]
        if any(facts[name] in (None, "", ()) for name, _ in fields):
            return []
        for name, spec in fields:
            if spec in ("each", "help"):
                parts = self._parts(facts[name], spec)
                return [self.vformat(template, (), {**facts, name: part}) for part in parts]
        return [self.vformat(template, (), facts)]

    def _parts(self, value: Fact, spec: str) -> Sequence[Fact]:
        if spec == "help" and isinstance(value, Problem):
            return [Quoted(line) for line in words_of(value, self._voice).help]
        return value if isinstance(value, tuple) else (value,)

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        """Converts each element of a tuple."""
        if conversion and isinstance(value, tuple):
            return tuple(self.convert_field(element, conversion) for element in value)
        if conversion and isinstance(value, Quoted):
            return super().convert_field(value.text, conversion)
        return super().convert_field(value, conversion) if conversion else value

    def format_field(self, value: Any, format_spec: str) -> str:
        """The text of one fact."""
        if isinstance(value, tuple):
            texts = [self._text(element, "") for element in value]
            if format_spec in ("and", "or"):
                return listed(texts, format_spec)
            if format_spec == ";":
                return "; ".join(texts)
            return ", ".join(self._text(element, format_spec) for element in value)
        return self._text(value, format_spec)

    def _text(self, value: Fact, spec: str) -> str:
        if isinstance(value, Quoted):
            return value.text
        if isinstance(value, Problem):
            return words_of(value, self._voice).what
        if isinstance(value, RecordBaseline):
            return self._voice.record(value)
        if isinstance(value, SetOption):
            return f"{value.name}={value.value}"
        if isinstance(value, Scheme):
            like = f" (like {value.like})" if value.like and spec != "name" else ""
            return f"{value.name}{like}"
        if isinstance(value, InstallExtra):
            return f'pip install "pytest-quantreg[{value.extra}]"'
        if spec == "s" and isinstance(value, int):
            return "" if value == 1 else "s"
        if spec in ("each", "help", "and", "or"):
            return str(value)
        return format(value, spec)


def listed(texts: Sequence[str], word: str) -> str:
    """``a, b and c``."""
    *first, last = texts
    return f"{', '.join(first)} {word} {last}" if first else last


def templates_of(code: Code, facts: Mapping[str, Fact], voice: Voice) -> tuple[str, ...]:
    """The templates of a headline and the lines below it."""
    templates = voice.words.get(code, ALL_WORDS[code])
    chosen = templates(facts) if callable(templates) else templates
    return (chosen,) if isinstance(chosen, str) else chosen
