"""Measures models; the only room that reads lm-eval's tasks and results."""

from __future__ import annotations

from .accuracy.groups import TaskGroup
from .accuracy.journal import Journal
from .accuracy.measure import Progress, chunk_size, measure
from .accuracy.metrics import default_metric, find_metric
from .accuracy.overrides import chat_note
from .accuracy.prepared import PreparedTask, prepare
from .accuracy.reruns import gains_from_reruns, with_reruns
from .accuracy.task_loading import TaskLibrary

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
