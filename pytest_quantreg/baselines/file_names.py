"""Names of models, tasks, engines and devices as safe, readable, reversible file names."""

from __future__ import annotations

import re

from ..core.errors import WrongUse

MAX_COMPONENT = 200
"""Characters of one path component; 255 is the common limit, and endings are added."""

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-")
_ESCAPE = re.compile(r"%([0-9A-F]{2})")
# Windows opens a device for these, whatever the ending.
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)")


def to_component(noun: str, name: str) -> str:
    """One path component for ``name``: ``org/model`` becomes ``org--model``.

    Letters, digits and ``._+-`` stay, other bytes of its UTF-8 become ``%XX``; so do
    hyphens that could be mistaken for the ``--`` of a slash, and whatever a file system
    gives a meaning of its own (a leading dot or hyphen, a trailing dot, ``CON``).
    Raises WrongUse for names that are empty, paths or too long; ``noun`` says of what.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name:
        raise WrongUse(
            f"{name!r} is no {noun} that a baseline can be filed under",
            help="use a hub id (org/name) or a plain name, not a path",
        )
    try:
        text = "--".join(_escape(part) for part in parts)
    except UnicodeEncodeError:
        raise WrongUse(
            f"the {noun} {name!r} is no valid Unicode text",
            help="give the model another name with the ini key quant_model_name",
        ) from None
    return _guard(noun, name, text)


def words_to_component(noun: str, text: str) -> str:
    """One path component for a name in words: ``NVIDIA H100 80GB`` becomes ``NVIDIA_H100_80GB``.

    As `to_component`, but a space becomes ``_`` (and ``_`` its ``%5F``), and slashes mean
    nothing, so that any device's name can be filed. Raises WrongUse for an empty name, one
    that is too long and one that is no Unicode text.
    """
    try:
        parts = ["%5F" if char == "_" else "_" if char == " " else _bytes(char) for char in text]
    except UnicodeEncodeError:
        parts = []
    if not parts:
        raise WrongUse(
            f"{text!r} is no {noun} that a baseline can be filed under",
            help="use the name that the engine gives its device",
        )
    return _guard(noun, text, "".join(parts))


def words_from_component(component: str) -> str | None:
    """The name that `words_to_component` turned into this; None if it made no such name."""
    try:
        text = _unescaped(component.replace("_", " "))
        return text if words_to_component("name", text) == component else None
    except (UnicodeError, WrongUse):
        return None


def from_component(component: str) -> str | None:
    """The name that `to_component` turned into this; None if it made no such name."""
    try:
        name = _unescaped(component.replace("--", "/"))
        return name if to_component("name", name) == component else None
    except (UnicodeError, WrongUse):
        return None


def _guard(noun: str, name: str, text: str) -> str:
    """``text`` without what a file system gives a meaning; ``name`` is what it stands for."""
    if text[0] in ".-" or _DEVICE.match(text):
        text = f"%{ord(text[0]):02X}{text[1:]}"
    if text[-1] == ".":
        text = text[:-1] + "%2E"
    if len(text) > MAX_COMPONENT:
        raise WrongUse(
            f"the {noun} {name[:60]!r}... is too long for a file name",
            help=f"it takes {len(text)} characters as a file name, {MAX_COMPONENT} are the most",
        )
    return text


def _escape(part: str) -> str:
    out: list[str] = []
    last = len(part) - 1
    for at, char in enumerate(part):
        # A hyphen beside another hyphen or at a slash would blur where "--" begins.
        blurs = char == "-" and (at in (0, last) or "-" in (part[at - 1], part[at + 1]))
        out.append("%2D" if blurs else _bytes(char))
    return "".join(out)


def _bytes(char: str) -> str:
    return char if char in _PLAIN else "".join(f"%{byte:02X}" for byte in char.encode())


def _unescaped(text: str) -> str:
    raw = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    return raw.encode("latin-1").decode("utf-8")
