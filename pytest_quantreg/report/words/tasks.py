"""Words of tasks, their prompts and their metrics."""

from __future__ import annotations

from .template import Table

WORDS: Table = {}
