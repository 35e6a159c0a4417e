"""What passes between a worker process and its client: one line of JSON each way."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from ...core.errors import Category, MissingExtra, QuantregError, Refusal, WrongUse
from ...core.fact_codec import problem_from, to_plain
from ...core.facts import Problem, Quoted
from ...core.records.speed import Load, Request

Value = TypeVar("Value")

OUT_OF_MEMORY = "out_of_memory"
FAILED = "failed"
_TRACE = 8
"""Lines of a foreign error's traceback that travel with it."""


def flat(value: Any) -> dict[str, Any]:
    """A dataclass of plain values as JSON takes it."""
    return asdict(value)


def unflat(kind: type[Value], raw: Mapping[str, Any]) -> Value:
    """The other way round; keys that the class lacks are an error, as a typo would be."""
    field_names = {entry.name for entry in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(raw) - field_names):
        raise ValueError(f"{kind.__name__} has no {', '.join(unknown)}")
    return kind(**raw)


def load_from(raw: Mapping[str, Any]) -> Load:
    """A Load, its lists made tuples again."""
    arrivals = raw["arrivals"]
    return Load(
        tuple(tuple(prompt) for prompt in raw["prompts"]),
        raw["output_tokens"],
        raw["in_flight"],
        None if arrivals is None else tuple(arrivals),
    )


def rows(requests: tuple[Request, ...]) -> list[list[float]]:
    """Requests without repeating the names of their fields."""
    return [
        [request.arrived, request.first_token, request.ended, request.output_tokens]
        for request in requests
    ]


def requests_from(raw: list[list[float]]) -> tuple[Request, ...]:
    """Return the requests that `rows` flattened."""
    return tuple(Request(first, token, end, int(count)) for first, token, end, count in raw)


def describe_error(error: BaseException, kind: str | None = None) -> dict[str, Any]:
    """An error as JSON; ``kind`` overrides what its class says.

    Errors of ours travel as ``problem``, those of an engine as ``text``.
    """
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    details = {"type": type(error).__name__, "trace": "".join(lines).splitlines()[-_TRACE:]}
    if not isinstance(error, QuantregError):
        return {"kind": kind or FAILED, "text": _first_line(error), **details}
    category = error.category.value if isinstance(error, Refusal) else None
    problem = to_plain(error.problem)
    return {"kind": kind or _kind(error), "category": category, "problem": problem, **details}


def error_from(raw: Mapping[str, Any]) -> QuantregError:
    """The error that `describe_error` wrote down, for kinds other than out_of_memory and failed."""
    kind = _KINDS[raw["kind"]]
    # As when it is unpickled: __init__ would want what the problem holds already.
    error = kind.__new__(kind)
    QuantregError.__init__(error, problem_from(raw["problem"]))
    if isinstance(error, Refusal):
        error.category = Category(raw["category"])
    return error


def cause_from(raw: Mapping[str, Any]) -> Problem | Quoted:
    """What a failure says: the problem of an error of ours, or the text of an engine's."""
    return problem_from(raw["problem"]) if "problem" in raw else Quoted(str(raw["text"]))


_KINDS: Mapping[str, type[QuantregError]] = {
    "missing_extra": MissingExtra,
    "wrong_use": WrongUse,
    "refusal": Refusal,
}


def _kind(error: QuantregError) -> str:
    return next(name for name, kind in _KINDS.items() if isinstance(error, kind))


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
