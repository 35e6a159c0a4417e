"""A speed run and its key to and from the one file that is stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..core.codes import SpeedCode, StoredCode
from ..core.errors import WrongUse
from ..core.records.run import EffectiveScheme, Json, Machine, ModelIdentity, Software
from ..core.records.speed import DeviceState, Footprint, Workload
from ..core.records.speed_run import SpeedRun, SpeedSession
from ..core.strict_json import CorruptFile
from .json_values import known_fields, make, to_plain
from .sealed_document import Codec, Document, storing
from .speed_key import WORKLOAD_FIELDS, SpeedKey
from .speed_rows import decode_rounds, encode_rounds, readable, rounded, rounded_round
from .speed_validation import check_speed_run
from .versions import SPEED

MAX_BYTES = 8 * 1024 * 1024
"""Bytes of a file: a session of 10 rounds of 64 requests has about 16 KiB."""


def encode_speed(key: SpeedKey, run: SpeedRun) -> bytes:
    """The file of ``run``; raises Refusal for a run that must not be stored."""
    measured = run.sessions and all(session.rounds for session in run.sessions)
    with storing(key, empty=not measured):
        stored = as_stored(run)
        check_whole(key, stored)
        data = SPEEDS.encode(key, _to_fields(key, stored))
        if len(data) > MAX_BYTES:
            raise CorruptFile(
                StoredCode.SESSIONS_TOO_LARGE, bytes=len(data), sessions=len(run.sessions)
            )
    return data


def decode_speed(key: SpeedKey, data: bytes) -> SpeedRun:
    """Return the run in the bytes of a file; raises CorruptFile for all but a run of ``key``."""
    run = to_run(SPEEDS.decode(key, data))
    check_whole(key, run)
    return run


def as_stored(run: SpeedRun) -> SpeedRun:
    """``run`` with its times as precisely as they are stored: what a load gives back."""
    sessions = tuple(
        replace(
            session,
            rounds=tuple(rounded_round(speed_round) for speed_round in session.rounds),
            load_seconds=tuple(rounded(seconds) for seconds in session.load_seconds),
        )
        for session in run.sessions
    )
    return replace(run, sessions=sessions)


def check_whole(key: SpeedKey, run: SpeedRun) -> None:
    """Raises CorruptFile where a run contradicts its key or itself."""
    check_speed_run(run)
    if (wrong := key.mismatch(run)) is not None:
        raise CorruptFile.of(wrong)


def _to_fields(key: SpeedKey, run: SpeedRun) -> Document:
    """What the file says, in the order in which it is read."""
    return {
        "key": key.plain(),
        "repeated": {"rounds": run.workload.rounds, "warmup": run.workload.warmup},
        "model": to_plain(run.model),
        "effective": to_plain(run.effective),
        "software": to_plain(run.software),
        "machine": to_plain(run.machine),
        "sessions": [_session(session) for session in run.sessions],
    }


def key_of(document: Any) -> SpeedKey:
    """The key that a validated document is filed under; raises CorruptFile if it cannot be."""
    plain = document["key"]
    try:
        return SpeedKey(
            plain["model"],
            plain["scheme"],
            plain["engine"],
            _workload_of(document),
            plain["accelerator"],
            int(plain["count"]),
        )
    except WrongUse as error:
        raise CorruptFile(StoredCode.KEY_CANNOT_BE, cause=error.problem) from None


SPEEDS = Codec(SPEED, MAX_BYTES, key_of, readable)


def to_run(document: Any) -> SpeedRun:
    """The run of a validated document; raises CorruptFile for rounds that are none."""
    workload = _workload_of(document)
    return SpeedRun(
        model=make(ModelIdentity, document["model"]),
        scheme=document["key"]["scheme"],
        workload=workload,
        machine=make(Machine, document["machine"]),
        software=make(Software, document["software"]),
        effective=make(EffectiveScheme, document["effective"]),
        sessions=tuple(_to_session(session, workload) for session in document["sessions"]),
    )


def _workload_of(document: Any) -> Workload:
    # Fields of a newer minor version that this one has no name for are passed over.
    shape = {name: document["key"]["workload"][name] for name in WORKLOAD_FIELDS}
    try:
        return Workload(**shape, **known_fields(Workload, document["repeated"]))
    except WrongUse as error:
        raise CorruptFile(SpeedCode.IMPOSSIBLE_WORKLOAD, cause=error.problem) from None


def _session(session: SpeedSession) -> Json:
    plain: dict[str, Json] = {
        "recorded_at": session.recorded_at,
        "git_commit": session.git_commit,
        "warmup": session.warmup,
        "args": dict(session.args),
        "footprint": to_plain(session.footprint),
        "bandwidth": session.bandwidth,
        "load_seconds": list(session.load_seconds),
        "states": to_plain(session.states),
        "rounds": encode_rounds(session.rounds),
    }
    return plain


def _to_session(plain: Any, workload: Workload) -> SpeedSession:
    return SpeedSession(
        recorded_at=plain["recorded_at"],
        rounds=decode_rounds(plain["rounds"], workload.output_tokens),
        git_commit=plain["git_commit"],
        footprint=make(Footprint, plain["footprint"]),
        load_seconds=tuple(float(seconds) for seconds in plain["load_seconds"]),
        states=tuple(make(DeviceState, state) for state in plain["states"]),
        bandwidth=plain["bandwidth"],
        warmup=plain["warmup"],
        args=plain["args"],
    )
