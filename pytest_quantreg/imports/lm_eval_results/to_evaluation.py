"""Results files and sample logs of lm-eval that belong together become one model's evaluation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.codes import ImportCode
from ...core.errors import Refusal
from ...core.facts import Problem
from ...core.records.evaluation import Evaluation, Result
from ...core.records.run import Json
from ...core.strict_json import CorruptFile
from ..foreign_files import blaming, unusable
from .items import result_of_log, with_items
from .protocol import NO_NAME, public_name
from .results import ResultsFile, stamp_of
from .samples import read_samples

_LOG = re.compile(r"samples_(.+?)(?:_[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9-]{8}(?:\.[0-9]+)?)?\.jsonl")


MOST_NAMES = 4
"""Of models, engines or weights that an error lists."""


@dataclass(frozen=True)
class _FileResult:
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
    _refuse_several_models(label, files)
    newest, older = _newest_by_task(label, files, only)
    used: set[Path] = set()
    results = {}
    for task, file_result in newest.items():
        if file_result.result is None:
            continue
        log = log_of(file_result.file.path, task, logs)
        results[task] = file_result.result
        if log is not None:
            used.add(log)
            names = [aggregate.metric.name for aggregate in file_result.result.aggregates]
            samples = read_samples(log, file_result.file.filters.get(task, ()), names)
            with blaming(log):
                results[task] = with_items(file_result.result, samples)
    notes = [
        f"{label}: {task} was evaluated {count + 1} times, and the newest counts"
        for task, count in older.items()
    ]
    unused = len([log for log in logs if log not in used]) if not older and only is None else 0
    if unused:
        ending = "s belong" if unused > 1 else " belongs"
        notes.append(f"{label}: {unused} sample log{ending} to none of its results: not read")
    unmeasured = tuple(task for task, file_result in newest.items() if file_result.result is None)
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


def _newest_by_task(
    label: str, files: Sequence[ResultsFile], only: str | None
) -> tuple[dict[str, _FileResult], dict[str, int]]:
    """The newest result of each task, and how many older ones it has where there are some."""
    newest: dict[str, _FileResult] = {}
    older: dict[str, int] = {}
    for file in files:
        for task in (*file.results, *file.unmeasured):
            if only not in (None, task):
                continue
            file_result = _FileResult(file.results.get(task), file)
            if task in newest:
                _refuse_two_places(label, task, file, newest[task].file)
                older[task] = older.get(task, 0) + 1
            if task not in newest or file_result.age > newest[task].age:
                newest[task] = file_result
    return newest, older


def logs_alone(label: str, logs: Sequence[Path]) -> Evaluation:
    """The evaluation in sample logs without a results file. Raises Refusal."""
    results: dict[str, Result] = {}
    for log in logs:
        task = task_of(log)
        if task is None:
            raise unusable(log, CorruptFile(ImportCode.NOT_NAMED_AS_A_LOG))
        if task in results:
            raise unusable(log, CorruptFile(ImportCode.SECOND_LOG, task=task))
        samples = read_samples(log, (), ())
        with blaming(log):
            results[task] = result_of_log(task, samples)
    return Evaluation(label, NO_NAME, "unknown", results)


def task_of(log: Path) -> str | None:
    """The task in the name of a sample log; None where it is named otherwise."""
    match = _LOG.fullmatch(log.name)
    return match[1] if match else None


def log_of(results: Path, task: str, logs: Sequence[Path]) -> Path | None:
    """The sample log of one task beside its results file; None where there is none."""
    beside = [log for log in logs if log.parent == results.parent]
    stamp = stamp_of(results)
    if stamp:
        return next((log for log in beside if log.name == f"samples_{task}_{stamp}.jsonl"), None)
    # Before lm-eval 0.4.3 files have no time in their names.
    ends = [log for log in beside if log.name.endswith(f"_{task}.jsonl") and not stamp_of(log)]
    return min(ends, key=lambda log: len(log.name), default=None)


def results_beside(log: Path) -> Path | None:
    """The results file of the evaluation that wrote a sample log; None where it is not there."""
    stamp = stamp_of(log)
    name = f"results_{stamp}.json" if stamp else "results.json"
    path = log.parent / name
    return path if path.is_file() else None


def _refuse_several_models(label: str, files: Sequence[ResultsFile]) -> None:
    models = sorted({file.model for file in files})
    engines = sorted({file.engine for file in files})
    if len(models) > 1:
        raise Refusal(
            ImportCode.RESULTS_OF_SEVERAL_MODELS,
            label=label,
            count=len(models),
            names=tuple(models[:MOST_NAMES]),
        )
    if len(engines) > 1:
        raise Refusal(
            ImportCode.RESULTS_OF_SEVERAL_ENGINES,
            label=label,
            count=len(engines),
            names=tuple(engines[:MOST_NAMES]),
        )
    weights = dict.fromkeys(_weight_arguments(file.weights) for file in files)
    if len(weights) > 1:
        raise Refusal(
            ImportCode.RESULTS_OF_SEVERAL_WEIGHTS,
            label=label,
            model=models[0],
            weights=tuple(map(_weights_problem, list(weights)[:MOST_NAMES])),
        )


def _refuse_two_places(label: str, task: str, file: ResultsFile, other: ResultsFile) -> None:
    if file.places != other.places and not file.places & other.places:
        raise Refusal(
            ImportCode.MODELS_IN_SEVERAL_FOLDERS, label=label, task=task, model=file.model
        )


def _weight_arguments(weights: Mapping[str, Json]) -> tuple[str, ...]:
    """``load_in_4bit=True`` and others, as far as they may be shown."""
    return tuple(
        f"{name}={public_name(str(value))[:40]}" for name, value in sorted(weights.items())
    )


def _weights_problem(arguments: tuple[str, ...]) -> Problem:
    if not arguments:
        return Problem(ImportCode.WEIGHTS_AS_THEY_ARE, {})
    return Problem(ImportCode.WEIGHTS_LOADED_WITH, {"arguments": arguments})
