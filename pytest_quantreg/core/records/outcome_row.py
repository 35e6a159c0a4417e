"""One row of a report: the figures and the words of one outcome, as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from ..printable import Printable

KEPT = "kept"
LOST = "lost"
UNDECIDED = "undecided"
REFUSED = "refused"
MEASURED = "measured"
NOT_APPLICABLE = "not applicable"
RECORDED = "recorded"
PRESENT = "present"

JUDGED = frozenset({KEPT, LOST, UNDECIDED})
"""The results that count as a gate judged, for --quant-require."""


@dataclass(frozen=True)
class Context(Printable):
    """Which models met, where and how; equal for all outcomes of one model x scheme.

    ``runs_as`` is the effective scheme in words, ``layers`` "28 of 28 linear layers".
    """

    model: str
    revision: str | None
    baseline_scheme: str
    scheme: str
    engine: str
    machine: str
    runs_as: str | None = None
    layers: str | None = None


@dataclass(frozen=True)
class SpeedFigures(Printable):
    """What was measured of speed, memory or load time, in ``unit``.

    ``subject`` is the workload (``batch 1``), empty for what is the model's own. ``bound``
    is the threshold, ``at_least`` which way it holds and ``why`` it is this one
    (``for H100 (this is NVIDIA H100 80GB HBM3)``). ``value`` with ``low`` and ``high`` is
    what is judged, of the quantized model or of both; ``units`` counts the rounds, blocks
    or loads behind it. For a speed-up ``baseline`` and ``quantized`` are tokens per second.
    ``lines`` say what else was measured beside it.
    """

    subject: str
    quantity: str
    unit: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    quantized: float | None = None
    units: int | None = None
    bound: float | None = None
    at_least: bool = True
    why: str = ""
    detectable: float | None = None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class OtherLoss(Printable):
    """A metric that no gate judges and that is surely below ``minimum`` all the same.

    ``high`` is its upper bound at ``confidence``.
    """

    task: str
    metric: str
    minimum: float
    confidence: float
    baseline: float
    quantized: float
    retention: float
    low: float | None
    high: float
    n: int


@dataclass(frozen=True)
class OutcomeRow(Printable):
    """One line of the summary.

    ``result`` is one of the words above; ``fails`` whether it turns its test red.
    ``low`` and ``high`` are None where unbounded or not judged. ``headline`` is the
    first line of the message, ``details`` the lines below it. ``minimum`` is the retention
    that a gate requires, ``maximum`` the ratio that a gate on perplexity allows (its
    ``minimum`` is then 1/maximum). ``part_of`` names the group or pool that judges a
    measurement, ``floor`` the share of items on which the baseline's own runs differ, and
    ``family`` the number of gates that share the confidence, where more than one do. The
    shares of empty and truncated answers are those of tasks that generate.
    ``of_first_accepted`` is the share of the first accepted run's retention that is left.
    ``speed`` holds the figures of what was timed, in place of those of a task. ``also_lost``
    are metrics that no gate judges, beside the one that was judged; ``unjudged`` marks the
    loss of such a metric, under ``certify``, and counts those that were looked at.
    """

    result: str
    fails: bool
    scheme: str
    headline: str
    details: tuple[str, ...] = ()
    context: Context | None = None
    task: str | None = None
    metric: str | None = None
    gate: str | None = None
    minimum: float | None = None
    mode: str | None = None
    confidence: float | None = None
    baseline: float | None = None
    quantized: float | None = None
    retention: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    total_items: int | None = None
    lost: int | None = None
    won: int | None = None
    detectable: float | None = None
    category: str | None = None
    advice: str | None = None
    notes: tuple[str, ...] = field(default=())
    excused: bool = False
    maximum: float | None = None
    part_of: str | None = None
    floor: float | None = None
    family: int | None = None
    baseline_empty: float | None = None
    quantized_empty: float | None = None
    baseline_truncated: float | None = None
    quantized_truncated: float | None = None
    of_first_accepted: float | None = None
    speed: SpeedFigures | None = None
    also_lost: tuple[OtherLoss, ...] = ()
    unjudged: int | None = None

    def to_plain(self) -> dict[str, Any]:
        """Plain JSON types only, so that it can travel on a test report."""
        plain = _plain(asdict(self))
        if self.speed is not None:
            plain["speed"] = _plain(asdict(self.speed))
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> OutcomeRow:
        """The inverse of `to_plain`; keys of a newer version are dropped."""
        values = _known_fields(cls, plain)
        for name, kind in (("context", Context), ("speed", SpeedFigures)):
            inner = values.get(name)
            values[name] = (
                kind(**_known_fields(kind, inner)) if isinstance(inner, Mapping) else None
            )
        others = (
            OtherLoss(**_known_fields(OtherLoss, loss)) for loss in plain.get("also_lost") or ()
        )
        return cls(**{**values, "also_lost": tuple(others)})

    def excuse(self) -> OutcomeRow:
        """The same outcome under an xfail that excuses it."""
        return replace(self, excused=True)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        if isinstance(value, tuple):
            values[name] = list(value)
        elif isinstance(value, float) and not math.isfinite(value):
            values[name] = None
    return values


def _known_fields(kind: type[Any], plain: Mapping[str, Any]) -> dict[str, Any]:
    names = {item.name for item in fields(kind)}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in plain.items()
        if name in names
    }
