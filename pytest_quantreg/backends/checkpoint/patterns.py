"""Regular expressions that come with a checkpoint: which of them end in a bounded time.

Python's ``re`` has no time limit, and engines run the same patterns when they load a model.
So a pattern is parsed first, and one that may try exponentially many ways is refused.
"""

from __future__ import annotations

import importlib
import math
import re
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from ...core.codes import ModelCode
from ...core.facts import Problem

LONGEST = 2_000
"""Characters of a pattern. Real ones list some dozens of names at most."""

USUAL_NAME = 100
"""Letters of a module's name; few have more than 60."""

MOST_STEPS = 20_000_000
"""Of one pattern on one name, at worst: a second or two. Four times ``.*`` may, six may not."""

SECONDS = 5.0
"""For all patterns of a checkpoint on all of its names; everyday ones take milliseconds."""

_PREFIXES = ("re:", "+:", "-:")
"""How compressed-tensors and GPTQModel mark a pattern."""


class _Ways(NamedTuple):
    """How many ways a part can match from one place: ``fixed``, and ``open`` repetitions.

    Open repetitions share the length of a name among them.
    """

    open: int = 0
    fixed: int = 1

    def then(self, other: _Ways) -> _Ways:
        return _Ways(self.open + other.open, self.fixed * other.fixed)

    def steps(self, length: int) -> int:
        """The most that matching a name of so many letters may take."""
        return math.comb(length + self.open, self.open) * self.fixed


_SHOWN = 80
"""Characters of a pattern that an error shows."""


def slow_pattern_of(quant_config: Mapping[str, Any]) -> Problem | None:
    """Return what is wrong with a pattern of a quantization_config that may not end.

    All names and lists are looked at, since formats differ in which of them engines take for
    patterns (``ignore``, ``targets``, ``dynamic``, ``extra_config``, lists of modules).
    Raises what `slow_pattern` does.
    """
    for text in dict.fromkeys(_texts(quant_config)):
        marked = text.startswith(_PREFIXES)
        pattern = text.partition(":")[2] if marked else text
        if marked or re.search(r"[*+{]", pattern):
            problem = slow_pattern(pattern, certain=text.startswith("re:"))
            if problem is not None:
                return problem
    return None


def slow_pattern(pattern: str, *, certain: bool = True) -> Problem | None:
    """Return why a pattern is refused; None for one that ends, and for a glob or a name.

    Raises re.error and OverflowError where it is ``certain`` to be a pattern.
    """
    if len(pattern) > LONGEST:
        return Problem(
            ModelCode.PATTERN_TOO_LONG, {"start": pattern[: _SHOWN // 2], "length": len(pattern)}
        )
    try:
        ways = _ways(pattern)
    except (re.error, OverflowError):
        if certain:
            raise
        return None
    if ways is None or ways.steps(USUAL_NAME) > MOST_STEPS:
        return Problem(ModelCode.SLOW_PATTERN, {"pattern": pattern[:_SHOWN]})
    return None


def slow_on_names(patterns: Sequence[str], names: Sequence[str]) -> Problem | None:
    """Return why patterns take too long on the names of a model; None where they do not."""
    longest = max(map(len, names), default=0)
    for pattern in patterns:
        ways = _ways(pattern)
        if ways is None or ways.steps(longest) > MOST_STEPS:
            return Problem(ModelCode.SLOW_ON_LONGEST_NAME, {"pattern": pattern[:_SHOWN]})
    deadline = time.monotonic() + SECONDS
    for pattern in patterns:
        for name in names:
            re.match(pattern, name)
            if time.monotonic() > deadline:
                return Problem(
                    ModelCode.SLOW_ON_ALL_NAMES,
                    {"seconds": SECONDS, "names": len(names), "pattern": pattern[:_SHOWN]},
                )
    return None


def _texts(value: Any, *, listed: bool = False) -> Iterator[str]:
    """Names of entries, and entries of lists; other texts are descriptions, unless marked."""
    # JSON that was read is nested no deeper than its parser allows.
    if isinstance(value, str):
        if listed or value.startswith(_PREFIXES):
            yield value
    elif isinstance(value, Mapping):
        yield from chain(map(str, value), chain.from_iterable(map(_texts, value.values())))
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _texts(entry, listed=True)


def _ways(pattern: str) -> _Ways | None:
    # The parser that re itself uses: what it reads is what will run.
    parser = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            items = list(parser.parse(pattern))
        if items and str(items[-1][0]) in _REPEATS and _single(items[-1][1][2]):
            # What ends a pattern fits as it comes: nothing follows that could fail.
            items.pop()
        return _sequence(items, None)
    except RecursionError:
        return None


def _sequence(items: Any, after: int | None) -> _Ways | None:
    """None for a part that may try exponentially many ways, or that is not known here.

    ``after`` is the letter that must follow it, where that is certain.
    """
    whole = _Ways()
    items = list(items)
    for at, (op, args) in enumerate(items):
        follows = _first(items[at + 1]) if at + 1 < len(items) else after
        ways = _part(str(op), args, follows)
        if ways is None:
            return None
        whole = whole.then(ways)
    return whole


def _part(op: str, args: Any, after: int | None) -> _Ways | None:
    if op in _PLAIN:
        return _Ways()
    if op in _REPEATS:
        return _repeat(args, after)
    if op == "BRANCH":
        return _branch(args[1], after)
    if op in _GROUPS:
        return _sequence(args if op == "ATOMIC_GROUP" else args[-1], after)
    return None


_PLAIN = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT"})
_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})
_GROUPS = frozenset({"SUBPATTERN", "ATOMIC_GROUP", "ASSERT", "ASSERT_NOT"})
_FEW = 8
"""Repetitions more or less that are counted; more of them are as good as any number."""


def _repeat(args: Any, after: int | None) -> _Ways | None:
    least, most, inner = int(args[0]), int(args[1]), list(args[2])
    ways = _sequence(inner, None)
    if ways is None:
        return None
    if most <= 1:
        return ways if least == most else _Ways(ways.open, ways.fixed + 1)
    # Repeating what can match in several ways, or nothing, multiplies them each time.
    if ways != _Ways() or int(args[2].getwidth()[0]) == 0:
        return None
    if least == most or (_single(inner) and after is not None and not _takes(inner[0], after)):
        return ways  # it ends at one place alone
    return _Ways(0, most - least + 1) if most - least < _FEW else _Ways(1)


def _branch(parts: Any, after: int | None) -> _Ways | None:
    branch_ways = [ways for part in parts if (ways := _sequence(part, after)) is not None]
    if len(branch_ways) < len(parts):
        return None
    firsts = [_first(next(iter(part))) if len(part) else None for part in parts]
    # Where each begins with a letter of its own, one of them at most goes on.
    letters = [chr(letter).lower() for letter in firsts if letter is not None]
    apart = len(letters) == len(set(letters)) == len(parts)
    fixed = (
        max(ways.fixed for ways in branch_ways)
        if apart
        else sum(ways.fixed for ways in branch_ways)
    )
    return _Ways(max(ways.open for ways in branch_ways), fixed)


def _single(items: Any) -> bool:
    """Return whether a part is one letter, of a kind or any."""
    return len(items) == 1 and str(items[0][0]) in ("LITERAL", "NOT_LITERAL", "ANY", "IN")


def _first(item: Any) -> int | None:
    """The letter that a part must begin with; None where that is not certain."""
    op, args = str(item[0]), item[1]
    if op == "SUBPATTERN" and len(args[-1]):
        return _first(args[-1][0])
    return int(args) if op == "LITERAL" else None


def _takes(item: Any, letter: int) -> bool:
    """Return whether a part of one letter may be this one, in either case."""
    forms = {chr(letter), chr(letter).lower(), chr(letter).upper()}
    return any(_among(item, form) for form in forms)


def _among(item: Any, letter: str) -> bool:
    op, args = str(item[0]), item[1]
    if op in ("LITERAL", "NOT_LITERAL"):
        return (int(args) == ord(letter)) is (op == "LITERAL")
    if op == "RANGE":
        return int(args[0]) <= ord(letter) <= int(args[1])
    if op == "CATEGORY":
        return re.match(_CATEGORIES.get(str(args), "."), letter) is not None
    if op == "IN":
        negated = str(args[0][0]) == "NEGATE"
        return negated != any(_among(part, letter) for part in args[negated:])
    return True


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_NOT_WORD": r"\W",
}
