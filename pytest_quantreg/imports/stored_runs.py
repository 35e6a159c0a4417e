"""Runs in the project's own format, read wherever they lie: beside a store or taken out of it."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..baselines import rows
from ..baselines.atomic_files import read_whole
from ..baselines.document import RUNS, metrics_of, rows_of, to_run
from ..baselines.sealed_document import Document
from ..core.codes import ImportCode, StoredCode
from ..core.comparison.partial_comparability import stored_values
from ..core.errors import Refusal, WrongUse
from ..core.facts import Problem, Scheme
from ..core.records.evaluation import Aggregate, Evaluation, Result
from ..core.records.run import UNVERIFIED, Json, Run
from ..core.records.timings import Timings
from ..core.redact_settings import seal
from ..core.schemes.names import resolve
from ..core.strict_json import CorruptFile
from .figures_document import read_document, to_timings, to_totals
from .figures_store import IMPORTED
from .foreign_files import blaming, unusable
from .lm_eval_results.protocol import ENGINE


def is_stored(document: Json) -> bool:
    """Whether a JSON value looks like a run of ours."""
    return isinstance(document, dict) and "schema_version" in document and "protocol" in document


def read_stored(label: str, runs: Sequence[Path], sheets: Sequence[Path] = ()) -> Evaluation:
    """The runs in several files as one evaluation.

    ``sheets`` are files of what is known of imported tasks; where those have items, a run
    lies beside each. Raises Refusal for damaged files, and for results of several models,
    weights, schemes or engines.
    """
    evaluations = {path: _evaluation_of_run(label, path) for path in runs}
    figures_read = {_sheet_path(path) for path in runs}
    for path in sheets:
        if path not in figures_read:
            evaluations[path] = _evaluation_of_sheet(label, path)
    _refuse_several(label, evaluations.values())
    results: dict[str, Result] = {}
    unmeasured: tuple[str, ...] = ()
    for path, evaluation in evaluations.items():
        if twice := evaluation.results.keys() & results.keys():
            raise Refusal(
                ImportCode.TWO_RUNS_OF_A_TASK, label=label, task=min(twice), file=path.name
            )
        results |= evaluation.results
        unmeasured += evaluation.unmeasured
    first = next(iter(evaluations.values()))
    weights = next(
        (
            evaluation.weights
            for evaluation in evaluations.values()
            if evaluation.weights is not None
        ),
        None,
    )
    places = frozenset[str]().union(*(evaluation.places for evaluation in evaluations.values()))
    return replace(first, results=results, unmeasured=unmeasured, weights=weights, places=places)


def _refuse_several(label: str, evaluations: Collection[Evaluation]) -> None:
    owners = sorted(
        {
            (evaluation.model, str(evaluation.scheme), evaluation.engine)
            for evaluation in evaluations
        }
    )
    if len(owners) > 1:
        names = tuple(map(" ".join, owners[:3]))
        raise Refusal(ImportCode.RUNS_OF_SEVERAL, label=label, owners=names)
    weights = {
        seal(dict(evaluation.weights))
        for evaluation in evaluations
        if evaluation.weights is not None
    }
    if len(weights) > 1:
        raise Refusal(ImportCode.RUNS_OF_SEVERAL_WEIGHTS, label=label, model=owners[0][0])


def read_stored_timings(label: str, paths: Sequence[Path]) -> Timings:
    """The imported timings of one model. Raises Refusal for damaged files, and for several."""
    if len(paths) > 1:
        raise Refusal(
            ImportCode.SEVERAL_IMPORTS_OF_TIMINGS,
            label=label,
            imports=len(paths),
            folder=paths[0].parent.parent.name,
        )
    return to_timings(label, _read_figures(paths[0]))


def read_run(path: Path) -> tuple[Run, str]:
    """The run whose meta file this is, and the sha256 of its rows.

    Raises Refusal for anything but what was recorded.
    """
    with blaming(path):
        document = RUNS.kind.open(read_whole(path, RUNS.max_bytes))
        info, metrics = rows_of(document), metrics_of(document)
    beside = path.with_name(f"{path.name.removesuffix('.json')}.items.jsonl")
    with blaming(beside):
        data = rows.matches(read_whole(beside, info.bytes + info.count), info)
        if data is None:
            raise CorruptFile(StoredCode.OTHER_ITEMS_RECORDED, count=info.count)
        items = rows.decode(data, info, metrics)
    with blaming(path):
        return to_run(document, items), info.sha256


def _read_figures(path: Path) -> Document:
    with blaming(path):
        return read_document(path)


def _sheet_path(run: Path) -> Path:
    """Where what is known of an imported run lies, beside its items."""
    return run.parent / IMPORTED / run.name


def _evaluation_of_sheet(label: str, path: Path) -> Evaluation:
    """An imported task, with its items where it has some."""
    document: Any = _read_figures(path)
    if document.get("items") is None:
        return to_totals(label, document)
    return _evaluation_of_run(label, path.parent.parent / path.name)


def _evaluation_of_run(label: str, path: Path) -> Evaluation:
    run, digest = read_run(path)
    provenance = run.provenance
    if provenance.software.backend.startswith(ENGINE):
        return _imported_evaluation(label, path, run, digest)
    result = result_of(run)
    return Evaluation(
        label,
        provenance.model.name,
        provenance.software.backend,
        {result.task: result},
        scheme=provenance.claimed,
    )


def _imported_evaluation(label: str, path: Path, run: Run, digest: str) -> Evaluation:
    """Items, and all that their files said; neither is judged without the other."""
    sheet, task = _sheet_path(path), run.accuracy.protocol.task
    if not os.path.lexists(sheet):
        raise unusable(
            path, CorruptFile(ImportCode.IMPORT_INCOMPLETE, missing=f"{IMPORTED}/{path.name}")
        )
    document: Any = _read_figures(sheet)
    owner = run.provenance.model.name, run.provenance.claimed, run.provenance.software.backend
    identity = tuple(document.get(name) for name in ("model", "scheme", "engine", "task", "items"))
    if identity != (*owner, task, digest):
        raise unusable(sheet, CorruptFile(ImportCode.FIGURES_OF_OTHER_ITEMS, file=path.name))
    totals = to_totals(label, document)
    return replace(totals, results={task: replace(totals.results[task], accuracy=run.accuracy)})


def result_of(run: Run) -> Result:
    """A stored run as a result."""
    accuracy = run.accuracy
    n = len(accuracy.items)
    return Result(
        task=accuracy.protocol.task,
        known=stored_values(run),
        aggregates=tuple(
            Aggregate(metric, accuracy.values[metric.name], None, n)
            for metric in accuracy.protocol.metrics
        ),
        accuracy=accuracy,
        run=run,
        total=accuracy.protocol.total_items,
        chance=accuracy.chance,
        suspicions=_unquantized_suspicion(run),
    )


def _unquantized_suspicion(run: Run) -> dict[str, Problem]:
    """Told where nothing was quantized though the scheme says so."""
    provenance = run.provenance
    try:
        claims = resolve(provenance.claimed).scheme.is_quantized
    except WrongUse:  # a scheme of a project's own, or none that was named
        return {}
    effective = provenance.effective
    if not claims or effective.mode == UNVERIFIED or effective.quantized_layers > 0:
        return {}
    claimed = Scheme(provenance.claimed)
    return {"": Problem(ImportCode.NOTHING_QUANTIZED, {"scheme": claimed})}
