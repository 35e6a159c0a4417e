"""Made-up runs for the benchmarks to store and compare; nothing in them was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pytest_quantreg.core.records.run import (
    Accuracy,
    EffectiveScheme,
    Items,
    Json,
    Machine,
    Metric,
    ModelIdentity,
    Protocol,
    Provenance,
    Run,
    Software,
)


def made_accuracy(
    items: Items,
    *metrics: Metric,
    task: str = "t",
    num_fewshot: int = 0,
    gen_kwargs: Mapping[str, Json] | None = None,
    chance: float = 0.0,
) -> Accuracy:
    """The items as all items of a task, with their means as its values."""
    protocol = Protocol(
        task=task,
        task_version="1.0",
        output_type="generate_until",
        num_fewshot=num_fewshot,
        chat_template="off",
        template_digest=None,
        fewshot_as_multiturn=False,
        system_instruction_digest=None,
        gen_kwargs=gen_kwargs or {},
        repeats=1,
        seed=1234,
        config_digest="0" * 64,
        metrics=metrics,
        total_items=len(items),
    )
    values = {metric.name: _mean(items.scores[metric.name]) for metric in metrics}
    return Accuracy(protocol, items, values, chance, 32)


def made_run(accuracy: Accuracy, *, model: str = "m", scheme: str = "bf16") -> Run:
    """The measurement as a run of a model that is not quantized."""
    identity = ModelIdentity(
        model,
        None,
        "LlamaForCausalLM",
        100,
        {"hidden_size": 8},
        "bfloat16",
        "0" * 64,
        None,
        "1" * 64,
    )
    effective = EffectiveScheme(
        scheme, "bfloat16", "bfloat16", "bfloat16", "matmul", "full precision", 0, 1
    )
    software = Software("transformers", {"transformers": "5.17.0", "lm_eval": "0.4.13"})
    machine = Machine("cpu", "cpu")
    return Run(
        Provenance(identity, scheme, effective, software, machine, "2026-01-01T00:00:00Z"),
        accuracy,
    )


def _mean(scores: Sequence[float]) -> float:
    return math.fsum(scores) / len(scores)
