"""What is looked at before a model loads: its files, a kernel for it, the packages it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.hardware.accelerators import Accelerator
from pytest_quantreg.core.hardware.kernel_rules import Engine, Rule, Where
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.core.schemes.inspection import Checkpoint, Claim, Group, Layer
from pytest_quantreg.gating import checkpoint_checks
from pytest_quantreg.testing.scripted import ScriptedBackend

from .conftest import Suite
from .events import events

CPU = Accelerator("AMD EPYC", "cpu")
HOPPER = Accelerator("NVIDIA H100", "cuda", capability=(9, 0))
PASCAL = Accelerator("NVIDIA P100", "cuda", capability=(6, 0))

THREE = """
@pytest.mark.min_retention(0.9)
@pytest.mark.parametrize("again", range(3))
def test_sum(again, compare_accuracy):
    compare_accuracy("sum")
"""

FASTER = """
@pytest.mark.min_speedup(1.5)
def test_speed(compare_speed):
    compare_speed(batch_size=1, prompt_tokens=4, output_tokens=4)
"""


def checkpoint(dtype: str = "BF16") -> Checkpoint:
    """Says int8 and holds one linear layer of ``dtype``: with the default it is no int8."""
    layer = Layer("model.layers.0.mlp.up_proj", "mlp", dtype, 4, 8, True)
    claim = Claim("w8a8-int8", "compressed-tensors", (Group(("Linear",), None),), ())
    return Checkpoint("logged", "ScriptedForCausalLM", claim, (layer,), 8, 1)


def table(where: Where, mode: Any = "no kernel", *, needs: str | None = None) -> Engine:
    """A table of the test double that knows of one scheme on ``where``."""
    why = "its kernels begin at 9.0"
    rule = Rule(("w8a8-int8",), where, mode, "", "its handbook", why, needs=needs)
    other = Rule(("w8a8-fp8",), Where(), "native", "cutlass", "its handbook")
    return Engine("scripted", ("scripted",), ((1, 0), (1, 1)), (rule, other))


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Gives the test double a table of kernels and this machine other devices."""

    def use(engine: Engine, *devices: Accelerator) -> None:
        monkeypatch.setattr(checkpoint_checks, "ENGINES", (engine,))
        monkeypatch.setattr(checkpoint_checks, "all_devices", lambda: (*devices, CPU))

    return use


@pytest.fixture
def inspected(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Gives the test double an ``inspect`` that finds ``checkpoint``; lists what it was asked."""

    def find(found: Callable[[ModelSpec], Checkpoint | None]) -> list[str]:
        asked: list[str] = []

        def inspect(_self: ScriptedBackend, spec: ModelSpec) -> Checkpoint | None:
            asked.append(Path(spec.ref).name)
            return found(spec)

        monkeypatch.setattr(ScriptedBackend, "inspect", inspect, raising=False)
        return asked

    return find


def logged(suite: Suite, *tests: str) -> Path:
    """A suite with a recorded baseline and a checkpoint that keeps a log."""
    suite.test("".join(tests or (THREE,)))
    suite.record()
    return suite.checkpoint("logged", log="events.log")


def test_files_that_contradict_themselves(suite: Suite, inspected: Any) -> None:
    """They are refused in every test, looked at in the first, and never loaded."""
    folder = logged(suite)
    asked = inspected(lambda spec: checkpoint())
    result = suite.gate(checkpoint="logged")
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (suspicious) w8a8-int8 sum: logged contradicts itself: config.json says "
            "w8a8-int8, but none of the 1 linear layers is quantized: they are bf16",
            "  all that its files hold: quantreg inspect *logged",
        ]
    )
    assert (asked, events(folder)) == (["logged"], [])


def test_files_are_looked_at_before_the_claim(suite: Suite, inspected: Any) -> None:
    """Numbers under a config that forgot to say so are told as such, not as full precision."""
    logged(suite)
    suite.model("logged", scheme=None)
    inspected(lambda spec: checkpoint())
    result = suite.gate(checkpoint="logged")
    result.stdout.fnmatch_lines(["REFUSED (suspicious) w8a8-int8 sum: logged contradicts *"])
    result.stdout.no_fnmatch_line("*nothing in the checkpoint is quantized*")


@pytest.mark.parametrize("args", [(), ("--quant-gate=certify",), ("-o", "quant_effective=warn")])
def test_no_kernel(suite: Suite, on: Any, args: tuple[str, ...]) -> None:
    """A scheme that the engine cannot run here is refused unloaded, whatever the gate."""
    on(table(Where("cuda", last=(8, 9))), PASCAL)
    folder = logged(suite)
    result = suite.gate(*args, checkpoint="logged")
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (not judged) w8a8-int8 sum: scripted 1.0 has no kernel for w8a8-int8 on "
            "NVIDIA P100: its kernels begin at 9.0",
            "  known from: its handbook",
            "  scripted runs here: w8a8-fp8",
        ]
    )
    assert events(folder) == []


def test_no_kernel_on_the_fly(suite: Suite, on: Any) -> None:
    """What would be quantized in vain is not made, for accuracy nor for speed."""
    on(table(Where("cuda", last=(8, 9))), PASCAL)
    suite.test(THREE + FASTER)
    made = {"scheme": "w8a8-int8", "log": "events.log"}
    suite.model(on_the_fly={"w8a8-int8": made}, log="events.log")
    result = suite.gate(checkpoint=None)
    result.assert_outcomes(errors=4)
    result.stdout.fnmatch_lines(["REFUSED (not judged) w8a8-int8 * has no kernel for *"] * 2)
    assert not list((suite.path / "cache").rglob("scripted-*"))
    assert events(suite.path / "model") == []


@pytest.mark.parametrize(
    ("engine", "devices"),
    [
        (table(Where("cuda", last=(8, 9))), (HOPPER,)),
        (table(Where("cuda", last=(8, 9))), (PASCAL, HOPPER)),
        (table(Where("cuda", last=(8, 9))), ()),
        (table(Where("cuda", last=(8, 9)), "not known"), (PASCAL,)),
        (replace(table(Where()), releases=((0, 8), (0, 9))), (PASCAL,)),
        (table(Where(), "emulated"), (PASCAL,)),
    ],
    ids=["runs", "on-another-card", "no-such-device", "not-known", "another-release", "emulated"],
)
def test_what_is_let_in(
    suite: Suite, on: Any, engine: Engine, devices: tuple[Accelerator, ...]
) -> None:
    """Only what is known to have no kernel on any card of the kind is refused."""
    on(engine, *devices)
    logged(suite)
    assert suite.gate(checkpoint="logged").ret == 0


def test_the_backend_says_where_it_runs(
    suite: Suite, on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that is put on the CPU is not refused for the card beside it."""
    on(table(Where("cuda", last=(8, 9))), PASCAL)
    monkeypatch.setattr(ScriptedBackend, "device_kind", lambda self, spec: "cpu", raising=False)
    logged(suite)
    assert suite.gate(checkpoint="logged").ret == 0


def test_a_missing_package(suite: Suite, on: Any, inspected: Any) -> None:
    """Files that need a package beside the engine are refused with the command that brings it."""
    on(table(Where(), "native", needs="pytest no-such-package"), HOPPER)
    folder = logged(suite)
    result = suite.gate(checkpoint="logged")
    assert result.ret == 0, "what the files hold was not asked, so nothing is missed"
    plain = replace(checkpoint(), layers=(), claim=Claim("w8a8-int8", "compressed-tensors"))
    inspected(lambda spec: plain)
    (folder / "events.log").unlink()
    result = suite.gate(checkpoint="logged")
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (missing extra) w8a8-int8 sum: scripted needs no-such-package for "
            "w8a8-int8, and that is not installed",
            "  pip install no-such-package",
        ]
    )
    assert events(folder) == []


def test_files_that_come_late(
    suite: Suite, inspected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights of the hub are looked at once they are here, once, and before they are loaded."""
    folder = logged(suite)
    arrived = suite.checkpoint("arrived", log="events.log")
    asked = inspected(lambda spec: checkpoint() if Path(spec.ref).name == "arrived" else None)

    def prepare(_self: ScriptedBackend, spec: ModelSpec, say: object) -> ModelSpec:
        return replace(spec, ref=str(arrived))

    monkeypatch.setattr(ScriptedBackend, "prepare", prepare)
    result = suite.gate(checkpoint="logged")
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["REFUSED (suspicious) w8a8-int8 sum: * contradicts itself: *"])
    assert asked == ["logged", "arrived"]
    assert events(folder) == events(arrived) == []


def test_late_files_do_not_refuse_the_sound(
    suite: Suite, inspected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sound weights that come late are judged as any others."""
    folder = logged(suite)
    plain = replace(checkpoint(), layers=(), claim=Claim("w8a8-int8", "compressed-tensors"))
    inspected(lambda spec: plain if spec.ref.endswith("/.") else None)

    def prepare(_self: ScriptedBackend, spec: ModelSpec, say: object) -> ModelSpec:
        return replace(spec, ref=f"{folder}/.")

    monkeypatch.setattr(ScriptedBackend, "prepare", prepare)
    assert suite.gate(checkpoint="logged").ret == 0
    assert sum(line.startswith("loaded") for line in events(folder)) == 1
