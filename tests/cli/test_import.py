"""`quantreg import` of totals and timings as a person types it, and compared afterwards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run

DATA = Path(__file__).parents[1] / "data"
QWEN = DATA / "lm-eval/qwen3.6-27b"


SAID_OTHERWISE = {"context", "scheme", "headline", "details", "notes"}
"""Parts of an outcome that hold a label, which is the scheme after an import."""


@pytest.mark.parametrize("gate", [(), ("--min-retention", ".95", "--pooled")])
def test_totals_say_what_their_files_say(
    quantreg: Run, tmp_path: Path, gate: tuple[str, ...]
) -> None:
    """Two real arms without items, a group among them: figures and verdicts stay the same."""
    arms = ("bf16", "nvfp4")
    for arm in arms:
        status, page = quantreg("import", QWEN / arm, "--out", tmp_path / arm)
        assert status == 0
        assert "imported: gsm8k, totals of 600 items, " in page
        assert page.count("imported: ") == 3
        assert "--log_samples" in page
    sides = {
        "files": [QWEN / arm for arm in arms],
        "imported": [tmp_path / arm for arm in arms],
        "mixed": [QWEN / arms[0], tmp_path / arms[1]],
    }
    pages = {
        name: quantreg("compare", *pair, *gate, "--format", "json") for name, pair in sides.items()
    }
    assert len({status for status, _ in pages.values()}) == 1
    plain: dict[str, list[dict[str, Any]]] = {
        name: [
            {key: value for key, value in outcome.items() if key not in SAID_OTHERWISE}
            for outcome in json.loads(page)["outcomes"]
        ]
        for name, (_, page) in pages.items()
    }
    assert plain["imported"] == plain["files"]
    assert plain["mixed"] == plain["files"]


def test_timings_say_what_their_files_say(quantreg: Run, tmp_path: Path) -> None:
    """Ratios and intervals of two real arms stay the same, and the page is but for a label."""
    for arm in ("bf16", "nvfp4"):
        status, page = quantreg("import", DATA / f"vllm-bench/{arm}", "--out", tmp_path / arm)
        assert status == 0
        assert "timed by vllm bench serve" in page
    before, after = (
        json.loads(quantreg("compare", folder / "bf16", folder / "nvfp4", "--format", "json")[1])
        for folder in (DATA / "vllm-bench", tmp_path)
    )
    assert before == after


def test_scores_and_totals_of_one_model_lie_together(quantreg: Run, tmp_path: Path) -> None:
    """What has items becomes runs and what has none totals, and both are compared at once."""
    folder = shutil.copytree(DATA / "lm-eval/protocol-mismatch/nothink", tmp_path / "in")
    results = next(Path(folder).rglob("results_*.json"))
    document = json.loads(results.read_text("utf-8"))
    for table in ("results", "configs", "versions", "n-shot", "n-samples", "higher_is_better"):
        if "gsm8k" in document.get(table, {}):
            document[table]["other"] = document[table]["gsm8k"]
    results.write_text(json.dumps(document), "utf-8")
    status, page = quantreg("import", folder, "--out", tmp_path / "out", "--scheme", "bf16")
    assert status == 0
    assert "imported: gsm8k, " in page
    assert "imported: other, totals of " in page
    status, page = quantreg("compare", tmp_path / "out", folder, "--format", "json")
    assert {outcome["task"] for outcome in json.loads(page)["outcomes"]} >= {"gsm8k", "other"}


def test_a_task_without_a_figure_is_kept_as_such(quantreg: Run, tmp_path: Path) -> None:
    """A gate on the import refuses as one on the file does: the task was not measured."""
    folder = shutil.copytree(QWEN / "bf16/gsm8k", tmp_path / "in")
    results = next(Path(folder).rglob("results_*.json"))
    document = json.loads(results.read_text("utf-8"))
    document["results"]["silent"] = {"alias": "silent", "acc,none": "N/A"}
    document["versions"]["silent"] = 1.0
    results.write_text(json.dumps(document), "utf-8")
    status, page = quantreg("import", folder, "--out", tmp_path / "out")
    assert status == 0
    assert "imported: silent, not measured: its file has no figure of it" in page
    for side in (folder, tmp_path / "out"):
        gate = ("compare", side, QWEN / "nvfp4/gsm8k", "--min-retention", ".9")
        status, page = quantreg(*gate)
        assert status == 2
        assert "silent" in page


def test_other_results_are_not_overwritten(quantreg: Run, tmp_path: Path) -> None:
    """The same again is present, other figures are refused, exit 2, nothing changed."""
    first = ("import", QWEN / "bf16", "--out", tmp_path / "out", "--scheme", "bf16")
    assert quantreg(*first)[0] == 0
    status, page = quantreg(*first)
    assert (status, page.count("present: ")) == (0, 3)
    held = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.json")}
    folder = shutil.copytree(QWEN / "bf16", tmp_path / "in")
    results = next(Path(folder).rglob("gsm8k/**/results_*.json"))
    results.write_text(results.read_text("utf-8").replace("0.97166", "0.98166"), "utf-8")
    status, page = quantreg("import", folder, "--out", tmp_path / "out", "--scheme", "bf16")
    assert status == 2
    assert "gsm8k.json holds other figures" in page
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.json")} == held


def test_two_programs_are_told(quantreg: Run, tmp_path: Path) -> None:
    """The same load timed by two programs is compared, and it is said that they differ."""
    served = {
        "model_id": "tiny-llama",
        "duration": 1.0,
        "completed": 40,
        "total_input_tokens": 40 * 32,
        "total_output_tokens": 40 * 16,
        "output_throughput": 400.0,
        "max_concurrency": 2,
    }
    (tmp_path / "serve.json").write_text(json.dumps(served), "utf-8")
    status, page = quantreg("compare", DATA / "guidellm/0.8.1.json", tmp_path / "serve.json")
    assert status == 0
    assert "was timed by GuideLLM and serve by vllm bench serve" in " ".join(page.split())
    both = tmp_path / "both"
    both.mkdir()
    for path in (DATA / "guidellm/0.8.1.json", tmp_path / "serve.json"):
        shutil.copy(path, both)
    status, page = quantreg("import", both, "--out", tmp_path / "out")
    assert status == 2
    assert "both holds timings of 2 programs: GuideLLM, vllm bench serve" in page
