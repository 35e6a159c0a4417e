"""Codes of engines and the processes they run in."""

from __future__ import annotations

from .base import Code


class EngineCode(Code):
    """Problems of engines and the processes they run in."""
