"""Keeps what third-party packages print, log and warn about away from the user's run."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Iterator
from types import ModuleType


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing of the block's warnings, log records and progress bars comes through.

    Everything is as before afterwards. Import with `quietly_imported` first: a log
    handler made in here would keep writing into the void.
    """
    with _unlogged(), contextlib.redirect_stderr(io.StringIO()):
        yield


def quietly_imported(*names: str) -> tuple[ModuleType, ...]:
    """Imports modules without their import-time warnings, which ``-W error`` would raise."""
    with _unlogged():
        # Its handler binds sys.stderr when first imported: never let that be a buffer.
        with contextlib.suppress(ImportError):
            importlib.import_module("loguru")
        return tuple(importlib.import_module(name) for name in names)


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    level = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(max(level, logging.WARNING))
        try:
            yield
        finally:
            logging.disable(level)
