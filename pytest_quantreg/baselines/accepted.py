"""Accepted quantized runs: numbered folders, and a history to which lines are only added."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.errors import Category, Refusal
from ..core.printable import printable
from ..core.records.acceptance import Acceptance, AcceptedTask, last_with, needed
from ..core.records.run import Json, Run
from ..core.strict_json import CorruptFile, digest_of, dump, parse
from .atomic_files import locked, replace_durably
from .commit import Files
from .document import open_document
from .json_values import to_plain
from .key import BaselineKey
from .store import Store
from .store_root import StoreRoot
from .versions import HISTORY, refuse_newer, validate

ACCEPTED = "accepted"
HISTORY_FILE = "history.jsonl"
MAX_HISTORY = 64 * 1024 * 1024
"""Bytes; a line has some hundreds per task."""


@dataclass(frozen=True)
class _Numbered(Store):
    """The runs of one acceptance: as `Store`, but below ``ENGINE/accepted/NUMBER/``."""

    number: int = 0

    def _files(self, key: BaselineKey) -> Files:
        return Files(self.root.joinpath(*key.folder, ACCEPTED, _name(self.number)), key.stem)

    def digest(self, key: BaselineKey) -> str:
        """The digest that the stored run carries. Raises Refusal for a damaged one."""
        files = self._files(key)
        with self._blaming(files.meta):
            return str(open_document(self._meta(key, files))["digest"])


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
        with self._blaming(path):
            return tuple(_acceptances(self._text(path)))

    def load(self, key: BaselineKey) -> tuple[Run, Acceptance] | None:
        """The run accepted last for ``key``, and how it was; None where none ever was.

        Raises Refusal for one that is damaged, or is not the one that was accepted.
        """
        found = last_with(self.history(key), key.stem)
        if found is None:
            return None
        task = found.of(key.stem)
        assert task is not None
        runs = _Numbered(self.root, found.number)
        if not runs.exists(key) or runs.digest(key) != task.digest:
            raise Refusal(
                Category.BASELINE_UNREADABLE,
                f"{runs.path(key)} is not the run that was accepted as number {found.number}",
                help=f"restore it with: git checkout -- {self._shown(self._folder(key))}",
            )
        return runs.load(key), found

    def accept(
        self,
        runs: Mapping[BaselineKey, Run],
        said: Acceptance,
        check: Callable[[Sequence[Acceptance]], None] = lambda _: None,
    ) -> Acceptance:
        """Makes ``runs``, all of one model, scheme and engine, the reference of their tasks.

        ``said`` is how it is put down; its number and digests are filled in. ``check`` is
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
                made = self._stored(runs, replace(said, number=len(history) + 1))
                path = folder / HISTORY_FILE
                text = self._text(path)
                line = _line(made, _last_digest(text))
                replace_durably(path, text + line)
                self._drop(folder, {*range(1, made.number)} - needed((*history, made)))
        return made

    def check_writable(self, key: BaselineKey) -> None:
        """Raises WrongUse unless an acceptance could be written; makes no folder."""
        self._probe([self._folder(key)])

    def path(self, key: BaselineKey) -> str:
        """The history of ``key``, relative to the folder that holds the store."""
        return self._shown(self._folder(key) / HISTORY_FILE)

    def _folder(self, key: BaselineKey) -> Path:
        return self.root.joinpath(*key.folder, ACCEPTED)

    def _text(self, path: Path) -> bytes:
        try:
            text = self._read(path, MAX_HISTORY)
        except FileNotFoundError:
            return b""
        if not text:
            raise CorruptFile("is empty")  # a history is never written without a line
        return text

    def _stored(self, runs: Mapping[BaselineKey, Run], said: Acceptance) -> Acceptance:
        store = _Numbered(self.root, said.number)
        for left in {store._files(key).folder for key in runs}:
            # Of somebody who was killed before the line was written.
            shutil.rmtree(left, ignore_errors=True)
        for key, run in runs.items():
            store.save(key, run)
        digests = {key.stem: store.digest(key) for key in runs}
        tasks = tuple(replace(one, digest=digests[one.stem]) for one in said.tasks)
        return replace(said, tasks=tasks)

    def _drop(self, folder: Path, numbers: set[int]) -> None:
        superseded = set(map(_name, numbers))
        for old in self._folders(folder):
            # Not a folder of somebody's own, such as "2024": it has no line in the history.
            if old.name in superseded:
                shutil.rmtree(old, ignore_errors=True)

    @contextmanager
    def _blaming(self, path: Path) -> Iterator[None]:
        try:
            yield
        except CorruptFile as damage:
            shown = self._shown(path)
            raise Refusal(
                Category.BASELINE_UNREADABLE,
                f"{shown} {damage}",
                help=damage.help or f"restore it with: git checkout -- {shown}",
            ) from None


def _name(number: int) -> str:
    return f"{number:04d}"


def _line(said: Acceptance, previous: str | None) -> bytes:
    document: dict[str, Json] = {
        "schema_version": f"{HISTORY.current[0]}.{HISTORY.current[1]}",
        "previous": previous,
        **to_plain(said),
    }
    document["digest"] = digest_of(document)
    validate(document, HISTORY)
    return (dump(document) + "\n").encode()


def _last_digest(text: bytes) -> str | None:
    lines = text.splitlines(keepends=True)
    return _sha(lines[-1]) if lines else None


def _sha(line: bytes) -> str:
    # A checkout with converted line ends holds the same history.
    return hashlib.sha256(line.replace(b"\r\n", b"\n")).hexdigest()


def _acceptances(text: bytes) -> Iterator[Acceptance]:
    if text and not text.endswith(b"\n"):
        raise CorruptFile("breaks off in its last line")
    previous: str | None = None
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        yield _acceptance(line, number, previous)
        previous = _sha(line)


def _acceptance(line: bytes, number: int, previous: str | None) -> Acceptance:
    try:
        document: Any = parse(line)
        if not isinstance(document, dict):
            raise CorruptFile("is not a JSON object")
        refuse_newer(document, HISTORY.current)
        if document.get("digest") != digest_of(document):
            raise CorruptFile("was changed after it was written (its digest does not fit)")
        validate(document, HISTORY)
    except CorruptFile as damage:
        raise CorruptFile(f"is damaged in line {number}: it {damage}", help=damage.help) from None
    if document["number"] != number or document["previous"] != previous:
        raise CorruptFile(
            f"was changed: line {number} does not follow the line before it (lines are only added)"
        )
    return _from_plain(document)


def _from_plain(document: Mapping[str, Any]) -> Acceptance:
    tasks = tuple(
        AcceptedTask(
            one["stem"],
            one["task"],
            one["items"],
            one["values"],
            one["baseline"],
            one["minimum"],
            one["digest"],
        )
        for one in document["tasks"]
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


def show_line(said: Acceptance) -> str:
    """One line for people: ``2  2026-11-21  sum, pick: release 1.4``."""
    marks = f"  [forced: {len(said.undecided)} undecided]" if said.forced else ""
    when = said.accepted_at.partition("T")[0]
    tasks = ", ".join(one.task for one in said.tasks)
    # People write reasons of several lines, and CI passes on commit messages.
    why = " ".join(said.why.split()) or "no reason given"
    return printable(f"{said.number}  {when}  {tasks}: {why}{marks}")
