"""Results files of lm-eval, 0.4.0 to 0.4.13: one file becomes one model's results by task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.codes import ImportCode
from ...core.facts import Problem
from ...core.records.evaluation import Aggregate, Result
from ...core.records.metric_directions import direction
from ...core.records.run import Json, Metric
from ...core.strict_json import CorruptFile
from ..foreign_files import blaming, list_of, number_of, object_of, whole_of
from .protocol import (
    cache_of,
    config_of,
    engine_of,
    model_of,
    places_of,
    protocol_fields,
    weights_of,
)
from .suspicions import chance_of, thoughts_scored

PERPLEXITIES = frozenset({"perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"})

NO_FILTER = "none"

LONGEST_NAME = 200
"""Characters of a task or a metric with its filter."""

_STDERR = "_stderr"

NOT_METRICS = frozenset({"alias", "name", "sample_len", "sample_count", "samples", "bypass"})
"""``bypass`` is lm-eval's 999 for answers that nobody scored (``--predict_only``)."""


@dataclass(frozen=True)
class ResultsFile:
    """One results file: who answered, when, and the results by task without their items.

    ``filters`` are the names of each task's filters in the order in which its rows are logged,
    ``unmeasured`` the tasks without a single figure, ``weights`` the arguments that decide
    which weights were loaded, ``places`` stands for where the model lay (`places_of`).
    """

    path: Path
    model: str
    engine: str
    date: float
    results: Mapping[str, Result]
    filters: Mapping[str, tuple[str, ...]]
    unmeasured: tuple[str, ...] = ()
    weights: Mapping[str, Json] = field(default_factory=dict)
    places: frozenset[str] = frozenset()


def is_results(document: Json) -> bool:
    """Whether a JSON value is a results file of lm-eval."""
    return isinstance(document, dict) and "results" in document and "versions" in document


def read_results(path: Path, document: Mapping[str, Any]) -> ResultsFile:
    """The results in the JSON of a file. Raises Refusal where it contradicts itself."""
    with blaming(path):
        results, filters = _read_rows(document, path.stat().st_mtime)
    below = object_of(document.get("group_subtasks"))
    return ResultsFile(
        path,
        model_of(document),
        engine_of(document),
        number_of(document.get("date")) or 0.0,
        results,
        filters,
        # A group without a figure of its own is known by those of its tasks.
        tuple(task for task in filters if task not in results and not below.get(task)),
        weights_of(document),
        places_of(document),
    )


def _read_rows(
    document: Mapping[str, Any], written: float
) -> tuple[dict[str, Result], dict[str, tuple[str, ...]]]:
    """The results by task, and the filters of every task, also of those without a figure."""
    groups = object_of(document.get("groups"))
    rows = {**object_of(document["results"]), **groups}
    if not rows:
        raise CorruptFile(ImportCode.NO_RESULTS)
    results = {}
    for task, row in rows.items():
        if not isinstance(row, dict):
            raise CorruptFile(ImportCode.RESULTS_NOT_AN_OBJECT, task=task[:60])
        if bad_names := [name for name in (task, *row) if not is_name(name)]:
            raise CorruptFile(ImportCode.NOT_A_NAME, name=bad_names[0][:60])
        result = _read_result(document, task, row, written)
        if result is not None:
            results[task] = result
    if not results:
        raise CorruptFile(ImportCode.NO_FINITE_METRIC)
    return results, {task: filters_of(_config(document, task)) for task in rows}


def is_name(text: str) -> bool:
    """Whether a text may be printed and filed as the name of a task or metric."""
    return bool(text) and text.isprintable() and len(text) <= LONGEST_NAME


def _config(document: Mapping[str, Any], task: str) -> Mapping[str, Any]:
    return object_of(object_of(document.get("configs")).get(task))


def filters_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of a task's filters in the order of its file."""
    names = [object_of(entry).get("name") for entry in list_of(config.get("filter_list"))]
    filter_names = tuple(name for name in names if isinstance(name, str))
    return filter_names or (NO_FILTER,)


def _read_result(
    document: Mapping[str, Any], task: str, row: Mapping[str, Any], written: float
) -> Result | None:
    parts = _parts(document, task)
    n, total = _item_counts(document, task, parts)
    aggregates = _aggregates(document, task, row, n, parts)
    if not aggregates:
        return None
    config = _config(document, task)
    # A group has no file of its own among the configs; its first task speaks for it.
    speaker = config or next((_config(document, part) for part in parts), {})
    protocol, words = protocol_fields(document, task, speaker, is_group=bool(parts))
    suspicions = {}
    if n is None:
        suspicions[""] = Problem(ImportCode.ITEMS_NOT_COUNTED, {})
    if empty := tuple(part for part in parts if not _has_figure(document, part)):
        suspicions[""] = Problem(ImportCode.PART_WITHOUT_FIGURE, {"parts": empty[:3]})
    for aggregate in aggregates:
        thought = thoughts_scored(document, speaker, aggregate.metric.name.partition(",")[2])
        if thought is not None:
            suspicions[aggregate.metric.name] = thought
    return Result(
        task=task,
        known=protocol,
        aggregates=aggregates,
        config=config_of(config),
        unaveraged=unaveraged_metrics(config),
        parts=parts,
        total=total,
        chance=_chance(document, parts) if parts else chance_of(config),
        suspicions=suspicions,
        words=words,
        notes=_limit_notes(task, n, total),
        date=number_of(document.get("date")),
        written=written,
        cache=cache_of(document),
        ordered=_begins_with_figure(row),
    )


def _begins_with_figure(row: Mapping[str, Any]) -> bool:
    """Whether the first metric, which is the task's own choice, has a value."""
    figures = _figures(row)
    for key in row:
        name = key.partition(",")[0]
        if name.strip() and name not in NOT_METRICS and not name.endswith(_STDERR):
            return key in figures
    return True


def _chance(document: Mapping[str, Any], parts: tuple[str, ...]) -> float | None:
    """What guessing scores on a group, where its tasks agree; None where they do not."""
    configs = [config for part in parts if (config := _config(document, part))]
    chances = {chance_of(config) for config in configs}
    return chances.pop() if len(chances) == 1 else None


def _has_figure(document: Mapping[str, Any], part: str) -> bool:
    """Whether a task below a group has a figure, or is a group itself."""
    if object_of(document.get("group_subtasks")).get(part):
        return True
    row = object_of(object_of(document["results"]).get(part))
    return bool(_figures(row))


def _limit_notes(task: str, n: int | None, total: int | None) -> tuple[str, ...]:
    if n is None or total is None or n >= total:
        return ()
    return (f"{task}: {n:,} of {total:,} items (--limit)",)


def _parts(document: Mapping[str, Any], task: str) -> tuple[str, ...]:
    """The tasks below a group, at any depth; empty for a task."""
    below = object_of(document.get("group_subtasks"))
    results = object_of(document["results"])
    parts: dict[str, None] = {}
    waiting, seen_names = [task], {task}
    while waiting:
        above = waiting.pop(0)
        for name in list_of(below.get(above)):
            if name == task and above != task:
                # Each would be a part of the other, and neither a task of its own.
                raise CorruptFile(ImportCode.PART_OF_ITSELF, task=task, group=above)
            if isinstance(name, str) and name not in seen_names:
                seen_names.add(name)
                waiting.append(name)
                if name in results:
                    parts[name] = None
    return tuple(parts)


def _item_counts(
    document: Mapping[str, Any], task: str, parts: tuple[str, ...]
) -> tuple[int | None, int | None]:
    """How many items were answered and how many the whole task has."""
    counts = object_of(document.get("n-samples"))
    below = object_of(document.get("group_subtasks"))
    # Of a group, what its tasks have; one that is not counted leaves the number unknown.
    leaves = [part for part in parts if not list_of(below.get(part))] or [task]
    leaf_counts = [object_of(counts.get(leaf)) for leaf in leaves]
    sums: list[int | None] = []
    for kind in ("effective", "original"):
        numbers = [whole_of(counts_of_leaf.get(kind)) for counts_of_leaf in leaf_counts]
        known_numbers = [number for number in numbers if number is not None]
        sums.append(
            sum(known_numbers) if known_numbers and len(known_numbers) == len(numbers) else None
        )
    n, total = sums
    if n == 0:
        raise CorruptFile(ImportCode.RESULTS_ON_NO_ITEMS, task=task)
    if n is not None and total is not None and n > total:
        raise CorruptFile(ImportCode.MORE_ITEMS_THAN_IN_TASK, items=n, task=task, total=total)
    return n, total


def _aggregates(
    document: Mapping[str, Any],
    task: str,
    row: Mapping[str, Any],
    n: int | None,
    parts: tuple[str, ...],
) -> tuple[Aggregate, ...]:
    aggregates = []
    for key, number in _figures(row).items():
        name, _, rest = key.partition(",")
        filtered = f"{name},{rest or NO_FILTER}"
        error = number_of(row.get(f"{name}{_STDERR},{rest}", row.get(f"{name}{_STDERR}")))
        if error is not None and error < 0:
            raise CorruptFile(ImportCode.NEGATIVE_STDERR, metric=filtered, task=task)
        aggregates.append(
            Aggregate(
                Metric(
                    filtered, _higher_is_better(document, task, parts, name), _kind(name, number)
                ),
                number,
                error,
                n,
            )
        )
    return tuple(aggregates)


def _figures(row: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a row that are numbers; lm-eval writes ``N/A`` for what it has not."""
    figures = {}
    for key, value in row.items():
        name = key.partition(",")[0]
        number = number_of(value)
        if name not in NOT_METRICS and not name.endswith(_STDERR) and number is not None:
            figures[key] = number
    return figures


def _higher_is_better(
    document: Mapping[str, Any], task: str, parts: tuple[str, ...], metric: str
) -> bool | None:
    """Whether higher is better; None where the file leaves it open or the tasks disagree."""
    kind = "perplexity" if metric in PERPLEXITIES else ""
    directions = object_of(object_of(document.get("higher_is_better")).get(task))
    if metric in directions:
        # A null is lm-eval's word for a group whose tasks disagree, or for not knowing either.
        declared = directions[metric]
        return None if declared is None else direction(metric, declared, kind=kind)
    if parts and not _config(document, task):
        part_directions = {_higher_is_better(document, part, (), metric) for part in parts}
        return part_directions.pop() if len(part_directions) == 1 else None
    return direction(metric, declared_direction(_config(document, task), metric), kind=kind)


def declared_direction(config: Mapping[str, Any], metric: str) -> object:
    """What a task's file says of ``higher_is_better``; None if nothing."""
    metric_entries = [object_of(entry) for entry in list_of(config.get("metric_list"))]
    declared = (
        entry.get("higher_is_better") for entry in metric_entries if entry.get("metric") == metric
    )
    return next(declared, None)


def unaveraged_metrics(config: Mapping[str, Any]) -> frozenset[str]:
    """The metrics that a task's file makes of its items otherwise than by their mean."""
    aggregations: dict[str, object] = {}
    for entry in map(object_of, list_of(config.get("metric_list"))):
        aggregations.setdefault(str(entry.get("metric")), entry.get("aggregation", "mean"))
    return frozenset(name for name, how in aggregations.items() if how not in ("mean", "nanmean"))


def _kind(metric: str, value: float) -> str:
    if metric in PERPLEXITIES:
        return "perplexity"
    return "mean" if 0.0 <= value <= 1.0 else "aggregate"


STAMP = re.compile(r"_([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9-]{8}(?:\.[0-9]+)?)\.jsonl?$")


def stamp_of(path: Path) -> str:
    """The time in the name of a file of lm-eval, which one evaluation shares; or empty."""
    match = STAMP.search(path.name)
    return match[1] if match else ""
