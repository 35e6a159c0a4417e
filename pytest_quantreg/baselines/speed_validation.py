"""What must hold of speed sessions before they are stored and after they are read."""

from __future__ import annotations

import math
from datetime import datetime

from ..core.records.speed import Request, Round, Workload
from ..core.records.speed_run import SpeedRun, SpeedSession
from ..core.strict_json import LARGEST, CorruptFile


def check_speed_run(run: SpeedRun) -> None:
    """Raises CorruptFile unless every session is complete, in order and of its workload.

    What the schema says of single fields is not repeated here.
    """
    if not run.sessions:
        raise CorruptFile("holds no sessions")
    if run.effective.quantized_layers > run.effective.linear_layers:
        raise CorruptFile("counts more quantized layers than there are")
    if len({session.rounds for session in run.sessions}) < len(run.sessions):
        raise CorruptFile("holds the same rounds twice, as two sessions")
    for number, session in enumerate(run.sessions, 1):
        _check_session(session, run.workload, f"session {number}")


def moment(recorded_at: str) -> datetime:
    """The time of a session, to the second. Raises ValueError for a day that is none."""
    # Python 3.10 reads neither a Z nor parts of a second of any length.
    zone = "+00:00" if recorded_at.endswith("Z") else recorded_at[-6:]
    return datetime.fromisoformat(recorded_at[:19] + zone)


def _check_session(session: SpeedSession, workload: Workload, where: str) -> None:
    if not session.rounds:
        raise CorruptFile(f"holds no rounds in {where}")
    try:
        moment(session.recorded_at)
    except ValueError:
        raise CorruptFile(
            f"has recorded_at = {session.recorded_at!r} in {where}, no time"
        ) from None
    for number, speed_round in enumerate(session.rounds, 1):
        _check_round(speed_round, workload, f"round {number} of {where}")
    for seconds in session.load_seconds:
        if not 0 < seconds <= LARGEST:
            raise CorruptFile(f"has load_seconds = {seconds} in {where}, which must be positive")


def _check_round(speed_round: Round, workload: Workload, where: str) -> None:
    if len(speed_round.requests) != workload.requests:
        raise CorruptFile(
            f"holds {len(speed_round.requests):,} requests in {where} of a workload that has "
            f"{workload.requests:,}"
        )
    for number, request in enumerate(speed_round.requests, 1):
        wrong = _fault(request, workload.output_tokens)
        if wrong:
            raise CorruptFile(f"has {wrong} (request {number} of {where})")


def _fault(request: Request, output_tokens: int) -> str | None:
    if request.output_tokens != output_tokens:
        return f"{request.output_tokens} tokens of a workload that asks for {output_tokens}"
    for name in ("arrived", "first_token", "ended"):
        seconds = getattr(request, name)
        if not math.isfinite(seconds):
            return f"{name} = {seconds}, which is no finite number"
        if seconds > LARGEST:
            return f"{name} = {seconds:g}, and {LARGEST:g} is the most"
    if not 0 <= request.arrived < request.first_token <= request.ended:
        return (
            f"times out of order: arrived {request.arrived}, first_token {request.first_token}, "
            f"ended {request.ended}"
        )
    return None
