"""--quant-update: what is recorded, what is left alone, and what a recording session shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import SCHEME, Suite
from .events import events, loads, requests

TESTS = """
pytestmark = pytest.mark.min_retention(0.9)

@pytest.mark.parametrize("task", ["sum", "pick"])
def test_task(task, compare_accuracy):
    compare_accuracy(task)

@pytest.mark.quant_schemes("w4a16-int4")
def test_other_scheme(compare_accuracy):
    compare_accuracy("prose")

def test_model(quantized_model):
    assert quantized_model.model

def test_plain():
    pass
"""


@pytest.fixture
def recorded(suite: Suite) -> Suite:
    """A suite of five tests and a baseline model that logs."""
    suite.model(log="events.log")
    suite.test(TESTS)
    return suite


def stored(suite: Suite, task: str = "sum") -> dict[str, Any]:
    """The meta file of a task's baseline."""
    path = suite.path / f"baselines/model/bf16/scripted/{task}.0shot.json"
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def files(suite: Suite) -> dict[str, bytes]:
    """Every file of the store."""
    root = suite.path / "baselines"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.js*")}


@pytest.mark.parametrize(
    "args",
    [(), (f"--quant-scheme={SCHEME},w8a8-fp8",), (f"--quant-scheme={SCHEME}", "-W", "error")],
)
def test_each_test_that_compares_runs_once(recorded: Suite, args: tuple[str, ...]) -> None:
    """Schemes are ignored, no marker is judged, and the rest of the suite is left in peace."""
    result = recorded.record_anew("-rs", "-v", *args)
    assert result.ret == 0
    result.assert_outcomes(passed=1, skipped=4)
    result.stdout.fnmatch_lines(
        [
            "quantreg: records absent baselines of model; no gate is judged",
            "test_gate.py::test_task?sum? SKIPPED*",
            "*quantreg: bf16 baselines*",
            "task  *metric *score * n",
            "sum  *exact_match *400  recorded",
            "3 recorded",
            "loaded: model bf16 once",
            "SKIPPED *test_gate.py:5: baseline recorded: sum, 400 items of model",
            "SKIPPED *test_gate.py*: recording baselines: no quantized model is run",
        ]
    )
    assert loads(recorded.path / "model") == 1
    assert {"sum", "pick", "prose"} == {
        name.split("/")[-1].split(".")[0] for name in files(recorded)
    }


def test_a_second_time_everything_is_present(recorded: Suite) -> None:
    """Nothing is loaded and no file touched."""
    recorded.record()
    before, done = files(recorded), events(recorded.path / "model")
    result = recorded.record_anew("-rs")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["3 present", "SKIPPED *baseline present: sum, 400 items of model"])
    assert files(recorded) == before
    assert events(recorded.path / "model") == done


def test_all_rewrites(recorded: Suite) -> None:
    """=all measures again and replaces what is there."""
    recorded.record()
    before = stored(recorded)["provenance"]["model"]["weights_digest"]
    recorded.model(log="events.log", weights="v2")
    result = recorded.run("--quant-update=all")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["3 recorded"])
    assert stored(recorded)["provenance"]["model"]["weights_digest"] != before
    assert loads(recorded.path / "model") == 2


def test_a_baseline_that_does_not_fit_is_not_replaced_unasked(recorded: Suite) -> None:
    """The model changed: --quant-update refuses, says how, and leaves the old one whole."""
    recorded.record()
    before = files(recorded)
    recorded.model(log="events.log", weights="v2")
    result = recorded.record_anew()
    assert result.ret == 1
    result.assert_outcomes(errors=3, skipped=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (not comparable) baseline sum: sum cannot be compared with its baseline: *",
            "*record the baseline again: pytest *test_task --quant-update=all",
        ]
    )
    assert files(recorded) == before
    assert loads(recorded.path / "model") == 1


def test_changed_data_is_seen_in_every_item(recorded: Suite) -> None:
    """A baseline of other questions is not called present."""
    recorded.record()
    path = recorded.path / "tasks" / "items.jsonl"
    path.write_text(path.read_text().replace("What is 7 plus 7?", "And 7 plus 7?"))
    result = recorded.record_anew("-k", "sum")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (not comparable) baseline sum: *"])


def test_more_items_extend(recorded: Suite) -> None:
    """A larger limit records the rest, a smaller one finds the baseline present."""
    recorded.record("--quant-limit=100", "-k", "sum")
    recorded.record_anew("--quant-limit=50", "-k", "sum").stdout.fnmatch_lines(["1 present"])
    recorded.record_anew("-k", "sum").stdout.fnmatch_lines(["sum * 400  recorded"])
    assert recorded.gate("-k", "sum").ret == 0


def test_tests_that_share_a_task_record_it_once(suite: Suite) -> None:
    """The largest number of items that any test asks for is stored, whatever the order."""
    suite.test(
        """
        @pytest.mark.parametrize("limit", [100, 300, 200])
        def test_sum(limit, compare_accuracy):
            compare_accuracy("sum", limit=limit)
        """
    )
    suite.record_anew().assert_outcomes(skipped=3)
    assert suite.gate().ret == 0
    suite.run("--quant-update=all").assert_outcomes(skipped=3)
    assert suite.gate().ret == 0


def test_the_body_goes_on_with_a_comparison(suite: Suite) -> None:
    """What compare_accuracy returns while recording is the baseline against itself."""
    suite.test(
        """
        def test_sum(compare_accuracy):
            found = compare_accuracy("sum")
            assert found.retention == 1 and found.lost_items == ()
            assert found.scheme == "bf16"
            raise ValueError("mine")
        """
    )
    result = suite.record_anew()
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *ValueError: mine", "baseline recorded: sum, *"])
    suite.record_anew().stdout.fnmatch_lines(["1 present"])


def test_a_body_that_compares_nothing_says_so(suite: Suite) -> None:
    """It ends skipped, and nothing is called recorded."""
    suite.test(
        """
        def test_nothing(compare_accuracy):
            pass
        """
    )
    result = suite.record_anew("-rs")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["SKIPPED *nothing recorded: the test compared nothing"])


def test_an_unwritable_store_is_told_before_loading(
    recorded: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clear message that names the folder; the model is not loaded."""
    (recorded.path / "baselines").write_text("a file is in the way")
    result = recorded.record_anew("-k", "sum")
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["REFUSED (wrong use) baseline sum: *baselines*", "*make the folder writable,"]
    )
    result.stdout.no_fnmatch_line("E  *")
    assert events(recorded.path / "model") == []


def test_an_unusable_model_is_told(recorded: Suite) -> None:
    """A baseline model without files is a refusal, not a traceback."""
    (recorded.path / "model" / "scripted.json").unlink()
    result = recorded.record_anew("-k", "sum")
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["REFUSED (unusable model) baseline: *", "1 refused"])


def test_halving_is_told(recorded: Suite) -> None:
    """A baseline that was recorded with a smaller batch says so; gates reuse that size."""
    recorded.model(fail={"kind": "out_of_memory", "above_batch": 16})
    result = recorded.record_anew("-k", "sum")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["note: sum: out of memory at batch size 32, measured with 16"])
    folder = recorded.checkpoint("logged", log="events.log")
    recorded.gate("-k", "sum", checkpoint="logged")
    assert any("batch 16: " in line for line in events(folder))
    assert not any("batch 32: " in line for line in events(folder))


def interrupted(suite: Suite, folder: Path, *args: str) -> int:
    """Runs with Ctrl-C in the middle; returns the requests that were made until then."""
    result = suite.run_interrupted(*args)
    assert result.ret == 2
    return requests(folder)


@pytest.mark.parametrize("had", [True, False])
def test_an_interrupted_recording_resumes(suite: Suite, had: bool) -> None:
    """Ctrl-C leaves the store as it was; the same command measures only the rest."""
    suite.write_tasks(items=1600)
    suite.test(
        """
        def test_sum(compare_accuracy):
            compare_accuracy("sum")
        """
    )
    if had:
        suite.record("--quant-limit=64")
    before = files(suite)
    folder = suite.model(log="events.log", fail={"kind": "interrupt", "after": 1200})
    died_after = interrupted(suite, folder, "--quant-update")
    assert files(suite) == before
    (folder / "events.log").unlink()
    suite.model(log="events.log")
    assert suite.record_anew().ret == 0
    assert requests(folder) < 1600 - 512, "whole chunks that were measured are not asked again"
    assert died_after > 512
    assert suite.gate().ret == 0


def test_an_interrupted_gate_resumes(suite: Suite) -> None:
    """The journal serves gates as well, and is gone once a session ended well."""
    suite.write_tasks(items=1600)
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        def test_sum(compare_accuracy):
            compare_accuracy("sum")
        """
    )
    suite.record()
    script: dict[str, Any] = {"log": "events.log", "also_wrong": {"seed": 5, "share": 0.01}}
    fail = {"kind": "interrupt", "after": 1200}
    folder = suite.checkpoint("flaky", fail=fail, **script)
    interrupted(
        suite, folder, f"--quant-scheme={SCHEME}", "--quant-checkpoint=flaky", "--quant-require"
    )
    (folder / "events.log").unlink()
    suite.checkpoint("flaky", **script)
    assert suite.gate(checkpoint="flaky").ret == 0
    assert 0 < requests(folder) < 1600
    assert not (suite.path / "cache" / "journal").exists()
    suite.gate(checkpoint="flaky")
    assert requests(folder) > 1600


def test_a_failed_engine_leaves_its_chunks(suite: Suite) -> None:
    """A session that ended by an engine's failure resumes too."""
    suite.write_tasks(items=1600)
    suite.test(
        """
        def test_sum(compare_accuracy):
            compare_accuracy("sum")
        """
    )
    folder = suite.model(log="events.log", fail={"after": 1200})
    assert suite.record_anew().ret == 1
    (folder / "events.log").unlink()
    suite.model(log="events.log")
    assert suite.record_anew().ret == 0
    assert 0 < requests(folder) < 1600


def test_recording_anew_never_keeps_fewer_items(recorded: Suite) -> None:
    """=all with a smaller limit measures as many items as were stored, and says so once."""
    recorded.record("--quant-limit=300", "-k", "sum")
    recorded.model(log="events.log", weights="v2")
    result = recorded.run("--quant-update=all", "--quant-limit=50", "-k", "sum")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["sum * 300  recorded", "note: sum: 50 items asked for, 300 as were stored"]
    )
    result = recorded.run("--quant-update=all", "-k", "sum")
    result.stdout.fnmatch_lines(["sum * 400  recorded"])
    result.stdout.no_fnmatch_line("note: *asked for*")


def test_anew_over_a_torn_baseline(recorded: Suite) -> None:
    """What cannot be read counts as no items: =all replaces it."""
    recorded.record("-k", "sum")
    path = recorded.path / "baselines/model/bf16/scripted/sum.0shot.json"
    path.write_text("{")
    result = recorded.run("--quant-update=all", "--quant-limit=50", "-k", "sum")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["sum * 50  recorded"])


def test_a_torn_baseline_has_the_command_while_recording(recorded: Suite) -> None:
    """--quant-update refuses it with the same exact command as a gate does."""
    recorded.record("-k", "sum")
    path = recorded.path / "baselines/model/bf16/scripted/sum.0shot.json"
    path.write_text("{")
    result = recorded.record_anew("-k", "sum", "--quant-limit=50")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*or record it again: pytest test_gate.py::test_task --quant-update=all"]
    )


def test_a_failed_recording_has_the_columns_of_recordings(recorded: Suite) -> None:
    """No empty columns of gates for a task whose baseline was refused."""
    recorded.record("-k", "sum")
    recorded.model(weights="v2")
    result = recorded.record_anew("-k", "sum")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["task  metric  score  n", "sum   -           -  -  REFUSED"])


@pytest.mark.parametrize("started", [True, False])
def test_an_interruption_says_what_is_left(suite: Suite, started: bool) -> None:
    """One line after pytest's own, only if something of ours ran; no empty store is left."""
    body = 'compare_accuracy("sum")' if started else "raise KeyboardInterrupt"
    suite.test(f"def test_sum(compare_accuracy):\n    {body}\n")
    suite.write_tasks(items=1600)
    suite.model(fail={"kind": "interrupt", "after": 1200})
    result = suite.run_interrupted("--quant-update")
    assert result.ret == 2
    line = (
        "quantreg: interrupted; nothing stored was changed, and finished items are kept: "
        "the same command goes on where it stopped"
    )
    assert (result.outlines[-1] == line) is started
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])
    assert not (suite.path / "baselines").exists()


def test_an_interruption_after_a_recording(suite: Suite) -> None:
    """What was recorded before is not called unchanged."""
    suite.test(
        """
        def test_sum(compare_accuracy):
            compare_accuracy("sum")

        def test_stop():
            raise KeyboardInterrupt
        """
    )
    result = suite.run_interrupted("--quant-update")
    assert result.ret == 2
    assert result.outlines[-1].startswith("quantreg: interrupted; what was recorded is whole, ")
    assert (suite.path / "baselines/model/bf16/scripted/sum.0shot.json").exists()


def test_an_interrupted_gate_says_so(suite: Suite) -> None:
    """The same line for a gate."""
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        def test_sum(compare_accuracy):
            compare_accuracy("sum")
        """
    )
    suite.record()
    suite.checkpoint("flaky", fail={"kind": "interrupt", "after": 100})
    result = suite.run_interrupted(f"--quant-scheme={SCHEME}", "--quant-checkpoint=flaky")
    assert result.ret == 2
    assert result.outlines[-1].startswith("quantreg: interrupted; nothing stored was changed")
