"""Names of models, tasks and engines as safe, readable, reversible file names."""

from __future__ import annotations

import re

from ..core.errors import WrongUse

MAX_COMPONENT = 200
"""Characters of one path component; 255 is the common limit, and endings are added."""

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-")
_ESCAPE = re.compile(r"%([0-9A-F]{2})")
# Windows opens a device for these, whatever the ending.
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)")


def to_component(what: str, name: str) -> str:
    """One path component for ``name``: ``org/model`` becomes ``org--model``.

    Letters, digits and ``._+-`` stay, other bytes of its UTF-8 become ``%XX``; so do
    hyphens that could be mistaken for the ``--`` of a slash, and whatever a file system
    gives a meaning of its own (a leading dot or hyphen, a trailing dot, ``CON``).
    Raises WrongUse for names that are empty, paths or too long; ``what`` says of what.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name:
        raise WrongUse(
            f"{name!r} is no {what} that a baseline can be filed under",
            help="use a hub id (org/name) or a plain name, not a path",
        )
    try:
        text = "--".join(_escape(part) for part in parts)
    except UnicodeEncodeError:
        raise WrongUse(
            f"the {what} {name!r} is no valid Unicode text",
            help="give the model another name with the ini key quant_model_name",
        ) from None
    if text[0] in ".-" or _DEVICE.match(text):
        text = f"%{ord(text[0]):02X}{text[1:]}"
    if text[-1] == ".":
        text = text[:-1] + "%2E"
    if len(text) > MAX_COMPONENT:
        raise WrongUse(
            f"the {what} {name[:60]!r}... is too long for a file name",
            help=f"it takes {len(text)} characters as a file name, {MAX_COMPONENT} are the most",
        )
    return text


def from_component(component: str) -> str | None:
    """The name that `to_component` turned into this; None if it made no such name."""
    try:
        raw = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), component.replace("--", "/"))
        name = raw.encode("latin-1").decode("utf-8")
        return name if to_component("name", name) == component else None
    except (UnicodeError, WrongUse):
        return None


def _escape(part: str) -> str:
    out: list[str] = []
    last = len(part) - 1
    for at, char in enumerate(part):
        # A hyphen beside another hyphen or at a slash would blur where "--" begins.
        blurs = char == "-" and (at in (0, last) or "-" in (part[at - 1], part[at + 1]))
        if char in _PLAIN and not blurs:
            out.append(char)
        else:
            out.extend(f"%{byte:02X}" for byte in char.encode())
    return "".join(out)
