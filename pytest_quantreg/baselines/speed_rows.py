"""Rounds to and from the compact rows of a speed baseline, and the text around them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from ..core.codes import StoredCode
from ..core.records.run import Json
from ..core.records.speed import Request, Round
from ..core.strict_json import CorruptFile, dump

DECIMALS = 6
"""Seconds are kept to the microsecond."""

DIGITS = 6
"""And to so many significant digits where that is finer."""

ROWS = ("rounds", "states")
"""Lists with one line for each of their elements."""


def rounded(seconds: float) -> float:
    """``seconds`` as precisely as they are stored; the order of times stays.

    NaN and Infinity stay what they are.
    """
    value = float(seconds)
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, max(DECIMALS, DIGITS - 1 - math.floor(math.log10(abs(value)))))


def rounded_round(speed_round: Round) -> Round:
    """A round with its times as they are stored."""
    requests = (
        Request(
            rounded(request.arrived),
            rounded(request.first_token),
            rounded(request.ended),
            request.output_tokens,
        )
        for request in speed_round.requests
    )
    return Round(tuple(requests), speed_round.block)


def encode_rounds(rounds: Iterable[Round]) -> list[Json]:
    """``{"block": 0, "requests": [[arrived, first_token, ended], ...]}`` per round.

    The number of tokens is not repeated: it is the workload's.
    """
    return [
        {
            "block": speed_round.block,
            "requests": [
                [_number(request.arrived), _number(request.first_token), _number(request.ended)]
                for request in speed_round.requests
            ],
        }
        for speed_round in rounds
    ]


def decode_rounds(rows: Iterable[Any], output_tokens: int) -> tuple[Round, ...]:
    """The rounds of validated rows, each request with ``output_tokens``."""
    try:
        return tuple(
            Round(
                tuple(_request(times, output_tokens) for times in row["requests"]),
                int(row["block"]),
            )
            for row in rows
        )
    except OverflowError:
        raise CorruptFile(StoredCode.COLUMN_TOO_LARGE, column="time") from None


def _request(times: Sequence[float], output_tokens: int) -> Request:
    arrived, first_token, ended = times
    return Request(float(arrived), float(first_token), float(ended), output_tokens)


def readable(document: Json) -> bytes:
    """JSON with two spaces of indent; each round and each state on a line of its own."""
    return (_text(document, "", "") + "\n").encode()


def _text(value: Json, name: str, margin: str) -> str:
    deeper = margin + "  "
    if isinstance(value, dict) and value:
        inner = [
            f"{json.dumps(key, ensure_ascii=False)}: {_text(inner, key, deeper)}"
            for key, inner in value.items()
        ]
        return _block("{", inner, "}", margin)
    if isinstance(value, list) and value and name in ROWS:
        return _block("[", [dump(row) for row in value], "]", margin)
    if isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        return _block("[", [_text(inner, "", deeper) for inner in value], "]", margin)
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def _block(start: str, lines: list[str], end: str, margin: str) -> str:
    inside = ",".join(f"\n{margin}  {line}" for line in lines)
    return f"{start}{inside}\n{margin}{end}"


def _number(value: float) -> float:
    # Whole seconds without ".0": most requests arrive at 0.
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
