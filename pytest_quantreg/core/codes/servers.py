"""Codes of servers that speak OpenAI's protocol."""

from __future__ import annotations

from .base import Code


class ServerCode(Code):
    """Problems of servers that speak OpenAI's protocol."""
