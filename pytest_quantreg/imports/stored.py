"""Runs in the project's own format, read wherever they lie: beside a store or taken out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..baselines import rows
from ..baselines.document import (
    MAX_META,
    metrics_of,
    open_document,
    rows_of,
    to_run,
)
from ..baselines.files import read_whole
from ..baselines.versions import Document
from ..core.comparable_known import known_of
from ..core.errors import Category, Refusal, WrongUse
from ..core.evaluation import Aggregate, Evaluation, Result
from ..core.record import UNVERIFIED, Json, Run
from ..core.schemes import resolve
from ..core.strict import Damage
from ..core.timings import Timings
from .figures import read_document, to_timings, to_totals
from .reading import blaming


def is_stored(document: Json) -> bool:
    """Whether a JSON value looks like a run of ours."""
    return isinstance(document, dict) and "schema_version" in document and "protocol" in document


def read_stored(label: str, runs: Sequence[Path], totals: Sequence[Path] = ()) -> Evaluation:
    """The runs, and the totals without items, in several files as one evaluation.

    Raises Refusal for damaged files, and for results of several models, schemes or engines.
    """
    found = [(path, _of_run(label, read_run(path))) for path in runs]
    found += [(path, to_totals(label, _document(path))) for path in totals]
    owners = sorted({(one.model, str(one.scheme), one.engine) for _, one in found})
    if len(owners) > 1:
        shown = "; ".join(" ".join(one) for one in owners[:3])
        raise Refusal(
            Category.WRONG_USE,
            f"{label} holds runs of several models, schemes or engines: {shown}",
            help="name the folder of one of them, such as STORE/MODEL/SCHEME/ENGINE",
        )
    results: dict[str, Result] = {}
    unmeasured: tuple[str, ...] = ()
    for path, one in found:
        if twice := one.results.keys() & results.keys():
            raise Refusal(
                Category.WRONG_USE,
                f"{label} holds two runs of {min(twice)}, asked in different ways",
                help=f"name one of their files, such as {path.name}",
            )
        results |= one.results
        unmeasured += one.unmeasured
    weights = next((one.weights for _, one in found if one.weights is not None), None)
    return replace(found[0][1], results=results, unmeasured=unmeasured, weights=weights)


def read_stored_timings(label: str, paths: Sequence[Path]) -> Timings:
    """The imported timings of one model. Raises Refusal for damaged files, and for several."""
    if len(paths) > 1:
        raise Refusal(
            Category.WRONG_USE,
            f"{label} holds {len(paths)} imports of timings",
            help=f"name one of them, such as {paths[0].parent.parent.name}",
        )
    return to_timings(label, _document(paths[0]))


def read_run(path: Path) -> Run:
    """The run whose meta file this is. Raises Refusal for anything but what was recorded."""
    with blaming(path):
        document = open_document(read_whole(path, MAX_META))
        info, metrics = rows_of(document), metrics_of(document)
    beside = path.with_name(f"{path.name.removesuffix('.json')}.items.jsonl")
    with blaming(beside):
        data = rows.matches(read_whole(beside, info.bytes + info.count), info)
        if data is None:
            raise Damage(f"does not hold the {info.count:,} items that were recorded")
        items = rows.decode(data, info, metrics)
    with blaming(path):
        return to_run(document, items)


def _document(path: Path) -> Document:
    with blaming(path):
        return read_document(path)


def _of_run(label: str, run: Run) -> Evaluation:
    result, provenance = result_of(run), run.provenance
    return Evaluation(
        label,
        provenance.model.name,
        provenance.software.backend,
        {result.task: result},
        scheme=provenance.claimed,
    )


def result_of(run: Run) -> Result:
    """A stored run as a result."""
    accuracy = run.accuracy
    n = len(accuracy.items)
    return Result(
        task=accuracy.protocol.task,
        known=known_of(run),
        aggregates=tuple(
            Aggregate(metric, accuracy.values[metric.name], None, n)
            for metric in accuracy.protocol.metrics
        ),
        accuracy=accuracy,
        run=run,
        total=accuracy.protocol.total_items,
        chance=accuracy.chance,
        suspicions=_unquantized(run),
    )


def _unquantized(run: Run) -> dict[str, str]:
    """Told where nothing was quantized though the scheme says so."""
    provenance = run.provenance
    try:
        claims = resolve(provenance.claimed).scheme.is_quantized
    except WrongUse:  # a scheme of a project's own, or none that was named
        return {}
    effective = provenance.effective
    if not claims or effective.mode == UNVERIFIED or effective.quantized_layers > 0:
        return {}
    return {"": f"nothing in its loaded weights was quantized, and it claims {provenance.claimed}"}
