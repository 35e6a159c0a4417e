"""Codes of what is said in every room."""

from __future__ import annotations

from .base import Category, Code


class SharedCode(Code):
    """Problems that belong to no one subject."""

    STATED = Category.WRONG_USE
    MISSING_EXTRA = Category.MISSING_EXTRA
    NOTED = Category.NOT_JUDGED

    COMPARE_MORE_ITEMS = Category.TOO_WEAK
    GATE_THE_METRIC = Category.NOT_JUDGED
