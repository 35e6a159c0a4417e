"""The plain values of a stored speed baseline: one model, one workload, several sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from .run import EffectiveScheme, Json, Machine, ModelIdentity, Software
from .speed import DeviceState, Footprint, ModelSpeed, Round, Series, Workload


@dataclass(frozen=True)
class SpeedSession:
    """One recording: every round, and how model and device were while they ran.

    ``warmup`` rounds ran before those that count, ``args`` are the engine's arguments.
    ``recorded_at`` is a time as ISO 8601 with its zone. The rest is as in `ModelSpeed`:
    ``load_seconds`` per fresh process, ``bandwidth`` in bytes per second.
    """

    recorded_at: str
    rounds: tuple[Round, ...]
    git_commit: str | None = None
    footprint: Footprint = field(default_factory=Footprint)
    load_seconds: tuple[float, ...] = ()
    states: tuple[DeviceState, ...] = ()
    bandwidth: float | None = None
    warmup: int = 0
    args: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class SpeedRun:
    """The stored sessions of one model under one workload on one machine, oldest first.

    All but ``sessions`` is as the newest session had it: earlier ones may have asked for
    another number of rounds and run on another patch version.
    """

    model: ModelIdentity
    scheme: str
    workload: Workload
    machine: Machine
    software: Software
    effective: EffectiveScheme
    sessions: tuple[SpeedSession, ...]

    def series(self) -> tuple[Series, ...]:
        """One series per session."""
        return tuple(Series(self.workload, session.rounds) for session in self.sessions)

    def throughputs(self) -> tuple[tuple[float, ...], ...]:
        """Generated tokens per second of each independent unit, by session."""
        return tuple(series.throughputs() for series in self.series())

    def continued(self, newer: SpeedRun) -> SpeedRun:
        """``newer`` after the sessions of this run; whether they compare is not asked."""
        return replace(newer, sessions=(*self.sessions, *newer.sessions))


def sessions_of(
    speed: ModelSpeed,
    *,
    recorded_at: str,
    git_commit: str | None = None,
    args: Mapping[str, Json] | None = None,
) -> Sequence[tuple[Workload, SpeedSession]]:
    """What was measured in one session, as one stored session per workload."""
    return [
        (
            series.workload,
            SpeedSession(
                recorded_at=recorded_at,
                rounds=series.rounds,
                git_commit=git_commit,
                footprint=speed.footprint,
                load_seconds=speed.load_seconds,
                states=speed.states,
                bandwidth=speed.bandwidth,
                warmup=series.workload.warmup,
                args=dict(args or {}),
            ),
        )
        for series in speed.series
    ]
