"""Words of models, checkpoints and what they claim to be."""

from __future__ import annotations

from .template import Table

WORDS: Table = {}
