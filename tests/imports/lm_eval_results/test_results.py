"""Results files of lm-eval without items: what is read, what is known, what is suspect."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.records.evaluation import Evaluation
from pytest_quantreg.imports.open_results import open_path

from ...wording import refused, suspicions_of

Write = Callable[..., Path]


def opened(path: Path) -> Evaluation:
    """An evaluation, whatever else a path may hold."""
    imported = open_path(path)
    assert isinstance(imported, Evaluation)
    return imported


def test_a_real_folder(data: Path) -> None:
    """Three tasks of a model are read with values, items and the group's tasks below it."""
    imported = opened(data / "lm-eval/qwen3.6-27b/bf16")
    assert (imported.model, imported.engine) == ("Qwen/Qwen3.6-27B", "lm-eval-vllm")
    assert imported.tasks == ("gsm8k", "ifeval", "mmlu_pro")
    gsm8k = imported.results["gsm8k"]
    assert [aggregate.metric.name for aggregate in gsm8k.aggregates] == [
        "exact_match,strict-match",
        "exact_match,flexible-extract",
    ]
    first = gsm8k.aggregates[0]
    assert (first.right, first.n, gsm8k.total) == (583, 600, 1319)
    assert len(imported.results["mmlu_pro"].parts) == 14
    assert imported.results["mmlu_pro"].aggregates[0].n == 700


def test_a_limit_is_told(data: Path) -> None:
    """600 of 1,319 items is said with the task."""
    notes = opened(data / "lm-eval/qwen3.6-27b/bf16").results["gsm8k"].notes
    assert notes == ("gsm8k: 600 of 1,319 items (--limit)",)


def test_shares_that_are_no_counts_are_not_taken_for_right_answers(data: Path) -> None:
    """ifeval's instructions are not its items: .4436 of 541 is no whole number."""
    ifeval = opened(data / "lm-eval/qwen3.6-27b/bf16").results["ifeval"]
    rights = {aggregate.metric.name: aggregate.right for aggregate in ifeval.aggregates}
    assert rights["prompt_level_strict_acc,none"] == 165
    assert rights["inst_level_strict_acc,none"] is None


def test_scored_thoughts_are_suspect_and_only_where_no_filter_picks(data: Path) -> None:
    """The real ifeval scored thoughts as answers; gsm8k of the same run has filters."""
    imported = opened(data / "lm-eval/qwen3.6-27b/bf16").results
    assert "<think>" in suspicions_of(imported["ifeval"])["prompt_level_strict_acc,none"]
    assert imported["gsm8k"].suspicion("exact_match,strict-match") is None
    assert imported["mmlu_pro"].suspicion("exact_match,custom-extract") is None


@pytest.mark.parametrize("argument", [{"think_end_token": "</think>"}, {"enable_thinking": False}])
def test_thoughts_that_were_cut_off_or_forbidden_are_not_suspect(
    copied: Callable[[str], Path],
    edited: Callable[[Path, Callable[[Any], Any]], None],
    argument: dict[str, Any],
) -> None:
    """The suspicion rests on what lm-eval was not told, and ends where it was."""
    folder = copied("lm-eval/qwen3.6-27b/bf16/ifeval")
    path = next(folder.glob("*.json"))
    edited(path, lambda document: document["config"]["model_args"].update(argument))
    assert not opened(folder).results["ifeval"].suspicions


@pytest.mark.parametrize(
    "arguments",
    [
        "pretrained=org/model,dtype=bfloat16,trust_remote_code=True",
        {"pretrained": "org/model", "dtype": "bfloat16", "trust_remote_code": True},
    ],
)
def test_model_args_as_text_and_as_object(results_file: Write, arguments: object) -> None:
    """Old versions write model_args as text, new ones as an object."""
    path = results_file(config={"model": "hf", "model_args": arguments})
    imported = opened(path)
    assert imported.model == "org/model"
    assert imported.results["t"].known["model.dtype"] == "bfloat16"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("org/model", "org/model"),
        ("/home/jo/models/qwen-7b", "qwen-7b"),
        ("C:\\Users\\jo\\qwen-7b", "qwen-7b"),
        ("./qwen-7b", "qwen-7b"),
        ("../a/b/qwen-7b/", "qwen-7b"),
        ("~/qwen-7b", "qwen-7b"),
        ("org/\x1b[31mqwen", "org/[31mqwen"),
    ],
)
def test_folders_are_left_out_of_model_names(results_file: Write, name: str, shown: str) -> None:
    """Of a model in a folder only the folder's own name is kept."""
    path = results_file(config={"model": "hf", "model_args": {"pretrained": name}})
    assert opened(path).model == shown


def test_a_file_of_the_first_version(tmp_path: Path) -> None:
    """0.4.0 has no n-samples, no higher_is_better, no date; it is read, and suspect."""
    document = {
        "results": {"t": {"acc,none": 0.8, "acc_stderr,none": 0.04, "ppl,none": 3.5}},
        "configs": {"t": {"metric_list": [{"metric": "ppl", "higher_is_better": False}]}},
        "versions": {"t": "Yaml"},
        "n-shot": {"t": 5},
        "config": {"model": "hf", "model_args": "pretrained=a/b", "gen_kwargs": ""},
        "git_hash": "abc",
    }
    path = tmp_path / "results.json"
    path.write_text(json.dumps(document))
    result = opened(path).results["t"]
    assert "n-samples" in suspicions_of(result)[""]
    assert result.known["protocol.num_fewshot"] == 5
    assert [aggregate.metric.higher_is_better for aggregate in result.aggregates] == [True, False]
    assert result.aggregates[0].n is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"results": {}}, "holds no results"),
        ({"results": {"t": 3}}, "no object"),
        ({"results": {"t\x1b[2J": {"acc,none": 0.5}}}, "no task, filter or metric"),
        ({"results": {"t": {"acc\n,none": 0.5}}}, "no task, filter or metric"),
        ({"results": {"t": {"alias": "t"}}}, "no metric"),
        ({"n-samples": {"t": {"original": 10, "effective": 0}}}, "nothing was measured"),
        ({"n-samples": {"t": {"original": 10, "effective": 11}}}, "11 items"),
        ({"results": {"t": {"acc,none": 0.5, "acc_stderr,none": -1}}}, "negative"),
    ],
)
def test_contradictions_are_refused(results_file: Write, fields: dict[str, Any], said: str) -> None:
    """A file that contradicts itself, or was measured on nothing, is one clear refusal."""
    with refused(said):
        open_path(results_file(**fields))


def test_chance_of_listed_choices(results_file: Write) -> None:
    """Four choices in the task's file make a guesser right one time in four."""
    assert opened(results_file()).results["t"].chance == 0.25


def test_generation_arguments_of_the_command_line_win(results_file: Write) -> None:
    """gen_kwargs as text are merged over those of the task, numbers compared as numbers."""
    config = {
        "output_type": "generate_until",
        "generation_kwargs": {"until": ["."], "max_gen_toks": 64, "temperature": 0.0},
    }
    path = results_file(
        configs={"t": config},
        config={"model": "hf", "model_args": "pretrained=a/b", "gen_kwargs": "max_gen_toks=256"},
    )
    known = opened(path).results["t"].known["protocol.gen_kwargs"]
    assert known == {"until": ["."], "max_gen_toks": 256, "temperature": 0}


def test_memory_addresses_make_no_difference(results_file: Write) -> None:
    """A function printed with its address is the same function in another process."""
    configs = [
        {"t": {"doc_to_text": f"<function f at 0x{address}>", "output_type": "multiple_choice"}}
        for address in ("70b2d2712700", "7fff00000000")
    ]
    imported_configs = [
        opened(results_file(f"{place}/results.json", configs=config)).results["t"].config
        for place, config in enumerate(configs)
    ]
    assert imported_configs[0] == imported_configs[1] == {"doc_to_text": "<function f>"}
