"""A result of lm-eval with the items of its sample log: one measurement, checked against itself."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace

from ...core.codes import ImportCode
from ...core.comparison.partial_comparability import (
    NO_INSTRUCTION,
    UNKNOWN,
    UNKNOWN_DIGEST,
    UNKNOWN_SEED,
)
from ...core.errors import Refusal
from ...core.facts import Problem
from ...core.records.evaluation import Aggregate, Result
from ...core.records.metric_directions import direction
from ...core.records.run import Accuracy, Json, Metric, Protocol
from ...core.strict_json import CorruptFile
from ..foreign_files import object_of, whole_of
from .samples import MOST_EQUAL, Samples

_CLOSE = 1e-6
_WORD = re.compile(r"[\w .()+-]{1,100}")


def with_items(result: Result, samples: Samples) -> Result:
    """``result`` with its items. Raises CorruptFile where the log contradicts the results."""
    n = len(samples.items)
    declared_n = result.aggregates[0].n
    if declared_n is not None and declared_n != n:
        raise CorruptFile(
            ImportCode.OTHER_ITEM_COUNT, items=n, task=result.task, declared=declared_n
        )
    kinds = {
        aggregate.metric.name: _kind(result, aggregate, samples) for aggregate in result.aggregates
    }
    metrics = tuple(
        replace(aggregate.metric, kind=kinds[aggregate.metric.name])
        for aggregate in result.aggregates
    )
    named = {metric.name for metric in metrics if metric.kind != "aggregate"}
    items = replace(
        samples.items,
        scores={name: samples.items.scores[name] for name in kinds if name in named},
        weights={name: column for name, column in samples.items.weights.items() if name in named},
    )
    values = {aggregate.metric.name: aggregate.value for aggregate in result.aggregates}
    accuracy = Accuracy(
        protocol_of(result, metrics, n), items, values, samples.chance, _batch_size(result.known)
    )
    suspicions = {
        name: why for name, why in result.suspicions.items() if name or declared_n is not None
    }
    if samples.equal > MOST_EQUAL:
        suspicions[""] = Problem(ImportCode.CHOICES_TIED, {"percent": samples.equal * 100})
    return replace(
        result,
        accuracy=accuracy,
        chance=samples.chance,
        suspicions=suspicions,
        aggregates=tuple(replace(aggregate, n=n) for aggregate in result.aggregates),
    )


def result_of_log(task: str, samples: Samples) -> Result:
    """A result of a sample log without its results file: little is known of how it was asked.

    Raises Refusal for a log without scores.
    """
    n = len(samples.items)
    aggregates = []
    for name, column in samples.items.scores.items():
        bare = name.partition(",")[0]
        metric = Metric(name, direction(bare, None), "mean")
        aggregates.append(Aggregate(metric, math.fsum(column) / n, None, n))
    plain = [
        aggregate for aggregate in aggregates if aggregate.metric.name not in samples.items.weights
    ]
    if not plain:
        raise Refusal(ImportCode.NO_METRIC_PER_ITEM, task=task)
    result = Result(
        task,
        {"protocol.task": task},
        tuple(plain),
        notes=(f"{task}: a sample log alone, which says little of how its items were asked",),
        ordered=len(plain) == 1,
    )
    scores = {
        aggregate.metric.name: samples.items.scores[aggregate.metric.name] for aggregate in plain
    }
    return with_items(
        result,
        replace(samples, items=replace(samples.items, scores=scores, weights={})),
    )


def protocol_of(result: Result, metrics: tuple[Metric, ...], n: int) -> Protocol:
    """What is known of how a task was asked; what is not stands there as unknown."""
    facts = result.known
    config = json.dumps(dict(result.config), sort_keys=True)
    generation = facts.get("protocol.gen_kwargs")
    seed = facts.get("protocol.seed")
    return Protocol(
        task=result.task,
        task_version=_text(facts, "task_version"),
        output_type=_text(facts, "output_type"),
        num_fewshot=whole_of(facts.get("protocol.num_fewshot")) or 0,
        chat_template=_text(facts, "chat_template"),
        template_digest=_digest(facts, "template_digest"),
        fewshot_as_multiturn=facts.get("protocol.fewshot_as_multiturn") is True,
        system_instruction_digest=_digest(facts, "system_instruction_digest"),
        gen_kwargs=object_of(generation),
        repeats=whole_of(facts.get("protocol.repeats")) or 1,
        seed=seed if isinstance(seed, int) else UNKNOWN_SEED,
        config_digest=hashlib.sha256(config.encode()).hexdigest()
        if result.config
        else UNKNOWN_DIGEST,
        metrics=metrics,
        total_items=max(result.total or n, n),
    )


def _kind(result: Result, aggregate: Aggregate, samples: Samples) -> str:
    """What the items' scores are; refuses those whose mean is not what the results say."""
    name = aggregate.metric.name
    column = samples.items.scores.get(name)
    if column is None:
        return "aggregate"
    if name in samples.items.weights:
        return "perplexity"
    mean = math.fsum(column) / len(column)
    if abs(mean - aggregate.value) > _CLOSE * max(1.0, abs(aggregate.value)):
        if not result.is_mean(name):
            return "aggregate"
        raise CorruptFile(
            ImportCode.OTHER_MEAN,
            mean=mean,
            metric=name,
            task=result.task,
            declared=aggregate.value,
        )
    return "binary" if set(column) <= {0.0, 1.0} else "mean"


def _text(facts: Mapping[str, Json], name: str) -> str:
    value = facts.get(f"protocol.{name}")
    # Stored as it is: what is no short word, such as a path, is nobody's business.
    return value if isinstance(value, str) and _WORD.fullmatch(value) else UNKNOWN


def _digest(facts: Mapping[str, Json], name: str) -> str | None:
    value = facts.get(f"protocol.{name}", UNKNOWN_DIGEST)
    if value == NO_INSTRUCTION:
        return None
    is_digest = (
        isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")
    )
    return str(value) if is_digest else UNKNOWN_DIGEST


def _batch_size(facts: Mapping[str, Json]) -> int:
    return whole_of(facts.get("batch_size")) or 1
