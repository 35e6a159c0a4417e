"""Runs to store, made from a few figures, and a store to put them in."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_quantreg.baselines import BaselineKey, Store
from pytest_quantreg.core.records.run import (
    Accuracy,
    EffectiveScheme,
    Items,
    Machine,
    Metric,
    ModelIdentity,
    Protocol,
    Provenance,
    Run,
    Software,
)
from pytest_quantreg.core.strict_json import digest_of

METRICS = (
    Metric("acc,none", True, "binary"),
    Metric("f1,none", True, "mean"),
    Metric("word_perplexity,none", False, "perplexity"),
)
KEY = BaselineKey("org/tiny", "bf16", "transformers", "recall", 3)


def sha(text: str) -> str:
    """sha256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def make_items(n: int = 40, *, salt: str = "") -> Items:
    """``n`` items in a shuffled order with a score of each kind."""
    ids = tuple((at * 7 + 3) % n if n % 7 else at for at in range(n))
    return Items(
        ids,
        tuple(sha(f"{salt}{doc}")[:16] for doc in ids),
        {
            "acc,none": tuple(float(doc % 3 > 0) for doc in ids),
            "f1,none": tuple(doc / n for doc in ids),
            "word_perplexity,none": tuple(-12.5 - doc / 3 for doc in ids),
        },
        {"word_perplexity,none": tuple(float(5 + doc) for doc in ids)},
    )


def make_run(items: Items | None = None, *, recorded_at: str = "2026-01-02T03:04:05Z") -> Run:
    """A run that fits `KEY`."""
    items = make_items() if items is None else items
    model = ModelIdentity(
        name="org/tiny",
        revision="3f2a9c1",
        architecture="LlamaForCausalLM",
        vocab_size=1024,
        shapes={"hidden_size": 256, "num_hidden_layers": 4},
        dtype="bfloat16",
        tokenizer_digest=sha("tokenizer"),
        template_digest=None,
        weights_digest=sha("weights"),
    )
    protocol = Protocol(
        task="recall",
        task_version="1.0",
        output_type="multiple_choice",
        num_fewshot=3,
        chat_template="off",
        template_digest=None,
        fewshot_as_multiturn=False,
        system_instruction_digest=None,
        gen_kwargs={},
        repeats=1,
        seed=1234,
        config_digest=sha("config"),
        metrics=METRICS,
        total_items=max(1500, len(items)),
    )
    versions = {"transformers": "5.17.0", "lm_eval": "0.4.13", "torch": "2.13.0+cpu"}
    return Run(
        Provenance(
            model=model,
            claimed="bf16",
            effective=EffectiveScheme(
                "bf16", "bf16", "bf16", "bf16", "torch", "full precision", 0, 28
            ),
            software=Software("transformers", versions),
            machine=Machine("cpu", "x86_64"),
            recorded_at=recorded_at,
            git_commit="0123abc",
        ),
        Accuracy(
            protocol=protocol,
            items=items,
            values={"acc,none": 0.832, "f1,none": 0.5, "word_perplexity,none": 11.6115},
            chance=0.25,
            batch_size=8,
        ),
    )


def with_protocol(run: Run, **changes: Any) -> Run:
    """The run with some fields of its protocol changed."""
    protocol = replace(run.accuracy.protocol, **changes)
    return replace(run, accuracy=replace(run.accuracy, protocol=protocol))


def saved(root: Path, run: Run | None = None) -> Store:
    """A store below ``root`` that holds one run for `KEY`."""
    store = Store(root / "baselines")
    store.save(KEY, run or make_run())
    return store


def meta_path(store: Store) -> Path:
    """The meta file of `KEY`."""
    return store.root.parent / store.path(KEY)


def items_path(store: Store) -> Path:
    """The item rows of `KEY`."""
    return meta_path(store).with_suffix(".items.jsonl")


def reseal(path: Path, document: dict[str, Any]) -> None:
    """Writes a meta file whose digest fits its content."""
    document["digest"] = digest_of(document)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
