"""What `quantreg compare` doubts in others' files it doubts after `quantreg import` as well."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run
from .lm_eval_folders import BASE, CERTIFY, GOOD, LOSSY, N, answers, evaluated, rows

Edit = Callable[[str], Mapping[str, Any]]

CASES: dict[str, Edit] = {
    "the baseline's own weights": lambda side: {"arguments": "org/m"},
    "the baseline's own weights and adapter": lambda side: {
        "arguments": "org/m,peft=/home/someone/adapter"
    },
    "thoughts are cut off on one side": lambda side: {
        "arguments": "org/b" if side == "bf16" else "org/q,think_end_token=</think>"
    },
    "thoughts are asked for on one side": lambda side: {
        "arguments": "org/b" if side == "bf16" else "org/q,enable_thinking=False"
    },
    "a token in front on one side": lambda side: {
        "arguments": "org/b" if side == "bf16" else "org/q,add_bos_token=False"
    },
    "another template on one side": lambda side: {
        "arguments": "org/b" if side == "bf16" else "org/q,chat_template_args={'a': 1}"
    },
    "the first metric is not there": lambda side: {
        "results": {"t": {"f1,none": "N/A", "acc,none": 0.8}}
    },
}


pytestmark = pytest.mark.usefixtures("in_empty_folder")


def imported(said: Run, folder: str) -> str:
    """Imports a folder; returns the store, which has the folder's name below ``s``."""
    status, page = said("import", folder, "--out", f"s/{folder}")
    assert status == 0, page
    return f"s/{folder}"


@pytest.mark.parametrize("case", CASES)
def test_a_doubt_survives(case: str, said: Run) -> None:
    """Both sides imported, or one, or none: refused alike."""
    for side, scores in (("bf16", BASE), ("nvfp4", [*GOOD])):
        evaluated(side, {"t": list(rows(side, scores))}, **CASES[case](side))
    stores = {side: imported(said, side) for side in ("bf16", "nvfp4")}
    for base in ("bf16", stores["bf16"]):
        for candidate in ("nvfp4", stores["nvfp4"]):
            assert said("compare", base, candidate, *CERTIFY)[0] == 2, (base, candidate)


def test_a_shared_cache_is_remembered(said: Run) -> None:
    """Answers out of one --use_cache are no evidence, whoever reads them later."""
    for folder in ("base", "quantized"):
        config = {"model": "hf", "model_args": f"pretrained=org/{folder}", "use_cache": "kept"}
        evaluated(folder, {"t": answers(BASE)}, config=config)
        imported(said, folder)
    for base in ("base", "s/base"):
        for candidate in ("quantized", "s/quantized"):
            status, page = said("compare", base, candidate, "--min-retention", ".9")
            assert status == 2
            assert "both read their answers from one --use_cache" in page


def test_a_copy_is_known_after_an_import(said: Run) -> None:
    """The baseline's own evaluation, imported, is no candidate for it."""
    evaluated("base", {"t": answers(BASE)}, arguments="/home/x/model")
    imported(said, "base")
    status, page = said("compare", "base", "s/base", *CERTIFY)
    assert status == 2
    assert "one and the same evaluation" in page


def test_a_good_model_is_kept_after_an_import(said: Run) -> None:
    """What is sound stays sound, with all that is unknown to either side."""
    for folder, scores in (("base", BASE), ("quantized", GOOD)):
        evaluated(folder, {"t": list(rows(folder, scores))})
        imported(said, folder)
    for base in ("base", "s/base"):
        for candidate in ("quantized", "s/quantized"):
            assert said("compare", base, candidate, *CERTIFY)[0] == 0, (base, candidate)


@pytest.mark.parametrize("gone", ["t.0shot*.json", "imported/t.0shot*.json", "*.items.jsonl"])
def test_half_an_import_is_none(gone: str, said: Run) -> None:
    """Items without what their file said, and the other way round, are refused."""
    evaluated("base", {"t": list(rows("base", BASE))})
    evaluated("quantized", {"t": list(rows("quantized", GOOD))})
    imported(said, "base")
    (lost,) = Path("s/base").glob(f"*/*/*/{gone}")
    lost.unlink()
    assert said("compare", "s/base", "quantized", *CERTIFY)[0] == 2


def test_a_group_is_as_suspect_as_its_tasks(said: Run) -> None:
    """Scored thoughts in one task of a group, and a task that is gone, refuse the group."""
    template = "{% if add_generation_prompt %}<think>\n{% endif %}"
    for folder, lossy in (("base", BASE), ("quantized", LOSSY)):
        logs = {"t": list(rows(folder, BASE if folder == "base" else GOOD)), "u": answers(lossy)}
        mean = sum(sum(row["acc"] for row in log) for log in logs.values()) / (2 * N)
        evaluated(
            folder,
            logs,
            results={"g": {"acc,none": mean}},
            configs={
                "t": {"output_type": "multiple_choice"},
                "u": {"output_type": "generate_until"},
            },
            chat_template=template,
            group_subtasks={"g": ["t", "u"]},
        )
        imported(said, folder)
    status, page = said("compare", "base", "quantized", *CERTIFY)
    assert status == 2
    assert "the baseline's u is suspect" in page
    for folder in ("base", "quantized"):
        for path in [*Path(f"s/{folder}").rglob("u.0shot*")]:
            path.unlink()
    status, page = said("compare", "s/base", "s/quantized", *CERTIFY)
    assert status == 2
    assert "the baseline's g is made of 2 tasks, and u is not at hand" in page


def test_different_weights_are_not_mixed(said: Run) -> None:
    """Two imports into one place stay two models."""
    evaluated("base", {"t": list(rows("base", BASE))}, arguments="org/m")
    assert said("import", "base", "--out", "s")[0] == 0
    evaluated("other", {"u": list(rows("other", BASE))}, arguments="org/m,load_in_4bit=True")
    assert said("import", "other", "--out", "s")[0] == 0
    status, page = said("compare", "s", "base", *CERTIFY)
    assert status == 2
    assert "s holds results of org/m with different weights" in page


@pytest.mark.parametrize("field", ["schema_version", "figures_of", "protocol"])
def test_a_damaged_file_of_ours_is_missed(field: str, said: Run) -> None:
    """A name or a kind that a bit has changed does not make a task disappear from a folder."""
    for folder, scores in (("base", BASE), ("quantized", GOOD)):
        logs = {task: list(rows(f"{folder} {task}", scores)) for task in ("t", "u")}
        evaluated(folder, logs)
        imported(said, folder)
    (path,) = Path("s/base").glob(
        "*/*/*/imported/u.*" if field == "figures_of" else "*/*/*/u.*.json"
    )
    text = path.read_text("utf-8")
    assert field in text
    path.write_text(text.replace(f'"{field}"', f'"{field[:-1]}Q"', 1), "utf-8")
    assert said("compare", "s/base", "s/quantized", *CERTIFY)[0] == 2


def test_two_choices_that_tie(said: Run) -> None:
    """More than 1 % of items with equal choices are refused, and what else it may be is said."""
    for folder, scores in (("base", BASE), ("quantized", GOOD)):
        log = list(rows(folder, scores))
        for at, row in enumerate(log):
            second = "-12.5" if at % 20 == 0 else str(-13 - at)
            two = [["-12.5", "False"], [second, "False"]]
            row["resps"], row["filtered_resps"] = [two], two
            row["arguments"] = dict(list(row["arguments"].items())[:2])
        evaluated(folder, {"t": log})
    status, page = said("compare", "base", "quantized", "--min-retention", ".95")
    assert status == 2
    assert "all choices of 5 % of the items have the same log-probability" in page
    assert "softmax_dtype=float32" in page


@pytest.mark.parametrize("figure", [1e308, -1e308])
def test_an_impossible_figure_is_no_crash(said: Run, figure: float) -> None:
    """A share of 1e308 is refused or told, in every form of the page."""
    evaluated("base", {}, results={"t": {"acc,none": 0.8, "acc_stderr,none": 0.01}})
    evaluated("quantized", {}, results={"t": {"acc,none": figure, "acc_stderr,none": 0.01}})
    for form in ("text", "md", "json"):
        status, page = said("compare", "base", "quantized", "--format", form)
        assert "Traceback" not in page
        assert status in (0, 2)
        if form == "json":
            json.loads(page)
