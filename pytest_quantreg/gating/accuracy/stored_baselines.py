"""The stored baselines of a session: each is read once, and missing ones say what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from ...baselines import BaselineKey, Store
from ...core.errors import Category, Refusal
from ...core.records.run import Run
from ...core.settings import Update

RecordCommand: TypeAlias = Callable[[Update], str]
"""Gives the command that records the baseline which the current test misses, or anew."""


class Size(NamedTuple):
    """How many items a stored baseline holds, and how many runs of each."""

    items: int
    runs: int


class StoredBaselines:
    """What the store holds, as far as this session has asked for it or recorded it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[BaselineKey, Run] = {}
        self._recorded: dict[BaselineKey, Run] = {}

    def load(self, keys: Sequence[BaselineKey], n: int, recording: RecordCommand) -> Run:
        """The first of ``keys`` that is stored, with at least ``n`` items.

        The later keys are other full-precision schemes of the same model: comparing
        with one of those is refused, by name instead of as absent.
        """
        key = next((candidate for candidate in keys if self._store.exists(candidate)), keys[0])
        run = self.read(key, recording)
        have = len(run.accuracy.items)
        if have < n:
            raise Refusal(
                Category.NOT_COMPARABLE,
                f"the baseline holds {have:,} items and {n:,} are asked for",
                help=(
                    f"record the rest: {recording(Update.ABSENT)}",
                    f"or compare fewer: --quant-limit={have}",
                ),
            )
        return run

    def read(self, key: BaselineKey, recording: RecordCommand) -> Run:
        """What is stored for ``key``, however many items. Raises Refusal."""
        if key not in self._read:
            self._read[key] = self._load(key, recording)
        return self._read[key]

    def size(self, key: BaselineKey) -> Size:
        """How much is stored for ``key``; nothing when nothing readable is."""
        try:
            items = self._store.load(key).accuracy.items
        except Refusal:
            return Size(0, 0)
        return Size(len(items), 1 + len(items.reruns))

    def fresh(self, key: BaselineKey, n: int) -> Run | None:
        """What this session recorded for ``key``, if it has ``n`` items."""
        run = self._recorded.get(key)
        return run if run is not None and len(run.accuracy.items) >= n else None

    def note(self, key: BaselineKey, run: Run) -> None:
        """``run`` was recorded for ``key``, and is what is stored now."""
        self._recorded[key] = run
        self.forget(key)

    def forget(self, key: BaselineKey) -> None:
        """Read ``key`` from the store again when it is next asked for."""
        self._read.pop(key, None)

    def _load(self, key: BaselineKey, recording: RecordCommand) -> Run:
        try:
            return self._store.load(key)
        except Refusal as error:
            if error.category is Category.BASELINE_ABSENT:
                command = f"record it: {recording(Update.ABSENT)}"
            elif error.category is Category.BASELINE_UNREADABLE:
                command = f"or record it again: {recording(Update.ALL)}"
            else:
                raise
            kept = [line for line in error.help if "pytest --quant-update" not in line]
            if len(kept) == len(error.help):
                raise  # what a newer version wrote is not to be recorded again by this one
            raise Refusal(error.category, error.what, help=(*kept, command)) from None
