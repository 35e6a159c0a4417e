"""Folders as lm-eval writes them, with logs of items or without, made for a single question."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]

N = 1000
BASE = [float(at % 5 != 0) for at in range(N)]
CERTIFY = ("--min-retention", ".98", "--gate", "certify")


def flipped(scores: Sequence[float], lost: int, won: int) -> list[float]:
    """So many answers changed, each kind spread over all items."""
    rng = random.Random(f"{lost} {won}")
    right = [at for at, score in enumerate(scores) if score == 1.0]
    wrong = [at for at, score in enumerate(scores) if score == 0.0]
    changed = set(rng.sample(right, lost)) | set(rng.sample(wrong, won))
    return [1.0 - score if at in changed else score for at, score in enumerate(scores)]


GOOD = flipped(BASE, 4, 4)
LOSSY = flipped(BASE, 60, 0)


def rows(who: str, scores: Sequence[float]) -> Iterator[Row]:
    """A sample log of a task with four choices; log-probabilities are the model's own."""
    rng = random.Random(who)
    for at, score in enumerate(scores):
        likely = [[str(-1.0 - rng.random()), "False"] for _ in range(4)]
        asked = {
            f"gen_args_{choice}": {"arg_0": f"q{at}", "arg_1": f" {choice}"} for choice in range(4)
        }
        yield {
            "doc_id": at,
            "doc": {"question": f"number {at}"},
            "target": str(at % 4),
            "arguments": asked,
            "resps": [likely],
            "filtered_resps": likely,
            "filter": "none",
            "metrics": ["acc"],
            "acc": score,
        }


def answers(
    scores: Sequence[float], silent: Sequence[int] = (), word: str | None = ""
) -> list[Row]:
    """A sample log of a task that generates; ``silent`` items hold ``word`` in place of a text."""
    return [
        {
            "doc_id": at,
            "doc": {"question": f"number {at}"},
            "target": str(at),
            "arguments": {"gen_args_0": {"arg_0": f"q{at}", "arg_1": {"until": ["."]}}},
            "resps": [[word if at in silent else f"it is {at}"]],
            "filter": "none",
            "metrics": ["acc"],
            "acc": 0.0 if at in silent else score,
        }
        for at, score in enumerate(scores)
    ]


def evaluated(
    folder: str,
    logs: Mapping[str, Sequence[Row]],
    *,
    results: Mapping[str, Any] | None = None,
    arguments: str = "",
    stamp: str = "2026-06-07T21-35-36.841005",
    **fields: Any,
) -> Path:
    """A folder of lm-eval's: results of ``logs`` and the logs, further ``results`` without."""
    path = Path(folder)
    path.mkdir(exist_ok=True)
    values = {task: sum(row["acc"] for row in log) / len(log) for task, log in logs.items()}
    table: dict[str, Any] = {task: {"acc,none": value} for task, value in values.items()}
    table |= results or {}
    document = {
        "results": table,
        "versions": dict.fromkeys(table, 1),
        "n-shot": dict.fromkeys(table, 0),
        "n-samples": {
            task: {"original": N, "effective": len(logs.get(task, range(N)))} for task in table
        },
        "config": {"model": "hf", "model_args": f"pretrained={arguments or f'org/{folder}'}"},
        "date": 1_700_000_000.0 + len(list(Path().iterdir())),
        **fields,
    }
    (path / f"results_{stamp}.json").write_text(json.dumps(document), "utf-8")
    for task, log in logs.items():
        lines = "".join(f"{json.dumps(row)}\n" for row in log)
        (path / f"samples_{task}_{stamp}.jsonl").write_text(lines, "utf-8")
    return path
