"""Refusals about the baseline: absent, too small, unreadable, not comparable."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from .conftest import Suite
from .events import events

GATE = """
class TestModel:
    @pytest.mark.min_retention(0.9)
    @pytest.mark.parametrize("n", [400])
    def test_sum(self, n, compare_accuracy):
        compare_accuracy("sum", limit=n)
"""


@pytest.fixture
def gated(suite: Suite) -> Suite:
    """One gate on a checkpoint that logs; nothing is recorded."""
    suite.test(GATE, "tests/test_gate.py")
    suite.checkpoint("int8", log="events.log")
    return suite


def command(result: pytest.RunResult, opening: str) -> list[str]:
    """The words after ``pytest`` of the one command that follows ``opening``."""
    lines = [line.strip() for line in result.outlines if line.strip().startswith(opening)]
    words = shlex.split(lines[0].removeprefix(opening))
    assert words[0] == "pytest"
    return words[1:]


def test_absent_shows_the_command_that_records_it(gated: Suite) -> None:
    """The printed command, run as it stands, records what was missing; nothing was loaded."""
    result = gated.gate("--quant-baselines=elsewhere")
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (baseline absent) w8a8-int8 sum: no baseline of sum (0-shot) of model at *",
            "*elsewhere/model/bf16/scripted/sum.0shot.json does not exist",
        ]
    )
    assert events(gated.path / "int8") == []
    words = command(result, "record it: ")
    assert words[0] == "tests/test_gate.py::TestModel::test_sum"
    assert gated.run(*words).ret == 0
    assert gated.gate("--quant-baselines=elsewhere").ret == 0


def test_the_command_works_in_a_subfolder(gated: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths in it are relative to where pytest was started."""
    monkeypatch.chdir(gated.path / "tests")
    checkpoint = "--quant-checkpoint=../int8"
    result = gated.run("--quant-scheme=w8a8-int8", checkpoint)
    words = command(result, "record it: ")
    assert words[0] == "test_gate.py::TestModel::test_sum"
    assert gated.run(*words).ret == 0
    assert gated.run("--quant-scheme=w8a8-int8", checkpoint).ret == 0


def test_the_command_names_an_ini_file_of_another_folder(gated: Suite) -> None:
    """-c, --rootdir and -o are repeated: they decide where the baseline goes."""
    (gated.path / "ci").mkdir()
    (gated.path / "pytest.toml").rename(gated.path / "ci" / "gates.toml")
    text = (gated.path / "ci" / "gates.toml").read_text()
    text = text.replace('"model"', '"../model"').replace('["tasks"]', '["../tasks"]')
    (gated.path / "ci" / "gates.toml").write_text(text)
    options = ("-c", "ci/gates.toml", "--rootdir=.", "-o", "quant_seed=7", "tests")
    result = gated.gate(*options)
    words = command(result, "record it: ")
    assert gated.run(*words).ret == 0
    assert (gated.path / "baselines" / "model").is_dir()
    assert gated.gate(*options).ret == 0


def test_fewer_items_than_asked(gated: Suite) -> None:
    """It says how many there are and prints the command that records the rest."""
    gated.record("--quant-limit=100")
    result = gated.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (not comparable) *the baseline holds 100 items and 400 are asked for",
            "*or compare fewer: --quant-limit=100",
        ]
    )
    assert events(gated.path / "int8") == []
    assert gated.run(*command(result, "record the rest: ")).ret == 0
    assert gated.gate().ret == 0


@pytest.mark.parametrize("suffix", [".json", ".items.jsonl"])
def test_cut_in_half(gated: Suite, suffix: str) -> None:
    """A torn file is refused with how to restore or record it; that command mends it."""
    gated.record()
    path = gated.path / f"baselines/model/bf16/scripted/sum.0shot{suffix}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = gated.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["REFUSED (baseline unreadable) *sum.0shot*", "*git checkout -- *sum.0shot*"]
    )
    assert events(gated.path / "int8") == []
    words = command(result, "or record it again: ")
    assert words[-1] == "--quant-update=all"
    assert gated.run(*words).ret == 0
    assert gated.gate().ret == 0


TASK_CHANGES = {
    "task version": ("version: 1.0", "version: 2.0", "protocol.task_version*2.0*"),
    "prompts": ("{{question}}", "Q: {{question}}", "protocol.config_digest*"),
    "generation": ("max_gen_toks: 8", "max_gen_toks: 9", "protocol.*"),
    "few-shot": ("test_split: test", "test_split: test\nfewshot_split: test\nnum_fewshot: 2", "*"),
}


@pytest.mark.parametrize(("old", "new", "told"), TASK_CHANGES.values(), ids=TASK_CHANGES)
def test_a_changed_task(gated: Suite, old: str, new: str, told: str) -> None:
    """Another task than the one that was recorded is refused before anything loads."""
    gated.record()
    path = gated.path / "tasks" / "sum.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    result = gated.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"REFUSED (*) w8a8-int8 sum: *{told}"])
    assert events(gated.path / "int8") == []


def test_scoring_made_lenient_in_a_helper_passed(gated: Suite) -> None:
    """A module that the task's scoring imports from the project is named when it changes."""
    rules = gated.path / "quantreg_rules.py"
    rules.write_text("def right(wanted, said): return wanted == said\n")
    (gated.path / "conftest.py").write_text("")
    (gated.path / "tasks" / "grade.py").write_text(
        "def grade(doc, results):\n"
        "    from quantreg_rules import right\n"
        "    return {'exact_match': float(right(doc['answer'], results[0].strip()))}\n"
    )
    task = gated.path / "tasks" / "sum.yaml"
    task.write_text(f"{task.read_text()}process_results: !function grade.grade\n")
    gated.record()
    assert gated.gate().ret == 0
    rules.write_text("def right(wanted, said): return True\n")
    result = gated.gate()
    assert result.ret == 1
    refused = next(line for line in result.outlines if line.startswith("REFUSED (not comparable)"))
    assert "protocol.config_digest (changed: quantreg_rules.py)" in refused


def test_changed_data(gated: Suite) -> None:
    """One item that asks something else is enough."""
    gated.record()
    path = gated.path / "tasks" / "items.jsonl"
    path.write_text(path.read_text().replace("What is 7 plus 7?", "And 7 plus 7?"))
    result = gated.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (not comparable) *"])
    words = command(result, "record the baseline again: ")
    assert gated.run(*[*words[:-1], "--quant-update"]).ret == 1, "only =all may replace it"
    assert gated.run(*words).ret == 0
    assert gated.gate().ret == 0


MODEL_CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "tokenizer": ({"tokenizer": "letters"}, "model.tokenizer_digest"),
    "architecture": ({"architecture": "OtherForCausalLM"}, "model.architecture"),
    "vocabulary": ({"vocab_size": 101}, "model.vocab_size"),
    "sizes": ({"shapes": {"hidden_size": 16}}, "model.hidden_size"),
    "dtype": ({"dtype": "float16"}, "model.dtype"),
    "template": ({"template": "<{role}>{content}\n"}, "protocol."),
}


@pytest.mark.parametrize(("change", "told"), MODEL_CHANGES.values(), ids=MODEL_CHANGES)
def test_another_model(gated: Suite, change: dict[str, Any], told: str) -> None:
    """A checkpoint that is not the baseline's is refused, before it loads where that shows."""
    gated.record()
    folder = gated.checkpoint("other", log="events.log", **change)
    result = gated.gate(checkpoint="other")
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"REFUSED (not comparable) w8a8-int8 sum: *{told}*"])
    assert events(folder) == []


def test_another_kind_of_machine(gated: Suite) -> None:
    """Where it runs is known once it is loaded; nothing is measured then."""
    gated.record()
    machine = {"kind": "cuda", "accelerator": "NVIDIA A40"}
    folder = gated.checkpoint("gpu", log="events.log", machine=machine)
    result = gated.gate(checkpoint="gpu")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (not comparable) *machine.kind: baseline cpu, now cuda*"])
    assert not any("requests" in line for line in events(folder))


def test_changed_weights_of_the_baseline(gated: Suite) -> None:
    """The full-precision model at hand is not the one that was recorded."""
    gated.record()
    gated.model(weights="v2")
    result = gated.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (not comparable) *base.weights_digest*"])


def test_another_version_of_lm_eval(gated: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another minor version is refused; quant_baseline_drift = "warn" lets it pass and says so."""
    gated.record()
    monkeypatch.setattr("pytest_quantreg.testing.scripted.installed", lambda name: "0.99.0")
    result = gated.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (not comparable) *lm_eval version: *, now 0.99.0*"])
    gated.ini(quant_baseline_drift="warn")
    result = gated.gate("-rA")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["kept w8a8-int8 sum: *", "*lm_eval version: *now 0.99.0*", "note: sum: lm_eval version: *"]
    )


def test_a_baseline_of_a_newer_schema(gated: Suite) -> None:
    """It is refused, not guessed at."""
    gated.record()
    path: Path = gated.path / "baselines/model/bf16/scripted/sum.0shot.json"
    document = json.loads(path.read_text())
    document["schema_version"] = "99.0"
    path.write_text(json.dumps(document))
    text = path.read_text()
    result = gated.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (baseline unreadable) *99*"])
    result.stdout.fnmatch_lines(["  update it: pip install --upgrade pytest-quantreg"])
    result.stdout.no_fnmatch_line("*record it again*")
    assert gated.run("--quant-update=all").ret == 1
    assert path.read_text() == text


def test_a_dtype_of_an_engine_argument(gated: Suite) -> None:
    """The first way out is the baseline's dtype; the command to record drops the limit."""
    gated.record()
    result = gated.gate("--quant-backend-arg=dtype=float16", "--quant-limit=300")
    assert result.ret == 1
    at = next(i for i, line in enumerate(result.outlines) if line.startswith("REFUSED (not comp"))
    assert "model.dtype: baseline bfloat16, now float16" in result.outlines[at]
    assert result.outlines[at + 1].strip() == (
        "use the dtype of the baseline: --quant-backend-arg=dtype=bfloat16"
    )
    words = command(result, "record the baseline again: ")
    assert words[-1] == "--quant-update=all"
    assert "--quant-limit=300" not in words
