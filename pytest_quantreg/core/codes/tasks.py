"""Codes of tasks, their prompts and their metrics."""

from __future__ import annotations

from .base import Code


class TaskCode(Code):
    """Problems of tasks, their prompts and their metrics."""
