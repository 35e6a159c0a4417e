"""What imported files say beside items, as documents of our own: what they hold, and back again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..baselines.atomic_files import read_whole
from ..baselines.json_values import make, to_plain
from ..baselines.sealed_document import Document, SealedDocument
from ..core.codes import ImportCode, StoredCode
from ..core.comparison.partial_comparability import NOT_GIVEN
from ..core.facts import Problem, stated
from ..core.records.evaluation import Aggregate, Evaluation, Result
from ..core.records.metric_directions import direction
from ..core.records.run import Json, Metric
from ..core.records.timings import Repeat, Timings
from ..core.redact_settings import sealed
from ..core.strict_json import CorruptFile, dump_readable
from .foreign_files import object_of
from .lm_eval_results.results import declared_direction, unaveraged_metrics


def _to_1_1(document: Document) -> Document:
    """1.1 says null where a metric's direction is unknown, which 1.0 took for higher is better.

    It also says of a task by which names its model's place is known.
    """
    added: Document = {"places": []} if document.get("figures_of") == "task" else {}
    document = {**document, **added, "schema_version": "1.1"}
    aggregates = document.get("aggregates")
    if not isinstance(aggregates, list):
        return document
    config = object_of(document.get("config"))
    directed = [
        _with_sure_direction(aggregate, config) if isinstance(aggregate, dict) else aggregate
        for aggregate in aggregates
    ]
    return {**document, "aggregates": directed}


def _with_sure_direction(aggregate: Document, config: Mapping[str, Any]) -> Document:
    metric = aggregate.get("metric")
    if not isinstance(metric, dict) or not isinstance(metric.get("higher_is_better"), bool):
        return aggregate
    name = str(metric.get("name")).partition(",")[0]
    declared = declared_direction(config, name)
    higher_is_better = direction(name, declared, kind=str(metric.get("kind")))
    return {**aggregate, "metric": {**metric, "higher_is_better": higher_is_better}}


FORM = SealedDocument(
    (1, 1),
    Path(__file__).parent / "schema" / "figures-1.json",
    MappingProxyType({(1, 0): _to_1_1}),
    changed=Problem(StoredCode.CHANGED_AFTER_IMPORTED, {}),
)

MOST_BYTES = 1024 * 1024
"""Of a file: real ones have a few KiB."""

PROSE = frozenset({"imported.chat_template_args"})
"""Settings that may hold what is said to a model."""

_KEPT = ("ordered", "parts", "total", "chance", "notes", "date", "cache")
"""What of a result is kept as it is, beside what must be equal and the figures.

Items lie in a run beside it; words are texts that somebody wrote, and are not kept.
"""


def is_figures(document: Json) -> bool:
    """Whether a JSON value looks like a document of this kind."""
    return isinstance(document, dict) and {"schema_version", "figures_of"} <= document.keys()


def task_document(
    evaluation: Evaluation,
    result: Result,
    scheme: str,
    suspicions: Mapping[str, str],
    *,
    items: str | None = None,
) -> Document:
    """All that is known of one task but its items, of which ``items`` is the rows' sha256.

    ``suspicions`` are the words of those of the result. Texts that somebody wrote are kept as
    digests.
    """
    metrics = [
        {**to_plain(aggregate), "metric": to_plain(aggregate.metric)}
        for aggregate in result.aggregates
    ]
    return FORM.seal(
        {
            "figures_of": "task",
            "model": evaluation.model,
            "scheme": scheme,
            "engine": evaluation.engine,
            "weights": _sealed_settings(evaluation.weights),
            "places": sorted(evaluation.places),
            "task": result.task,
            "items": items,
            "known": _sealed_settings(result.known),
            "config": _sealed_settings(result.config, words_only=True),
            "aggregates": metrics,
            "suspicions": {metric: suspicions[metric] for metric in result.suspicions},
            **{name: to_plain(getattr(result, name)) for name in _KEPT},
        }
    )


def unmeasured_document(evaluation: Evaluation, task: str, scheme: str) -> Document:
    """A task that was asked for and has no figure: whoever compares must know of it."""
    return FORM.seal(
        {
            "figures_of": "nothing",
            "model": evaluation.model,
            "scheme": scheme,
            "engine": evaluation.engine,
            "task": task,
        }
    )


def timings_document(timings: Timings, scheme: str) -> Document:
    """All repeats of one model's timings."""
    return FORM.seal(
        {
            "figures_of": "timings",
            "model": timings.model,
            "scheme": scheme,
            "program": timings.program,
            "repeats": to_plain(timings.repeats),
        }
    )


def encode(document: Document) -> bytes:
    """The bytes of a file. Raises CorruptFile for what a reader would refuse."""
    FORM.validate(document)
    data = dump_readable(document)
    if len(data) > MOST_BYTES:
        raise CorruptFile(ImportCode.FIGURES_TOO_LARGE, bytes=len(data), most=MOST_BYTES)
    return data


def read_document(path: Path) -> Document:
    """The validated document in a file. Raises CorruptFile, FileNotFoundError."""
    return FORM.open(read_whole(path, MOST_BYTES))


def to_totals(label: str, document: Any) -> Evaluation:
    """The evaluation of one task that a validated document spells out."""
    evaluation = Evaluation(
        label,
        document["model"],
        document["engine"],
        {},
        scheme=document["scheme"],
        weights=document.get("weights"),
        places=frozenset(document.get("places", ())),
    )
    if document["figures_of"] == "nothing":
        return replace(evaluation, unmeasured=(document["task"],))
    result = _to_result(document)
    return replace(evaluation, results={result.task: result})


def _to_result(document: Any) -> Result:
    aggregates = tuple(
        replace(make(Aggregate, aggregate), metric=make(Metric, aggregate["metric"]))
        for aggregate in document["aggregates"]
    )
    kept = {name: document[name] for name in _KEPT}
    kept |= {name: tuple(kept[name]) for name in ("parts", "notes")}
    return Result(
        task=document["task"],
        known=document["known"],
        config=document["config"],
        unaveraged=unaveraged_metrics(document["config"]),
        aggregates=aggregates,
        suspicions={name: stated(text) for name, text in document["suspicions"].items()},
        **kept,
    )


def to_timings(label: str, document: Any) -> Timings:
    """The timings that a validated document spells out."""
    repeats = tuple(make(Repeat, repeat) for repeat in document["repeats"])
    return Timings(label, document["model"], document["program"], repeats, document["scheme"])


def _sealed_settings(
    settings: Mapping[str, Json] | None, *, words_only: bool = False
) -> dict[str, Json] | None:
    if settings is None:
        return None
    return {
        name: value if value == NOT_GIVEN else sealed(value, words_only=words_only or name in PROSE)
        for name, value in sorted(settings.items())
    }
