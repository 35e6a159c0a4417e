"""A path that somebody names becomes one model's evaluation, or its timings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..baselines.accepted import ACCEPTED
from ..baselines.speed_key import SPEED
from ..core.errors import Category, Refusal, WrongUse
from ..core.records.evaluation import Evaluation
from ..core.records.run import Json
from ..core.schemes.names import resolve
from .figures_document import is_figures
from .foreign_files import object_of, read_json, unreadable
from .lm_eval_results.evaluation import evaluation_of, logs_alone, results_beside, task_of
from .lm_eval_results.results import is_results, read_results, stamp_of
from .serving_benchmarks import Timings, is_timing, read_timings
from .stored_runs import is_stored, read_stored, read_stored_timings

MOST_FILES = 10_000
"""In a folder; more are no folder of results."""

_ITEMS = ".items.jsonl"

_ASIDE = frozenset({ACCEPTED, SPEED})
"""Below an engine's folder in a store: what is read only where it is named itself."""

_KINDS = "lm-eval's output, runs of quantreg, vllm bench or GuideLLM files"

_OF_OURS = {"task": "totals", "nothing": "totals", "timings": "imported timings"}
"""Kinds of imported figures, by what their file says they are of."""

_TOGETHER = frozenset({"runs", "totals"})

OpenedResults = Evaluation | Timings


def open_path(path: Path) -> OpenedResults:
    """What a file or folder holds. Raises Refusal for all that is no such thing, or damaged."""
    try:
        label = path.name or path.resolve().name
        if not os.path.lexists(path):
            raise Refusal(Category.WRONG_USE, f"{path} does not exist")
        opened = _folder(label, path) if path.is_dir() else _file(label.rsplit(".", 1)[0], path)
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        # Others' files may hold anything anywhere: what no reader foresaw is damage too.
        raise Refusal(
            Category.BASELINE_UNREADABLE,
            f"{path.name} does not look like {_KINDS}: {type(error).__name__}: {error}"[:300],
        ) from None
    except OSError as error:
        raise Refusal(
            Category.BASELINE_UNREADABLE, f"{path.name} cannot be read: {error.strerror}"
        ) from None
    return _with_scheme(opened)


def _file(label: str, path: Path) -> OpenedResults:
    if path.name.endswith(_ITEMS):
        raise unreadable(path, "holds the items of a run", "name the .json beside it")
    if path.suffix == ".jsonl":
        return _log(label, path)
    document = read_json(path)
    kind = _kind(document)
    if kind is None:
        raise unreadable(path, f"is none of {_KINDS}")
    if kind == "results":
        file = read_results(path, object_of(document))
        stamp = stamp_of(path)
        logs = [log for log in _logs(path.parent) if stamp_of(log) == stamp]
        return evaluation_of(label, [file], logs)
    return _opened(label, {kind: [(path, document)]}, [])


def _log(label: str, path: Path) -> OpenedResults:
    beside = results_beside(path)
    if beside is None:
        return logs_alone(label, [path])
    file = read_results(beside, object_of(read_json(beside)))
    task = task_of(path)
    if task not in file.results:
        raise unreadable(path, f"is no log of a task in {beside.name}")
    return evaluation_of(label, [file], [path], only=task)


def _folder(label: str, folder: Path) -> OpenedResults:
    found: dict[str, list[tuple[Path, Json]]] = {}
    logs: list[Path] = []
    unknown: list[str] = []
    for path in _files(folder):
        if path.suffix == ".jsonl":
            logs += [] if path.name.endswith(_ITEMS) else [path]
            continue
        document = read_json(path)
        kind = _kind(document)
        if kind is None and (path.name.startswith("results") or _was_ours(document)):
            raise unreadable(path, f"is none of {_KINDS}")
        if kind is None:
            unknown.append(path.name)
        else:
            found.setdefault(kind, []).append((path, document))
    if len(found) > 1 and not found.keys() <= _TOGETHER:
        raise Refusal(
            Category.WRONG_USE,
            f"{label} holds files of several kinds",
            help="name a folder with one kind: " + _KINDS,
        )
    if not found and not logs:
        raise Refusal(
            Category.BASELINE_UNREADABLE,
            f"{label} holds no results" + (f" (there is {unknown[0]})" if unknown else ""),
            help=f"known are {_KINDS}",
        )
    opened = _opened(label, found, logs)
    if unknown:
        those = "JSON file is" if len(unknown) == 1 else "JSON files are"
        told = f"{label}: {len(unknown)} {those} no results and not read, such as {unknown[0]}"
        opened = replace(opened, notes=(*opened.notes, told))
    return opened


def _opened(
    label: str, found: Mapping[str, list[tuple[Path, Json]]], logs: list[Path]
) -> OpenedResults:
    paths = {kind: [path for path, _ in files] for kind, files in found.items()}
    if found.keys() & _TOGETHER:
        return read_stored(label, paths.get("runs", []), paths.get("totals", []))
    if "imported timings" in found:
        return read_stored_timings(label, paths["imported timings"])
    if "timings" in found:
        return read_timings(label, found["timings"])
    if "results" in found:
        files = [read_results(path, object_of(document)) for path, document in found["results"]]
        return evaluation_of(label, files, logs)
    return logs_alone(label, logs)


def _kind(document: Json) -> str | None:
    if is_figures(document):
        # Of another kind it is damaged or newer: whoever reads it says which.
        return _OF_OURS.get(str(object_of(document)["figures_of"]), "totals")
    if is_results(document):
        return "results"
    if is_stored(document):
        return "runs"
    return "timings" if is_timing(document) else None


def _files(folder: Path) -> Iterator[Path]:
    """Every .json and .jsonl below a folder, by path; hidden folders and links to others not."""
    count = 0
    for where, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(one for one in folders if not _hidden(one) and one not in _ASIDE)
        for name in sorted(names):
            if name.endswith((".json", ".jsonl")) and not name.startswith("."):
                count += 1
                if count > MOST_FILES:
                    raise Refusal(
                        Category.WRONG_USE,
                        f"{folder.name} holds more than {MOST_FILES:,} JSON files",
                        help="name the folder of the results",
                    )
                yield Path(where) / name


def _was_ours(document: Json) -> bool:
    """Whether a JSON value has a name that runs have, without being one: damage, not a stranger."""
    names = document.keys() if isinstance(document, dict) else frozenset()
    return bool(names & {"schema_version", "figures_of", "protocol"}) and "session" not in names


def _hidden(folder: str) -> bool:
    """Whether a folder is nobody's business; lm-eval writes ``./model`` as ``.__model``."""
    return folder.startswith(".") and not folder.lstrip(".").startswith("__")


def _raise(error: OSError) -> None:
    raise error


def _logs(folder: Path) -> list[Path]:
    return sorted(one for one in folder.glob("*.jsonl") if not one.name.endswith(_ITEMS))


def _with_scheme(opened: OpenedResults) -> OpenedResults:
    """With the scheme that its label names, such as ``nvfp4``: what to plan with."""
    return opened if opened.scheme else replace(opened, scheme=_named(opened.label))


def _named(label: str) -> str | None:
    """The scheme that a text names; None if it names none."""
    try:
        return resolve(label).name
    except WrongUse:
        return None
