"""Fixtures of the importers' tests that judging imported results needs too."""

from __future__ import annotations

from tests.imports.conftest import data, row, twice

__all__ = ["data", "row", "twice"]
