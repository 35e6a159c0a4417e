"""How one test is judged: its gates with the mode and the confidence that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..settings import GateMode
from .selection import Gate
from .speed import SpeedGate


@dataclass(frozen=True)
class Plan:
    """How one test is judged: its gates, nearest first, with mode and confidence.

    ``gates`` judge accuracy, ``speed`` what an engine takes of time and memory.
    ``confidence`` is that of each gate by itself: under ``detect`` what was asked for is
    shared out over the ``family`` of gates that the promise is for (`of`). ``judged_elsewhere`` are
    gates of the same test that are judged in another plan.
    """

    gates: tuple[Gate, ...]
    mode: GateMode
    confidence: float
    family: int = 1
    speed: tuple[SpeedGate, ...] = ()
    judged_elsewhere: tuple[Gate, ...] = ()

    @classmethod
    def of(
        cls,
        gates: Sequence[Gate | SpeedGate],
        mode: GateMode,
        confidence: float,
        family: int,
    ) -> Plan:
        """The plan of a test in a suite whose promise is for ``family`` gates together.

        Bonferroni's division, 1 - (1 - confidence)/family, under ``detect`` alone: under
        ``certify`` a model must pass every gate, so more gates make it no easier.
        """
        shared = family if mode is GateMode.DETECT else 1
        per_gate = confidence if shared == 1 else 1.0 - (1.0 - confidence) / shared
        return cls(
            tuple(gate for gate in gates if isinstance(gate, Gate)),
            mode,
            per_gate,
            shared,
            tuple(gate for gate in gates if isinstance(gate, SpeedGate)),
        )
