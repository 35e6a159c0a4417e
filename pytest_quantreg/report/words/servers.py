"""Words of servers that speak OpenAI's protocol."""

from __future__ import annotations

from .template import Table

WORDS: Table = {}
