"""What the installed lm-eval itself writes: a model of random answers on tasks of every kind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_quantreg.core.gates.outcome import MeasuredAccuracy
from pytest_quantreg.core.records.evaluation import Evaluation
from pytest_quantreg.gating.files.judge import judge_candidate
from pytest_quantreg.gating.files.policy import ComparePolicy
from pytest_quantreg.imports.open_results import open_path
from pytest_quantreg.imports.to_runs import run_of

TASK = """
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
"""

CHOICES = """
output_type: multiple_choice
doc_to_text: "PROMPT{{q}}"
doc_to_target: g
doc_to_choice: c
metric_list: [{metric: acc}, {metric: acc_norm}, {metric: acc_mutual_info}]
metadata: {version: 1.0}
"""

ANSWERS = """
output_type: generate_until
doc_to_text: "{{q}}"
doc_to_target: t
generation_kwargs: {until: ["."], max_gen_toks: 8}
filter_list:
  - {name: strict, filter: [{function: regex, regex_pattern: "([0-9]+)"}, {function: take_first}]}
  - {name: loose, filter: [{function: take_first}]}
metric_list: [{metric: exact_match}]
"""

TEXTS = """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: q
metric_list: [{metric: word_perplexity}, {metric: bits_per_byte}]
"""

GROUP = """
group: both
task: [one, two]
aggregate_metric_list: [{metric: acc, weight_by_size: true}]
"""

SCRIPT = """
import random, sys
from lm_eval import simple_evaluate
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager

tasks, out, seed = sys.argv[1:]
tracker = EvaluationTracker(output_path=out)
random.seed(int(seed))
results = simple_evaluate(
    model="dummy", model_args="pretrained=/home/jo/model", tasks=["both", "answers", "texts"],
    task_manager=TaskManager(include_path=tasks, include_defaults=False), log_samples=True,
    evaluation_tracker=tracker, random_seed=int(seed), limit=30,
)
samples = results.pop("samples")
tracker.save_results_aggregated(results=results, samples=samples)
for task, rows in samples.items():
    tracker.save_results_samples(task, rows)
"""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two evaluations of random answers, as lm-eval writes them."""
    folder = tmp_path_factory.mktemp("harness")
    tasks = folder / "tasks"
    tasks.mkdir()
    rows = [
        {"q": f"What is {i}?", "c": ["a", "b", "c"], "g": i % 3, "t": str(i)} for i in range(40)
    ]
    data = tasks / "data.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    shared = TASK.replace("DATA", json.dumps(str(data)))
    kinds = {
        "one": CHOICES.replace("PROMPT", ""),
        "two": CHOICES.replace("PROMPT", "Q: "),
        "answers": ANSWERS,
        "texts": TEXTS,
    }
    for name, kind in kinds.items():
        (tasks / f"{name}.yaml").write_text(f"task: {name}\n{shared}{kind}")
    (tasks / "both.yaml").write_text(GROUP)
    environment = {
        **os.environ,
        "HF_HOME": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
    }
    folders = []
    for seed in ("1", "2"):
        out = folder / f"out{seed}"
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tasks), str(out), seed],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        folders.append(out)
    return folders


@pytest.mark.slow
def test_every_kind_of_task_is_read(evaluated: list[Path]) -> None:
    """Choices, filters, perplexities and a group: with their items, which fit the totals."""
    imported = open_path(evaluated[0])
    assert isinstance(imported, Evaluation)
    assert imported.model == "model"
    assert set(imported.tasks) == {"both", "answers", "texts"}
    kinds = {
        name: {metric.name: metric.kind for metric in result.accuracy.protocol.metrics}
        for name, result in imported.results.items()
        if result.accuracy is not None
    }
    assert set(kinds["answers"]) == {"exact_match,strict", "exact_match,loose"}
    assert set(kinds["one"].values()) == {"binary"}
    assert set(kinds["texts"].values()) == {"perplexity"}
    single = imported.results["one"]
    assert single.accuracy is not None
    assert len(single.accuracy.items) == 30
    assert single.accuracy.chance >= 1 / 3
    assert single.total == 40


def test_two_evaluations_compare_item_by_item(evaluated: list[Path]) -> None:
    """The group is paired on the 60 items of its tasks; nothing else stands in the way."""
    sides = [open_path(path) for path in evaluated]
    assert isinstance(sides[0], Evaluation)
    assert isinstance(sides[1], Evaluation)
    judged = judge_candidate(sides[0], sides[1], ComparePolicy())
    compared = [
        outcome.comparison for outcome in judged.outcomes if isinstance(outcome, MeasuredAccuracy)
    ]
    assert len(compared) == len(judged.outcomes)
    group = next(comparison for comparison in compared if comparison.task == "both")
    assert group.n == 60
    assert group.lost is not None
    assert group.won is not None
    assert group.won - group.lost == pytest.approx(60 * (group.quantized - group.baseline))


def test_each_task_makes_a_run(evaluated: list[Path]) -> None:
    """What lm-eval says today is enough for a stored run of every task with items."""
    imported = open_path(evaluated[0])
    assert isinstance(imported, Evaluation)
    for name in ("one", "two", "answers", "texts"):
        run = run_of(imported, imported.results[name], "bf16")
        assert run.provenance.model.name == "model"
        assert run.provenance.software.versions["lm_eval"].startswith("0.4.")
