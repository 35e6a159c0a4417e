"""Words of gates and what they compare."""

from __future__ import annotations

from .template import Table

WORDS: Table = {}
