"""Words of result files of other programs."""

from __future__ import annotations

from .template import Table

WORDS: Table = {}
