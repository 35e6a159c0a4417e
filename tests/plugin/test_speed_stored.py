"""Gates on speed against stored sessions alone: what they are worth, and what is refused."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from math import exp, log, sqrt
from statistics import mean, stdev
from typing import Any

import pytest

from pytest_quantreg.core.records.run import Software
from pytest_quantreg.gating.speed.preconditions import saturating
from pytest_quantreg.testing.scripted import ScriptedBackend

from .conftest import Suite
from .events import events
from .speed_suite import SHAPE, VARIED, TimedSuite, timed_suite

ONE_TAIL_3 = 2.9199856
"""The 95 % point of Student's t with two degrees of freedom, one-sided, from tables."""
ASSERTS = f"""
import json

@pytest.mark.min_speedup({{least}})
def test_speed(compare_speed):
    (found,) = compare_speed(batch_size=1, {SHAPE}).workloads
    with open("found.json", "w") as file:
        json.dump([found.speedup, found.low, found.high], file)
    assert found.baseline is None
"""


@pytest.fixture
def timed(suite: Suite) -> Iterator[TimedSuite]:
    """One test of speed; nothing is recorded."""
    yield from timed_suite(suite)


def recorded(timed: TimedSuite, *paces: float) -> None:
    """Records a session at each of these seconds per token, then forgets the model."""
    for place, pace in enumerate(paces, 1):
        if pace in paces[place:]:
            continue  # equal ones are recorded together
        varied = VARIED if len(set(paces)) == 1 else {}
        timed.model(speed={"seconds_per_token": pace, "seconds_to_first": pace, **varied})
        assert timed.record(f"--quant-repeats={place}").ret == 0
    timed.without_model()


def refused(timed: TimedSuite, *lines: str) -> pytest.RunResult:
    """Runs the gate and sees it refused with these lines; no round was spent on it."""
    result = timed.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ERROR at call of*", *lines])
    assert not [event for event in events(timed.path / "int8") if event.startswith("served")]
    return result


def command(result: pytest.RunResult, opening: str) -> list[str]:
    """The words after ``pytest`` of the command that follows ``opening``."""
    lines = [line.strip() for line in result.outlines if line.strip().startswith(opening)]
    first, *words = shlex.split(lines[0].removeprefix(opening))
    assert first == "pytest"
    return words


def bounds(timed: TimedSuite) -> tuple[float, float, float]:
    """The speed-up that the body of the test saw, and its bounds."""
    ratio, low, high = json.loads((timed.path / "found.json").read_text("utf-8"))
    return ratio, low, high


def test_one_session_decides_nothing(timed: TimedSuite) -> None:
    """It shows no spread: detect could never turn red and is refused, certify is undecided."""
    recorded(timed, 0.0125)
    timed.test(ASSERTS.format(least=1.5))
    result = timed.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (too weak) w8a8-int8 speed: one stored session of the baseline says nothing "
            "of how sessions differ, so that it could never turn red",
            "*--quant-model=REF",
        ]
    )
    assert not [event for event in events(timed.path / "int8") if event.startswith("served")]
    assert command(result, "or record more sessions: ") == [
        "test_gate.py::test_speed",
        "--quant-model=MODEL",
        "--quant-update",
        "--quant-repeats=5",
    ]
    result = timed.gate("-rA", "--quant-gate=certify")
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "UNDECIDED w8a8-int8 speed-up, batch 1: 2.5x *no upper bound; at least 1.5x *",
            "*10 rounds against 1 stored session*",
            "*one stored session says nothing of how sessions differ: *--quant-repeats=5*",
            "batch 1 * UNDECIDED",
            "note: the baseline's speed is that of 1 stored session, not of this one",
            "loaded: model w8a8-int8 once",
        ]
    )
    assert bounds(timed) == (2.5, 0.0, float("inf"))


def test_several_sessions_bring_their_spread(timed: TimedSuite) -> None:
    """The interval is the one for a further session; detect and certify judge by it."""
    paces = (0.01, 0.011, 0.0125)
    recorded(timed, *paces)
    timed.checkpoint(speed={"seconds_per_token": 0.005, "seconds_to_first": 0.005})
    logs = [log(pace / 0.005) for pace in paces]
    reach = ONE_TAIL_3 * stdev(logs) * sqrt(1 + 1 / 3)
    expected = [exp(mean(logs) + shift) for shift in (0.0, -reach, reach)]
    for least, verdict, status in ((1.5, "kept", 0), (2.0, "UNDECIDED", 1), (3.3, "LOST", 1)):
        timed.test(ASSERTS.format(least=least))
        result = timed.gate("-rA", "--quant-gate=certify")
        assert result.ret == status
        result.stdout.fnmatch_lines(
            [
                f"{verdict} w8a8-int8 speed-up, batch 1: *",
                "*10 rounds against 3 stored sessions*",
                "note: the baseline's speed is that of 3 stored sessions, not of this one",
            ]
        )
        assert bounds(timed) == pytest.approx(expected, rel=1e-4)


def test_nothing_recorded(timed: TimedSuite) -> None:
    """Refused before anything is started, with the command that records it."""
    timed.model(speed=VARIED)
    timed.without_model()
    timed.ini(quant_model_name="model")
    result = refused(
        timed,
        "REFUSED (baseline absent) w8a8-int8 speed: no speed baseline of model for batch 1 *",
        "*--quant-model=REF",
        "*or record one on this accelerator: pytest *",
    )
    assert events(timed.path / "int8") == []
    words = command(result, "or record one on this accelerator: ")
    assert words[0] == "test_gate.py::test_speed"
    assert timed.run(*words, "--quant-model=model", "--quant-repeats=2").ret == 0
    assert timed.gate().ret == 0


def test_another_workload(timed: TimedSuite) -> None:
    """A baseline of one batch size says nothing of another."""
    recorded(timed, 0.01)
    timed.test(
        f"""
        @pytest.mark.min_speedup(1.5)
        def test_speed(compare_speed):
            compare_speed(batch_size=2, {SHAPE})
        """
    )
    refused(timed, "REFUSED (baseline absent) * no speed baseline of model for batch 2 *")
    assert events(timed.path / "int8") == []


def test_another_accelerator_is_refused_by_name(timed: TimedSuite) -> None:
    """Both devices are named; the candidate is started to know its own, and never served."""
    timed.model(machine={"kind": "cuda", "accelerator": "NVIDIA A40", "count": 2})
    timed.record()
    timed.without_model()
    device = timed.machine["accelerator"]
    refused(
        timed,
        f"REFUSED (not comparable) w8a8-int8 speed: this is {device}, and the stored speed of "
        "model for batch 1 is that of 2 x NVIDIA A40: *",
        "*--quant-model=REF",
    )


def test_another_kind_of_the_same_name(timed: TimedSuite) -> None:
    """A device of the same name but of another kind is another device."""
    timed.model(machine={"kind": "cuda", "accelerator": "NVIDIA A40"})
    timed.record()
    timed.without_model()
    timed.checkpoint(machine={"kind": "rocm", "accelerator": "NVIDIA A40"})
    refused(timed, "REFUSED (not comparable) *machine.kind: baseline cuda, now rocm*")


def test_another_minor_version_of_the_engine(
    timed: TimedSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused; quant_baseline_drift = "warn" lets it pass and says so; a patch is told."""
    now = {"version": "5.17.0"}
    monkeypatch.setattr(
        ScriptedBackend,
        "software",
        lambda self: Software("scripted", {"scripted": "1.0", "transformers": now["version"]}),
    )
    recorded(timed, 0.02, 0.02)
    now["version"] = "5.18.0"
    told = "transformers version: baseline 5.17.0, now 5.18.0"
    refused(timed, f"REFUSED (not comparable) w8a8-int8 speed: *{told}*", "*install the recorded*")
    timed.ini(quant_baseline_drift="warn")
    result = timed.gate()
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"note: {told} *"])
    timed.ini(quant_baseline_drift=None)
    now["version"] = "5.17.3"
    result = timed.gate()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["note: transformers version: baseline 5.17.0, now 5.17.3 *"])


OTHERS = {
    "tokenizer": ({"tokenizer": "bytes"}, "model.tokenizer_digest"),
    "architecture": ({"architecture": "OtherForCausalLM"}, "model.architecture"),
    "shapes": ({"shapes": {"hidden_size": 16}}, "model.hidden_size"),
}


@pytest.mark.parametrize(("script", "field"), OTHERS.values(), ids=OTHERS)
def test_another_model(timed: TimedSuite, script: dict[str, Any], field: str) -> None:
    """A checkpoint that is not of the recorded model is refused."""
    recorded(timed, 0.01)
    timed.checkpoint(**script)
    refused(timed, f"REFUSED (not comparable) w8a8-int8 speed: *{field}: *", "*with --quant-model*")


def cut(text: str) -> str:
    """The first half."""
    return text[: len(text) // 2]


def faster(text: str) -> str:
    """Figures that a hand has changed."""
    return text.replace("0.04", "0.09")


def newer(text: str) -> str:
    """What a later version may write."""
    return text.replace('"schema_version": "1.0"', '"schema_version": "99.0"')


@pytest.mark.parametrize("damage", [cut, faster])
def test_a_damaged_file(timed: TimedSuite, damage: Any) -> None:
    """It is refused, and the command that it prints mends it; nothing else stands in for it."""
    recorded(timed, 0.01)
    path = timed.stored_path()
    text = path.read_text("utf-8")
    assert damage(text) != text
    path.write_text(damage(text), "utf-8")
    result = refused(timed, "REFUSED (baseline unreadable) w8a8-int8 speed: *batch-1.4+4.json*")
    words = command(result, "or record it again: ")
    assert words[-1] == "--quant-update=all"
    assert timed.run(*words, "--quant-model=model", "--quant-repeats=2").ret == 0
    assert timed.gate().ret == 0


def test_a_file_of_a_later_version(timed: TimedSuite) -> None:
    """It is not judged, and not recorded again either, which would lose what it says more."""
    recorded(timed, 0.01)
    path = timed.stored_path()
    path.write_text(newer(path.read_text("utf-8")), "utf-8")
    text = path.read_text("utf-8")
    result = refused(timed, "REFUSED (baseline unreadable) w8a8-int8 speed: *has schema 99.0*")
    result.stdout.fnmatch_lines(["  update it: pip install --upgrade pytest-quantreg"])
    result.stdout.no_fnmatch_line("*record it again*")
    again = timed.run("--quant-update=all", "--quant-model=model")
    assert again.ret == 1
    again.stdout.fnmatch_lines(["REFUSED (wrong use) *has schema 99.0, and this * writes 1.0*"])
    again.stdout.no_fnmatch_line("loaded: *")
    assert path.read_text("utf-8") == text


def test_a_model_at_hand_runs_beside(timed: TimedSuite) -> None:
    """With --quant-model the stored sessions are not used, whatever they say."""
    recorded(timed, 0.001)
    timed.model()
    result = timed.gate("--quant-model=model", "-rA")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["kept w8a8-int8 speed-up, batch 1: 2.5x *", "*10 rounds of each", "loaded: model bf16*"]
    )
    result.stdout.no_fnmatch_line("note: *")


def test_one_file_is_enough_for_any_number_of_rounds(timed: TimedSuite) -> None:
    """How often a gate repeats its rounds is no part of what a baseline is filed under."""
    recorded(timed, 0.01, 0.01)
    longer = "batch_size=1, rounds=12, warmup=0"
    timed.test(ASSERTS.format(least=1.9).replace("batch_size=1", longer))
    result = timed.gate("-rA")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["kept *", "*12 rounds against 2 stored sessions*"])


def test_each_workload_has_sessions_of_its_own(timed: TimedSuite) -> None:
    """One call with two workloads: each is judged by its own sessions, the note has the fewest."""
    recorded(timed, 0.02, 0.02, 0.02)
    timed.ini(quant_model="model")
    many = saturating()
    timed.test(
        f"""
        @pytest.mark.min_speedup(1.5)
        def test_speed(compare_speed):
            compare_speed({SHAPE})
        """
    )
    timed.record("--quant-repeats=2").stdout.fnmatch_lines(["batch 1 * 3 *", f"{many} in * 2 *"])
    timed.without_model()
    result = timed.gate("-rA")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "* 3 stored sessions",
            "* 2 stored sessions",
            "batch 1 * kept",
            f"{many} in flight * kept",
            "2 kept",
        ]
    )
    result.stdout.fnmatch_lines(["note: the baseline's speed is that of 2 stored sessions,*"])
