"""Codes of gates and what they compare."""

from __future__ import annotations

from .base import Category, Code


class GateCode(Code):
    """Problems of gates and what they compare."""

    UNFED = Category.NOTHING_MEASURED
