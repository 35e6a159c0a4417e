"""no_regression on groups of tasks: the group as a whole, and those of its tasks that it names."""

from __future__ import annotations

from typing import Any

import pytest

from .accept_suite import history
from .conftest import HEAD, Suite
from .test_gates_pooled import GROUP, PICK

TEST = """
    @pytest.mark.min_retention(0.85)
    @pytest.mark.no_regression(0.97)
    def test_both(compare_accuracy):
        compare_accuracy("both")
"""


def write_int8(suite: Suite, share: float) -> None:
    """A quantized model that loses a part of the right answers of both tasks."""
    lost = {"seed": 5, "share": share}
    tasks = {name: {**how, "also_wrong": lost} for name, how in answers().items()}
    suite.model("int8", scheme="w8a8-int8", tasks=tasks)


def answers() -> dict[str, dict[str, Any]]:
    """What the baseline answers."""
    right = {"target": "label", "index": "id"}
    return {
        "sum2": {**right, "wrong": {"seed": 1, "share": 0.2}},
        "pick2": {**right, "wrong": {"seed": 2, "share": 0.3}},
    }


@pytest.fixture
def grouped(suite: Suite) -> Suite:
    """A group of two tasks of 400 items, recorded, with both gates."""
    folder = suite.path / "tasks"
    text = (folder / "items.jsonl").read_text("utf-8")
    (folder / "other.jsonl").write_text(text.replace("What is", "How much is"), "utf-8")
    for name, data in (("sum2", "items"), ("pick2", "other")):
        head = HEAD.format(name=name).replace("items.jsonl", f"{data}.jsonl")
        (folder / f"{name}.yaml").write_text(head + PICK, "utf-8")
    (folder / "both.yaml").write_text(GROUP, "utf-8")
    suite.model(tasks=answers())
    write_int8(suite, 0.01)
    suite.test(TEST)
    assert suite.record().ret == 0
    return suite


def test_a_group_against_its_accepted_runs(grouped: Suite) -> None:
    """All tasks of a judged group are accepted, and the group is judged against them as one."""
    first = grouped.gate("--quant-accept")
    assert first.ret == 0
    [line] = history(grouped)
    assert [task["task"] for task in line["tasks"]] == ["sum2", "pick2"]
    same = grouped.gate()
    assert same.ret == 0
    same.stdout.fnmatch_lines(
        [
            "both * 800 * kept",
            "task * accepted *",
            "both * 1.000 * 800 * kept",
            "note: both: 1.000 of the first accepted run (*)",
        ]
    )
    write_int8(grouped, 0.08)
    worse = grouped.gate()
    assert worse.ret == 1
    worse.stdout.fnmatch_lines(["LOST w8a8-int8 both: keeps * of the last accepted run's acc*"])


def test_a_named_task_needs_its_own_gate(grouped: Suite) -> None:
    """A gate on the whole group does not judge one task of it against its baseline."""
    named = TEST.replace("no_regression(0.97)", "no_regression(0.97, task='pick2')")
    grouped.test(named)
    result = grouped.gate("--quant-accept")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*REFUSED (not judged)*judges acc,none of pick2*"])
    both = "@pytest.mark.min_retention(0.85, task='pick2')\n    @pytest.mark.no_regression"
    grouped.test(named.replace("@pytest.mark.no_regression", both))
    assert grouped.gate("--quant-accept").ret == 0
    again = grouped.gate()
    assert again.ret == 0
    again.stdout.fnmatch_lines(["pick2 * kept", "task * accepted *", "pick2 * kept"])
