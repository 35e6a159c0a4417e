"""A run and its key to and from the document that is stored."""

from __future__ import annotations

from typing import Any

from ..core.codes import StoredCode
from ..core.errors import WrongUse
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
from ..core.strict_json import CorruptFile, dump_readable
from .json_values import known_fields, make, to_plain
from .key import BaselineKey, RunSettings, canonical_settings
from .rows import RowsInfo, encode
from .sealed_document import Codec, Document, storing
from .versions import RUN

MAX_META = 1024 * 1024
"""Bytes of a meta file: real ones have about 3 KiB."""


def encode_run(key: BaselineKey, run: Run) -> tuple[bytes, tuple[bytes, str]]:
    """Item rows, and the meta file with the digest of the rows it names.

    Raises Refusal for a run that must not be stored.
    """
    with storing(key, empty=len(run.accuracy.items) == 0):
        check_whole(key, run)
        item_bytes, info = encode(run.accuracy.items, run.accuracy.protocol.metrics)
        meta = RUNS.encode(key, _to_fields(key, run, info))
        if len(meta) > MAX_META:
            raise CorruptFile(StoredCode.META_TOO_LARGE, bytes=len(meta))
    return item_bytes, (meta, info.sha256)


def _to_fields(key: BaselineKey, run: Run, rows: RowsInfo) -> Document:
    """What the meta file says, in the order in which it is read."""
    provenance, accuracy = run.provenance, run.accuracy
    return {
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


RUNS = Codec(RUN, MAX_META, key_of, dump_readable)


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
