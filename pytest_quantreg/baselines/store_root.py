"""The folder that baselines lie in: nothing leads out of it, and every fault names its file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..core.codes import StoredCode
from ..core.errors import Refusal, WrongUse
from ..core.facts import Problem, Quoted, RecordBaseline
from ..core.strict_json import CorruptFile
from .atomic_files import InTheWay, nearest_folder, probe, read_whole, reason_of
from .file_names import from_component
from .speed_key import SPEED


@dataclass(frozen=True)
class StoreRoot:
    """What the stores of all kinds of baselines below ``root`` share."""

    root: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(os.path.abspath(self.root)))

    def _engines(self) -> Iterator[tuple[str, Path]]:
        """Every (model name, folder of an engine), sorted by path."""
        for model_folder in self._folders(self.root):
            model = from_component(model_folder.name)
            if model is None:
                continue  # not a folder of ours
            for scheme_folder in self._folders(model_folder):
                for engine_folder in self._folders(scheme_folder):
                    yield model, engine_folder

    def _speed_files(self, engine: Path) -> Iterator[Path]:
        """Every file of a speed baseline in the folder of an engine, sorted."""
        for folder in self._folders(engine):
            if folder.name == SPEED:
                for device in self._folders(folder):
                    yield from sorted(device.glob("*.json"))

    def _folders(self, folder: Path) -> list[Path]:
        with self._refusing_damage(folder):
            try:
                subfolders = sorted(path for path in folder.iterdir() if path.is_dir())
            except FileNotFoundError:
                return []
            except OSError as error:
                raise CorruptFile(StoredCode.CANNOT_LIST, reason=reason_of(error)) from None
            for path in subfolders:
                self._refuse_outside(path)
            return subfolders

    def _probe(self, folders: Iterable[Path]) -> None:
        for folder in sorted({self.root, *folders}):
            with self._writing(folder):
                self._refuse_outside(folder)
                probe(nearest_folder(folder))

    def _read(self, path: Path, max_bytes: int) -> bytes:
        self._refuse_outside(path)
        return read_whole(path, max_bytes)

    def _refuse_outside(self, path: Path) -> None:
        inside, target = os.path.realpath(self.root), os.path.realpath(path)
        if target != inside and not target.startswith(os.path.join(inside, "")):
            raise CorruptFile(StoredCode.LINK_OUT_OF_STORE)

    def _display_path(self, path: Path) -> str:
        return path.relative_to(self.root.parent).as_posix()

    def _checkout_path(self, name: str) -> str:
        """What git restores when the file ``name`` is damaged."""
        return name

    def _unreadable(self, path: Path, damage: CorruptFile) -> Refusal:
        name = self._display_path(path)
        return Refusal(
            StoredCode.UNREADABLE_BASELINE,
            file=name,
            cause=damage.problem,
            checkout=self._checkout_path(name),
            again=RecordBaseline(again=True),
        )

    @contextmanager
    def _refusing_damage(self, path: Path) -> Iterator[None]:
        try:
            yield
        except CorruptFile as damage:
            raise self._unreadable(path, damage) from None

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except CorruptFile as damage:
            raise WrongUse(
                StoredCode.NOT_REPLACED, file=self._display_path(path), cause=damage.problem
            ) from None
        except OSError as error:
            raise WrongUse(
                StoredCode.CANNOT_WRITE, file=self._display_path(path), cause=_cause_of(error)
            ) from None


def _cause_of(error: OSError) -> Problem | Quoted:
    if isinstance(error, InTheWay):
        return error.problem
    if isinstance(error, FileExistsError | NotADirectoryError):
        return Problem(StoredCode.FILE_IN_THE_WAY, {})
    return reason_of(error)
