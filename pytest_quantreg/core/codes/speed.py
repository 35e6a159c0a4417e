"""Codes of workloads and what is timed."""

from __future__ import annotations

from .base import Code


class SpeedCode(Code):
    """Problems of workloads and what is timed."""
