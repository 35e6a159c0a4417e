"""The stored baselines of a session: each is read once, and missing ones say what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...baselines import BaselineKey, Store
from ...core.codes import GateCode
from ...core.errors import Refusal
from ...core.facts import RecordBaseline
from ...core.records.run import Run


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

    def load(self, keys: Sequence[BaselineKey], n: int) -> Run:
        """The first of ``keys`` that is stored, with at least ``n`` items.

        The later keys are other full-precision schemes of the same model: comparing
        with one of those is refused, by name instead of as absent.
        """
        key = next((candidate for candidate in keys if self._store.exists(candidate)), keys[0])
        run = self.read(key)
        have = len(run.accuracy.items)
        if have < n:
            raise Refusal(
                GateCode.TOO_FEW_ITEMS_STORED, stored=have, asked=n, record=RecordBaseline()
            )
        return run

    def read(self, key: BaselineKey) -> Run:
        """What is stored for ``key``, however many items. Raises Refusal."""
        if key not in self._read:
            self._read[key] = self._store.load(key)
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
