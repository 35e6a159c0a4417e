"""A path that somebody names becomes one model's evaluation, or its timings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..baselines.accepted import ACCEPTED
from ..baselines.speed_key import SPEED
from ..core.codes import ImportCode
from ..core.errors import Refusal, WrongUse
from ..core.facts import Quoted
from ..core.records.evaluation import Evaluation
from ..core.records.run import Json
from ..core.schemes.names import resolve
from ..core.strict_json import CorruptFile
from .figures_document import is_figures
from .foreign_files import object_of, read_json, unusable
from .lm_eval_results.results import is_results, read_results, stamp_of
from .lm_eval_results.to_evaluation import evaluation_of, logs_alone, results_beside, task_of
from .serving_benchmarks import Timings, is_timing, read_timings
from .stored_runs import is_stored, read_stored, read_stored_timings

MOST_ERROR = 200
"""Characters that are shown of an error which damaged contents caused."""

MOST_FILES = 10_000
"""In a folder; more are no folder of results."""

_ITEMS = ".items.jsonl"

_SKIPPED_FOLDERS = frozenset({ACCEPTED, SPEED})
"""Below an engine's folder in a store: what is read only where it is named itself."""

_FIGURE_KINDS = {"task": "totals", "nothing": "totals", "timings": "imported timings"}
"""Kinds of imported figures, by what their file says they are of."""

_TOGETHER = frozenset({"runs", "totals"})

OpenedResults = Evaluation | Timings


def open_path(path: Path) -> OpenedResults:
    """What a file or folder holds. Raises Refusal for all that is no such thing, or damaged."""
    try:
        label = path.name or path.resolve().name
        if not os.path.lexists(path):
            raise Refusal(ImportCode.NO_SUCH_PATH, path=str(path))
        opened = (
            _open_folder(label, path)
            if path.is_dir()
            else _open_file(label.rsplit(".", 1)[0], path)
        )
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        # Others' files may hold anything anywhere: what no reader foresaw is damage too.
        text = f"{type(error).__name__}: {error}"[:MOST_ERROR]
        raise Refusal(ImportCode.UNLIKE_RESULTS, file=path.name, error=Quoted(text)) from None
    except OSError as error:
        reason = Quoted(str(error.strerror))
        raise Refusal(ImportCode.RESULTS_UNREADABLE, file=path.name, reason=reason) from None
    return _with_scheme(opened)


def _open_file(label: str, path: Path) -> OpenedResults:
    if path.name.endswith(_ITEMS):
        raise unusable(path, CorruptFile(ImportCode.ITEMS_OF_A_RUN))
    if path.suffix == ".jsonl":
        return _open_log(label, path)
    document = read_json(path)
    kind = _kind(document)
    if kind is None:
        raise unusable(path, CorruptFile(ImportCode.NOT_RESULTS))
    if kind == "results":
        file = read_results(path, object_of(document))
        stamp = stamp_of(path)
        logs = [log for log in _logs(path.parent) if stamp_of(log) == stamp]
        return evaluation_of(label, [file], logs)
    return _read_files(label, {kind: [(path, document)]}, [])


def _open_log(label: str, path: Path) -> OpenedResults:
    beside = results_beside(path)
    if beside is None:
        return logs_alone(label, [path])
    file = read_results(beside, object_of(read_json(beside)))
    task = task_of(path)
    if task not in file.results:
        raise unusable(path, CorruptFile(ImportCode.NO_TASK_OF_RESULTS, results=beside.name))
    return evaluation_of(label, [file], [path], only=task)


def _open_folder(label: str, folder: Path) -> OpenedResults:
    by_kind: dict[str, list[tuple[Path, Json]]] = {}
    logs: list[Path] = []
    unknown: list[str] = []
    for path in _files(folder):
        if path.suffix == ".jsonl":
            logs += [] if path.name.endswith(_ITEMS) else [path]
            continue
        document = read_json(path)
        kind = _kind(document)
        if kind is None and (path.name.startswith("results") or _is_damaged_run(document)):
            raise unusable(path, CorruptFile(ImportCode.NOT_RESULTS))
        if kind is None:
            unknown.append(path.name)
        else:
            by_kind.setdefault(kind, []).append((path, document))
    if len(by_kind) > 1 and not by_kind.keys() <= _TOGETHER:
        raise Refusal(ImportCode.SEVERAL_KINDS, label=label)
    if not by_kind and not logs:
        if unknown:
            raise Refusal(ImportCode.HOLDS_OTHER_FILES, label=label, other=unknown[0])
        raise Refusal(ImportCode.HOLDS_NO_RESULTS, label=label)
    opened = _read_files(label, by_kind, logs)
    if unknown:
        subject = "JSON file is" if len(unknown) == 1 else "JSON files are"
        note = f"{label}: {len(unknown)} {subject} no results and not read, such as {unknown[0]}"
        opened = replace(opened, notes=(*opened.notes, note))
    return opened


def _read_files(
    label: str, by_kind: Mapping[str, list[tuple[Path, Json]]], logs: list[Path]
) -> OpenedResults:
    paths = {kind: [path for path, _ in files] for kind, files in by_kind.items()}
    if by_kind.keys() & _TOGETHER:
        return read_stored(label, paths.get("runs", []), paths.get("totals", []))
    if "imported timings" in by_kind:
        return read_stored_timings(label, paths["imported timings"])
    if "timings" in by_kind:
        return read_timings(label, by_kind["timings"])
    if "results" in by_kind:
        files = [read_results(path, object_of(document)) for path, document in by_kind["results"]]
        return evaluation_of(label, files, logs)
    return logs_alone(label, logs)


def _kind(document: Json) -> str | None:
    if is_figures(document):
        # Of another kind it is damaged or newer: whoever reads it says which.
        return _FIGURE_KINDS.get(str(object_of(document)["figures_of"]), "totals")
    if is_results(document):
        return "results"
    if is_stored(document):
        return "runs"
    return "timings" if is_timing(document) else None


def _files(folder: Path) -> Iterator[Path]:
    """Every .json and .jsonl below a folder, by path; hidden folders and links to others not."""
    count = 0
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(
            name for name in folders if not _hidden(name) and name not in _SKIPPED_FOLDERS
        )
        for name in sorted(names):
            if name.endswith((".json", ".jsonl")) and not name.startswith("."):
                count += 1
                if count > MOST_FILES:
                    raise Refusal(ImportCode.TOO_MANY_FILES, folder=folder.name, most=MOST_FILES)
                yield Path(parent) / name


def _is_damaged_run(document: Json) -> bool:
    """Whether a JSON value has a name that runs have, without being one: damage, not a stranger."""
    names = document.keys() if isinstance(document, dict) else frozenset()
    return bool(names & {"schema_version", "figures_of", "protocol"}) and "session" not in names


def _hidden(folder: str) -> bool:
    """Whether a folder is nobody's business; lm-eval writes ``./model`` as ``.__model``."""
    return folder.startswith(".") and not folder.lstrip(".").startswith("__")


def _raise(error: OSError) -> None:
    raise error


def _logs(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.jsonl") if not path.name.endswith(_ITEMS))


def _with_scheme(opened: OpenedResults) -> OpenedResults:
    """With the scheme that its label names, such as ``nvfp4``: what to plan with."""
    return opened if opened.scheme else replace(opened, scheme=_scheme_in(opened.label))


def _scheme_in(label: str) -> str | None:
    """The scheme that a text names; None if it names none."""
    try:
        return resolve(label).name
    except WrongUse:
        return None
