"""Which threshold on speed holds on which accelerator, and how gates read."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_quantreg.core.gates.speed import (
    MAX_LATENCY,
    MAX_LOAD_TIME,
    MAX_MEMORY,
    MIN_SPEEDUP,
    MIN_THROUGHPUT,
    Choice,
    SpeedGate,
    choose,
    device_name,
)
from pytest_quantreg.core.records.run import Machine

from ...wording import wrong_use

H100 = Machine("cuda", "NVIDIA H100 80GB HBM3")
CPU = Machine("cpu", "AMD EPYC 7B13")


def speedups(
    *declared: tuple[float, str | None] | tuple[float, str | None, int],
) -> list[SpeedGate]:
    """Gates on the speed-up: (bound, gpu, level), on the test itself where none is given."""
    return [
        SpeedGate(MIN_SPEEDUP, fields[0], (*fields[2:], 1)[0], gpu=fields[1]) for fields in declared
    ]


def chosen(
    gates: Sequence[SpeedGate], machine: Machine = H100, as_gpu: str | None = None
) -> Choice:
    """The choice of the only key."""
    [choice] = choose(gates, machine, as_gpu)
    return choice


@pytest.mark.parametrize(
    ("gates", "bound"),
    [
        (speedups((1.5, None)), 1.5),
        (speedups((1.5, None), (1.8, "H100")), 1.8),
        (speedups((1.8, "h100"), (1.9, "H100 80GB")), 1.9),
        (speedups((1.8, "80gb-H100")), 1.8),
        (speedups((1.5, None), (1.8, "A100")), 1.5),
        # Most words win over nearness, and nearness decides among equals.
        (speedups((1.5, None, 0), (1.8, "H100", 3)), 1.8),
        (speedups((1.8, "H100", 3), (1.7, "H100", 2)), 1.7),
        (speedups((1.8, "NVIDIA", 1), (1.7, "H100", 2)), 1.8),
        (speedups((1.5, None, 3), (1.4, None, 1)), 1.4),
        # Of two at one place the stricter: a marker added while a test runs loosens nothing.
        (speedups((1.5, None), (1.4, None)), 1.5),
        (speedups((1.5, "H100"), (1.4, "H100")), 1.5),
        # Whole words only.
        (speedups((1.5, None), (1.8, "H10")), 1.5),
        (speedups((1.5, None), (1.8, "H100 MIG")), 1.5),
    ],
)
def test_most_words_then_the_nearest(gates: list[SpeedGate], bound: float) -> None:
    """The threshold that says most about this device holds, then the one nearest the test."""
    choice = chosen(gates)
    assert choice.gate is not None
    assert choice.gate.bound == bound
    assert chosen(gates[::-1]).gate == choice.gate


@pytest.mark.parametrize("marker", [MAX_LATENCY, MAX_MEMORY, MAX_LOAD_TIME])
def test_of_two_upper_bounds_at_one_place_the_lower_holds(marker: str) -> None:
    """What must be small is looser where the bound is larger."""
    strict, loose = (SpeedGate(marker, bound, 0) for bound in (5.0, 50.0))
    for gates in ([strict, loose], [loose, strict]):
        assert chosen(gates).gate == strict


def test_why() -> None:
    """The name that fitted and the device stand in the report; nothing where none was named."""
    assert chosen(speedups((1.5, None))).why == ""
    assert chosen(speedups((1.5, "h100"))).why == "for h100 (this is NVIDIA H100 80GB HBM3)"
    named = chosen(speedups((1.5, "A40")), as_gpu="A40")
    assert named.why == "for A40 (--quant-gpu=A40; this is NVIDIA H100 80GB HBM3)"
    general = chosen(speedups((1.5, None), (1.8, "H100")), as_gpu="A40")
    assert general.gate is not None
    assert general.gate.bound == 1.5
    assert general.why == "for any device (--quant-gpu=A40; this is NVIDIA H100 80GB HBM3)"


def test_none_for_this_device() -> None:
    """All names are listed with the device, and an unknown one with the nearest known."""
    choice = chosen(speedups((1.5, "A40"), (1.8, "B2O0")))
    assert choice.gate is None
    assert [gate.gpu for gate in choice.rivals] == ["A40", "B2O0"]
    assert choice.why == (
        "for A40 and B2O0, this is NVIDIA H100 80GB HBM3 ('B2O0' is no known name, the nearest is "
        "B200)"
    )
    taken = chosen(speedups((1.5, "H100")), as_gpu="A40")
    assert taken.gate is None
    assert taken.why == "for H100, this is taken for A40 (--quant-gpu)"


def test_a_tie_is_an_error() -> None:
    """Two names with as many words at one place: nobody could say which was meant."""
    gates = speedups((1.8, "H100"), (1.9, "80GB"), (1.2, None))
    with wrong_use("both fit NVIDIA H100 80GB HBM3, with as many words each"):
        list(choose(gates, H100))
    assert (
        chosen([*gates, *speedups((2.0, "NVIDIA H100"))]).gate == speedups((2.0, "NVIDIA H100"))[0]
    )


def test_a_slice_is_no_card() -> None:
    """MIG must be said: a slice is a fraction as fast."""
    piece = Machine("cuda", "NVIDIA A100-SXM4-40GB MIG 1g.5gb")
    assert chosen(speedups((1.5, "A100")), piece).gate is None
    assert (
        chosen(speedups((1.5, "A100"), (1.1, "A100 MIG")), piece).gate
        == speedups((1.1, "A100 MIG"))[0]
    )


def test_a_processor_is_also_called_cpu() -> None:
    """Its own name often does not say so."""
    assert device_name(CPU) == "AMD EPYC 7B13 cpu"
    assert chosen(speedups((1.5, "cpu")), CPU).gate is not None
    assert chosen(speedups((1.5, "EPYC")), CPU).gate is not None
    assert chosen(speedups((1.5, "cpu")), H100).gate is None


def test_keys() -> None:
    """Marker, kind and percentile make a key; each is chosen by itself, in order."""
    gates = [
        SpeedGate(MAX_LATENCY, 50, 1, "ttft", 50.0),
        SpeedGate(MAX_LATENCY, 90, 1, "ttft", 99.0),
        SpeedGate(MAX_LATENCY, 40, 1, "ttft", 50.0, "H100"),
        SpeedGate(MIN_THROUGHPUT, 900, 1, "server"),
        SpeedGate(MIN_THROUGHPUT, 300, 1, "gpu"),
    ]
    bounds = [choice.gate.bound for choice in choose(gates, H100) if choice.gate is not None]
    assert bounds == [40, 90, 900, 300]
    assert list(choose([], H100)) == []


@pytest.mark.parametrize(
    ("gate", "text", "quantity", "bound"),
    [
        (
            SpeedGate(MIN_SPEEDUP, 1.8, 1, gpu="H100"),
            "min_speedup(1.8, gpu='H100')",
            "speed-up",
            "1.8x",
        ),
        (
            SpeedGate(MIN_THROUGHPUT, 1500.0, 1, "gpu"),
            "min_throughput(1500, per='gpu')",
            "throughput/GPU",
            "1500 tok/s",
        ),
        (
            SpeedGate(MIN_THROUGHPUT, 9.5, 1, "server"),
            "min_throughput(9.5)",
            "throughput",
            "9.5 tok/s",
        ),
        (
            SpeedGate(MAX_LATENCY, 50.0, 1, "e2e", 99.9),
            "max_latency(50, kind='e2e', percentile=99.9)",
            "e2e p99.9",
            "50 ms",
        ),
        (
            SpeedGate(MAX_MEMORY, 24.0, 1, "peak"),
            "max_memory(24, kind='peak')",
            "peak memory",
            "24 GiB",
        ),
    ],
)
def test_words(gate: SpeedGate, text: str, quantity: str, bound: str) -> None:
    """A gate reads as it is written, its quantity in words and its bound in its unit."""
    assert (str(gate), gate.quantity, gate.shown(gate.bound)) == (text, quantity, bound)
