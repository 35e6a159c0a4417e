"""Codes of result files of other programs."""

from __future__ import annotations

from .base import Code


class ImportCode(Code):
    """Problems of result files of other programs."""
