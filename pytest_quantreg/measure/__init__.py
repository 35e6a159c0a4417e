"""Measures models; the only room that reads lm-eval's objects and dicts."""

from __future__ import annotations

from .accuracy import Progress, chunk_size, measure
from .groups import TaskGroup
from .journal import Journal
from .library import TaskLibrary
from .metrics import default_metric, find_metric
from .overrides import chat_note
from .prepared import PreparedTask, prepare
from .reruns import gains_from_reruns, with_reruns

__all__ = [
    "Journal",
    "PreparedTask",
    "Progress",
    "TaskGroup",
    "TaskLibrary",
    "chat_note",
    "chunk_size",
    "default_metric",
    "find_metric",
    "gains_from_reruns",
    "measure",
    "prepare",
    "with_reruns",
]
