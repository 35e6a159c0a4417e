"""Codes of stored files: baselines, accepted runs, reports, and how they are damaged."""

from __future__ import annotations

from .base import Code


class StoredCode(Code):
    """Problems of stored files: baselines, accepted runs, reports, and how they are damaged."""
