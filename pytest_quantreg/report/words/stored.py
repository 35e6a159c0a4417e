"""Words of stored files: baselines, accepted runs, reports, and how they are damaged."""

from __future__ import annotations

from .template import Table

WORDS: Table = {}
