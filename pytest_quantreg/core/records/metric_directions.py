"""Which way a metric is better: what the task says, what lm-eval knows, and when neither counts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..codes import TaskCode
from ..errors import Refusal
from ..facts import Fact, Problem
from .run import Metric

KNOWN: Mapping[str, bool] = MappingProxyType(
    {
        **dict.fromkeys(("acc", "acc_norm", "acc_mutual_info", "acc_bytes", "acc_all"), True),
        **dict.fromkeys(("exact_match", "likelihood", "mcc", "f1", "bypass"), True),
        **dict.fromkeys(("bleu", "chrf", "chrf++"), True),
        **dict.fromkeys(("brier_score", "ter", "perplexity"), False),
        **dict.fromkeys(("word_perplexity", "byte_perplexity", "bits_per_byte"), False),
    }
)
"""Whether higher is better, for every metric that lm-eval 0.4.13 registers with a direction."""


def direction(name: str, declared: object, *, kind: str = "") -> bool | None:
    """Whether higher is better for the metric called ``name``; None if that is unknown.

    ``declared`` is what the task says of it, None if it says nothing. Only a boolean counts:
    the text "false" is true, and so is "no". A declaration that contradicts lm-eval, or calls
    a perplexity better when it is higher, is a mistake in the task and makes it unknown.
    """
    expected = False if kind == "perplexity" else KNOWN.get(name)
    if declared is None:
        return expected
    if not isinstance(declared, bool) or expected not in (None, declared):
        return None
    return declared


def refuse_undirected(metric: Metric, task: str) -> None:
    """Refuses a gate on a metric of unknown direction. Raises Refusal (not judged)."""
    if metric.higher_is_better is not None:
        return
    name = metric.name.partition(",")[0]
    raise Refusal(
        TaskCode.UNKNOWN_DIRECTION,
        metric=metric.name,
        task=task,
        name=name,
        usual=KNOWN.get(name),
    )


def compared_instead(task: str, first: Metric, metric: Metric) -> Problem:
    """The note that ``metric`` stands in for the task's first one, whose direction is unknown."""
    facts: dict[str, Fact] = {"task": task, "first": first.name, "metric": metric.name}
    return Problem(TaskCode.OTHER_METRIC_COMPARED, facts)
