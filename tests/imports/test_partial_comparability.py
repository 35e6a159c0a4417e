"""Whether imported results compare: what differs is refused, what one side hides is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.comparison.comparability import Difference, Level
from pytest_quantreg.core.comparison.partial_comparability import differences
from pytest_quantreg.core.records.evaluation import Evaluation
from pytest_quantreg.imports.open_results import open_path

from ..wording import shown

Write = Callable[..., Path]


def between(first: Path, second: Path, task: str = "t") -> list[Difference]:
    """The differences of one task of two paths."""
    sides = [open_path(path) for path in (first, second)]
    results = [side.results[task] for side in sides if isinstance(side, Evaluation)]
    return differences(results[0], results[1])


def test_the_real_mismatch_names_both_values(data: Path) -> None:
    """Two set-ups of one model: the system instruction is refused with both texts."""
    folder = data / "lm-eval/protocol-mismatch"
    differing = between(folder / "nothink", folder / "qwen_until", "gsm8k")
    first = differing[0]
    assert first.level is Level.REFUSE
    assert first.field == "protocol.system_instruction_digest"
    assert "/no_think" in shown(first.baseline)
    assert "no system instruction" in shown(first.candidate)
    assert {
        shown(difference.field) for difference in differing if difference.level is Level.REFUSE
    } == {
        "protocol.system_instruction_digest",
        "items.missing",
        "items.digests",
    }


def test_the_same_model_twice_differs_in_nothing(twice: list[Path]) -> None:
    """Two runs of one model with the same arguments compare without a word."""
    assert between(twice[0], twice[1], "asdiv") == []


def test_the_environment_is_told(results_file: Write) -> None:
    """Another driver or torch, which stands for another vLLM, is told and not refused."""
    about = "PyTorch version: {}\nNvidia driver version: {}\nGPU 0: NVIDIA H100\n"
    first = results_file("one/results.json", pretty_env_info=about.format("2.11.0+cu130", "595.71"))
    other = results_file("two/results.json", pretty_env_info=about.format("2.12.1+cu130", "610.2"))
    differing = between(first, other)
    assert {
        (
            shown(difference.field),
            shown(difference.baseline),
            shown(difference.candidate),
            difference.level,
        )
        for difference in differing
    } == {
        ("version of torch", "2.11.0+cu130", "2.12.1+cu130", Level.TELL),
        ("machine.driver", "595.71", "610.2", Level.TELL),
    }


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "task version": ({"versions": {"t": 2}}, "protocol.task_version"),
    "few-shot": ({"n-shot": {"t": 5}}, "protocol.num_fewshot"),
    "engine": ({"model_source": "vllm"}, "software.backend"),
    "lm-eval": ({"lm_eval_version": "0.5.1"}, "version of lm_eval"),
    "transformers": ({"transformers_version": "5.1.0"}, "version of transformers"),
    "template": ({"chat_template_sha": "a" * 64}, "protocol.template_digest"),
    "no template": ({"chat_template_sha": None}, "protocol.chat_template"),
    "system": ({"system_instruction": "Be brief."}, "protocol.system_instruction_digest"),
    "multiturn": ({"fewshot_as_multiturn": False}, "protocol.fewshot_as_multiturn"),
    "items": ({"n-samples": {"t": {"original": 100, "effective": 50}}}, "items.missing"),
    "whole task": ({"n-samples": {"t": {"original": 200, "effective": 100}}}, "total_items"),
    "hash": ({"task_hashes": {"t": "b" * 64}}, "items.digests"),
}

COMMON: dict[str, Any] = {
    "lm_eval_version": "0.4.12",
    "transformers_version": "5.10.2",
    "chat_template_sha": "c" * 64,
    "system_instruction": None,
    "system_instruction_sha": None,
    "fewshot_as_multiturn": True,
    "model_source": "hf",
    "task_hashes": {"t": "d" * 64},
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_difference_of_protocol_is_refused(results_file: Write, change: str) -> None:
    """One field changed in one of two files is refused under its own name."""
    fields, named = CHANGES[change]
    first = results_file("a/results.json", **COMMON)
    second = results_file("b/results.json", **{**COMMON, **fields})
    assert between(first, first) == []
    refused = [
        difference for difference in between(first, second) if difference.level is Level.REFUSE
    ]
    assert any(named in shown(difference.field) for difference in refused), refused
    assert all(difference.way_out for difference in refused)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("pretrained=org/model,dtype=float16", "model.dtype"),
        ("pretrained=org/model,dtype=bfloat16,add_bos_token=True", "add_bos_token"),
        ("pretrained=org/model,dtype=bfloat16,enable_thinking=False", "enable_thinking"),
    ],
)
def test_model_arguments_that_change_prompts_are_refused(
    results_file: Write, arguments: str, named: str
) -> None:
    """Type, BOS and thinking are arguments of the model and decide the answers."""
    first = results_file("a/results.json")
    second = results_file("b/results.json", config={"model": "hf", "model_args": arguments})
    refused = [
        difference for difference in between(first, second) if difference.level is Level.REFUSE
    ]
    assert [named in shown(difference.field) for difference in refused] == [True]


def test_a_filter_changed_in_the_task_file_is_refused(results_file: Write) -> None:
    """The entry of the task's file that differs is named with both values."""
    configs = [
        {"t": {"filter_list": [{"name": "none", "filter": [{"regex_pattern": text}]}]}}
        for text in ("A", "B")
    ]
    paths = [
        results_file(f"{place}/results.json", configs=config)
        for place, config in enumerate(configs)
    ]
    differing = between(paths[0], paths[1])
    assert shown(differing[0].field) == "filter_list in the task's file"
    assert "'A'" in shown(differing[0].baseline)


def test_a_patch_version_is_told(results_file: Write) -> None:
    """lm-eval 0.4.12 and 0.4.13 compare, and it is said."""
    first = results_file("a/results.json", **COMMON)
    second = results_file("b/results.json", **{**COMMON, "lm_eval_version": "0.4.13"})
    assert [difference.level for difference in between(first, second)] == [Level.TELL]


def test_what_one_side_does_not_say_is_told_once(results_file: Write) -> None:
    """An old file without versions and templates compares; what is unknown is listed."""
    first = results_file("a/results.json", **COMMON)
    second = results_file("b/results.json")
    differing = between(first, second)
    assert [difference.level for difference in differing] == [Level.TELL]
    assert shown(differing[0].field) == "not compared"
    assert "lm_eval" in shown(differing[0].baseline)
    assert "chat_template" in shown(differing[0].baseline)
    assert shown(differing[0].candidate) == "says no more"
