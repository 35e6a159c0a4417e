"""A run and its key to and from the document that is stored."""

from __future__ import annotations

from typing import Any

from ..core.codes import Category, StoredCode
from ..core.errors import Refusal, WrongUse
from ..core.facts import Problem, Quoted
from ..core.records.run import (
    Accuracy,
    EffectiveScheme,
    Items,
    Machine,
    Metric,
    ModelIdentity,
    Protocol,
    Provenance,
    Run,
    Software,
)
from ..core.strict_json import CorruptFile, digest_of, dump_readable, parse
from .json_values import known_fields, make, to_plain
from .key import BaselineKey, RunSettings, canonical_settings
from .rows import RowsInfo, encode
from .versions import CURRENT, Document, Version, refuse_newer, upgrade, validate

MAX_META = 1024 * 1024
"""Bytes of a meta file: real ones have about 3 KiB."""


def open_document(data: bytes) -> Document:
    """The validated document in the bytes of a meta file; raises CorruptFile."""
    document = upgrade(open_sealed(data, CURRENT))
    validate(document)
    return document


def open_sealed(data: bytes, current: Version) -> Document:
    """The document in the bytes of a file, as it was recorded; raises CorruptFile.

    CorruptFile is also a newer major version than ``current``; older ones are not upgraded.
    """
    document = parse(data)
    if not isinstance(document, dict):
        raise CorruptFile(StoredCode.NOT_AN_OBJECT)
    refuse_newer(document, current)
    if document.get("digest") != digest_of(document):
        raise CorruptFile(StoredCode.CHANGED_AFTER_RECORDED)
    return document


def encode_run(key: BaselineKey, run: Run) -> tuple[bytes, tuple[bytes, str]]:
    """Item rows, and the meta file with the digest of the rows it names."""
    try:
        check_whole(key, run)
        item_bytes, info = encode(run.accuracy.items, run.accuracy.protocol.metrics)
        document = to_document(key, run, info)
        validate(document)
        if key_of(document) != key:
            raise CorruptFile(StoredCode.KEY_NOT_READ_BACK)
        meta = dump_readable(document)
        if len(meta) > MAX_META:
            raise CorruptFile(StoredCode.META_TOO_LARGE, bytes=len(meta))
    except (CorruptFile, ValueError) as error:
        raise not_storable(str(key), error, empty=len(run.accuracy.items) == 0) from None
    return item_bytes, (meta, info.sha256)


def not_storable(key: str, error: ValueError, *, empty: bool) -> Refusal:
    """The refusal of a measurement that must not be stored."""
    cause = error.problem if isinstance(error, CorruptFile) else Quoted(str(error))
    problem = Problem(StoredCode.NOT_STORABLE, {"key": key, "cause": cause})
    return Refusal.of(problem, Category.NOTHING_MEASURED if empty else None)


def to_document(key: BaselineKey, run: Run, rows: RowsInfo) -> Document:
    """What the meta file says, in the order in which it is read; digest included."""
    provenance, accuracy = run.provenance, run.accuracy
    document: Document = {
        "schema_version": f"{CURRENT[0]}.{CURRENT[1]}",
        "key": key.plain(),
        "provenance": {
            "recorded_at": provenance.recorded_at,
            "git_commit": provenance.git_commit,
            "claimed": provenance.claimed,
            "model": to_plain(provenance.model),
            "effective": to_plain(provenance.effective),
            "software": to_plain(provenance.software),
            "machine": to_plain(provenance.machine),
        },
        "protocol": to_plain(accuracy.protocol),
        "values": {metric.name: accuracy.values[metric.name] for metric in _valued(accuracy)},
        "chance": accuracy.chance,
        "batch_size": accuracy.batch_size,
        "resumed_items": accuracy.resumed_items,
        "items": to_plain(rows),
    }
    document["digest"] = digest_of(document)
    return document


def key_of(document: Any) -> BaselineKey:
    """The key that a validated document is filed under; raises CorruptFile if it cannot be."""
    plain = document["key"]
    settings = known_fields(RunSettings, plain["settings"])
    try:
        if "gen_kwargs" in settings:
            settings["gen_kwargs"] = canonical_settings(settings["gen_kwargs"])
        return BaselineKey(
            plain["model"],
            plain["scheme"],
            plain["engine"],
            plain["task"],
            int(plain["num_fewshot"]),
            RunSettings(**settings),
        )
    except WrongUse as error:
        raise CorruptFile(StoredCode.KEY_CANNOT_BE, cause=error.problem) from None


def rows_of(document: Any) -> RowsInfo:
    """What a validated document says about its rows."""
    plain = document["items"]
    return RowsInfo(**{**known_fields(RowsInfo, plain), "columns": tuple(plain["columns"])})


def metrics_of(document: Any) -> tuple[Metric, ...]:
    """The metrics of a validated document, in the order of the task's own file."""
    return tuple(make(Metric, metric) for metric in document["protocol"]["metrics"])


def to_run(document: Any, items: Items) -> Run:
    """The run of a validated document; raises CorruptFile where its parts contradict."""
    provenance, metrics = document["provenance"], metrics_of(document)
    protocol = known_fields(Protocol, document["protocol"])
    run = Run(
        Provenance(
            model=make(ModelIdentity, provenance["model"]),
            claimed=provenance["claimed"],
            effective=make(EffectiveScheme, provenance["effective"]),
            software=make(Software, provenance["software"]),
            machine=make(Machine, provenance["machine"]),
            recorded_at=provenance["recorded_at"],
            git_commit=provenance["git_commit"],
        ),
        Accuracy(
            protocol=Protocol(**{**protocol, "metrics": metrics}),
            items=items,
            values={name: float(value) for name, value in document["values"].items()},
            chance=float(document["chance"]),
            batch_size=document["batch_size"],
            resumed_items=document["resumed_items"],
        ),
    )
    check_whole(key_of(document), run)
    return run


def check_whole(key: BaselineKey, run: Run) -> None:
    """Raises CorruptFile where a run contradicts its key or itself."""
    if (wrong := key.mismatch(run)) is not None:
        raise CorruptFile.of(wrong)
    accuracy = run.accuracy
    names = [metric.name for metric in accuracy.protocol.metrics]
    if set(accuracy.values) != set(names):
        raise CorruptFile(StoredCode.NOT_ONE_VALUE_EACH)
    items, total = len(accuracy.items), accuracy.protocol.total_items
    if items > total:
        raise CorruptFile(StoredCode.MORE_ITEMS_THAN_TASK, items=items, total=total)
    effective = run.provenance.effective
    if effective.quantized_layers > effective.linear_layers:
        raise CorruptFile(StoredCode.MORE_QUANTIZED_THAN_LAYERS)


def _valued(accuracy: Accuracy) -> list[Metric]:
    return [metric for metric in accuracy.protocol.metrics if metric.name in accuracy.values]
