"""Accepted quantized runs: numbered folders, and a history to which lines are only added."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.codes import StoredCode
from ..core.errors import Refusal
from ..core.printable import printable
from ..core.records.acceptance import Acceptance, AcceptedTask, last_with, numbers_in_use
from ..core.records.run import Run
from ..core.strict_json import CorruptFile, dump
from .atomic_files import locked, replace_durably
from .json_values import to_plain
from .key import BaselineKey
from .store import Store
from .store_root import StoreRoot
from .versions import HISTORY, RUN

ACCEPTED = "accepted"
HISTORY_FILE = "history.jsonl"
MAX_HISTORY = 64 * 1024 * 1024
"""Bytes; a line has some hundreds per task."""


@dataclass(frozen=True)
class _Numbered(Store):
    """The runs of one acceptance: as `Store`, but below ``ENGINE/accepted/NUMBER/``."""

    number: int = 0

    def _folder(self, key: BaselineKey) -> Path:
        return self.root.joinpath(*key.folder, ACCEPTED, _folder_name(self.number))

    def digest(self, key: BaselineKey) -> str:
        """The digest that the stored run carries. Raises Refusal for a damaged one."""
        with self._refusing_damage(self._file(key)):
            return str(RUN.open(self._read_file(key))["digest"])


@dataclass(frozen=True)
class AcceptedRuns(StoreRoot):
    """Accepted runs below ``root``: ``MODEL/SCHEME/ENGINE/accepted/``.

    ``history.jsonl`` has one line per acceptance, each naming the digest of the one before,
    so that no line can be changed or taken out unseen. The runs of an acceptance lie in a
    folder with its number; it is kept as long as it is the latest for any of its tasks. A
    line counts when it is written, and not before: whoever is killed earlier has accepted
    nothing.
    """

    def history(self, key: BaselineKey) -> tuple[Acceptance, ...]:
        """All acceptances of the model, scheme and engine of ``key``, oldest first.

        Raises Refusal for a history that is damaged or was changed.
        """
        return self.history_in(self._folder(key).parent)

    def history_in(self, engine: Path) -> tuple[Acceptance, ...]:
        """The same of the folder of an engine, ``MODEL/SCHEME/ENGINE`` below ``root``."""
        path = engine / ACCEPTED / HISTORY_FILE
        with self._refusing_damage(path):
            return tuple(_acceptances(self._read_history(path)))

    def load(self, key: BaselineKey) -> tuple[Run, Acceptance] | None:
        """The run accepted last for ``key``, and how it was; None where none ever was.

        Raises Refusal for one that is damaged, or is not the one that was accepted.
        """
        acceptance = last_with(self.history(key), key.stem)
        if acceptance is None:
            return None
        task = acceptance.of(key.stem)
        assert task is not None
        runs = _Numbered(self.root, acceptance.number)
        if not runs.exists(key) or runs.digest(key) != task.digest:
            raise Refusal(
                StoredCode.NOT_THE_ACCEPTED_RUN,
                file=runs.path(key),
                number=acceptance.number,
                folder=self._display_path(self._folder(key)),
            )
        return runs.load(key), acceptance

    def accept(
        self,
        runs: Mapping[BaselineKey, Run],
        acceptance: Acceptance,
        check: Callable[[Sequence[Acceptance]], None] = lambda _: None,
    ) -> Acceptance:
        """Makes ``runs``, all of one model, scheme and engine, the reference of their tasks.

        ``acceptance`` is how it is put down; its number and digests are filled in. ``check`` is
        given the history to which it will be added, and may raise. Two processes at once
        lose none. Raises Refusal for a damaged history and for runs that cannot be
        stored, WrongUse when the folder cannot be written; nothing is accepted then.
        """
        key = next(iter(runs))
        folder = self._folder(key)
        with self._writing(folder):
            self._refuse_outside(folder)
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder):
                history = self.history(key)
                check(history)
                numbered = self._store_runs(runs, replace(acceptance, number=len(history) + 1))
                path = folder / HISTORY_FILE
                text = self._read_history(path)
                line = _to_line(numbered, _last_digest(text))
                replace_durably(path, text + line)
                self._delete_runs(
                    folder, {*range(1, numbered.number)} - numbers_in_use((*history, numbered))
                )
        return numbered

    def check_writable(self, key: BaselineKey) -> None:
        """Raises WrongUse unless an acceptance could be written; makes no folder."""
        self._probe([self._folder(key)])

    def path(self, key: BaselineKey) -> str:
        """The history of ``key``, relative to the folder that holds the store."""
        return self._display_path(self._folder(key) / HISTORY_FILE)

    def _folder(self, key: BaselineKey) -> Path:
        return self.root.joinpath(*key.folder, ACCEPTED)

    def _read_history(self, path: Path) -> bytes:
        try:
            text = self._read(path, MAX_HISTORY)
        except FileNotFoundError:
            return b""
        if not text:
            raise CorruptFile(StoredCode.EMPTY_FILE)  # a history is never written without a line
        return text

    def _store_runs(self, runs: Mapping[BaselineKey, Run], acceptance: Acceptance) -> Acceptance:
        store = _Numbered(self.root, acceptance.number)
        for leftover in set(map(store._folder, runs)):
            # Of somebody who was killed before the line was written.
            shutil.rmtree(leftover, ignore_errors=True)
        for key, run in runs.items():
            store.save(key, run)
        digests = {key.stem: store.digest(key) for key in runs}
        tasks = tuple(replace(task, digest=digests[task.stem]) for task in acceptance.tasks)
        return replace(acceptance, tasks=tasks)

    def _delete_runs(self, folder: Path, numbers: set[int]) -> None:
        superseded = set(map(_folder_name, numbers))
        for numbered_folder in self._folders(folder):
            # Not a folder of somebody's own, such as "2024": it has no line in the history.
            if numbered_folder.name in superseded:
                shutil.rmtree(numbered_folder, ignore_errors=True)

    def _unreadable(self, path: Path, damage: CorruptFile) -> Refusal:
        return Refusal(
            StoredCode.UNREADABLE_HISTORY, file=self._display_path(path), cause=damage.problem
        )


def _folder_name(number: int) -> str:
    return f"{number:04d}"


def _to_line(acceptance: Acceptance, previous: str | None) -> bytes:
    document = HISTORY.seal({"previous": previous, **to_plain(acceptance)})
    HISTORY.validate(document)
    return (dump(document) + "\n").encode()


def _last_digest(text: bytes) -> str | None:
    lines = text.splitlines(keepends=True)
    return _line_digest(lines[-1]) if lines else None


def _line_digest(line: bytes) -> str:
    # A checkout with converted line ends holds the same history.
    return hashlib.sha256(line.replace(b"\r\n", b"\n")).hexdigest()


def _acceptances(text: bytes) -> Iterator[Acceptance]:
    if text and not text.endswith(b"\n"):
        raise CorruptFile(StoredCode.LAST_LINE_BREAKS_OFF)
    previous: str | None = None
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        yield _acceptance(line, number, previous)
        previous = _line_digest(line)


def _acceptance(line: bytes, number: int, previous: str | None) -> Acceptance:
    try:
        document: Any = HISTORY.open(line)
    except CorruptFile as damage:
        raise CorruptFile(StoredCode.DAMAGED_LINE, line=number, cause=damage.problem) from None
    if document["number"] != number or document["previous"] != previous:
        raise CorruptFile(StoredCode.LINE_OUT_OF_ORDER, line=number)
    return _from_plain(document)


def _from_plain(document: Mapping[str, Any]) -> Acceptance:
    tasks = tuple(
        AcceptedTask(
            task["stem"],
            task["task"],
            task["items"],
            task["values"],
            task["baseline"],
            task["minimum"],
            task["digest"],
        )
        for task in document["tasks"]
    )
    return Acceptance(
        number=document["number"],
        accepted_at=document["accepted_at"],
        git_commit=document["git_commit"],
        why=document["why"],
        weights_digest=document["weights_digest"],
        revision=document["revision"],
        tasks=tasks,
        undecided=tuple(document["undecided"]),
    )


def show_line(acceptance: Acceptance) -> str:
    """One line for people: ``2  2026-11-21  sum, pick: release 1.4``."""
    forced = f"  [forced: {len(acceptance.undecided)} undecided]" if acceptance.forced else ""
    when = acceptance.accepted_at.partition("T")[0]
    tasks = ", ".join(task.task for task in acceptance.tasks)
    # People write reasons of several lines, and CI passes on commit messages.
    why = " ".join(acceptance.why.split()) or "no reason given"
    return printable(f"{acceptance.number}  {when}  {tasks}: {why}{forced}")
