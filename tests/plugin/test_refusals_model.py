"""Refusals about evidence and models: too weak, at chance, not quantized, out of memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.cli import main
from pytest_quantreg.core.records.run import ModelSpec

from .conftest import ANSWERS, Suite
from .events import events, loads

GATE = """
@pytest.mark.min_retention({minimum})
def test_task(compare_accuracy):
    compare_accuracy("{task}")
"""


def gate(suite: Suite, task: str = "sum", minimum: float = 0.9) -> None:
    """Writes one gate."""
    suite.test(GATE.format(task=task, minimum=minimum))


def refused(suite: Suite, words: str, *args: str, **script: Any) -> list[str]:
    """Runs a gate on a logging checkpoint, sees it refused; returns what was done with it."""
    folder = suite.checkpoint("logged", **{"log": "events.log", **script})
    result = suite.gate(*args, checkpoint="logged")
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ERROR at call of*", f"REFUSED {words}"])
    result.stdout.no_fnmatch_line("E  *")
    return events(folder)


def test_too_weak_before_loading(suite: Suite) -> None:
    """30 items cannot show a loss of ten points; the text says how many would."""
    gate(suite)
    suite.record()
    done = refused(
        suite,
        "(too weak) w8a8-int8 sum: too few items for min_retention(0.9) on sum: *30 items would *",
        "--quant-limit=30",
    )
    assert done == []


@pytest.mark.parametrize("share", [0.01, 0.02, 0.03, 0.04])
def test_the_items_that_it_asks_for_are_enough(suite: Suite, share: float) -> None:
    """Following the advice of a too weak gate gives a verdict, whatever typically flips."""
    gate(suite)
    suite.record()
    suite.checkpoint("int8", also_wrong={"seed": 5, "share": share})
    result = suite.gate("--quant-limit=30")
    line = next(line for line in result.outlines if "about " in line and "items would show" in line)
    needed = line.split("about ")[1].split(" ")[0]
    judged = suite.gate(f"--quant-limit={needed}")
    judged.stdout.no_fnmatch_line("*REFUSED*")
    judged.stdout.fnmatch_lines([f"* {needed} *"])
    assert judged.ret == 0


def test_too_weak_for_a_small_task(suite: Suite) -> None:
    """A task that has too few items at all gets other advice than raising the limit."""
    suite.write_tasks(items=40)
    gate(suite)
    suite.record()
    folder = suite.checkpoint("logged", log="events.log")
    result = suite.gate(checkpoint="logged")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["REFUSED (too weak) *", "*the task has 40 items, too few to show 0.8*"]
    )
    result.stdout.no_fnmatch_line("*raise --quant-limit*")
    assert events(folder) == []


def test_certify_needs_no_teeth(suite: Suite) -> None:
    """Too few items make certify undecided, which fails; point makes no promise to keep."""
    gate(suite)
    suite.record()
    result = suite.gate("--quant-limit=30", "--quant-gate=certify", checkpoint="int8")
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["UNDECIDED w8a8-int8 sum: *"])
    result = suite.gate("--quant-limit=30", "--quant-gate=point")
    result.stdout.fnmatch_lines(["LOST * 90 % was required (point gate: no confidence)"])


def test_baseline_at_chance(suite: Suite) -> None:
    """A baseline that guesses has nothing to lose: refused before the candidate loads."""
    tasks = {**ANSWERS, "pick": {**ANSWERS["pick"], "wrong": {"seed": 1, "share": 0.74}}}
    suite.model(tasks=tasks)
    gate(suite, "pick")
    suite.record()
    assert refused(suite, "(suspicious) *the baseline is not above chance on pick*") == []


def test_a_minimum_that_a_coin_would_meet(suite: Suite) -> None:
    """Half of some 45 % is less than what guessing one of four scores."""
    pick = {**ANSWERS["pick"], "wrong": {"seed": 1, "share": 0.6}}
    suite.model(tasks={**ANSWERS, "pick": pick})
    gate(suite, "pick", 0.5)
    suite.record()
    assert refused(suite, "(suspicious) *guessing would meet this gate on pick*") == []


def test_a_baseline_that_gets_nothing_right(suite: Suite) -> None:
    """No division by zero, but a refusal."""
    tasks = {**ANSWERS, "sum": {**ANSWERS["sum"], "wrong": {"seed": 1, "share": 1.0}}}
    suite.model(tasks=tasks)
    gate(suite)
    suite.record()
    assert refused(suite, "(suspicious) *the baseline is not above chance on sum*") == []


def test_nothing_quantized_in_the_loaded_weights(suite: Suite) -> None:
    """A checkpoint that says int8 and holds none is refused before it is measured."""
    gate(suite)
    suite.record()
    effective = {"quantized_layers": 0, "weights": "bfloat16"}
    done = refused(
        suite, "(suspicious) *nothing in the loaded weights is quantized*", effective=effective
    )
    assert len(done) == 2, "loaded and closed, and nothing asked"


def test_an_unquantized_checkpoint(suite: Suite) -> None:
    """The full-precision model given as the candidate is refused before it loads."""
    gate(suite)
    suite.record()
    done = refused(suite, "(suspicious) *nothing in the checkpoint is quantized*", scheme=None)
    assert done == []


def test_a_checkpoint_of_another_scheme(suite: Suite) -> None:
    """It is named as what it is, before it loads."""
    gate(suite)
    suite.record()
    done = refused(suite, "(unusable model) *the checkpoint is w8a8-fp8*", scheme="w8a8-fp8")
    assert done == []


OTHERWISE = {"scheme": "w8a16-int8", "activations": "none", "mode": "weight-only fallback"}


@pytest.mark.parametrize("args", [("--quant-gate=certify",), ("--quant-require",)])
def test_effective_is_not_claimed(suite: Suite, args: tuple[str, ...]) -> None:
    """A fallback cannot certify what it does not run, nor satisfy --quant-require."""
    gate(suite)
    suite.record()
    words = "(not comparable) *the engine runs it as w8a16-int8, not as w8a8-int8"
    done = refused(suite, words, *args, effective=OTHERWISE)
    assert not any("requests" in line for line in done)
    suite.ini(quant_effective="warn")
    result = suite.gate(*args, checkpoint="logged")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*runs as w8a16-int8 (weight-only*", "note: runs as w8a16-int8, not as w8a8-int8"]
    )


def test_effective_is_told_under_detect(suite: Suite) -> None:
    """Under detect the difference is a note and the heading says what ran."""
    gate(suite)
    suite.record()
    suite.checkpoint("fallback", effective=OTHERWISE)
    result = suite.gate(checkpoint="fallback")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["note: runs as w8a16-int8, not as w8a8-int8"])


def test_other_weights_than_claimed(suite: Suite) -> None:
    """Weights of another type are another model: refused under every gate."""
    gate(suite)
    suite.record()
    words = "(not comparable) *the engine runs it as w4a16-int4, not as w8a8-int8"
    refused(suite, words, effective={"scheme": "w4a16-int4", "activations": "none"})


def test_out_of_memory_while_loading(suite: Suite) -> None:
    """It is a refusal, not a crash."""
    gate(suite)
    suite.record()
    refused(suite, "(out of memory) *", fail={"kind": "out_of_memory", "at": "load"})


def test_out_of_memory_halves_the_batch_and_says_so(suite: Suite) -> None:
    """The gate is judged, with a note on the batch size that was used in the end."""
    gate(suite)
    suite.record()
    fail = {"kind": "out_of_memory", "above_batch": 8}
    folder = suite.checkpoint("small", log="events.log", fail=fail)
    result = suite.gate(checkpoint="small")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["sum *kept", "note: sum: out of memory at batch size 32, *with 8"])
    assert loads(folder) == 1


def test_an_engine_that_dies_on_the_way(suite: Suite) -> None:
    """The error is told and no gate passes; the next run does not start anew."""
    gate(suite)
    suite.record()
    done = refused(suite, "(engine failed) *RuntimeError: scripted: *", fail={"after": 200})
    assert loads(suite.path / "logged") == 1
    assert sum("requests" in line for line in done) >= 1


def test_an_unknown_task(suite: Suite) -> None:
    """The nearest task is named, before anything loads."""
    gate(suite, "summ")
    assert refused(suite, "(wrong use) w8a8-int8 summ: no task is called 'summ'") == []


def test_a_model_that_cannot_be_read(suite: Suite) -> None:
    """A checkpoint's own trouble is passed on as a refusal."""
    gate(suite)
    suite.record()
    assert refused(suite, "(unusable model) *torn*", unusable="config.json is torn") == []


def test_a_missing_extra_stops_before_collection(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says what needs it and how to install it, as a usage error."""
    gate(suite)
    monkeypatch.setattr("pytest_quantreg.testing.scripted.installed", {}.get)
    result = suite.gate()
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        [
            "ERROR: the scripted backend needs *lm_eval*",
            '*pip install "pytest-quantreg?transformers?"',
        ]
    )


def test_no_model_at_all(suite: Suite) -> None:
    """With an empty store and no --quant-model nobody can know what to compare with."""
    suite.ini(quant_model=None)
    gate(suite)
    assert refused(suite, "(wrong use) *which model is the baseline?*") == []


def test_an_import_is_no_second_model(suite: Suite) -> None:
    """What lm-eval left in the store is another engine's: the recorded model is still the only."""
    gate(suite)
    suite.record()
    results = Path(__file__).parents[1] / "data/lm-eval/versions/0.4.13"
    store = suite.path / "baselines"
    assert main(["import", str(results), "--out", str(store), "--scheme", "bf16"]) == 0
    suite.ini(quant_model=None)
    result = suite.gate()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["1 kept"])


def test_wrong_arguments_are_refused(suite: Suite) -> None:
    """A call that cannot work is a refusal that names the argument."""
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        def test_sum(compare_accuracy):
            compare_accuracy("sum", limit=0)
        """
    )
    assert refused(suite, "(wrong use) *limit=0*") == []


def test_a_refused_model_is_asked_once(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal is each test's, the looking happens once in the session."""
    from pytest_quantreg.testing import scripted

    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        @pytest.mark.parametrize("again", range(3))
        def test_sum(again, compare_accuracy):
            compare_accuracy("sum")
        """
    )
    suite.record()
    suite.checkpoint("torn", unusable="config.json is torn")
    reads, read = [], scripted.read

    def counted(spec: ModelSpec) -> scripted.Script:
        reads.append(spec.ref)
        return read(spec)

    monkeypatch.setattr(scripted, "read", counted)
    result = suite.gate(checkpoint="torn")
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["3 refused"])
    assert reads == [str(suite.path / "torn")]


def test_a_model_compared_with_itself_is_refused(suite: Suite) -> None:
    """A baseline recorded from the checkpoint under test shows nothing, and says so."""
    gate(suite)
    suite.record("--quant-model=int8", "-o", "quant_model_name=model")
    result = suite.gate("-o", "quant_model_name=model", "--quant-model=int8")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (suspicious) *is compared with itself: *"])


def test_hardly_anything_quantized_is_not_the_scheme(suite: Suite) -> None:
    """One quantized layer in eight is told under detect and refused under certify."""
    gate(suite)
    suite.record()
    suite.checkpoint("thin", effective={"quantized_layers": 1})
    result = suite.gate(checkpoint="thin")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["note: runs as w8a8-int8 in only 1 of 8 linear layers*"])
    result = suite.gate("--quant-gate=certify", checkpoint="thin")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED *runs it as w8a8-int8 in only 1 of 8 linear layers*"])
