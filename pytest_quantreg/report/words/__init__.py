"""The words of every error, by its code: a table per subject, and how they are rendered."""

from __future__ import annotations

from ...core.facts import Words
from .rendering import PLAIN, Voice, worded, words_of

__all__ = ["PLAIN", "Voice", "Words", "worded", "words_of"]
