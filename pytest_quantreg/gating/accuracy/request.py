"""What one call of compare_accuracy asks for, alone or for each task of a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...core.facts import Note
from ...core.records.metric_directions import compared_instead
from ...core.records.run import AccuracyRequest, Metric, Protocol
from ...measure import TaskGroup, default_metric, find_metric


@dataclass(frozen=True)
class EvalRequest:
    """One call of compare_accuracy."""

    request: AccuracyRequest
    limit: int | None = None
    metric: str | None = None

    def for_tasks(self, tasks: Sequence[str]) -> list[EvalRequest]:
        """The same for each task of a group."""
        return [replace(self, request=replace(self.request, task=task)) for task in tasks]

    def metric_of(self, protocol: Protocol) -> Metric:
        """The metric of a task that it means. Raises Refusal for one that it lacks."""
        return find_metric(protocol, self.metric) if self.metric else default_metric(protocol)


def other_metric_note(call: EvalRequest, protocol: Protocol) -> tuple[Note, ...]:
    """A note if the task's first metric has no known direction, so that another one counts."""
    first, metric = protocol.metrics[0], call.metric_of(protocol)
    if call.metric is not None or metric == first:
        return ()
    return (compared_instead(call.request.task, first, metric),)


def with_group_metric(call: EvalRequest, group: TaskGroup | None) -> EvalRequest:
    """With the metric that a group's file names, where the call names none."""
    if group is None or call.metric is not None:
        return call
    return replace(call, metric=group.metric)


def same_metric(protocol: Protocol, metric: Metric) -> Metric:
    """Return the metric of another task of a group that corresponds to ``metric``.

    The same name, or the same under the first filter that has it, as lm-eval averages
    tasks whose filters differ. Raises Refusal (wrong use).
    """
    by_name = {other.name: other for other in protocol.metrics}
    return by_name.get(metric.name) or find_metric(protocol, metric.name.partition(",")[0])


@dataclass(frozen=True)
class GateTarget:
    """A task, or a group of tasks (``protocols``), that gates may judge by ``metric``."""

    task: str
    metric: Metric
    protocols: tuple[Protocol, ...]

    def find(self, name: str) -> Metric:
        """The metric that a gate means by ``name``, which every task must have.

        Raises Refusal (wrong use).
        """
        first = find_metric(self.protocols[0], name)
        for protocol in self.protocols[1:]:
            same_metric(protocol, first)
        return first

    def perplexity(self) -> Metric | None:
        """The first metric made of log-likelihoods, of which all of them are made.

        None for a group: perplexities of different texts are not averaged.
        """
        if len(self.protocols) > 1:
            return None
        metrics = self.protocols[0].metrics
        return next((metric for metric in metrics if metric.kind == "perplexity"), None)
