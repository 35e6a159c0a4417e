"""Where imported figures lie in a store, and how they get there: whole, once, never over others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..baselines.atomic_files import locked, replace_durably
from ..baselines.file_names import to_component
from ..baselines.sealed_document import Document
from ..baselines.store_root import StoreRoot
from ..core.codes import ImportCode
from ..core.errors import WrongUse
from ..core.strict_json import CorruptFile
from .figures_document import encode, read_document

IMPORTED = "imported"
"""The folder below that of an engine, beside the runs."""


@dataclass(frozen=True)
class FiguresStore(StoreRoot):
    """The imported figures below ``root``."""

    def keep(self, document: Document, stem: str | None = None) -> tuple[str, bool]:
        """Stores a document; returns where, and whether it was there already.

        ``stem`` is that of the run which holds the items. Raises WrongUse where another one
        stands in its place, one that cannot be read too, and where nothing can be written.
        """
        path = self.root.joinpath(*_path_parts(document, stem))
        with self._writing(path):
            self._refuse_outside(path.parent)
            data = encode(document)
            path.parent.mkdir(parents=True, exist_ok=True)
            with locked(path.parent):
                if self._holds_same(path, document):
                    return self._display_path(path), True
                replace_durably(path, data)
        return self._display_path(path), False

    def _holds_same(self, path: Path, document: Document) -> bool:
        try:
            self._refuse_outside(path)
            stored = read_document(path)
        except FileNotFoundError:
            return False
        except CorruptFile as damage:
            raise WrongUse(
                ImportCode.STORED_FIGURES_UNREADABLE,
                file=self._display_path(path),
                cause=damage.problem,
            ) from None
        if _comparable_figures(stored) == _comparable_figures(document):
            return True
        raise WrongUse(ImportCode.OTHER_FIGURES_STORED, file=self._display_path(path))


def _comparable_figures(document: Document) -> Document:
    """Without what depends on the version, and on the machine where a folder is looked for."""
    left_out = ("schema_version", "digest", "places")
    return {name: value for name, value in document.items() if name not in left_out}


def _path_parts(document: Document, stem: str | None) -> tuple[str, str, str, str, str]:
    timings = document["figures_of"] == "timings"
    measured_by = str(document["program" if timings else "engine"]).replace(" ", "-")
    return (
        to_component("model name", str(document["model"])),
        to_component("scheme", str(document["scheme"])),
        to_component("engine", measured_by),
        IMPORTED,
        f"{stem or ('timings' if timings else to_component('task', str(document['task'])))}.json",
    )
