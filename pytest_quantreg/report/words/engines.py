"""Words of engines and the processes they run in."""

from __future__ import annotations

from .template import Table

WORDS: Table = {}
