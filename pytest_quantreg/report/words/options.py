"""Words of options, ini keys, markers and the arguments of fixtures."""

from __future__ import annotations

from .template import Table

WORDS: Table = {}
