"""The store: one folder of baselines, filed by key, read and written whole or not at all."""

from __future__ import annotations

import hashlib
import os
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
from .document import MAX_META, encode_run, key_of, metrics_of, open_document, rows_of, to_run
from .file_names import from_component, to_component
from .key import BaselineKey
from .store_root import StoreRoot
from .versions import CURRENT

_RETRIES = 100


class Changed(WrongUse):
    """A baseline is no longer what it was when the caller decided to replace it."""


@dataclass(frozen=True)
class Store(StoreRoot):
    """Baselines below ``root``: ``MODEL/SCHEME/ENGINE/TASK.Kshot[-SETTINGS].json``.

    Beside each ``.json`` lie its items, ``.items.jsonl``. Nothing is read before it is
    asked for, and nothing but the files of the one key that is.
    """

    def load(self, key: BaselineKey) -> Run:
        """The run stored for ``key``.

        Raises Refusal BASELINE_ABSENT when there is none, and BASELINE_UNREADABLE for
        anything but the very files that `save` wrote for this key. It never falls back
        to another baseline.
        """
        files = self._files(key)
        for _ in range(_RETRIES):
            data = self._read_meta(key, files)
            with self._refusing_damage(files.meta):
                document = open_document(data)
                stored_key = key_of(document)
                if stored_key != key:
                    raise CorruptFile(
                        StoredCode.FILED_UNDER_ANOTHER_KEY, stored=str(stored_key), key=str(key)
                    )
                info, metrics = rows_of(document), metrics_of(document)
            item_bytes = self.item_bytes(files, info)
            if isinstance(item_bytes, CorruptFile) and self._read_meta(key, files) != data:
                continue  # recorded again while we read: read that
            with self._refusing_damage(files.items):
                if isinstance(item_bytes, CorruptFile):
                    raise item_bytes
                items = rows.decode(item_bytes, info, metrics)
            with self._refusing_damage(files.meta):
                return to_run(document, items)
        raise self._unreadable(files.meta, CorruptFile(StoredCode.REWRITTEN_WITHOUT_PAUSE))

    def exists(self, key: BaselineKey) -> bool:
        """Whether anything is stored for ``key``, readable or not."""
        return os.path.lexists(self._files(key).meta)

    def state(self, key: BaselineKey) -> str:
        """Return a text that differs after every `save` of ``key``; empty where none is stored."""
        try:
            return hashlib.sha256(self._read(self._files(key).meta, MAX_META)).hexdigest()
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
        files = self._files(key)
        item_bytes, meta = encode_run(key, run)

        def current() -> str | None:
            if seen is not None and self.state(key) != seen:
                raise Changed(StoredCode.CHANGED_MEANWHILE, file=self._display_path(files.meta))
            self._refuse_rewriting(files.meta, MAX_META, CURRENT)
            return self._current_items_digest(key, files)

        with self._writing(files.meta):
            self._refuse_outside(files.folder)
            self._refuse_rewriting(files.meta, MAX_META, CURRENT)
            files.folder.mkdir(parents=True, exist_ok=True)
            commit(files, item_bytes, meta, current=current)

    def check_writable(self, *keys: BaselineKey) -> None:
        """Raises WrongUse unless the store, and the folders of ``keys``, can be written.

        That is not so where a newer version wrote what is there. Called before a model
        loads; makes no folder.
        """
        self._probe(self._files(key).folder for key in keys)
        for key in keys:
            self._refuse_rewriting(self._files(key).meta, MAX_META, CURRENT)

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
                keys.append(key_of(open_document(self._read(path, MAX_META))))
        return keys

    def path(self, key: BaselineKey) -> str:
        """Where ``key`` is stored, relative to the folder that holds the store."""
        return self._display_path(self._files(key).meta)

    def _files(self, key: BaselineKey) -> Files:
        return Files(self.root.joinpath(*key.folder), key.stem)

    def _read_meta(self, key: BaselineKey, files: Files) -> bytes:
        with self._refusing_damage(files.meta):
            try:
                return self._read(files.meta, MAX_META)
            except FileNotFoundError:
                raise self._absent_refusal(key, files) from None

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

    def _current_items_digest(self, key: BaselineKey, files: Files) -> str | None:
        """The items' digest that a readable meta file names; refuses another key's."""
        try:
            document = open_document(self._read(files.meta, MAX_META))
            stored_key = key_of(document)
        except (FileNotFoundError, CorruptFile):
            return None
        if stored_key != key:
            # Only where a file system does not tell upper from lower case.
            raise WrongUse(
                StoredCode.ANOTHER_KEY_STORED,
                file=self._display_path(files.meta),
                stored=str(stored_key),
            )
        return rows_of(document).sha256

    def _walk(self) -> Iterator[tuple[str, Path]]:
        """Every (model name, meta file), sorted by path."""
        for model, folder in self._engines():
            for path in sorted(folder.glob("*.json")):
                yield model, path

    def _absent_refusal(self, key: BaselineKey, files: Files) -> Refusal:
        siblings = sorted(
            self._display_path(path)
            for path in files.folder.glob("*.json")
            if path.name.startswith(to_component("task", key.task) + ".")
        )
        return Refusal(
            StoredCode.BASELINE_ABSENT,
            key=str(key),
            file=self._display_path(files.meta),
            siblings=tuple(siblings[:3]),
            record=RecordBaseline(),
        )

    def _checkout_path(self, name: str) -> str:
        stem = name.removesuffix(".items.jsonl").removesuffix(".json")
        return name if stem == name else f"'{stem}.*'"
