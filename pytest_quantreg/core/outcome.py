"""What came out of one gate, one measurement or one refusal, as plain JSON-able figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

KEPT = "kept"
LOST = "lost"
UNDECIDED = "undecided"
REFUSED = "refused"
MEASURED = "measured"
RECORDED = "recorded"
PRESENT = "present"

JUDGED = frozenset({KEPT, LOST, UNDECIDED})
"""The results that count as a gate judged, for --quant-require."""


@dataclass(frozen=True)
class Context:
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
class Outcome:
    """One line of the summary.

    ``result`` is one of the words above; ``fails`` whether it turns its test red.
    ``low`` and ``high`` are None where unbounded or not judged. ``headline`` is the
    first line of the message, ``details`` the lines below it. ``minimum`` is the retention
    that a gate requires, ``maximum`` the ratio that a gate on perplexity allows (its
    ``minimum`` is then 1/maximum). ``part_of`` names the group or pool that judges a
    measurement, ``floor`` the share of items on which the baseline's own runs differ, and
    ``family`` the number of gates that share the confidence, where more than one do. The
    shares of empty and truncated answers are those of tasks that generate.
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

    def to_plain(self) -> dict[str, Any]:
        """Plain JSON types only, so that it can travel on a test report."""
        plain = asdict(self)
        for name, value in plain.items():
            if isinstance(value, tuple):
                plain[name] = list(value)
            elif isinstance(value, float) and not math.isfinite(value):
                plain[name] = None
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Outcome:
        """The inverse of `to_plain`; keys of a newer version are dropped."""
        known = {one.name for one in fields(cls)}
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in plain.items()
            if name in known
        }
        context = values.get("context")
        values["context"] = Context(**context) if isinstance(context, Mapping) else None
        return cls(**values)

    def excuse(self) -> Outcome:
        """The same outcome under an xfail that excuses it."""
        return replace(self, excused=True)
