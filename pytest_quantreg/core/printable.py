"""Text from files, models and engines, made safe for terminals, CI logs and reports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

_COMMAND = re.compile(r"\A\s*(?=::)|#(?=#\w*\[)|section(?=_(?:start|end):\d)")
"""What CI services act on: GitHub at a line's start, Azure and TeamCity anywhere, GitLab."""

_SEPARATORS = "\u2028\u2029"
_JSON = {"#": r"\u0023", "s": r"sectio\u006e"}


def printable(text: str) -> str:
    r"""Return ``text`` on one line, with nothing in it that a terminal or a CI service acts on.

    Control and format characters become visible (``\x1b``, ``\n``, ``\u202e``), and a backslash
    breaks what a CI service would take for a command (``\::error::``, ``#\#vso[``). Tabs,
    letters of every script and spaces of every width stay. Twice is the same as once.
    """
    if not text.isprintable():
        text = "".join(char if _is_printable_char(char) else _escaped(char) for char in text)
    return _COMMAND.sub(_broken_command, text)


def printable_lines(text: str) -> str:
    """Return a text of several lines, each of them `printable`."""
    return "\n".join(map(printable, text.split("\n")))


def printable_json(text: str) -> str:
    """Return a JSON text with the same value and nothing that a terminal or a CI acts on."""
    shown = "".join(
        char if char == "\n" or _is_printable_char(char) else _json_escape(char) for char in text
    )
    # In JSON both stand inside of strings only.
    return _COMMAND.sub(lambda match: _JSON.get(match[0][:1], match[0]), shown)


def quoted_lines(error: BaseException, most: int = 8) -> tuple[str, ...]:
    """Return the lines of an error below its first one, marked as somebody else's words."""
    return tuple(f"| {line}" for line in str(error).splitlines()[1 : most + 1] if line.strip())


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text; empty where it has none."""
    return next(iter(str(error).splitlines()), "")


class Printable:
    """Base of dataclasses that people read: every text in their fields is made `printable`."""

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]  # of the dataclasses below
            value = getattr(self, item.name)
            if (shown := _printable_value(value)) is not value:
                object.__setattr__(self, item.name, shown)


def _printable_value(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, tuple) and any(isinstance(item, str) for item in value):
        return tuple(map(_printable_value, value))
    if isinstance(value, Mapping) and all(isinstance(item, str) for item in value.values()):
        return {printable(name): printable(item) for name, item in value.items()}
    return value


def _is_printable_char(char: str) -> bool:
    # Spaces of other widths do not count as printable for Python.
    return (
        char.isprintable()
        or char == "\t"
        or (char > "\x9f" and char.isspace() and char not in _SEPARATORS)
    )


def _escaped(char: str) -> str:
    return repr(char)[1:-1]


def _json_escape(char: str) -> str:
    if "\ud800" <= char <= "\udfff":
        return char  # no valid text: whoever encodes it says so
    units = char.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _broken_command(match: re.Match[str]) -> str:
    return f"{match[0]}\\"
