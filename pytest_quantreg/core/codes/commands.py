"""Codes of the command line `quantreg` and its pages."""

from __future__ import annotations

from .base import Code


class CommandCode(Code):
    """Problems of the command line `quantreg` and its pages."""
