"""The kinds of stored documents, and what newer versions of each have changed."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..core.codes import StoredCode
from ..core.facts import Problem
from ..core.records.metric_directions import direction
from .sealed_document import Document, SealedDocument


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


_SCHEMAS = Path(__file__).parent / "schema"

RUN = SealedDocument(
    (1, 2),
    _SCHEMAS / "run-1.json",
    MappingProxyType({(1, 0): _to_1_1, (1, 1): _to_1_2}),
)
SPEED = SealedDocument((1, 0), _SCHEMAS / "speed-1.json")
HISTORY = SealedDocument(
    (1, 0),
    _SCHEMAS / "history-1.json",
    changed=Problem(StoredCode.CHANGED_AFTER_WRITTEN, {}),
)
