"""JSON of problems, for other processes and files: codes by their slugs, each fact by its kind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

from .codes import Code
from .facts import Fact, InstallExtra, Problem, Quoted, RecordBaseline, Scheme, SetOption
from .records.run import Json

JsonObject: TypeAlias = "dict[str, Json]"

_CODES: Mapping[str, Code] = {
    code.slug: code for subject in Code.__subclasses__() for code in subject
}
_NUMBERS = ("nan", "inf", "-inf")
"""Floats that JSON has no word for."""


def to_plain(problem: Problem) -> JsonObject:
    """Return ``problem`` as ``{"code": slug, "facts": {...}}``, in values that JSON takes."""
    facts: JsonObject = {name: _plain_fact(fact) for name, fact in problem.facts.items()}
    return {"code": problem.code.slug, "facts": facts}


def problem_from(plain: Json) -> Problem:
    """Return the problem that `to_plain` made plain. Raises ValueError for anything else."""
    raw = _fields(plain, "code", "facts")
    code, facts = raw["code"], raw["facts"]
    if not isinstance(code, str) or code not in _CODES or not isinstance(facts, dict):
        raise ValueError(f"{plain!r} is not a problem")
    return Problem(_CODES[code], {name: _fact_from(fact) for name, fact in facts.items()})


def _plain_fact(fact: Fact) -> Json:
    if isinstance(fact, tuple):
        return [_plain_fact(element) for element in fact]
    if isinstance(fact, Problem):
        return to_plain(fact)
    if isinstance(fact, Quoted):
        return {"quoted": fact.text}
    if isinstance(fact, Scheme):
        return {"scheme": fact.name, "like": fact.like}
    if isinstance(fact, RecordBaseline):
        return {"record_again": fact.again}
    if isinstance(fact, SetOption):
        return {"option": fact.name, "value": _plain_fact(fact.value)}
    if isinstance(fact, InstallExtra):
        return {"extra": fact.extra}
    if isinstance(fact, float) and not math.isfinite(fact):
        return {"number": str(fact)}
    return fact


def _fact_from(plain: Json) -> Fact:
    if isinstance(plain, list):
        return tuple(map(_fact_from, plain))
    if not isinstance(plain, dict):
        return plain
    if "code" in plain:
        return problem_from(plain)
    if "scheme" in plain:
        raw = _fields(plain, "scheme", "like")
        like = raw["like"]
        return Scheme(_text(raw["scheme"]), None if like is None else _text(like))
    if "record_again" in plain:
        again = _fields(plain, "record_again")["record_again"]
        if isinstance(again, bool):
            return RecordBaseline(again)
    if "option" in plain:
        raw = _fields(plain, "option", "value")
        value = _fact_from(raw["value"])
        if isinstance(value, (str, int, float)):
            return SetOption(_text(raw["option"]), value)
    return _text_fact(plain)


def _text_fact(plain: JsonObject) -> Fact:
    """A fact that is a single text."""
    ((kind, value),) = plain.items() if len(plain) == 1 else (("", None),)
    text = _text(value)
    if kind == "quoted":
        return Quoted(text)
    if kind == "extra":
        return InstallExtra(text)
    if kind == "number" and text in _NUMBERS:
        return float(text)
    raise ValueError(f"{plain!r} is not a fact")


def _fields(plain: Json, *names: str) -> JsonObject:
    if not isinstance(plain, dict) or set(plain) != set(names):
        raise ValueError(f"{plain!r} is not an object of {' and '.join(names)}")
    return plain


def _text(plain: Json) -> str:
    if not isinstance(plain, str):
        raise ValueError(f"{plain!r} is not a text")
    return plain
