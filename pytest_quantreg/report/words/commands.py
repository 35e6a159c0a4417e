"""Words of the command line `quantreg` and its pages."""

from __future__ import annotations

from .template import Table

WORDS: Table = {}
