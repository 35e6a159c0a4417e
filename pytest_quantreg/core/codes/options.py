"""Codes of options, ini keys, markers and the arguments of fixtures."""

from __future__ import annotations

from .base import Code


class OptionCode(Code):
    """Problems of options, ini keys, markers and the arguments of fixtures."""
