"""Both models timed side by side: what is refused before that, told with it, and done once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.records.speed import DeviceState, ModelSpeed
from pytest_quantreg.gating.speed.preconditions import disturbances

from .conftest import Suite
from .events import events, loads
from .speed_suite import SHAPE, TimedSuite, timed_suite

FALLBACK = {"scheme": "w8a16-int8", "activations": "bfloat16", "mode": "weight-only fallback"}
EMULATED = {"mode": "emulated", "kernel": "unpacked to bfloat16"}
BOTH = f"""
@pytest.mark.min_retention(0.9)
def test_accuracy(compare_accuracy):
    compare_accuracy("sum")

@pytest.mark.min_speedup(1.5)
def test_speed(compare_speed):
    compare_speed(batch_size=1, {SHAPE})
"""


@pytest.fixture
def timed(suite: Suite) -> Iterator[TimedSuite]:
    """One test of speed of two models that log."""
    yield from timed_suite(suite)


def lives(folder: Path) -> list[str]:
    """``loaded`` and ``closed``, in the order in which a model was."""
    return [event.split()[0] for event in events(folder) if " model " in event]


UNLIKE = {
    "tokenizer": ({"tokenizer": "bytes"}, "(not comparable) *model.tokenizer_digest: *"),
    "architecture": ({"architecture": "Other"}, "(not comparable) *model.architecture: *"),
    "vocabulary": ({"vocab_size": 99}, "(not comparable) *model.vocab_size: *"),
    "unquantized": ({"scheme": None}, "(suspicious) *nothing in the checkpoint is quantized*"),
    "another scheme": ({"scheme": "w4a16-int4"}, "(unusable model) *the checkpoint is w4a16*"),
}


@pytest.mark.parametrize(("script", "words"), UNLIKE.values(), ids=UNLIKE)
def test_unlike_models_are_refused_before_loading(
    timed: TimedSuite, script: dict[str, Any], words: str
) -> None:
    """Neither model is started when their files say that they do not belong together."""
    timed.checkpoint(**script)
    result = timed.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ERROR at call of*", f"REFUSED {words}"])
    assert events(timed.path / "model") == events(timed.path / "int8") == []


def test_a_model_is_not_compared_with_itself(timed: TimedSuite) -> None:
    """The same quantized files for both: their weights are equal to the bit."""
    result = timed.gate("--quant-model=int8")
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["REFUSED (suspicious) *compared with itself: *to the bit", "*--quant-model*"]
    )
    assert events(timed.path / "int8") == []


def test_other_types_are_told(timed: TimedSuite) -> None:
    """Some formats are computed in another type than that of the baseline: judged."""
    timed.checkpoint(dtype="float16")
    assert timed.gate().ret == 0


def test_emulated_is_judged_for_accuracy_alone(timed: TimedSuite) -> None:
    """Its speed is refused, with the reason, as soon as it is loaded; no round is spent."""
    timed.checkpoint(effective=EMULATED)
    timed.test(BOTH)
    timed.record("-k", "accuracy")
    result = timed.gate("-rA")
    assert result.ret == 1
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (not judged) w8a8-int8 speed: w8a8-int8 is emulated here (unpacked to "
            "bfloat16), which is not the kernel you ship",
            "*its accuracy can be judged, its speed and memory cannot",
            "kept w8a8-int8 sum: *",
            "*1 kept, 1 refused*",
        ]
    )
    assert not [event for event in events(timed.path / "int8") if event.startswith("served")]


def test_a_fallback_is_told(timed: TimedSuite) -> None:
    """Weights alone in int8 are judged under detect, and noted; refused where a claim counts."""
    timed.checkpoint(effective=FALLBACK)
    result = timed.gate("-rA")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "kept w8a8-int8 speed-up, batch 1: *",
            "* runs as w8a16-int8 (weight-only fallback)*",
            "note: runs as w8a16-int8, not as w8a8-int8",
        ]
    )
    for option in ("--quant-gate=certify", "--quant-require"):
        result = timed.gate(option)
        assert result.ret == 1
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(
            ["REFUSED (not comparable) *the engine runs it as w8a16-int8, not as w8a8-int8"]
        )
    timed.ini(quant_effective="warn")
    assert timed.gate("--quant-gate=certify").ret == 0


def test_nothing_quantized_in_the_loaded_weights(timed: TimedSuite) -> None:
    """The files say int8 and the engine holds none of it: refused before any round."""
    timed.checkpoint(effective={"quantized_layers": 0, "weights": "bfloat16"})
    result = timed.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["REFUSED (suspicious) *nothing in the loaded weights is quantized*"]
    )
    assert not [event for event in events(timed.path / "int8") if event.startswith("served")]


def test_the_model_that_answers_is_freed_before_timing(timed: TimedSuite) -> None:
    """Timed processes have the device for themselves, and answering afterwards loads again."""
    timed.test(f"{BOTH}\ndef test_model(quantized_model):\n    assert quantized_model.model\n")
    timed.record("-k", "accuracy")
    result = timed.gate()
    assert result.ret == 0
    result.assert_outcomes(passed=3)
    assert lives(timed.path / "int8") == ["loaded", "closed"] * 3
    assert events(timed.path / "int8")[-2:] == ["loaded model w8a8-int8", "closed model w8a8-int8"]


def test_equal_calls_are_measured_once(timed: TimedSuite) -> None:
    """Tests that ask for the same share one measurement; another workload is another one."""
    timed.test(
        f"""
        @pytest.mark.min_speedup(1.5)
        @pytest.mark.parametrize("size", [1, 1, 2, 1])
        def test_speed(size, compare_speed):
            first = compare_speed(batch_size=size, {SHAPE})
            assert compare_speed(batch_size=size, {SHAPE}).quantized is first.quantized

        @pytest.mark.max_latency(1000, kind="e2e")
        def test_latency(compare_speed):
            compare_speed(batch_size=1, {SHAPE})
        """
    )
    result = timed.gate()
    assert result.ret == 0
    result.assert_outcomes(passed=5)
    assert (loads(timed.path / "model"), loads(timed.path / "int8")) == (2, 2)


def test_a_request_rate(timed: TimedSuite) -> None:
    """Latency is judged under it; a speed-up is refused before loading: it would mean nothing."""
    call = f"compare_speed(request_rate=50, concurrency=4, requests=12, {SHAPE})"
    timed.test(
        f"""
        @pytest.mark.min_speedup(1.5)
        def test_speed(compare_speed):
            {call}
        """
    )
    result = timed.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["REFUSED (not judged) *min_speedup(1.5) under 50 requests/s: *", "*max_latency*"]
    )
    assert events(timed.path / "model") == events(timed.path / "int8") == []
    timed.test(
        f"""
        @pytest.mark.max_latency(1000, kind="e2e")
        @pytest.mark.max_latency(1, kind="ttft")
        def test_latency(compare_speed):
            {call}
        """
    )
    result = timed.gate("-rA")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["LOST w8a8-int8 ttft p50, 50 requests/s: *"])
    result.stdout.fnmatch_lines(["kept w8a8-int8 e2e p50, 50 requests/s: *"])
    served = [event for event in events(timed.path / "int8") if "12 requests" in event]
    assert len(served) == 12, "ten rounds and two of warm-up, all requests of each in one load"


def test_what_went_on_around_is_told(timed: TimedSuite) -> None:
    """Throttled clocks and strangers on the card are notes beside the verdict."""
    state = {"power_limit_w": 300, "others": 3, "throttled": "power cap"}
    card = {"kind": "cuda", "accelerator": "NVIDIA A40"}
    timed.model(machine=card, speed={"state": state})
    timed.checkpoint(machine=card, speed={"state": state})
    result = timed.gate("-rA")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["note: the device held its clocks down: power cap"])
    result.stdout.fnmatch_lines(["note: 2 other processes used the card while*"])


def test_a_quiet_device_is_not_told() -> None:
    """No note without a reason: a load average is no process on a card."""
    alone = DeviceState(power_limit_w=300.0, others=0.0)
    processor = DeviceState(others=1.7)
    for state in (DeviceState(), alone, processor):
        speed = ModelSpeed((), states=(state, state))
        assert list(disturbances(speed, None)) == list(disturbances(speed, speed)) == []


CROWDED = '''
"""A card that holds one model at a time."""

import os
from pathlib import Path

from pytest_quantreg.testing.scripted import ScriptedBackend, ScriptedEngine, read

CARD = Path(__file__).with_name("card")
LIVES = CARD.with_name("lives.log")

class Engine(ScriptedEngine):
    def log(self, event):
        with LIVES.open("a") as file:
            file.write(event + chr(10))

    def close(self):
        super().close()
        CARD.unlink(missing_ok=True)

class Crowded(ScriptedBackend):
    def load(self, spec):
        try:
            os.close(os.open(CARD, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            raise MemoryError("scripted: there is a model already") from None
        engine = Engine(spec, read(spec))
        engine.log(f"loaded {spec.name} {spec.scheme}")
        return engine

class Whole(Crowded):
    exclusive = True
'''


@pytest.mark.parametrize("backend", ["crowded", "whole"])
def test_one_at_a_time(timed: TimedSuite, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that do not fit together, or whose engine takes all, alternate: A B B A A B B ..."""
    (timed.path / "crowded.py").write_text(CROWDED, "utf-8")
    info = timed.path / "crowded-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: crowded\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text(
        "[pytest_quantreg.backends]\ncrowded = crowded:Crowded\nwhole = crowded:Whole\n", "utf-8"
    )
    monkeypatch.syspath_prepend(timed.path)
    timed.test(
        f"""
        @pytest.mark.min_speedup(1.5)
        def test_speed(compare_speed):
            compare_speed(batch_size=1, rounds=12, {SHAPE})
        """
    )
    result = timed.gate(f"--quant-backend={backend}", "-rA")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "kept w8a8-int8 speed-up, batch 1: 2.5x *",
            "  baseline 80 tok/s, quantized 200 tok/s, 6 blocks of each",
            "batch 1, 4+4 tokens, 12 rounds after 2 of warm-up, in 6 blocks",
        ]
    )
    result.stdout.fnmatch_lines(
        [
            "quantreg: one model at a time: 6 blocks of each in turn, 12 starts with a warm-up *",
            "quantreg: bf16 took * s to load; 11 loads to go",
        ]
    )
    log = (timed.path / "lives.log").read_text("utf-8").splitlines()
    happened = [event for event in log if " model " in event]
    tried = ["w8a8-int8"] if backend == "crowded" else []
    turns = tried + ["bf16", "w8a8-int8", "w8a8-int8", "bf16"] * 3
    assert happened == [
        f"{what} model {scheme}" for scheme in turns for what in ("loaded", "closed")
    ]
    assert not (timed.path / "card").exists()
