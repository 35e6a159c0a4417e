"""`quantreg compare` where a loss could hide: pools, groups, changed sides, tasks not judged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.cli import main

REPOSITORY = Path(__file__).parents[3]
STORE = REPOSITORY / "baselines/tiny-llama/bf16/transformers"
TIMINGS = REPOSITORY / "tests/data/vllm-bench/bf16"
N = 1000


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command; gives the exit status and all that it printed, on one line."""

    def run(*words: str) -> tuple[int, str]:
        status = main(words)
        printed = capsys.readouterr()
        return status, " ".join((printed.out + printed.err).split())

    return run


def evaluated(folder: str, scores: dict[str, Any], **fields: Any) -> None:
    """A results file of lm-eval: accuracies of 1,000 items, or metrics as they stand there."""
    rows = {
        task: value
        if isinstance(value, dict)
        else {"acc,none": value, "acc_stderr,none": (value * (1 - value) / (N - 1)) ** 0.5}
        for task, value in scores.items()
    }
    document = {
        "results": rows,
        "versions": dict.fromkeys(rows, 1),
        "n-shot": dict.fromkeys(rows, 0),
        "n-samples": {task: {"original": N, "effective": N} for task in rows},
        "config": {"model": "hf", "model_args": f"pretrained=org/{folder}"},
        **fields,
    }
    Path(folder).mkdir()
    Path(folder, "results.json").write_text(json.dumps(document), "utf-8")


def test_a_gain_beyond_belief_makes_up_for_no_loss(said: Any) -> None:
    """Pooled, .8 -> .7 beside .5 -> .62 is refused; --allow-better is a person's own word."""
    evaluated("bf16", {"a": 0.8, "b": 0.5, "c": 0.7})
    evaluated("quantized", {"a": 0.7, "b": 0.62, "c": 0.7})
    words = ("compare", "bf16", "quantized", "--pooled", "--min-retention", ".95")
    status, page = said(*words)
    assert status == 2
    assert "REFUSED (suspicious) quantized all tasks: the quantized model is far above" in page
    assert said(*words, "--allow-better")[0] == 0


def test_a_group_tells_which_of_its_tasks_is_lost(said: Any) -> None:
    """A group that is kept names the task that alone would have been lost, and no other."""
    parts = {"group_subtasks": {"g": ["a", "b", "c", "d"]}}
    evaluated("bf16", {"g": 0.8, "a": 0.8, "b": 0.8, "c": 0.8, "d": 0.8}, **parts)
    evaluated("quantized", {"g": 0.78, "a": 0.8, "b": 0.86, "c": 0.86, "d": 0.6}, **parts)
    status, page = said("compare", "bf16", "quantized", "--min-retention", ".9")
    assert status == 0
    assert "quantized: g as a whole hides a loss below 0.9: d keeps 0.750; gate such" in page
    assert said("compare", "bf16", "quantized", "--min-retention", ".9", "--task", "d")[0] == 1
    assert "hides" not in said("compare", "bf16", "quantized")[1]


def test_sides_that_changed_places_are_not_judged(said: Any) -> None:
    """Full precision against what was made of it gains what was lost; figures alone are shown."""
    evaluated("bf16", {"a": 0.8})
    evaluated("nvfp4", {"a": 0.77})
    status, page = said("compare", "nvfp4", "bf16", "--min-retention", ".95")
    assert status == 2
    assert "bf16 is bf16, not quantized, and would be judged by nvfp4, which is w4a4-nvfp4" in page
    assert said("compare", "nvfp4", "bf16")[0] == 0
    assert said("compare", "bf16", "nvfp4", "--min-retention", ".9")[0] == 0


def test_what_no_gate_judges_is_said(said: Any) -> None:
    """A perplexity ten times as high beside a task that is kept: the page says nobody judged it."""
    evaluated("bf16", {"a": 0.8, "wikitext": {"word_perplexity,none": 8.0}})
    evaluated("quantized", {"a": 0.8, "wikitext": {"word_perplexity,none": 80.0}})
    _, page = said("compare", "bf16", "quantized", "--min-retention", ".9")
    assert "note: wikitext: word_perplexity is listed and not judged" in page
    assert "not judged" not in said("compare", "bf16", "quantized")[1]


def test_groups_that_hold_each_other_are_refused(said: Any) -> None:
    """Each would be a part of the other, and both would be missing from the page."""
    evaluated("bf16", {"a": 0.8, "b": 0.5, "c": 0.7}, group_subtasks={"b": ["c"], "c": ["b"]})
    evaluated("quantized", {"a": 0.8, "b": 0.1, "c": 0.1})
    status, page = said("compare", "bf16", "quantized", "--min-retention", ".9")
    assert status == 2
    assert "bf16/results.json makes b a part of itself, through c" in page


def test_runs_of_ours_are_not_imported(said: Any) -> None:
    """They would be filed under a name that no test looks for, whatever --scheme says."""
    status, page = said("import", str(STORE), "--out", "out", "--scheme", "w8a8-int8")
    assert status == 2
    assert "holds runs of quantreg already, of tiny-llama at bf16" in page
    assert not Path("out").exists()


def test_labels_of_timings_are_shown_as_they_are(said: Any) -> None:
    """A folder named like HTML is text in Markdown, on either side."""
    shutil.copytree(TIMINGS, "<b>one")
    shutil.copytree(TIMINGS, "<b>two")
    status, page = said("compare", "<b>one", "<b>two", "--format", "md")
    assert status == 0
    assert "&lt;b&gt;two against &lt;b&gt;one" in page
    assert "<b>" not in page
