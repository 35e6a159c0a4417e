"""Which stored documents are understood: schema versions, upgrade steps, validation."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator

from ..core.codes import StoredCode
from ..core.facts import Quoted
from ..core.records.metric_directions import direction
from ..core.records.run import Json
from ..core.strict_json import CorruptFile, parse

Version: TypeAlias = "tuple[int, int]"
Document: TypeAlias = "dict[str, Json]"
Step: TypeAlias = "Callable[[Document], Document]"

CURRENT: Version = (1, 2)


def _to_1_1(document: Document) -> Document:
    """1.1 may hold columns ``fact:NAME`` and ``rerunK:METRIC``; 1.0 knew neither."""
    return {**document, "schema_version": "1.1"}


def _to_1_2(document: Document) -> Document:
    """1.2 may hold ``fact:copy``, and says null where a metric's direction is unknown.

    Older versions wrote false for that, so a false that lm-eval does not bear out proves
    nothing, and neither does a true that it contradicts. 1.2 may also hold ``fact:answer`` and
    ``fact:length``, and names the files and packages of a task's own code.
    """
    protocol: Any = document.get("protocol")
    metrics = protocol.get("metrics") if isinstance(protocol, dict) else None
    if not isinstance(metrics, list):
        return {**document, "schema_version": "1.2"}
    directed = [
        _with_sure_direction(metric) if isinstance(metric, dict) else metric for metric in metrics
    ]
    return {
        **document,
        "protocol": {**protocol, "metrics": directed},
        "schema_version": "1.2",
    }


def _with_sure_direction(metric: Document) -> Document:
    declared, name = metric.get("higher_is_better"), str(metric.get("name")).partition(",")[0]
    if not isinstance(declared, bool):
        return metric
    higher_is_better = direction(name, declared, kind=str(metric.get("kind")))
    if higher_is_better is False and direction(name, None, kind=str(metric.get("kind"))) is None:
        higher_is_better = None
    return {**metric, "higher_is_better": higher_is_better}


STEPS: Mapping[Version, Step] = MappingProxyType({(1, 0): _to_1_1, (1, 1): _to_1_2})
"""One function per step: takes a document of this version, returns one of a later."""

SCHEMAS = Path(__file__).parent / "schema"
SCHEMA_FILE = SCHEMAS / f"run-{CURRENT[0]}.json"


@dataclass(frozen=True)
class Form:
    """One kind of document: its present version, the steps that lead there, its schema."""

    current: Version
    steps: Mapping[Version, Step]
    schema: Path


RUN = Form(CURRENT, STEPS, SCHEMA_FILE)
SPEED = Form((1, 0), MappingProxyType({}), SCHEMAS / "speed-1.json")
HISTORY = Form((1, 0), MappingProxyType({}), SCHEMAS / "history-1.json")

_VERSION = re.compile(r"([1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})")


def version_of(document: Document) -> Version:
    """``schema_version`` as numbers; raises CorruptFile when it is none."""
    text = document.get("schema_version")
    match = _VERSION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise CorruptFile(StoredCode.NO_SCHEMA_VERSION)
    return int(match[1]), int(match[2])


def refuse_newer(document: Document, current: Version = CURRENT) -> Version:
    """The version of a document; raises CorruptFile when its major version is a newer one."""
    version = version_of(document)
    if version[0] > current[0]:
        raise CorruptFile(StoredCode.NEWER_SCHEMA, version=_text(version), major=current[0])
    return version


def refuse_rewriting(data: bytes, current: Version = CURRENT) -> None:
    """Raises CorruptFile where a file of a newer version, minor too, would be written again.

    What this version has no name for would be lost. Whatever is no document passes.
    """
    try:
        document = parse(data)
        version = version_of(document) if isinstance(document, dict) else current
    except CorruptFile:
        return
    if version > current:
        raise CorruptFile(
            StoredCode.WRITTEN_BY_NEWER, version=_text(version), current=_text(current)
        )


def upgrade(
    document: Document, *, current: Version = CURRENT, steps: Mapping[Version, Step] = STEPS
) -> Document:
    """The document at ``current`` or a newer minor version; steps run one by one.

    Raises CorruptFile for a newer major version and for one that no step leads on from.
    """
    version = refuse_newer(document, current)
    while version < current:
        step = steps.get(version)
        if step is None:
            raise CorruptFile(StoredCode.SCHEMA_TOO_OLD, version=_text(version))
        document = step(dict(document))
        after = version_of(document)
        if after <= version:
            raise RuntimeError(f"the upgrade step from {_text(version)} leads nowhere")
        version = after
    return document


def validate(document: Document, form: Form = RUN) -> None:
    """Raises CorruptFile with the first violation of the schema, and where it is.

    Fields and columns that the schema does not know are passed over where a newer minor
    version wrote them; in a document of this very version they are a violation.
    """
    newer = version_of(document) > form.current
    try:
        for error in _validator(form.schema).iter_errors(document):
            if newer and _is_new(error):
                continue
            where = ".".join(str(part) for part in error.absolute_path)
            violation = Quoted(_shortened(error.message))
            raise CorruptFile(StoredCode.BREAKS_SCHEMA, where=where, violation=violation)
    except RecursionError:
        raise CorruptFile(StoredCode.NESTED_TOO_DEEPLY) from None


def _is_new(error: Any) -> bool:
    """Whether a violation is something that this version has no name for."""
    column = error.validator == "pattern" and list(error.absolute_path)[:2] == ["items", "columns"]
    return column or error.validator == "additionalProperties"


def _text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def _shortened(message: str) -> str:
    return message if len(message) <= 160 else f"{message[:90]} ... {message[-60:]}"


@cache
def _validator(schema: Path) -> Any:
    return Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
