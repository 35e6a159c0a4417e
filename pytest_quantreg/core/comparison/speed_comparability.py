"""What must be equal to compare the speed of a candidate with stored sessions."""

from __future__ import annotations

from dataclasses import fields, replace

from ..codes import GateCode
from ..facts import Problem, RecordBaseline
from ..records.run import EffectiveScheme, Machine, ModelIdentity, Software
from ..records.speed_run import SpeedRun
from .comparability import (
    RECORD,
    RULES,
    SAME_SOFTWARE,
    Candidate,
    Difference,
    DifferenceLog,
    Level,
    Rule,
)

SAME_DEVICE = Problem(GateCode.RECORD_ON_ACCELERATOR, {"record": RecordBaseline()})

_SHARED = tuple(
    rule
    for rule in RULES
    if rule.field.startswith(("model.", "base.", "software.", "version."))
    and rule.field != "version.lm_eval"
)

SPEED_RULES: tuple[Rule, ...] = (
    *_SHARED,
    Rule("version.torch", Level.REFUSE, SAME_SOFTWARE, drift=True),
    Rule("version.lm_eval", Level.IGNORE, reason="speed.version.lm_eval"),
    Rule("machine.kind", Level.REFUSE, SAME_DEVICE, reason="speed.device"),
    Rule("machine.accelerator", Level.REFUSE, SAME_DEVICE, reason="speed.device"),
    Rule("machine.count", Level.REFUSE, SAME_DEVICE, reason="speed.machine.count"),
    Rule("machine.driver", Level.TELL, reason="speed.machine.driver"),
    Rule("effective", Level.REFUSE, RECORD, reason="speed.effective"),
    Rule("scheme", Level.IGNORE),
    Rule("workload", Level.IGNORE),
    Rule("recorded_at", Level.IGNORE),
    Rule("git_commit", Level.IGNORE),
    Rule("rounds", Level.IGNORE),
    Rule("footprint", Level.IGNORE),
    Rule("load_seconds", Level.IGNORE),
    Rule("bandwidth", Level.IGNORE),
    Rule("warmup", Level.REFUSE, RECORD),
    Rule("args", Level.TELL),
    Rule("threads", Level.REFUSE, RECORD),
    Rule("power_limit_w", Level.REFUSE, RECORD),
    Rule("states", Level.IGNORE),
)


def comparable_speed(
    stored: SpeedRun, candidate: Candidate, *, drift: str = "refuse"
) -> list[Difference]:
    """All differences that are refused or told, refusals first; empty if there are none.

    Of the candidate its model, software, machine and base are looked at. ``drift="warn"``
    turns the rules marked so from refusals into notes; raises ValueError for others than
    that and ``"refuse"``. `core.comparison.comparability.refusal` makes the one error of them.
    """
    log = DifferenceLog(SPEED_RULES, drift)
    _note_differences(log, stored, candidate)
    return log.in_order()


def comparable_models(
    reference: ModelIdentity, candidate: Candidate, software: Software | None = None
) -> list[Difference]:
    """What keeps ``candidate`` from being a quantized form of the model that it runs beside.

    Both are timed now, on the same device; types may differ, since some formats are
    computed in another than the one their model was trained in. ``software`` is what runs
    the other model: servers need not be of one engine.
    """
    rules = [rule for rule in SPEED_RULES if rule.field != "model.dtype"]
    dtype = Rule("model.dtype", Level.TELL, reason="speed.model.dtype")
    log = DifferenceLog((*rules, dtype), "refuse")
    log.differ_models(reference, candidate)
    if software is not None:
        log.differ_software(software, candidate.software)
    return log.in_order()


def comparable_sessions(stored: SpeedRun, newer: SpeedRun) -> list[Difference]:
    """What keeps the sessions of ``newer`` from standing beside the stored ones.

    As `comparable_speed`, for the same model; what really ran must be the same too, and
    no version is relaxed: a baseline is of one software. The way out is a new one.
    """
    log = DifferenceLog((replace(rule, way_out=RECORD) for rule in SPEED_RULES), "refuse")
    candidate = Candidate(newer.model, newer.software, newer.machine, base=newer.model)
    _note_differences(log, stored, candidate)
    for item in fields(EffectiveScheme):
        old, new = getattr(stored.effective, item.name), getattr(newer.effective, item.name)
        log.differ("effective", old, new, name=f"effective.{item.name}")
    return log.in_order()


def _note_differences(log: DifferenceLog, stored: SpeedRun, candidate: Candidate) -> None:
    log.differ_models(stored.model, candidate)
    log.differ_software(stored.software, candidate.software)
    if candidate.machine is not None:
        _note_machines(log, stored.machine, candidate.machine)


def _note_machines(log: DifferenceLog, baseline: Machine, candidate: Machine) -> None:
    if baseline.kind != candidate.kind:
        log.differ("machine.kind", baseline.kind, candidate.kind)
        return
    for item in ("accelerator", "count", "driver"):
        log.differ(f"machine.{item}", getattr(baseline, item), getattr(candidate, item))
