"""`quantreg compare` and `quantreg import` as a person types them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.comparison.comparability import RULES
from tools.comparable_page import rules_page

from ..conftest import Run, flat

REPOSITORY = Path(__file__).parents[3]
DATA = REPOSITORY / "tests/data"
QWEN = DATA / "lm-eval/qwen3.6-27b"
STORE = REPOSITORY / "baselines/tiny-llama/bf16/transformers"


def test_the_real_folders_name_the_suspect_baseline(quantreg: Run) -> None:
    """bf16 against nvfp4: figures, ifeval called suspect and why, gsm8k's limit."""
    status, page = quantreg("compare", QWEN / "bf16", QWEN / "nvfp4")
    assert status == 0
    assert re.search(r"gsm8k .* 0\.972 +0\.967 +0\.994 +0\.977-1\.013 +600", page)
    assert re.search(r"ifeval .* suspect", page)
    assert "the baseline's ifeval is suspect: its chat template opens" in flat(page)
    assert "600 of 1,319 items" in page
    assert "--log_samples" in page
    assert all(len(line) < 100 for line in page.splitlines())


def test_a_gate_refuses_the_suspect_baseline_and_the_pool_with_it(quantreg: Run) -> None:
    """Under a gate the suspect task is refused, and so is a pool that would leave it out."""
    status, page = quantreg("compare", QWEN / "bf16", QWEN / "nvfp4", "--min-retention", ".9")
    assert status == 2
    assert "REFUSED (suspicious) nvfp4 ifeval" in page
    assert "REFUSED (nothing measured) nvfp4 all tasks: ifeval cannot be judged" in flat(page)


def test_chosen_tasks_are_judged_each_and_together(quantreg: Run) -> None:
    """Naming the tasks that count leaves the suspect one out on purpose."""
    words = ["--min-retention", ".9", "--task", "gsm8k", "--task", "mmlu_pro"]
    status, page = quantreg("compare", QWEN / "bf16", QWEN / "nvfp4", *words)
    assert status == 0
    assert page.count(" kept") >= 3
    assert "all 2 tasks" in page


def test_certify_that_is_undecided_ends_with_3(quantreg: Run) -> None:
    """Not kept with confidence, not lost either: certify says so with a status of its own."""
    words = ["--min-retention", ".98", "--gate", "certify", "--task", "mmlu_pro"]
    status, page = quantreg("compare", QWEN / "bf16", QWEN / "nvfp4", *words)
    assert status == 3
    assert "UNDECIDED nvfp4 mmlu_pro" in page


def test_pooled_judges_all_tasks_and_none_by_itself(quantreg: Run) -> None:
    """--pooled is the one gate over several tasks."""
    words = ["--min-retention", ".95", "--gate", "certify", "--pooled"]
    tasks = ["--task", "gsm8k", "--task", "mmlu_pro"]
    status, page = quantreg("compare", QWEN / "bf16", QWEN / "nvfp4", *words, *tasks)
    assert status == 0
    assert flat(page).count("kept") == 2  # its row and the count
    assert re.search(r"all 2 tasks.*kept", page)


def test_a_lost_gate_ends_with_1(quantreg: Run) -> None:
    """Under the plain ratio, .971 is below .98."""
    words = ["--min-retention", ".98", "--gate", "point", "--task", "mmlu_pro"]
    status, page = quantreg("compare", QWEN / "bf16", QWEN / "nvfp4", *words)
    assert status == 1
    assert "LOST nvfp4 mmlu_pro" in page


def test_four_precisions_are_one_table(quantreg: Run) -> None:
    """Three candidates against one baseline: a row each under one head."""
    arms = [QWEN / arm for arm in ("bf16", "fp8", "int4_awq", "nvfp4")]
    status, page = quantreg("compare", *arms, "--task", "gsm8k")
    assert status == 0
    rows = [line for line in page.splitlines() if re.search(r" 600", line) and "0.972" in line]
    assert len(rows) == 3
    assert page.count("interval ") == 1


def test_other_protocols_are_refused_with_both_values(quantreg: Run) -> None:
    """Two set-ups of one model are not compared, and the page says what differs."""
    folder = DATA / "lm-eval/protocol-mismatch"
    status, page = quantreg("compare", folder / "nothink", folder / "qwen_until")
    assert status == 2
    assert "REFUSED (not comparable)" in page
    assert "system instruction '/no_think', candidate no system instruction" in flat(page)


def test_the_same_model_twice_is_no_change(quantreg: Run) -> None:
    """Two runs of one model, declared as a rerun: paired, nothing lost, nothing won, kept."""
    files = sorted((DATA / "lm-eval/same-model-twice").glob("results_*.json"))
    status, page = quantreg("compare", *files, "--min-retention", ".9", "--allow-rerun")
    assert status == 0
    assert re.search(r"asdiv +acc +0\.920 +0\.920 +1\.000 .* 50 +0 +0 +kept", page)
    assert "cannot be told from the baseline" in flat(page)


def test_a_stored_run_against_itself(quantreg: Run, tmp_path: Path) -> None:
    """Runs of ours are read by the same command; one run twice is shown, and not judged."""
    status, page = quantreg("compare", STORE, STORE)
    assert status == 0
    assert re.search(r"recall .* 1,500 +0 +0 +suspect", page)
    assert "bf16/transformers (1)" in page
    status, page = quantreg("compare", STORE, STORE, "--min-retention", ".98")
    assert status == 2
    assert "transformers is named twice: nothing can be lost against itself" in flat(page)
    copy = shutil.copytree(STORE, tmp_path / "copy")
    status, page = quantreg("compare", STORE, copy, "--min-retention", ".98")
    assert status == 2
    assert "recall is one and the same run on both sides" in flat(page)


def test_timings_show_what_is_better_and_what_is_worse(quantreg: Run) -> None:
    """The published NVFP4 timings: more than twice the throughput and a WORSE first token."""
    status, page = quantreg("compare", DATA / "vllm-bench/bf16", DATA / "vllm-bench/nvfp4")
    assert status == 0
    part = page.split("1024+128 tokens, 4 in flight")[1]
    assert re.search(r"output tokens/s +55\.5 +125\.9 +x2\.27 +2\.26-2\.28 +3 +better", part)
    assert re.search(r"TTFT mean ms +697\.7 +901\.9 +x1\.23 +1\.07-1\.42 +3 +WORSE", part)
    assert "which of them counts" in flat(page)


@pytest.mark.parametrize("form", ["md", "json"])
def test_other_formats_hold_the_same(quantreg: Run, form: str) -> None:
    """Markdown is a table without raw HTML, JSON is parsed back with the status in it."""
    status, page = quantreg("compare", QWEN / "bf16", QWEN / "nvfp4", "--format", form)
    assert status == 0
    if form == "json":
        plain = json.loads(page)
        assert plain["status"] == 0
        assert plain["baseline"] == "bf16"
        assert {outcome["task"] for outcome in plain["outcomes"]} >= {"gsm8k", "ifeval", "mmlu_pro"}
        assert any("suspect" in note for outcome in plain["outcomes"] for note in outcome["notes"])
    else:
        assert "| gsm8k | exact\\_match,strict-match | 0.972 | 0.967 |" in page
        assert "<think>" not in page
        assert "&lt;think&gt;" in page


@pytest.mark.parametrize("form", ["md", "json"])
def test_timings_in_other_formats(quantreg: Run, form: str) -> None:
    """The ratios are in both; JSON has no bounds where nothing is known of them."""
    folder = DATA / "vllm-bench"
    status, page = quantreg("compare", folder / "bf16", folder / "nvfp4", "--format", form)
    assert status == 0
    if form == "json":
        ratios = json.loads(page)["candidates"][0]["ratios"]
        assert {ratio["verdict"] for ratio in ratios} == {"better", "WORSE", "same?"}
    else:
        assert "| 1024+128 tokens, 4 in flight | output tokens/s | 55.5 | 125.9 | x2.27 |" in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([QWEN / "bf16"], "two files or folders"),
        ([QWEN / "bf16", "nowhere"], "does not exist"),
        ([QWEN / "bf16", QWEN / "fp8", "--min-retention", "98"], "did you mean 0.98"),
        ([QWEN / "bf16", QWEN / "fp8", "--min-retention", ".02"], "did you mean 0.98"),
        ([QWEN / "bf16", QWEN / "fp8", "--confidence", "95"], "from .5 to below 1"),
        ([QWEN / "bf16", QWEN / "fp8", "--pooled"], "--pooled judges, and needs --min-retention"),
        ([QWEN / "bf16", QWEN / "fp8", "--gate", "certify"], "--gate certify judges, and needs"),
        ([QWEN / "bf16", QWEN / "fp8", "--task", "arc"], "no task 'arc'"),
        ([QWEN / "bf16", DATA / "vllm-bench/bf16"], "compare like with like"),
        ([QWEN / "bf16", DATA / "lm-eval/same-model-twice"], "no task in common"),
        ([DATA / "vllm-bench/bf16"] * 2 + ["--task", "x"], "these are timings"),
        ([QWEN, QWEN / "bf16"], "results of 4 models"),
    ],
)
def test_wrong_use_ends_with_2(quantreg: Run, words: list[Any], said: str) -> None:
    """What can never work is told in a line or two, with the way out."""
    status, page = quantreg("compare", *words)
    assert status == 2
    assert said in flat(page)
    assert "Traceback" not in page


def test_a_metric_that_no_task_has_is_refused(quantreg: Run) -> None:
    """The metrics that there are stand beside the refusal."""
    words = ["--task", "gsm8k", "--metric", "acc"]
    status, page = quantreg("compare", QWEN / "bf16", QWEN / "nvfp4", *words)
    assert status == 2
    assert "gsm8k has no metric 'acc'" in flat(page)
    assert "exact_match,strict-match" in page


def test_another_metric_may_be_named(quantreg: Run) -> None:
    """flexible-extract goes the other way than strict-match, which is told."""
    words = ["--task", "gsm8k", "--metric", "exact_match,flexible-extract"]
    status, page = quantreg("compare", QWEN / "bf16", QWEN / "nvfp4", *words)
    assert status == 0
    assert "0.977" in page
    assert "exact_match,strict-match of gsm8k goes the other way" in flat(page)


def test_too_few_items_are_too_weak(quantreg: Run, tmp_path: Path) -> None:
    """Eight items see nothing: a detect gate on them is refused, not green."""
    source = DATA / "lm-eval/protocol-mismatch/nothink"
    folder = shutil.copytree(source, tmp_path / "again")
    results = next(folder.rglob("*.json"))
    document = json.loads(results.read_text("utf-8"))
    results.write_text(json.dumps({**document, "date": 1.0}), "utf-8")
    words = ["--min-retention", ".98", "--allow-rerun"]
    status, page = quantreg("compare", source, folder, *words)
    assert status == 2
    assert "REFUSED (too weak)" in page


def test_a_task_that_the_candidate_lacks_is_refused_under_a_gate(
    quantreg: Run, tmp_path: Path
) -> None:
    """What was not evaluated is not kept: a missing task is told, and refused by a gate."""
    folder = shutil.copytree(QWEN / "nvfp4", tmp_path / "nvfp4")
    shutil.rmtree(folder / "ifeval")
    status, page = quantreg("compare", QWEN / "bf16", folder)
    assert status == 0
    assert "only bf16 has ifeval" in page
    status, page = quantreg("compare", QWEN / "bf16", folder, "--min-retention", ".9")
    assert status == 2
    assert "was not evaluated on ifeval" in flat(page)


def test_merged_files_have_figures_and_no_verdict(quantreg: Run, tmp_path: Path) -> None:
    """Without n-samples nobody knows how many items: no interval, and gates are refused."""
    folder = shutil.copytree(QWEN / "nvfp4/gsm8k", tmp_path / "merged")
    path = next(folder.glob("*.json"))
    document = json.loads(path.read_text("utf-8"))
    del document["n-samples"]
    path.write_text(json.dumps(document), "utf-8")
    status, page = quantreg("compare", QWEN / "bf16/gsm8k", folder)
    assert status == 0
    assert re.search(r"0\.972 +0\.967 +0\.994 +- +\? +suspect", page)
    status, page = quantreg("compare", QWEN / "bf16/gsm8k", folder, "--min-retention", ".5")
    assert status == 2
    assert "does not say how many items" in flat(page)


def test_the_page_of_the_rules_is_made_from_them() -> None:
    """docs/comparable.md holds every rule; `python tools/comparable_page.py` prints it."""
    page = (REPOSITORY / "docs/comparable.md").read_text("utf-8")
    assert page == rules_page()
    assert all(f"| `{rule.field}` |" in page for rule in RULES)
