"""Results files and sample logs of lm-eval that belong together become one model's evaluation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import Category, Refusal
from ...core.records.evaluation import Evaluation, Result
from ...core.records.run import Json
from ..foreign_files import unreadable
from .items import alone, with_items
from .protocol import NO_NAME, public_name
from .results import ResultsFile, stamp_of
from .samples import read_samples

_LOG = re.compile(r"samples_(.+?)(?:_[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9-]{8}(?:\.[0-9]+)?)?\.jsonl")


@dataclass(frozen=True)
class _Found:
    """What one file says of a task; None where it has no figure of it."""

    result: Result | None
    file: ResultsFile

    @property
    def age(self) -> tuple[float, str]:
        return self.file.date, stamp_of(self.file.path)


def evaluation_of(
    label: str, files: Sequence[ResultsFile], logs: Sequence[Path], *, only: str | None = None
) -> Evaluation:
    """All results of one model, each with its items where its log is there.

    Of several results of one task the newest counts, which is told. ``only`` leaves all but
    one task out. Raises Refusal for results of several models, engines or kinds of weights,
    and for a log that contradicts its results.
    """
    _refuse_several(label, files)
    newest: dict[str, _Found] = {}
    older: dict[str, int] = {}
    for file in files:
        for task in (*file.results, *file.unmeasured):
            if only not in (None, task):
                continue
            found = _Found(file.results.get(task), file)
            if task in newest:
                _refuse_two_places(label, task, file, newest[task].file)
                older[task] = older.get(task, 0) + 1
            if task not in newest or found.age > newest[task].age:
                newest[task] = found
    used: set[Path] = set()
    results = {}
    for task, found in newest.items():
        if found.result is None:
            continue
        log = log_of(found.file.path, task, logs)
        results[task] = found.result
        if log is not None:
            used.add(log)
            names = [one.metric.name for one in found.result.aggregates]
            samples = read_samples(log, found.file.filters.get(task, ()), names)
            results[task] = with_items(log, found.result, samples)
    notes = [
        f"{label}: {task} was evaluated {count + 1} times, and the newest counts"
        for task, count in older.items()
    ]
    left = len([one for one in logs if one not in used]) if not older and only is None else 0
    if left:
        several = "s belong" if left > 1 else " belongs"
        notes.append(f"{label}: {left} sample log{several} to none of its results: not read")
    unmeasured = tuple(task for task, found in newest.items() if found.result is None)
    if unmeasured:
        notes.append(f"{label} has no figure of {', '.join(unmeasured)}")
    return Evaluation(
        label,
        files[0].model,
        files[0].engine,
        results,
        notes=tuple(notes),
        unmeasured=unmeasured,
        weights=files[0].weights,
        places=files[0].places,
    )


def logs_alone(label: str, logs: Sequence[Path]) -> Evaluation:
    """The evaluation in sample logs without a results file. Raises Refusal."""
    results: dict[str, Result] = {}
    for log in logs:
        task = task_of(log)
        if task is None:
            raise unreadable(log, "is not named as lm-eval names a sample log: samples_TASK_...")
        if task in results:
            raise unreadable(
                log, f"is a second log of {task}", "name one of them, or put their results beside"
            )
        results[task] = alone(task, read_samples(log, (), ()))
    return Evaluation(label, NO_NAME, "unknown", results)


def task_of(log: Path) -> str | None:
    """The task in the name of a sample log; None where it is named otherwise."""
    found = _LOG.fullmatch(log.name)
    return found[1] if found else None


def log_of(results: Path, task: str, logs: Sequence[Path]) -> Path | None:
    """The sample log of one task beside its results file; None where there is none."""
    beside = [one for one in logs if one.parent == results.parent]
    stamp = stamp_of(results)
    if stamp:
        return next((one for one in beside if one.name == f"samples_{task}_{stamp}.jsonl"), None)
    # Before lm-eval 0.4.3 files have no time in their names.
    ends = [one for one in beside if one.name.endswith(f"_{task}.jsonl") and not stamp_of(one)]
    return min(ends, key=lambda one: len(one.name), default=None)


def results_beside(log: Path) -> Path | None:
    """The results file of the evaluation that wrote a sample log; None where it is not there."""
    stamp = stamp_of(log)
    name = f"results_{stamp}.json" if stamp else "results.json"
    path = log.parent / name
    return path if path.is_file() else None


def _refuse_several(label: str, files: Sequence[ResultsFile]) -> None:
    models = sorted({one.model for one in files})
    engines = sorted({one.engine for one in files})
    for what, names in (("models", models), ("engines", engines)):
        if len(names) > 1:
            raise Refusal(
                Category.WRONG_USE,
                f"{label} holds results of {len(names)} {what}: {', '.join(names[:4])}",
                help="name the folder of one of them; lm-eval makes one per model",
            )
    weights = {_words(one.weights): None for one in files}
    if len(weights) > 1:
        raise Refusal(
            Category.WRONG_USE,
            f"{label} holds results of {models[0]} with different weights: "
            f"{'; '.join(list(weights)[:4])}",
            help="put those of each into a folder of its own",
        )


def _refuse_two_places(label: str, task: str, one: ResultsFile, other: ResultsFile) -> None:
    if one.places != other.places and not one.places & other.places:
        raise Refusal(
            Category.WRONG_USE,
            f"{label} holds results on {task} of two models called {one.model}, which lay in "
            "different folders",
            help="name the folder of one of them; lm-eval makes one per model",
        )


def _words(weights: Mapping[str, Json]) -> str:
    """``load_in_4bit=True``, or that nothing was said."""
    shown = [f"{name}={public_name(str(value))[:40]}" for name, value in sorted(weights.items())]
    return ", ".join(shown) or "as they are"
