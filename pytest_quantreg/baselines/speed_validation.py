"""What must hold of speed sessions before they are stored and after they are read."""

from __future__ import annotations

import math
from datetime import datetime

from ..core.codes import StoredCode
from ..core.facts import Problem
from ..core.records.speed import Request, Round, Workload
from ..core.records.speed_run import SpeedRun, SpeedSession
from ..core.strict_json import LARGEST, CorruptFile


def check_speed_run(run: SpeedRun) -> None:
    """Raises CorruptFile unless every session is complete, in order and of its workload.

    What the schema says of single fields is not repeated here.
    """
    if not run.sessions:
        raise CorruptFile(StoredCode.NO_SESSIONS)
    if run.effective.quantized_layers > run.effective.linear_layers:
        raise CorruptFile(StoredCode.MORE_QUANTIZED_THAN_LAYERS)
    if len({session.rounds for session in run.sessions}) < len(run.sessions):
        raise CorruptFile(StoredCode.SESSION_TWICE)
    for number, session in enumerate(run.sessions, 1):
        _check_session(session, run.workload, number)


def moment(recorded_at: str) -> datetime:
    """The time of a session, to the second. Raises ValueError for a day that is none."""
    # Python 3.10 reads neither a Z nor parts of a second of any length.
    zone = "+00:00" if recorded_at.endswith("Z") else recorded_at[-6:]
    return datetime.fromisoformat(recorded_at[:19] + zone)


def _check_session(session: SpeedSession, workload: Workload, number: int) -> None:
    if not session.rounds:
        raise CorruptFile(StoredCode.SESSION_WITHOUT_ROUNDS, session=number)
    try:
        moment(session.recorded_at)
    except ValueError:
        raise CorruptFile(
            StoredCode.SESSION_WITHOUT_TIME, recorded_at=session.recorded_at, session=number
        ) from None
    for at, speed_round in enumerate(session.rounds, 1):
        _check_round(speed_round, workload, at, number)
    for seconds in session.load_seconds:
        if not 0 < seconds <= LARGEST:
            raise CorruptFile(StoredCode.LOAD_SECONDS, seconds=seconds, session=number)


def _check_round(speed_round: Round, workload: Workload, at: int, session: int) -> None:
    if len(speed_round.requests) != workload.requests:
        raise CorruptFile(
            StoredCode.ROUND_SIZE,
            requests=len(speed_round.requests),
            round=at,
            session=session,
            asked=workload.requests,
        )
    for number, request in enumerate(speed_round.requests, 1):
        if (wrong := _fault(request, workload.output_tokens)) is not None:
            raise CorruptFile(
                StoredCode.BAD_REQUEST, cause=wrong, request=number, round=at, session=session
            )


def _fault(request: Request, output_tokens: int) -> Problem | None:
    if request.output_tokens != output_tokens:
        return Problem(
            StoredCode.REQUEST_TOKENS, {"tokens": request.output_tokens, "asked": output_tokens}
        )
    for name in ("arrived", "first_token", "ended"):
        seconds = getattr(request, name)
        if not math.isfinite(seconds):
            return Problem(StoredCode.TIME_NOT_FINITE, {"name": name, "seconds": seconds})
        if seconds > LARGEST:
            return Problem(
                StoredCode.TIME_TOO_LARGE, {"name": name, "seconds": seconds, "most": LARGEST}
            )
    if not 0 <= request.arrived < request.first_token <= request.ended:
        return Problem(
            StoredCode.TIMES_OUT_OF_ORDER,
            {
                "arrived": request.arrived,
                "first_token": request.first_token,
                "ended": request.ended,
            },
        )
    return None
