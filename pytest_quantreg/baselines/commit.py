"""Two files become one commit: whoever is killed leaves the old pair or the new one."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .atomic_files import refuse_folder, sync_folder, write_durably


@dataclass(frozen=True)
class Files:
    """The files of one baseline in ``folder``."""

    folder: Path
    stem: str

    @property
    def meta(self) -> Path:
        """The readable file; it names the items by their digest."""
        return self.folder / f"{self.stem}.json"

    @property
    def items(self) -> Path:
        """The item rows."""
        return self.folder / f"{self.stem}.items.jsonl"

    @property
    def draft(self) -> Path:
        """The next meta file before it counts."""
        return self.folder / f"{self.stem}.json.tmp"

    def pending(self, sha256: str) -> Path:
        """Where rows with this digest wait until the meta file that names them counts."""
        return self.folder / f"{self.stem}.items.jsonl.{sha256[:16]}.new"

    def leftovers(self) -> list[Path]:
        """What killed writers of this baseline left, without the two files themselves."""
        start = f"{self.stem}.items.jsonl."
        pending = [
            path
            for path in self.folder.iterdir()
            if path.name.startswith(start) and path.name.endswith(".new")
        ]
        return [*pending, self.draft] if os.path.lexists(self.draft) else pending


def commit(
    files: Files,
    items: bytes,
    meta: tuple[bytes, str],
    *,
    current: str | None,
) -> None:
    """Replaces a baseline by new items and a new meta file (bytes, digest it names).

    The order is: items under their pending name, meta (from here on the new baseline is
    the one that is read), items in place. ``current`` is the digest of the items that
    the present meta file names. The caller holds the lock on the folder. Raises OSError;
    before the meta file is replaced that leaves the old baseline as it was.
    """
    meta_bytes, sha256 = meta
    _finish_and_clean(files, current)
    _refuse_folders(files)
    pending = files.pending(sha256)
    try:
        write_durably(pending, items, like=files.items)
        write_durably(files.draft, meta_bytes, like=files.meta)
        sync_folder(files.folder)
        os.replace(files.draft, files.meta)
    except OSError:
        for path in (pending, files.draft):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise
    # The meta file must be on disk before the old items may go.
    sync_folder(files.folder)
    os.replace(pending, files.items)
    sync_folder(files.folder)


def _finish_and_clean(files: Files, sha256: str | None) -> None:
    """Completes the commit of a killed writer, then removes what others left."""
    if sha256 is not None:
        pending = files.pending(sha256)
        if (
            pending.exists()
            and not _has_digest(files.items, sha256)
            and _has_digest(pending, sha256)
        ):
            os.replace(pending, files.items)
            sync_folder(files.folder)
    for path in files.leftovers():
        path.unlink(missing_ok=True)


def _has_digest(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _refuse_folders(files: Files) -> None:
    for path in (files.meta, files.items):
        refuse_folder(path)
