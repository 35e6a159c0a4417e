"""What passes between a worker process and its client: one line of JSON each way."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from ...core.errors import Category, MissingExtra, QuantregError, Refusal, WrongUse
from ...core.facts import stated
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
    """An error as JSON; ``kind`` overrides what its class says."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    details = {"type": type(error).__name__, "trace": "".join(lines).splitlines()[-_TRACE:]}
    if not isinstance(error, QuantregError):
        return {"kind": kind or FAILED, "what": _first_line(error), "help": [], **details}
    if isinstance(error, Refusal):
        details["category"] = error.category.value
    return {"kind": kind or _kind(error), "what": error.what, "help": list(error.help), **details}


def error_from(raw: Mapping[str, Any]) -> QuantregError:
    """The error that `describe_error` wrote down, for kinds other than out_of_memory and failed."""
    text, help = str(raw["what"]), tuple(raw.get("help", ()))
    if raw["kind"] == "missing_extra":
        # Its own __init__ makes the words, which are here already.
        missing = MissingExtra.__new__(MissingExtra)
        QuantregError.__init__(missing, stated(text, help=help))
        return missing
    if raw["kind"] == "wrong_use":
        return WrongUse(text, help=help)
    return Refusal(Category(raw["category"]), text, help=help)


def _kind(error: QuantregError) -> str:
    if isinstance(error, MissingExtra):
        return "missing_extra"
    return "wrong_use" if isinstance(error, WrongUse) else "refusal"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
