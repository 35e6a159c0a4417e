"""The store of one kind of run: a file per key, read and written whole or not at all."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from ..core.codes import StoredCode
from ..core.errors import Refusal, WrongUse
from ..core.strict_json import CorruptFile
from .atomic_files import locked
from .sealed_document import Codec, Document
from .store_root import StoreRoot


class Key(Protocol):
    """What a run is filed under."""

    @property
    def folder(self) -> tuple[str, ...]:
        """The folders below the store."""

    @property
    def stem(self) -> str:
        """The file name without its ending."""


K = TypeVar("K", bound=Key)


@dataclass(frozen=True)
class FileStore(StoreRoot, Generic[K]):
    """Runs below ``root``, each in ``FOLDERS OF ITS KEY/STEM.json``."""

    codec: ClassVar[Codec[Any]]

    def exists(self, key: K) -> bool:
        """Whether anything is stored for ``key``, readable or not."""
        return os.path.lexists(self._file(key))

    def path(self, key: K) -> str:
        """Where ``key`` is stored, relative to the folder that holds the store."""
        return self._display_path(self._file(key))

    def check_writable(self, *keys: K) -> None:
        """Raises WrongUse unless the store, and the folders of ``keys``, can be written.

        That is not so where a newer version wrote what is there. Called before a model
        loads; makes no folder.
        """
        self._probe(map(self._folder, keys))
        for key in keys:
            self._refuse_newer(self._file(key))

    @abstractmethod
    def _absent_refusal(self, key: K, path: Path) -> Refusal:
        """The refusal where nothing is stored for ``key``."""

    def _folder(self, key: K) -> Path:
        return self.root.joinpath(*key.folder)

    def _file(self, key: K) -> Path:
        return self._folder(key) / f"{key.stem}.json"

    def _read_file(self, key: K) -> bytes:
        """The bytes stored for ``key``. Raises Refusal, also where there are none."""
        path = self._file(key)
        with self._refusing_damage(path):
            try:
                return self._read(path, self.codec.max_bytes)
            except FileNotFoundError:
                raise self._absent_refusal(key, path) from None

    @contextmanager
    def _locked_file(self, key: K) -> Iterator[Path]:
        """The file of ``key`` while no other process writes it; makes its folder.

        Raises WrongUse where a newer version wrote it, and for a body that cannot write.
        """
        path = self._file(key)
        with self._writing(path):
            self._refuse_outside(path.parent)
            path.parent.mkdir(parents=True, exist_ok=True)
            with locked(path.parent):
                self._refuse_newer(path)
                yield path

    def _refuse_newer(self, path: Path) -> None:
        """Refuses to replace what a newer version wrote. What cannot be read may be replaced."""
        try:
            data = self._read(path, self.codec.max_bytes)
        except (FileNotFoundError, CorruptFile):
            return
        with self._writing(path):
            self.codec.kind.refuse_rewriting(data)

    def _replaced(self, key: K, path: Path) -> Document | None:
        """The readable document that a new one replaces, if any. Raises WrongUse for another key's.

        Only where a file system does not tell upper from lower case is it another key's.
        """
        try:
            document = self.codec.kind.open(self._read(path, self.codec.max_bytes))
            stored = self.codec.key_of(document)
        except (FileNotFoundError, CorruptFile):
            return None
        if stored != key:
            raise WrongUse(
                StoredCode.ANOTHER_KEY_STORED, file=self._display_path(path), stored=str(stored)
            )
        return document
