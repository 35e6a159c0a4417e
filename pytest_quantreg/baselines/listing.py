"""What a store holds, listed and deleted by name; nothing is ever deleted unasked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.codes import StoredCode
from ..core.errors import Refusal, WrongUse
from ..core.facts import Problem
from ..core.records.acceptance import Acceptance
from ..core.strict_json import CorruptFile
from .accepted import ACCEPTED, AcceptedRuns
from .atomic_files import locked
from .commit import Files
from .document import RUNS, rows_of
from .speed_document import SPEEDS
from .speed_key import SPEED
from .store import Store
from .store_root import StoreRoot


@dataclass(frozen=True)
class Entry:
    """One baseline: ``name`` is its path in the store without an ending.

    Of accuracy it has ``items``, of speed ``sessions``. ``bytes`` counts all of its files.
    ``damage`` says what is wrong with its meta file, of which then nothing else is known.
    """

    name: str
    model: str
    engine: str
    items: int = 0
    recorded_at: str = ""
    bytes: int = 0
    damage: Problem | None = None
    sessions: int = 0

    @property
    def of_speed(self) -> bool:
        """Whether it says how fast the model is, not what it answers."""
        return self.name.count("/") > _ACCURACY_DEPTH


_STEM = re.compile(r".+\.[0-9]+shot(-[0-9a-f]{8})?")
_SPEED_STEM = re.compile(r"(batch|inflight)-[0-9]+\.\S+")

_ACCURACY_DEPTH = 3
"""Slashes in the name of a baseline of accuracy: MODEL/SCHEME/ENGINE/TASK."""


@dataclass(frozen=True)
class Listing(StoreRoot):
    """The baselines below ``root``, and the accepted runs."""

    def entries(self) -> list[Entry]:
        """All baselines, sorted by name, those of accuracy first.

        Items are checked by their digest and not looked into.

        Raises Refusal for what is no store.
        """
        engines = list(self._engines())
        accuracy = [
            self._entry(model, folder, path)
            for model, folder in engines
            for path in sorted(folder.glob("*.json"))
        ]
        speed = [
            self._entry(model, folder, path)
            for model, folder in engines
            for path in self._speed_files(folder)
        ]
        return accuracy + speed

    def histories(self) -> Iterator[tuple[str, tuple[Acceptance, ...] | Refusal]]:
        """Each folder with accepted runs and their history, or why it cannot be trusted."""
        accepted = AcceptedRuns(self.root)
        for _, engine in self._engines():
            if (engine / ACCEPTED).is_dir():
                name = engine.relative_to(self.root).as_posix()
                try:
                    yield name, accepted.history_in(engine)
                except Refusal as refusal:
                    yield name, refusal

    def delete(self, names: Sequence[str]) -> list[str]:
        """Deletes baselines and says which files went. Raises WrongUse before the first goes.

        The runs accepted from them stay: they are another baseline's history.
        """
        listed = {entry.name for entry in self.entries()}
        names = [self._as_listed(name) for name in names]
        if foreign := [name for name in names if name in listed and not _is_ours(name)]:
            raise WrongUse(StoredCode.NOT_A_BASELINE, names=tuple(foreign))
        if unknown := [name for name in names if name not in listed]:
            raise WrongUse(StoredCode.NO_SUCH_BASELINE, store=self.root.name, names=tuple(unknown))
        return [path for name in dict.fromkeys(names) for path in self._delete_files(name)]

    def _as_listed(self, name: str) -> str:
        """Messages and ``ls`` name files; what is listed has no ending and begins in the store."""
        name = name.removeprefix(f"{self.root.name}/")
        return name.removesuffix(".items.jsonl").removesuffix(".json")

    def _entry(self, model: str, engine: Path, path: Path) -> Entry:
        files = _files(path)
        name = path.relative_to(self.root).as_posix().removesuffix(".json")
        size = sum(file.stat().st_size for file in (files.meta, files.items) if file.is_file())
        entry = Entry(name, model, engine.name, bytes=size)
        try:
            return (
                self._speed_entry(entry, path) if entry.of_speed else self._run_entry(entry, files)
            )
        except CorruptFile as error:
            return replace(entry, damage=error.problem)
        except FileNotFoundError:
            return replace(entry, damage=Problem(StoredCode.MISSING_FILE, {}))

    def _speed_entry(self, entry: Entry, path: Path) -> Entry:
        document: Any = SPEEDS.kind.open(self._read(path, SPEEDS.max_bytes))
        key, sessions = SPEEDS.key_of(document), document["sessions"]
        return replace(
            entry,
            model=key.model,
            engine=key.engine,
            recorded_at=sessions[-1]["recorded_at"],
            sessions=len(sessions),
        )

    def _run_entry(self, entry: Entry, files: Files) -> Entry:
        document: Any = RUNS.kind.open(self._read(files.meta, RUNS.max_bytes))
        key, info = RUNS.key_of(document), rows_of(document)
        if isinstance(rows := Store(self.root).item_bytes(files, info), CorruptFile):
            raise rows
        return replace(
            entry,
            model=key.model,
            engine=key.engine,
            recorded_at=document["provenance"]["recorded_at"],
            items=info.count,
        )

    def _delete_files(self, name: str) -> Iterator[str]:
        files = _files(self.root / f"{name}.json")
        with self._writing(files.meta):
            self._refuse_outside(files.meta)
            with locked(files.folder):
                # Without its meta file it is absent, whatever becomes of the rest.
                for path in (files.meta, files.items, *files.leftovers()):
                    if path.exists():
                        path.unlink()
                        yield self._display_path(path)


def _is_ours(name: str) -> bool:
    """Return whether a store could have given a file this name: --baselines may be any folder."""
    *_, kind, _, stem = ("", *name.split("/"))
    return (_SPEED_STEM if kind == SPEED else _STEM).fullmatch(stem) is not None


def _files(meta: Path) -> Files:
    return Files(meta.parent, meta.name.removesuffix(".json"))
