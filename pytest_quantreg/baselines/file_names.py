"""Names of models, tasks, engines and devices as safe, readable, reversible file names."""

from __future__ import annotations

import re

from ..core.codes import StoredCode
from ..core.errors import WrongUse

MAX_COMPONENT = 200
"""Characters of one path component; 255 is the common limit, and endings are added."""

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-")
_ESCAPE = re.compile(r"%([0-9A-F]{2})")
# Windows opens a device for these, whatever the ending.
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)")


def to_component(part: str, name: str) -> str:
    """One path component for ``name``: ``org/model`` becomes ``org--model``.

    Letters, digits and ``._+-`` stay, other bytes of its UTF-8 become ``%XX``; so do
    hyphens that could be mistaken for the ``--`` of a slash, and whatever a file system
    gives a meaning of its own (a leading dot or hyphen, a trailing dot, ``CON``).
    Raises WrongUse for names that are empty, paths or too long; ``part`` says of what:
    ``model``, ``scheme``, ``engine`` or ``task``.
    """
    folders = name.split("/")
    if any(folder in ("", ".", "..") for folder in folders) or "\\" in name:
        raise WrongUse(StoredCode.NOT_A_FILE_NAME, part=part, name=name)
    try:
        text = "--".join(map(_escape, folders))
    except UnicodeEncodeError:
        raise WrongUse(StoredCode.NAME_NOT_UNICODE, part=part, name=name) from None
    return _guard(part, name, text)


def words_to_component(text: str) -> str:
    """One path component for an accelerator: ``NVIDIA A40`` becomes ``NVIDIA_A40``.

    As `to_component`, but a space becomes ``_`` (and ``_`` its ``%5F``), and slashes mean
    nothing, so that any device's name can be filed. Raises WrongUse for an empty name, one
    that is too long and one that is no Unicode text.
    """
    try:
        parts = ["%5F" if char == "_" else "_" if char == " " else _bytes(char) for char in text]
    except UnicodeEncodeError:
        parts = []
    if not parts:
        raise WrongUse(StoredCode.NOT_A_DEVICE_NAME, name=text)
    return _guard("accelerator", text, "".join(parts))


def words_from_component(component: str) -> str | None:
    """The name that `words_to_component` turned into this; None if it made no such name."""
    try:
        text = _unescaped(component.replace("_", " "))
        return text if words_to_component(text) == component else None
    except (UnicodeError, WrongUse):
        return None


def from_component(component: str) -> str | None:
    """The name that `to_component` turned into this; None if it made no such name."""
    try:
        name = _unescaped(component.replace("--", "/"))
        return name if to_component("name", name) == component else None
    except (UnicodeError, WrongUse):
        return None


def _guard(part: str, name: str, text: str) -> str:
    """``text`` without what a file system gives a meaning; ``name`` is what it stands for."""
    if text[0] in ".-" or _DEVICE.match(text):
        text = f"%{ord(text[0]):02X}{text[1:]}"
    if text[-1] == ".":
        text = text[:-1] + "%2E"
    if len(text) > MAX_COMPONENT:
        raise too_long(part, name, text)
    return text


def too_long(part: str, name: str, text: str) -> WrongUse:
    """The error of a name that stands in files' names as ``text``."""
    return WrongUse(
        StoredCode.NAME_TOO_LONG, part=part, name=name[:60], length=len(text), most=MAX_COMPONENT
    )


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
