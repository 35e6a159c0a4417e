"""The API key of a server: read from the environment, never shown."""

from __future__ import annotations

import os
from collections.abc import Mapping

VARIABLE = "OPENAI_API_KEY"
_HIDDEN = "***"


class Key:
    """A secret that no repr, traceback or message gives away; empty where there is none."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text.strip()

    @classmethod
    def from_environment(cls) -> Key:
        """What the variable holds now."""
        return cls(os.environ.get(VARIABLE, ""))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return _HIDDEN if self else "no key"

    def headers(self) -> Mapping[str, str]:
        """What a request carries; never bind it to a name, tracebacks show those."""
        return {"Authorization": f"Bearer {self._text}"} if self else {}

    def hidden_in(self, text: str) -> str:
        """``text`` without the key: servers repeat what they were sent."""
        return text.replace(self._text, _HIDDEN) if self else text
