"""What came of one gate, one measurement or one refusal: facts, which `report` words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..comparison.accuracy import Comparison
from ..comparison.speed import SpeedComparison
from ..errors import QuantregError
from ..facts import Note, Problem
from ..hardware.roofline import Roof
from ..records.outcome_row import Context
from ..records.run import Accuracy, Metric
from ..records.speed import ModelSpeed, Series, Workload
from ..settings import GateMode
from .selection import Gate
from .speed import Choice, SpeedGate
from .speed_verdict import SpeedVerdict
from .verdict import Verdict

NOT_RECORDED = "baseline"
"""What stands for the scheme of a baseline that could not be recorded."""


@dataclass(frozen=True)
class UnjudgedLosses:
    """Metrics that no gate judges and that are surely below ``minimum`` all the same.

    So many were ``looked_at``.
    """

    comparisons: tuple[Comparison, ...]
    minimum: float
    looked_at: int


@dataclass(frozen=True)
class JudgedAccuracy:
    """A gate and its verdict, with what is lost beside the metric that it judges."""

    verdict: Verdict
    context: Context
    beside: UnjudgedLosses | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class LostUnjudged:
    """Under ``certify``: one of the metrics lost ``beside`` what the gate of ``verdict`` judges."""

    comparison: Comparison
    verdict: Verdict
    beside: UnjudgedLosses
    context: Context


@dataclass(frozen=True)
class MeasuredAccuracy:
    """A comparison that no gate judges by itself.

    ``part_of`` names the group, ``in_pool`` says that a pool judges it with others. ``gate`` was
    requested and does not judge this metric. ``doubt`` is why any gate would be refused.
    """

    comparison: Comparison
    context: Context
    part_of: str | None = None
    in_pool: bool = False
    gate: Gate | None = None
    doubt: Problem | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class NothingAccepted:
    """A gate on accepted runs in a session that accepts, where there is none to compare with.

    ``incomparable`` says that there is one, and ``why`` it cannot be compared.
    """

    gate: Gate
    why: Problem
    scheme: str
    context: Context
    task: str
    metric: str | None
    incomparable: bool


@dataclass(frozen=True)
class RefusedAccuracy:
    """A call, or a gate on it, of which nothing may be concluded; measured if ``comparison``."""

    error: QuantregError
    scheme: str
    context: Context | None = None
    task: str | None = None
    gate: Gate | None = None
    comparison: Comparison | None = None


@dataclass(frozen=True)
class TimedDetail:
    """What else was measured under a workload.

    ``roofs`` are the bounds of baseline and quantized model, ``models`` both models where
    they are to be told here, ``slow`` why it is slower than its baseline, if it is.
    """

    comparison: SpeedComparison
    roofs: tuple[Roof | None, Roof | None]
    models: tuple[ModelSpeed, ModelSpeed | None] | None = None
    slow: tuple[str, ...] = ()


@dataclass(frozen=True)
class JudgedSpeed:
    """A gate on speed, memory or load time and its verdict; ``slow`` is why it may be slow."""

    verdict: SpeedVerdict
    context: Context
    notes: tuple[Note, ...] = ()
    detail: TimedDetail | None = None
    slow: tuple[str, ...] = ()


@dataclass(frozen=True)
class MeasuredSpeed:
    """A workload whose speed-up no gate judges."""

    comparison: SpeedComparison
    context: Context
    detail: TimedDetail
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class OtherDevice:
    """A threshold that is for other accelerators than the one at hand."""

    choice: Choice
    context: Context
    mode: GateMode


@dataclass(frozen=True)
class RefusedSpeed:
    """A model that was not timed, or a gate (under ``workload``) that could not be judged."""

    error: QuantregError
    scheme: str
    context: Context | None = None
    gate: SpeedGate | None = None
    workload: str | None = None


@dataclass(frozen=True)
class BaselineRecorded:
    """A baseline that was recorded, or was ``present`` already."""

    accuracy: Accuracy
    metric: Metric
    context: Context
    present: bool
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class SpeedBaselineRecorded:
    """A baseline of speed that was recorded, or was ``present`` already."""

    workload: Workload
    series: tuple[Series, ...]
    context: Context
    present: bool


AccuracyOutcome: TypeAlias = (
    JudgedAccuracy | LostUnjudged | MeasuredAccuracy | NothingAccepted | RefusedAccuracy
)
SpeedOutcome: TypeAlias = JudgedSpeed | MeasuredSpeed | OtherDevice | RefusedSpeed
Recording: TypeAlias = BaselineRecorded | SpeedBaselineRecorded

Outcome: TypeAlias = AccuracyOutcome | SpeedOutcome | Recording
