"""The store of speed baselines: one file per workload and accelerator, whole or not at all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..core.codes import StoredCode
from ..core.comparison.comparability import refusal
from ..core.comparison.speed_comparability import comparable_sessions
from ..core.errors import Refusal, WrongUse
from ..core.facts import RecordBaseline
from ..core.records.speed_run import SpeedRun
from .atomic_files import replace_durably
from .file_store import FileStore
from .speed_document import SPEEDS, as_stored, decode_speed, encode_speed
from .speed_key import SpeedKey, devices_of


class Smaller(WrongUse):
    """More sessions are stored than would replace them."""


@dataclass(frozen=True)
class SpeedStore(FileStore[SpeedKey]):
    """Speed baselines below ``root``: ``MODEL/SCHEME/ENGINE/speed/ACCELERATOR/WORKLOAD.json``.

    The folder is that of `Store`, whose `Store.find_models` knows these too.
    """

    codec = SPEEDS

    def load(self, key: SpeedKey) -> SpeedRun:
        """The run stored for ``key``, with all its sessions.

        Raises Refusal BASELINE_ABSENT when there is none, and BASELINE_UNREADABLE for
        anything but the very file that was written for this key. It never falls back to
        another baseline.
        """
        data = self._read_file(key)
        with self._refusing_damage(self._file(key)):
            return decode_speed(key, data)

    def save(self, key: SpeedKey, run: SpeedRun, *, never_smaller: bool = False) -> None:
        """Stores ``run`` in place of what was; a kill leaves the old one or the new.

        Times are kept to the microsecond. With ``never_smaller`` raises Smaller, and stores
        nothing, where more sessions are stored than ``run`` has. Raises Refusal for a run that
        must not be stored (no rounds, NaN, contradicting its key) and WrongUse when the
        folder cannot be written.
        """
        data = encode_speed(key, run)
        with self._locked_file(key) as path:
            self._replaced(key, path)
            if never_smaller and self.sessions(key) > len(run.sessions):
                raise Smaller(StoredCode.MORE_SESSIONS_STORED, file=self._display_path(path))
            replace_durably(path, data)

    def sessions(self, key: SpeedKey) -> int:
        """Return how many sessions are stored for ``key``; 0 where none can be read."""
        try:
            return len(self.load(key).sessions)
        except Refusal:
            return 0

    def add(self, key: SpeedKey, run: SpeedRun) -> SpeedRun:
        """Stores the sessions of ``run`` behind those there are, if any; gives them all.

        Two processes at once lose none. Raises as `load` (but for an absent baseline) and
        `save` do, and Refusal NOT_COMPARABLE where the stored sessions are of another
        model, software or machine.
        """
        encode_speed(key, run)  # what cannot be stored is said before a folder is made
        with self._locked_file(key) as path:
            merged = self._with_stored_sessions(key, run)
            replace_durably(path, encode_speed(key, merged))
        return as_stored(merged)

    def accelerators(self, key: SpeedKey) -> list[str]:
        """The other accelerators with a baseline of this model, scheme, engine and workload.

        Named as people call them (``NVIDIA A40``, ``2 x NVIDIA A40``), sorted; no file is
        opened.
        """
        path = self._file(key)
        devices = [
            devices_of(folder.name)
            for folder in self._folders(path.parent.parent)
            if folder.name != path.parent.name and os.path.lexists(folder / path.name)
        ]
        return sorted(name for name in devices if name is not None)

    def _with_stored_sessions(self, key: SpeedKey, run: SpeedRun) -> SpeedRun:
        if not self.exists(key):
            return run
        stored = self.load(key)
        refused = refusal(comparable_sessions(stored, run), f"a new session of {key}")
        if refused is not None:
            raise refused
        return stored.continued(run)

    def _absent_refusal(self, key: SpeedKey, path: Path) -> Refusal:
        siblings = [self._display_path(sibling) for sibling in sorted(path.parent.glob("*.json"))]
        return Refusal(
            StoredCode.SPEED_BASELINE_ABSENT,
            key=str(key),
            file=self._display_path(path),
            siblings=tuple(siblings[:3]),
            elsewhere=tuple(self.accelerators(key)[:3]),
            record=RecordBaseline(),
        )
