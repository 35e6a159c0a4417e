"""The fixtures of other folders that these tests need as well."""

from __future__ import annotations

from ..backends.conftest import backend
from ..plugin.conftest import _imported_once, _kept_results, kept_settings, suite

__all__ = ["_imported_once", "_kept_results", "backend", "kept_settings", "suite"]
