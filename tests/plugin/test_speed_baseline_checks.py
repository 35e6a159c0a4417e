"""The baseline that runs beside a model: where, as what and how it ran is looked at as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pytest_quantreg.core.hardware.kernels import KernelChoice

from .conftest import SCHEME, Suite
from .events import events, loads
from .speed_suite import SHAPE, TimedSuite, timed_suite

A40 = {"kind": "cuda", "accelerator": "NVIDIA A40"}


@pytest.fixture
def timed(suite: Suite) -> Iterator[TimedSuite]:
    """One test of speed of two models that log."""
    yield from timed_suite(suite)


def refused(timed: TimedSuite, *lines: str) -> None:
    """Runs the gate and sees its one test refused with these lines."""
    result = timed.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ERROR at call of*", *lines])


@pytest.mark.parametrize(
    "machine",
    [{"kind": "cpu", "accelerator": "An old processor"}, {**A40, "kind": "rocm"}],
    ids=["accelerator", "kind"],
)
def test_a_baseline_on_another_device(machine: dict[str, str], timed: TimedSuite) -> None:
    """A slow device beside a fast one is no speed-up: refused, with both named."""
    timed.model(machine=machine)
    timed.checkpoint(machine=A40)
    refused(
        timed,
        f"REFUSED (not comparable) w8a8-int8 speed: the baseline runs on {machine['accelerator']} "
        f"({machine['kind']}), the quantized model on NVIDIA A40 (cuda): their speeds do not *",
        "*--quant-backend-arg=baseline:*",
    )


def test_fewer_of_one_device_is_told(timed: TimedSuite) -> None:
    """A model on one card against its baseline on two is what it is for: judged, and noted."""
    timed.model(machine={**A40, "count": 2})
    timed.checkpoint(machine=A40)
    result = timed.gate("-rA")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*the baseline ran on 2 x NVIDIA A40, the quantized model on 1", "note: the baseline ran*"]
    )


def test_more_of_one_device_is_refused(timed: TimedSuite) -> None:
    """On more cards than its baseline any model is faster."""
    timed.model(machine=A40)
    timed.checkpoint(machine={**A40, "count": 2})
    result = timed.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (not comparable)*that would be the speed-up of more*"])


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (({"threads": 1}, {"threads": 8}), "ran with 1 threads, the quantized model with 8"),
        (
            ({"power_limit_w": 100.0}, {"power_limit_w": 700.0}),
            "ran with 100 W power limit, the quantized model with 700",
        ),
    ],
)
def test_unequal_means_are_refused(
    timed: TimedSuite, states: tuple[dict[str, float], dict[str, float]], words: str
) -> None:
    """Fewer threads, or less power, for the baseline alone is no speed-up of the other."""
    timed.model(speed={"state": states[0]})
    timed.checkpoint(speed={"state": states[1]})
    result = timed.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"REFUSED (not comparable)*{words}"])


def test_a_wider_baseline_is_refused(timed: TimedSuite) -> None:
    """An argument that computes the baseline alone in float32 slows it down."""
    result = timed.gate("--quant-backend-arg=baseline:dtype=float32")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["REFUSED (not comparable)*the baseline is computed in float32 because an argument says*"]
    )


QUANTIZED = {"scheme": "w8a16-int8", "weights": "int8", "quantized_layers": 8, "mode": "native"}
EMULATED = {"mode": "native, partly emulated", "kernel": "unpacked to bfloat16"}
UNFIT = {
    "emulated": (
        EMULATED,
        "(not judged) {what}bf16 is emulated here (unpacked to bfloat16), which is not *",
    ),
    "quantized": (
        QUANTIZED,
        "(not comparable) {what}the baseline runs as w8a16-int8, and its files hold bf16",
    ),
}


@pytest.mark.parametrize(("effective", "words"), UNFIT.values(), ids=UNFIT)
def test_a_baseline_that_is_none(effective: dict[str, Any], words: str, timed: TimedSuite) -> None:
    """Slowed down by emulation, or quantized on the way: not what full precision runs like."""
    timed.model(effective=effective)
    refused(timed, f"REFUSED {words.format(what='w8a8-int8 speed: ')}")
    assert not [event for event in events(timed.path / "model") if event.startswith("served")]
    result = timed.record()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"REFUSED {words.format(what='baseline speed: ')}"])
    assert not (timed.path / "baselines").exists()


def test_what_quantizes_both_is_given_to_one(timed: TimedSuite) -> None:
    """The way out of a quantized baseline names the form of the option that does it."""
    timed.model(effective=QUANTIZED)
    refused(timed, "*--quant-backend-arg=quantized:quantization_config=...")


@pytest.mark.parametrize("mode", ["emulated", "native, partly emulated"])
def test_emulated_in_part(mode: str, timed: TimedSuite) -> None:
    """Whatever else is said of how a model runs, what is emulated is not the kernel that ships."""
    timed.checkpoint(effective={"mode": mode, "kernel": "unpacked"})
    refused(timed, "REFUSED (not judged) w8a8-int8 speed: w8a8-int8 is emulated here (unpacked)*")
    assert events(timed.path / "model") == [], "the baseline was not even loaded"


def test_known_emulated_is_refused_before_it_is_made(
    timed: TimedSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a quantization whose speed could not be judged."""
    choice = KernelChoice("emulated", "", "no kernel for it here", "")
    monkeypatch.setattr(
        "pytest_quantreg.gating.preconditions.Preconditions.kernel", lambda *_: choice
    )
    timed.model(on_the_fly={SCHEME: {"scheme": SCHEME}})
    result = timed.gate(checkpoint=None)
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["REFUSED (not judged) w8a8-int8 speed: w8a8-int8 is emulated here (no kernel for it *"]
    )
    assert not list((timed.path / "cache").glob("scripted-*"))
    assert events(timed.path / "model") == []
    assert timed.gate().ret == 0, "a checkpoint may hold what has a kernel: its engine says"


def test_other_arguments_and_types_are_told(timed: TimedSuite) -> None:
    """An argument that only one model has, or another type, may be what makes the difference."""
    timed.checkpoint(dtype="float16")
    words = ["--quant-backend-arg=quantized:attn=sdpa", "--quant-backend-arg=pages=16"]
    result = timed.gate("-rA", *words)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "note: model.dtype: baseline bfloat16, now float16 *",
            "note: engine argument attn: baseline None, quantized sdpa",
        ]
    )
    result.stdout.no_fnmatch_line("*engine argument pages*")


def test_a_refusal_is_remembered(timed: TimedSuite) -> None:
    """An equal call of another test is refused in the same words, and starts no process."""
    timed.checkpoint(effective={"mode": "emulated"})
    timed.test(
        f"""
        @pytest.mark.min_speedup(1.5)
        @pytest.mark.parametrize("n", [1, 2, 3])
        def test_speed(n, compare_speed):
            compare_speed(batch_size=1, {SHAPE})
        """
    )
    result = timed.gate()
    result.assert_outcomes(errors=3)
    said = [line for line in result.outlines if line.startswith("REFUSED (not judged) ")]
    assert len(said) >= 3
    assert loads(timed.path / "int8") == 1


def test_attempts_to_certify_are_counted(timed: TimedSuite) -> None:
    """Every session that certifies a checkpoint says which attempt it is; detect counts none."""
    for count in (1, 2):
        assert timed.gate().ret == 0
        result = timed.gate("--quant-gate=certify")
        assert result.ret == 0
        result.stdout.fnmatch_lines([f"note: certify, attempt {count} on this checkpoint (as *"])
