"""The gate on files that was requested, and how strictly it judges."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.gates.plan import Plan
from ...core.gates.selection import MIN_RETENTION, Gate, judges_retention
from ...core.records.run import Metric
from ...core.settings import GateMode


@dataclass(frozen=True)
class ComparePolicy:
    """How evaluations are compared; ``minimum`` None: figures alone.

    ``pooled`` judges all tasks together and none by itself. ``tasks`` and ``metric`` choose;
    without them every task of the baseline is compared by its own first metric.
    """

    minimum: float | None = None
    mode: GateMode = GateMode.DETECT
    confidence: float = 0.95
    pooled: bool = False
    tasks: tuple[str, ...] = ()
    metric: str | None = None
    max_undetected: float = 0.10
    allow_better: bool = False
    allow_rerun: bool = False

    @property
    def gate(self) -> Gate | None:
        """The gate on retention; None where figures alone were requested."""
        if self.minimum is None:
            return None
        return Gate(MIN_RETENTION, self.minimum, None, None, 1)

    @property
    def plan(self) -> Plan:
        """How the gate judges a task, or all of them."""
        gate = self.gate
        return Plan.of([gate] if gate else [], self.mode, self.confidence, 1)

    def gate_on_tasks(self) -> Gate | None:
        """The gate that judges each task by itself."""
        return None if self.pooled else self.gate

    def judges(self, metric: Metric) -> bool:
        """Whether a gate on retention is for this metric: for perplexities only if named."""
        return judges_retention(metric, named=self.metric is not None)
