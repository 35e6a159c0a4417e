"""Real files of other people, and small ones made for a single question."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def data() -> Path:
    """The folder of the real files."""
    return DATA


@pytest.fixture
def twice(data: Path) -> list[Path]:
    """The results files of two runs of the same model, their logs beside them."""
    return sorted((data / "lm-eval/same-model-twice").glob("results_*.json"))


@pytest.fixture
def copied(tmp_path: Path, data: Path) -> Callable[[str], Path]:
    """Copies a folder of the real files to where it may be changed."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(data / name, tmp_path / Path(name).name))

    return copy


@pytest.fixture
def edited() -> Callable[[Path, Callable[[Any], Any]], None]:
    """Changes the JSON of a file in place."""

    def edit(path: Path, change: Callable[[Any], Any]) -> None:
        document = json.loads(path.read_text("utf-8"))
        changed = change(document)
        path.write_text(json.dumps(document if changed is None else changed), "utf-8")

    return edit


@pytest.fixture
def results_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a small results file of one task; keywords replace its top-level fields."""

    def write(name: str = "results.json", **fields: Any) -> Path:
        document = {
            "results": {"t": {"acc,none": 0.8, "acc_stderr,none": 0.0402015, "alias": "t"}},
            "configs": {
                "t": {
                    "task": "t",
                    "output_type": "multiple_choice",
                    "doc_to_choice": ["A", "B", "C", "D"],
                    "num_fewshot": 0,
                    "metric_list": [{"metric": "acc", "aggregation": "mean"}],
                }
            },
            "versions": {"t": 1},
            "n-shot": {"t": 0},
            "n-samples": {"t": {"original": 100, "effective": 100}},
            "config": {"model": "hf", "model_args": "pretrained=org/model,dtype=bfloat16"},
            "date": 1_700_000_000.0,
            **fields,
        }
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document), "utf-8")
        return path

    return write


@pytest.fixture
def log_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a sample log from rows."""

    def write(rows: list[dict[str, Any]], name: str = "samples_t.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
        return path

    return write


@pytest.fixture
def row() -> Callable[..., dict[str, Any]]:
    """One row of a sample log of a task with four choices."""

    def make(doc: int, **fields: Any) -> dict[str, Any]:
        likely = [[str(-1.0 - choice), "False"] for choice in range(4)]
        asked = {
            f"gen_args_{choice}": {"arg_0": f"q{doc}", "arg_1": f" {choice}"} for choice in range(4)
        }
        return {
            "doc_id": doc,
            "doc": {"question": f"number {doc}"},
            "target": str(doc % 4),
            "arguments": asked,
            "resps": [likely],
            "filtered_resps": likely,
            "filter": "none",
            "metrics": ["acc"],
            "acc": float(doc % 5 != 0),
            **fields,
        }

    return make
