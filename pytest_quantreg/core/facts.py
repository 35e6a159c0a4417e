"""What an error states: a code with figures, identifiers, texts of others and ways out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias, Union

from .codes import Code, SharedCode
from .printable import printable


@dataclass(frozen=True)
class Quoted:
    """Text of somebody else: an engine's error, a line of a file. Only who heard it searches it."""

    text: str


@dataclass(frozen=True)
class Scheme:
    """A quantization scheme; ``like`` is the built-in one that a project's own stands for."""

    name: str
    like: str | None = None


@dataclass(frozen=True)
class RecordBaseline:
    """Record the baseline; with ``again`` in place of what is stored."""

    again: bool = False


@dataclass(frozen=True)
class SetOption:
    """Give an option (or ini key, or argument) this value."""

    name: str
    value: str | int | float


@dataclass(frozen=True)
class InstallExtra:
    """Install an extra of this package."""

    extra: str


Remedy: TypeAlias = RecordBaseline | SetOption | InstallExtra

Fact: TypeAlias = Union[
    str, int, float, Quoted, Scheme, Remedy, "Problem", "tuple[Fact, ...]", None
]
"""A figure, an identifier (a name, a path, a value that was typed), or one of the above."""


@dataclass(frozen=True)
class Problem:
    """What went wrong, without a sentence: `report.words` has those."""

    code: Code
    facts: Mapping[str, Fact]

    def __hash__(self) -> int:
        return hash((self.code, frozenset(self.facts.items())))

    def __str__(self) -> str:
        if self.code is SharedCode.STATED:
            return _text_of(self.facts)
        given = ", ".join(f"{name}={value!r}" for name, value in self.facts.items())
        return f"{self.code.slug} ({given})" if given else self.code.slug


Note: TypeAlias = str | Problem
"""What is told beside a verdict."""


@dataclass(frozen=True)
class Words:
    """What is read of a problem; `str` is both, the help indented."""

    what: str
    help: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([self.what, *(f"  {line}" for line in self.help)])


def noted(task: str, problem: Problem) -> Problem:
    """The problem as a note on a task."""
    return Problem(SharedCode.NOTED, {"task": task, "cause": problem})


def with_alias(problem: Problem, alias: Scheme) -> Problem:
    """Return the problem with ``alias`` wherever it names the scheme that this one is like."""
    return replace(
        problem, facts={name: _aliased(value, alias) for name, value in problem.facts.items()}
    )


def _aliased(value: Fact, alias: Scheme) -> Fact:
    if isinstance(value, Problem):
        return with_alias(value, alias)
    if isinstance(value, tuple):
        return tuple(_aliased(element, alias) for element in value)
    return alias if value == Scheme(alias.like or "") else value


def stated(what: str, *, help: str | tuple[str, ...] = ()) -> Problem:
    """The problem of an error whose raiser, code that is not ours, brings its words along."""
    lines = (help,) if isinstance(help, str) else help
    facts: dict[str, Fact] = {"text": Quoted(what), "help": tuple(map(Quoted, lines))}
    return Problem(SharedCode.STATED, facts)


def _text_of(facts: Mapping[str, Fact]) -> str:
    text, help = facts["text"], facts["help"]
    lines = [text, *help] if isinstance(help, tuple) else [text]
    shown = [printable(line.text) for line in lines if isinstance(line, Quoted)]
    return "\n  ".join(shown)
