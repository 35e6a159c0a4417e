"""Codes of models, checkpoints and what they claim to be."""

from __future__ import annotations

from .base import Code


class ModelCode(Code):
    """Problems of models, checkpoints and what they claim to be."""
