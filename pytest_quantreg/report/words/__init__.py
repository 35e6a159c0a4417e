"""The words of every error, by its code: a table per subject, and how they are rendered."""

from __future__ import annotations

from ...core.facts import Words
from .command_line import COMMAND_LINE
from .rendering import PLAIN, Voice, worded, words_of

__all__ = ["COMMAND_LINE", "PLAIN", "Voice", "Words", "worded", "words_of"]
