"""What one call of compare_accuracy asks for, alone or for each task of a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..core.record import AccuracyRequest, Metric, Protocol
from ..measure import default_metric, find_metric


@dataclass(frozen=True)
class Ask:
    """One call of compare_accuracy."""

    request: AccuracyRequest
    limit: int | None = None
    metric: str | None = None

    def each(self, tasks: Sequence[str]) -> list[Ask]:
        """The same for each task of a group."""
        return [replace(self, request=replace(self.request, task=task)) for task in tasks]

    def metric_of(self, protocol: Protocol) -> Metric:
        """The metric of a task that it means. Raises Refusal for one that it lacks."""
        return find_metric(protocol, self.metric) if self.metric else default_metric(protocol)


@dataclass(frozen=True)
class Subject:
    """A task, or a group of tasks (``protocols``), that gates may judge by ``metric``."""

    task: str
    metric: Metric
    protocols: tuple[Protocol, ...]

    def find(self, name: str) -> Metric:
        """The metric that a gate means by ``name``, which every task must have.

        Raises Refusal (wrong use).
        """
        found = [find_metric(protocol, name) for protocol in self.protocols]
        return found[0]

    def perplexity(self) -> Metric | None:
        """The first metric made of log-likelihoods, of which all of them are made.

        None for a group: perplexities of different texts are not averaged.
        """
        if len(self.protocols) > 1:
            return None
        metrics = self.protocols[0].metrics
        return next((one for one in metrics if one.kind == "perplexity"), None)
