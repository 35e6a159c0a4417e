"""Codes of what a project writes into its pyproject.toml."""

from __future__ import annotations

from .base import Code


class ConfigCode(Code):
    """Problems of what a project writes into its pyproject.toml."""
