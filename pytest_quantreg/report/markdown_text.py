"""Plain text made safe for Markdown: shown as it is, whatever it looks like."""

from __future__ import annotations

import re

from ..core.printable import printable

LONGEST = 1_500
"""Characters of one message; an engine's own error may be pages long."""
_LONGEST_CELL = 120

_SPECIAL = re.compile(r"([\\`*_{}\[\]|~^$])")
_LINE_START = re.compile(r"^([-+#>=]|[0-9]+[.)](?=\s|$))")
_BREAKER = "<!-- -->"
"""Shown as nothing, but no name or number of another's follows the sign before it."""
_LINKED = re.compile(r"(@(?=\w)|#(?=[0-9])|(?<=[A-Za-z])!(?=[0-9])|://|\bwww(?=\.))")


def escaped(text: str) -> str:
    """``text`` on one line, without a meaning in Markdown or HTML: no link, mention or tag."""
    return _LINE_START.sub(_harmless_start, inline(text))


def cell(text: str) -> str:
    """``text`` for one cell of a table, where no line begins."""
    return inline(text, _LONGEST_CELL)


def inline(text: str, longest: int = LONGEST) -> str:
    """The same for a text that does not begin a line, in at most ``longest`` characters of it."""
    text = text if len(text) <= longest else f"{text[: longest - 4]} ..."
    # Breakers go between pieces that are escaped by themselves, or they would be escaped too.
    pieces = _LINKED.split(printable(" ".join(text.split())))
    return "".join(
        f"{_html(piece)}{_BREAKER}" if place % 2 else _html(piece)
        for place, piece in enumerate(pieces)
    )


def _html(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", text)


def _harmless_start(match: re.Match[str]) -> str:
    sign = match[1]
    return f"{sign[:-1]}\\{sign[-1]}"
