"""The store: one folder of baselines, filed by key, read and written whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.codes import StoredCode
from ..core.errors import Refusal, WrongUse
from ..core.facts import RecordBaseline
from ..core.records.run import Run
from ..core.strict_json import CorruptFile
from . import rows
from .commit import Files, commit
from .document import MAX_META, RUNS, encode_run, key_of, metrics_of, rows_of, to_run
from .file_names import from_component, to_component
from .file_store import FileStore
from .key import BaselineKey

_RETRIES = 100


class Changed(WrongUse):
    """A baseline is no longer what it was when the caller decided to replace it."""


@dataclass(frozen=True)
class Store(FileStore[BaselineKey]):
    """Baselines below ``root``: ``MODEL/SCHEME/ENGINE/TASK.Kshot[-SETTINGS].json``.

    Beside each ``.json`` lie its items, ``.items.jsonl``. Nothing is read before it is
    asked for, and nothing but the files of the one key that is.
    """

    codec = RUNS

    def load(self, key: BaselineKey) -> Run:
        """The run stored for ``key``.

        Raises Refusal BASELINE_ABSENT when there is none, and BASELINE_UNREADABLE for
        anything but the very files that `save` wrote for this key. It never falls back
        to another baseline.
        """
        files = self._files(key)
        for _ in range(_RETRIES):
            data = self._read_file(key)
            with self._refusing_damage(files.meta):
                document = self.codec.decode(key, data)
                info, metrics = rows_of(document), metrics_of(document)
            item_bytes = self.item_bytes(files, info)
            if isinstance(item_bytes, CorruptFile) and self._read_file(key) != data:
                continue  # recorded again while we read: read that
            with self._refusing_damage(files.items):
                if isinstance(item_bytes, CorruptFile):
                    raise item_bytes
                items = rows.decode(item_bytes, info, metrics)
            with self._refusing_damage(files.meta):
                return to_run(document, items)
        raise self._unreadable(files.meta, CorruptFile(StoredCode.REWRITTEN_WITHOUT_PAUSE))

    def state(self, key: BaselineKey) -> str:
        """Return a text that differs after every `save` of ``key``; empty where none is stored."""
        try:
            return hashlib.sha256(self._read(self._file(key), MAX_META)).hexdigest()
        except FileNotFoundError:
            return ""
        except CorruptFile as damage:
            return str(damage)

    def save(self, key: BaselineKey, run: Run, *, seen: str | None = None) -> None:
        """Stores ``run`` for ``key``; a kill at any moment leaves the old one or the new.

        ``seen`` is the `state` that the caller decided on; raises Changed, and stores
        nothing, where another process has written since. Raises Refusal for a run that must
        not be stored (no items, NaN, contradicting its key) and WrongUse when the folder
        cannot be written.
        """
        item_bytes, meta = encode_run(key, run)
        with self._locked_file(key) as path:
            if seen is not None and self.state(key) != seen:
                raise Changed(StoredCode.CHANGED_MEANWHILE, file=self._display_path(path))
            replaced = self._replaced(key, path)
            current = None if replaced is None else rows_of(replaced).sha256
            commit(self._files(key), item_bytes, meta, current=current)

    def find_models(self, engine: str | None = None) -> list[str]:
        """The names of all models with a baseline of any kind, sorted; no file is opened.

        ``engine`` leaves only those that were recorded with it.
        """
        return sorted(
            {
                model
                for model, folder in self._engines()
                if engine in (None, from_component(folder.name)) and self._holds_any(folder)
            }
        )

    def _holds_any(self, engine: Path) -> bool:
        return any(engine.glob("*.json")) or any(self._speed_files(engine))

    def keys(self) -> list[BaselineKey]:
        """The keys of all baselines, sorted by path; raises Refusal for a damaged one."""
        keys = []
        for _, path in self._walk():
            with self._refusing_damage(path):
                document = self.codec.kind.open(self._read(path, MAX_META))
                keys.append(key_of(document))
        return keys

    def item_bytes(self, files: Files, info: rows.RowsInfo) -> bytes | CorruptFile:
        """The rows that belong to a meta file, by their digest, or what is wrong with them."""
        # A writer killed after its commit leaves the items under their pending name; one
        # at work may rename them between our looks, hence the second look at the first.
        for path in (files.items, files.pending(info.sha256)):
            item_bytes = self._rows_at(path, info)
            if isinstance(item_bytes, bytes):
                return item_bytes
        return self._rows_at(files.items, info)

    def _rows_at(self, path: Path, info: rows.RowsInfo) -> bytes | CorruptFile:
        try:
            data = rows.matches(self._read(path, info.bytes + info.count), info)
        except FileNotFoundError:
            return CorruptFile(StoredCode.ITEMS_MISSING, count=info.count)
        except CorruptFile as damage:
            return damage
        if data is None:
            return CorruptFile(StoredCode.OTHER_ITEMS_RECORDED, count=info.count)
        return data

    def _walk(self) -> Iterator[tuple[str, Path]]:
        """Every (model name, meta file), sorted by path."""
        for model, folder in self._engines():
            for path in sorted(folder.glob("*.json")):
                yield model, path

    def _files(self, key: BaselineKey) -> Files:
        return Files(self._folder(key), key.stem)

    def _absent_refusal(self, key: BaselineKey, path: Path) -> Refusal:
        siblings = sorted(
            self._display_path(sibling)
            for sibling in path.parent.glob("*.json")
            if sibling.name.startswith(to_component("task", key.task) + ".")
        )
        return Refusal(
            StoredCode.BASELINE_ABSENT,
            key=str(key),
            file=self._display_path(path),
            siblings=tuple(siblings[:3]),
            record=RecordBaseline(),
        )

    def _checkout_path(self, name: str) -> str:
        stem = name.removesuffix(".items.jsonl").removesuffix(".json")
        return name if stem == name else f"'{stem}.*'"
