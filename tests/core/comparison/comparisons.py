"""Small measurements and comparisons for the tests of what is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_quantreg.core.comparison.accuracy import Comparison
from pytest_quantreg.core.comparison.pairs import compare_items
from pytest_quantreg.core.records.run import Accuracy, Items, Metric, Protocol

ACC = Metric("acc,none", True, "binary")


def accuracy(
    scores: Sequence[float],
    metric: Metric = ACC,
    *,
    value: float | None = None,
    weights: Sequence[float] = (),
    total: int | None = None,
    chance: float = 0.0,
    task: str = "sum",
    facts: Mapping[str, Sequence[float]] | None = None,
    reruns: Sequence[Sequence[float]] = (),
) -> Accuracy:
    """A measurement of one metric of a task, items numbered from the last down."""
    n = len(scores)
    protocol = Protocol(
        task=task,
        task_version="1.0",
        output_type="generate_until",
        num_fewshot=0,
        chat_template="off",
        template_digest=None,
        fewshot_as_multiturn=False,
        system_instruction_digest=None,
        gen_kwargs={},
        repeats=1,
        seed=1234,
        config_digest="c",
        metrics=(metric,),
        total_items=n if total is None else total,
    )
    items = Items(
        tuple(range(n - 1, -1, -1)),
        tuple(f"{task}-{i}" for i in range(n)),
        {metric.name: tuple(map(float, scores))},
        {metric.name: tuple(weights)} if weights else {},
        {name: tuple(column) for name, column in (facts or {}).items()},
        tuple({metric.name: tuple(map(float, column))} for column in reruns),
    )
    mean = sum(scores) / n if value is None else value
    return Accuracy(protocol, items, {metric.name: mean}, chance, 32)


def paired(
    both: int,
    won: int,
    lost: int,
    neither: int,
    *,
    confidence: float = 0.95,
    total: int | None = None,
    scheme: str = "w8a8-int8",
    chance: float = 0.0,
) -> Comparison:
    """A comparison with these counts."""
    before = [1] * both + [0] * won + [1] * lost + [0] * neither
    after = [1] * both + [1] * won + [0] * lost + [0] * neither
    return compare_items(
        accuracy(before, total=total, chance=chance),
        accuracy(after, total=total),
        ACC,
        scheme=scheme,
        confidence=confidence,
    )
