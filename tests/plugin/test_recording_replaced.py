"""--quant-update=all shows what became of the baselines that it replaces, paired item by item."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from pytest_quantreg.baselines import Store
from pytest_quantreg.gating.engine_session import EngineSession

from .conftest import WRONG, Suite


@pytest.fixture
def recorded(suite: Suite) -> Suite:
    """One baseline of 400 items."""
    suite.test("def test_x(compare_accuracy): compare_accuracy('sum')")
    assert suite.record_anew().ret == 0
    return suite


def replace_model(suite: Suite) -> None:
    """The baseline's model answers a few more questions wrong."""
    sound = {"target": "answer", "index": "id", "wrong": WRONG}
    suite.model(tasks={"sum": {**sound, "also_wrong": {"seed": 5, "share": 0.02}}})


def note(result: pytest.RunResult) -> str:
    """The note of the summary, unwrapped."""
    text = " ".join(line.strip() for line in result.outlines)
    return text.partition("note: ")[2].partition(" loaded: ")[0]


def test_old_against_new(recorded: Suite) -> None:
    """Both scores, how many answers were lost and won, and the retention with its interval."""
    replace_model(recorded)
    result = recorded.run("--quant-update=all")
    assert result.ret == 0
    assert note(result) == ("sum: 0.812 -> 0.782 (12 lost, 0 won, retention 0.963, 0.941-0.978)")
    assert "note:" not in " ".join(recorded.run("--quant-update").outlines)


def test_the_same_model_again(recorded: Suite) -> None:
    """Nothing changed, and that is said too."""
    said = note(recorded.run("--quant-update=all"))
    assert said.startswith("sum: 0.812 -> 0.812 (0 lost, 0 won, retention 1.000, 0.9")


def test_only_shared_items_are_paired(recorded: Suite) -> None:
    """Of a task whose data grew, those items that ask what they asked before."""
    replace_model(recorded)
    recorded.write_tasks(500)
    said = note(recorded.run("--quant-update=all"))
    assert " on 400 shared items (12 lost, 0 won, " in said


def test_other_questions_are_not_paired(recorded: Suite) -> None:
    """Where every question is another one, that is what is said."""
    yaml = recorded.path / "tasks" / "sum.yaml"
    yaml.write_text(yaml.read_text("utf-8").replace("{{question}}", "Q: {{question}}"), "utf-8")
    said = note(recorded.run("--quant-update=all"))
    assert said == "sum: not paired with what it replaces: no item asks the same as before"


def test_an_unreadable_one_is_not_paired(recorded: Suite) -> None:
    """A damaged baseline is replaced all the same, and that it could not be read is said."""
    [path] = (recorded.path / "baselines").rglob("*.items.jsonl")
    path.write_text("", "utf-8")
    said = note(recorded.run("--quant-update=all"))
    assert said == "sum: not paired with what it replaces: that could not be read"


def test_the_new_one_is_what_counts(recorded: Suite) -> None:
    """The note changes nothing about what is stored."""
    replace_model(recorded)
    recorded.run("--quant-update=all")
    recorded.test("""
        @pytest.mark.min_retention(0.93)
        def test_x(compare_accuracy): compare_accuracy("sum")
        """)
    recorded.gate().stdout.fnmatch_lines(["sum * 0.782 *"])


@pytest.mark.parametrize("flag", ["--quant-update", "--quant-update=all"])
def test_a_smaller_recording_that_ended_last_replaced_the_larger(
    flag: str, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another process stores while a baseline is measured never becomes smaller."""
    suite.test("def test_x(compare_accuracy): compare_accuracy('sum')")
    assert suite.record_anew("--quant-limit=300").ret == 0
    store, larger = suite.path / "baselines", suite.path / "larger"
    store.rename(larger)
    measure = EngineSession.measure

    def while_another_records(*args: Any, **kwargs: Any) -> Any:
        if not store.exists():
            shutil.copytree(larger, store)
        return measure(*args, **kwargs)

    monkeypatch.setattr(EngineSession, "measure", while_another_records)
    result = suite.run(flag, "--quant-limit=100")
    assert result.ret == 0
    [key] = Store(store).keys()
    assert len(Store(store).load(key).accuracy.items) == 300
    word = "recorded" if "all" in flag else "present"
    result.stdout.fnmatch_lines([f"sum *exact_match * 300  {word}"])
