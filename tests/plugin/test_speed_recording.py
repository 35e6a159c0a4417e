"""--quant-update and compare_speed: which sessions of the baseline are stored, and when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.gating.speed.preconditions import saturating
from pytest_quantreg.measure.speed.measure import measure_alone

from .conftest import Suite
from .events import events, loads
from .speed_suite import SHAPE, VARIED, TimedSuite, timed_suite

ELSEWHERE = {"kind": "cuda", "accelerator": "NVIDIA A40"}


@pytest.fixture
def timed(suite: Suite) -> Iterator[TimedSuite]:
    """One test of speed, and a baseline that logs."""
    yield from timed_suite(suite)


def test_an_absent_baseline_is_recorded(timed: TimedSuite) -> None:
    """The test ends skipped with what was recorded, which the summary and the store hold."""
    result = timed.record_anew("-rs", "--quant-scheme=w8a8-int8", "--quant-checkpoint=int8")
    assert result.ret == 0
    result.assert_outcomes(skipped=1)
    device = timed.machine["accelerator"]
    result.stdout.fnmatch_lines(
        [
            "quantreg: records absent baselines of model; no gate is judged",
            "*quantreg: bf16 baselines*",
            f"model; scripted 1.0; {device}",
            "workload *sessions",
            "batch 1 *throughput * 80 *tok/s * 1  recorded",
            "1 recorded",
            "loaded: model bf16 once",
            "SKIPPED *test_gate.py:3: baseline recorded: speed, batch 1, 4+4 tokens, 1 session of "
            f"model on {device}",
        ]
    )
    document = timed.document()
    assert document["machine"]["accelerator"] == device
    (session,) = document["sessions"]
    assert [timed_round["requests"] for timed_round in session["rounds"]] == [
        [[0, 0.02, 0.05]]
    ] * 10
    assert events(timed.path / "int8") == [], "no quantized model has a part in recording"


def test_a_second_time_it_is_present(timed: TimedSuite) -> None:
    """No process is started and no byte changed where the device can be told."""
    timed.record()
    before, done = timed.stored_path().read_bytes(), events(timed.path / "model")
    result = timed.record_anew("-rs")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["batch 1 * 1  present", "1 present", "SKIPPED *baseline present: speed, batch 1, *"]
    )
    result.stdout.no_fnmatch_line("loaded: *")
    assert timed.stored_path().read_bytes() == before
    assert events(timed.path / "model") == done


def test_present_on_a_device_that_only_the_engine_knows(timed: TimedSuite) -> None:
    """It costs a session to find out, and nothing is added to what is stored."""
    timed.model(machine=ELSEWHERE)
    timed.record()
    before = timed.stored_path().read_bytes()
    timed.record_anew().stdout.fnmatch_lines(["1 present", "loaded: model bf16 once"])
    assert timed.stored_path().read_bytes() == before


@pytest.mark.parametrize("known", [True, False])
def test_another_model_is_not_called_present(timed: TimedSuite, known: bool) -> None:
    """The weights changed: refused, with the way out, and the old baseline stays whole."""
    machine = timed.machine if known else ELSEWHERE
    timed.model(machine=machine)
    timed.record()
    before = timed.stored_path().read_bytes()
    timed.model(machine=machine, weights="v2")
    result = timed.record_anew()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (not comparable) baseline*base.weights_digest: *",
            "*record the baseline again: pytest*--quant-update=all",
        ]
    )
    assert timed.stored_path().read_bytes() == before
    assert loads(timed.path / "model") == (1 if known else 2)


def test_another_model_is_not_added(timed: TimedSuite) -> None:
    """More sessions of other weights are refused too: a baseline is of one model."""
    timed.record()
    before = timed.stored_path().read_bytes()
    timed.model(weights="v2")
    result = timed.record_anew("--quant-repeats=2")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (not comparable) baseline*base.weights_digest: *"])
    assert timed.stored_path().read_bytes() == before


def test_all_replaces(timed: TimedSuite) -> None:
    """=all measures again: what was stored of the old weights is gone."""
    timed.record()
    old = timed.document()
    timed.model(weights="v2", speed={"seconds_per_token": 0.02})
    result = timed.run("--quant-update=all")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["batch 1 * 50 * 1  recorded", "1 recorded"])
    new = timed.document()
    assert new["model"]["weights_digest"] != old["model"]["weights_digest"]
    assert [len(session["rounds"]) for session in new["sessions"]] == [10]


def test_repeats_are_sessions_of_their_own(timed: TimedSuite) -> None:
    """--quant-repeats tops up to so many, each in a fresh process; enough are present."""
    timed.model(speed=VARIED)
    timed.record()
    result = timed.record_anew("--quant-repeats=3", "-rs")
    result.stdout.fnmatch_lines(
        ["batch 1 * 3  recorded", "loaded: model bf16 twice", "SKIPPED *3 sessions of model on*"]
    )
    assert len(timed.document()["sessions"]) == 3
    lives = [event.split()[0] for event in events(timed.path / "model") if "model" in event]
    assert lives == ["loaded", "closed"] * 3
    timed.record_anew("--quant-repeats=2").stdout.fnmatch_lines(["batch 1 * 3  present"])
    timed.record_anew("--quant-repeats=3").stdout.fnmatch_lines(["batch 1 * 3  present"])
    assert loads(timed.path / "model") == 3


def test_anew_never_fewer_sessions(timed: TimedSuite) -> None:
    """=all without --quant-repeats records as many as were stored, all of them new."""
    timed.model(speed=VARIED)
    timed.record("--quant-repeats=2")
    timed.model(weights="v2", speed=VARIED)
    timed.run("--quant-update=all").stdout.fnmatch_lines(["batch 1 * 2  recorded"])
    assert len(timed.document()["sessions"]) == 2
    assert loads(timed.path / "model") == 4


def test_anew_over_a_torn_file(timed: TimedSuite) -> None:
    """What cannot be read is refused by --quant-update and replaced by =all."""
    timed.model(speed=VARIED)
    assert timed.record_anew("--quant-repeats=2").ret == 0
    timed.stored_path().write_text("{")
    result = timed.record_anew()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (baseline unreadable) baseline*batch-1.4+4.json*"])
    timed.run("--quant-update=all").stdout.fnmatch_lines(["batch 1 * 1  recorded"])
    assert len(timed.document()["sessions"]) == 1


@pytest.mark.parametrize("option", ["--quant-update", "--quant-update=all"])
def test_equal_calls_are_recorded_once(timed: TimedSuite, option: str) -> None:
    """How often rounds are repeated does not make a baseline another one."""
    timed.test(
        f"""
        @pytest.mark.parametrize("rounds", [10, 12, 8])
        def test_speed(rounds, compare_speed):
            compare_speed(batch_size=1, rounds=rounds, {SHAPE})
        """
    )
    timed.run(option).assert_outcomes(skipped=3)
    assert loads(timed.path / "model") == 1
    assert len(timed.document()["sessions"]) == 1


def test_only_what_is_missing_is_added(timed: TimedSuite) -> None:
    """A call with two workloads, of which one is stored, adds the other."""
    timed.record()
    before = timed.stored_path().read_bytes()
    timed.test(f"def test_both(compare_speed):\n    compare_speed({SHAPE})\n")
    result = timed.record_anew()
    result.stdout.fnmatch_lines(
        ["batch 1 * present", f"{saturating()} in flight * recorded", "1 recorded, 1 present"]
    )
    assert timed.stored_path().read_bytes() == before
    assert len(timed.document(f"inflight-{saturating()}.4+4")["sessions"]) == 1
    assert loads(timed.path / "model") == 2, "both workloads in one process"


def test_the_body_goes_on_with_the_baseline_beside_itself(timed: TimedSuite) -> None:
    """What compare_speed returns while recording, now or before, is no faster than itself."""
    timed.test(
        f"""
        def test_speed(compare_speed):
            found = compare_speed(batch_size=1, {SHAPE})
            assert found.speedup == 1 and found.scheme == "bf16"
            assert found.load_seconds == 1 and found.weights_gib > 0
            raise ValueError("mine")
        """
    )
    for word in ("recorded", "present"):
        result = timed.record_anew()
        assert result.ret == 1
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["E *ValueError: mine", f"baseline {word}: speed, batch 1, *"])


def test_a_body_that_times_nothing_says_so(timed: TimedSuite) -> None:
    """It ends skipped, and nothing is called recorded."""
    timed.test("def test_nothing(compare_speed):\n    pass\n")
    result = timed.record_anew("-rs")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["SKIPPED *nothing recorded: the test compared nothing"])
    assert events(timed.path / "model") == []


def test_an_unwritable_store_is_told_before_loading(timed: TimedSuite) -> None:
    """One clear message that names the folder; no process is started."""
    (timed.path / "baselines").write_text("a file is in the way")
    result = timed.record_anew()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["REFUSED (wrong use) baseline*baselines*"])
    assert events(timed.path / "model") == []


def test_a_baseline_that_fails_is_not_stored(timed: TimedSuite) -> None:
    """An engine that dies in the middle is a refusal; the test after it is recorded."""
    timed.test(
        f"""
        def test_many(compare_speed):
            compare_speed(concurrency=4, {SHAPE})
        """,
        "test_a_first.py",
    )
    timed.model(speed={"die": "serve", "above": 1})
    result = timed.record_anew()
    assert result.ret == 1
    result.assert_outcomes(errors=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (out of memory) baseline*was killed (signal 9)*",
            "batch 1 * recorded",
            "1 recorded",
        ]
    )
    assert not list((timed.path / "baselines").rglob("inflight*"))
    assert timed.stored_path().exists()


def test_accuracy_and_speed_in_one_session(timed: TimedSuite) -> None:
    """Both kinds of baselines are recorded; the model that answers is freed before it is timed."""
    timed.test(
        """
        def test_sum(compare_accuracy):
            compare_accuracy("sum", limit=40)
        """,
        "test_a_first.py",
    )
    result = timed.record_anew("--quant-limit=40")
    assert result.ret == 0
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["sum * 40  recorded", "batch 1 * recorded", "2 recorded"])
    lives = [event.split()[0] for event in events(timed.path / "model") if "model" in event]
    assert lives == ["loaded", "closed"] * 2


def test_interrupted_anew_leaves_the_old_sessions(
    timed: TimedSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """=all replaces what is stored only when every new session is there."""
    timed.model(speed=VARIED)
    timed.record("--quant-repeats=3")
    before = timed.stored_path().read_bytes()
    measured: list[str] = []

    def twice(*given: Any, **options: Any) -> Any:
        measured.append("session")
        if len(measured) > 2:
            raise Refusal(Category.ENGINE, "it broke")
        return measure_alone(*given, **options)

    monkeypatch.setattr("pytest_quantreg.gating.speed.record.measure_alone", twice)
    assert timed.run("--quant-update=all").ret == 1
    assert len(measured) == 3
    assert timed.stored_path().read_bytes() == before
