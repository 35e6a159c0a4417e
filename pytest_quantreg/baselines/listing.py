"""What a store holds, listed and deleted by name; nothing is ever deleted unasked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.acceptance import Acceptance
from ..core.errors import WrongUse
from .accepted import ACCEPTED, AcceptedRuns
from .commit import Files
from .document import MAX_META, key_of, open_document, rows_of
from .files import locked
from .place import Place
from .strict import Damage


@dataclass(frozen=True)
class Entry:
    """One baseline: ``name`` is its path in the store without an ending.

    ``bytes`` counts all of its files. ``damage`` says what is wrong with its meta file,
    of which then nothing else is known.
    """

    name: str
    model: str
    engine: str
    items: int = 0
    recorded_at: str = ""
    bytes: int = 0
    damage: str = ""


@dataclass(frozen=True)
class Listing(Place):
    """The baselines of accuracy below ``root``, and the accepted runs."""

    def entries(self) -> list[Entry]:
        """All baselines, sorted by name; no item is read. Raises Refusal for what is no store."""
        return [
            self._entry(model, path)
            for model, folder in self._engines()
            for path in sorted(folder.glob("*.json"))
        ]

    def histories(self) -> Iterator[tuple[str, tuple[Acceptance, ...]]]:
        """Each folder with accepted runs and their history. Raises Refusal for a changed one."""
        accepted = AcceptedRuns(self.root)
        for _, engine in self._engines():
            if (engine / ACCEPTED).is_dir():
                yield engine.relative_to(self.root).as_posix(), accepted.history_in(engine)

    def delete(self, names: Sequence[str]) -> list[str]:
        """Deletes baselines and says which files went. Raises WrongUse before the first goes.

        The runs accepted from them stay: they are another baseline's history.
        """
        known = {entry.name for entry in self.entries()}
        if unknown := [name for name in names if name not in known]:
            raise WrongUse(
                f"{self.root.name}/ holds no baseline {', '.join(unknown)}",
                help="`quantreg baselines` lists their names",
            )
        return [shown for name in dict.fromkeys(names) for shown in self._deleted(name)]

    def _entry(self, model: str, path: Path) -> Entry:
        files = _files(path)
        name = path.relative_to(self.root).as_posix().removesuffix(".json")
        size = sum(one.stat().st_size for one in (files.meta, files.items) if one.is_file())
        try:
            document = open_document(self._read(path, MAX_META))
            key = key_of(document)
            count = rows_of(document).count
            when = _when(document)
        except (Damage, FileNotFoundError) as error:
            return Entry(name, model, path.parent.name, bytes=size, damage=str(error))
        return Entry(name, key.model, key.engine, count, when, size)

    def _deleted(self, name: str) -> Iterator[str]:
        files = _files(self.root / f"{name}.json")
        with self._writing(files.meta):
            self._refuse_outside(files.meta)
            with locked(files.folder):
                # Without its meta file it is absent, whatever becomes of the rest.
                for path in (files.meta, files.items, *files.leftovers()):
                    if path.exists():
                        path.unlink()
                        yield self._shown(path)


def _files(meta: Path) -> Files:
    return Files(meta.parent, meta.name.removesuffix(".json"))


def _when(document: object) -> str:
    assert isinstance(document, dict)
    return str(document["provenance"]["recorded_at"])
