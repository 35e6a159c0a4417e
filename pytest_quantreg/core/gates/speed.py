"""Which declared threshold of speed, memory or load time holds on the device at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..codes import SpeedCode
from ..errors import WrongUse
from ..hardware.accelerators import fit, not_applicable_words
from ..records.run import Machine
from .selection import OWN_LEVELS

MIN_SPEEDUP = "min_speedup"
MIN_THROUGHPUT = "min_throughput"
MAX_LATENCY = "max_latency"
MAX_MEMORY = "max_memory"
MAX_LOAD_TIME = "max_load_time"

SPEED_MARKERS = (MIN_SPEEDUP, MIN_THROUGHPUT, MAX_LATENCY, MAX_MEMORY, MAX_LOAD_TIME)

_UNITS = {
    MIN_SPEEDUP: "x",
    MIN_THROUGHPUT: "tok/s",
    MAX_LATENCY: "ms",
    MAX_MEMORY: "GiB",
    MAX_LOAD_TIME: "s",
}


@dataclass(frozen=True)
class SpeedGate:
    """One marker as declared; ``bound`` in the unit of its marker (`unit`).

    ``kind`` is ``ttft``, ``tpot`` or ``e2e`` of a latency, ``weights`` or ``peak`` of a
    memory, ``server`` or ``gpu`` (for each of them) of a throughput. ``gpu`` names the
    accelerator that the threshold is for. ``level`` as in `core.gates.selection.Gate`.
    """

    marker: str
    bound: float
    level: int
    kind: str | None = None
    percentile: float | None = None
    gpu: str | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """Gates of one key are alternatives: one of them is judged."""
        return (self.marker, self.kind, self.percentile)

    @property
    def is_on_test(self) -> bool:
        """Whether the test carries the marker itself, not its class or module."""
        return self.level in OWN_LEVELS

    @property
    def at_least(self) -> bool:
        """Whether more is better."""
        return self.marker in (MIN_SPEEDUP, MIN_THROUGHPUT)

    @property
    def of_workload(self) -> bool:
        """Whether it is judged for each workload; memory and load time are the model's."""
        return self.marker in (MIN_SPEEDUP, MIN_THROUGHPUT, MAX_LATENCY)

    @property
    def unit(self) -> str:
        """The unit of ``bound``: tokens per second, milliseconds, GiB, seconds."""
        return _UNITS[self.marker]

    @property
    def quantity(self) -> str:
        """What it bounds, in words: ``ttft p99``, ``weight memory``."""
        if self.marker == MAX_LATENCY:
            return f"{self.kind} p{self.percentile or 0:g}"
        return {
            MIN_SPEEDUP: "speed-up",
            MIN_THROUGHPUT: "throughput/GPU" if self.kind == "gpu" else "throughput",
            MAX_MEMORY: "peak memory" if self.kind == "peak" else "weight memory",
            MAX_LOAD_TIME: "load time",
        }[self.marker]

    def shown(self, value: float) -> str:
        """A value in its unit: ``1.8x``, ``250 tok/s``."""
        return f"{value:.10g}{'' if self.unit == 'x' else ' '}{self.unit}"

    def __str__(self) -> str:
        """As it is written, arguments at their defaults left out."""
        named: dict[str, object] = {}
        if self.marker == MAX_LATENCY:
            named = {"kind": self.kind, "percentile": self.percentile}
        elif self.marker == MAX_MEMORY:
            named = {"kind": self.kind}
        elif self.kind == "gpu":
            named = {"per": self.kind}
        named["gpu"] = self.gpu
        rest = "".join(
            f", {name}={value:g}" if isinstance(value, float) else f", {name}={value!r}"
            for name, value in named.items()
            if value is not None
        )
        return f"{self.marker}({self.bound:.10g}{rest})"


@dataclass(frozen=True)
class Choice:
    """The threshold that holds for one key; ``gate`` is None where none is for this device.

    ``why`` says so: ``for H100 (this is NVIDIA H100 80GB HBM3)``; empty where the only
    threshold names no accelerator. ``rivals`` are all gates of the key, nearest first.
    """

    gate: SpeedGate | None
    why: str
    rivals: tuple[SpeedGate, ...]


def choose(
    gates: Sequence[SpeedGate], machine: Machine, as_gpu: str | None = None
) -> Iterator[Choice]:
    """One choice per key, for ``machine`` or for the accelerator that ``as_gpu`` names.

    Of the gates that name no accelerator or fit this one, the one with most words of its
    name wins, then the one nearest to the test. Raises WrongUse for two names that fit
    equally well at one place.
    """
    device = as_gpu if as_gpu is not None else device_name(machine)
    keys = dict.fromkeys(gate.key for gate in gates)
    for key in keys:
        rivals = tuple(gate for gate in gates if gate.key == key)
        yield _choose(rivals, device, machine, as_gpu)


def device_name(machine: Machine) -> str:
    """What ``gpu=`` is matched against; a processor is also called ``cpu``."""
    return f"{machine.accelerator} cpu" if machine.kind == "cpu" else machine.accelerator


def fits(gate: SpeedGate, device: str) -> bool:
    """Whether a threshold may hold on the device of that name."""
    return gate.gpu is None or fit(gate.gpu, device) > 0


def _choose(
    rivals: tuple[SpeedGate, ...], device: str, machine: Machine, as_gpu: str | None
) -> Choice:
    fitting = [gate for gate in rivals if fits(gate, device)]
    device_note = f"this is {machine.accelerator}"
    if as_gpu is not None:
        device_note = f"--quant-gpu={as_gpu}; {device_note}"
    if not fitting:
        names = list(dict.fromkeys(gate.gpu for gate in rivals if gate.gpu is not None))
        shown = machine.accelerator if as_gpu is None else f"taken for {as_gpu} (--quant-gpu)"
        return Choice(None, not_applicable_words(names, shown), rivals)
    best = min(fitting, key=lambda gate: _rank(gate, device))
    for gate in fitting:
        if _place(gate, device) == _place(best, device) and gate.gpu != best.gpu:
            raise WrongUse(
                SpeedCode.EQUALLY_SPECIFIC_GPUS, gate=str(best), other=str(gate), device=device
            )
    target = f"for {best.gpu}" if best.gpu else "for any device"
    return Choice(
        best, f"{target} ({device_note})" if best.gpu or as_gpu is not None else "", rivals
    )


def _rank(gate: SpeedGate, device: str) -> tuple[int, int, float]:
    """Of two at one place (a test may add a marker while it runs) the stricter one wins."""
    return (*_place(gate, device), -gate.bound if gate.at_least else gate.bound)


def _place(gate: SpeedGate, device: str) -> tuple[int, int]:
    words = fit(gate.gpu, device) if gate.gpu is not None else 0
    return (-words, gate.level)
