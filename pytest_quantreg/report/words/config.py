"""Words of what a project writes into its pyproject.toml."""

from __future__ import annotations

from .template import Table

WORDS: Table = {}
