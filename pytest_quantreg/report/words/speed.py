"""Words of workloads and what is timed."""

from __future__ import annotations

from .template import Table

WORDS: Table = {}
