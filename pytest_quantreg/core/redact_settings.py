"""What is kept of a setting that somebody wrote: plain words and numbers, else a digest of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from .records.run import Json

_SEAL = re.compile(r"sha256:[0-9a-f]{64}")

_LONGEST = 80

_SHORT_TEXT = re.compile(r"(?:</\w+>|[\w .,+:;%()<>|=!?\n\t-])*", re.ASCII)
"""What stop words and arguments are made of. Paths and addresses have slashes or an @."""

_WORD = re.compile(r"[\w.+:-]*", re.ASCII)


def sealed(value: Json, *, words_only: bool = False) -> Json:
    """``value`` where every text in it is short and plain, else its `seal`.

    ``words_only`` lets no text with a space through: templates and prompts are such texts.
    """
    return value if _plain(value, _WORD if words_only else _SHORT_TEXT) else seal(value)


def same(first: Json, second: Json) -> bool:
    """Whether two values are equal, either of which may be sealed."""
    return first == second or seal(first) == seal(second)


def same_settings(first: Mapping[str, Json] | None, second: Mapping[str, Json] | None) -> bool:
    """Whether two sets of settings are equal, either of which may hold seals; None is no set."""
    if first is None or second is None:
        return first is second
    return first.keys() == second.keys() and all(same(first[name], second[name]) for name in first)


def seal(value: Json) -> str:
    """What stands for a value: ``sha256:`` and the digest of its JSON; a seal stands for itself."""
    if is_seal(value):
        return str(value)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def is_seal(value: Json) -> bool:
    """Whether a value stands for another."""
    return isinstance(value, str) and _SEAL.fullmatch(value) is not None


def _plain(value: Json, allowed: re.Pattern[str]) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST and allowed.fullmatch(value) is not None
    if isinstance(value, list):
        return all(_plain(inner, allowed) for inner in value)
    if isinstance(value, dict):
        return all(
            _plain(name, allowed) and _plain(inner, allowed) for name, inner in value.items()
        )
    return True
