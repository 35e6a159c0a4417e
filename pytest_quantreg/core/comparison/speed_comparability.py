"""What must be equal to compare the speed of a candidate with stored sessions."""

from __future__ import annotations

from dataclasses import fields, replace

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

SAME_DEVICE = "record a baseline on this accelerator: pytest --quant-update"

_SHARED = tuple(
    rule
    for rule in RULES
    if rule.field.startswith(("model.", "base.", "software.", "version."))
    and rule.field != "version.lm_eval"
)

SPEED_RULES: tuple[Rule, ...] = (
    *_SHARED,
    Rule("version.torch", Level.REFUSE, "another minor version", SAME_SOFTWARE, drift=True),
    Rule("version.lm_eval", Level.IGNORE, "it has no part in timing"),
    Rule("machine.kind", Level.REFUSE, "another device has a speed of its own", SAME_DEVICE),
    Rule("machine.accelerator", Level.REFUSE, "another device has a speed of its own", SAME_DEVICE),
    Rule("machine.count", Level.REFUSE, "a model on more devices runs faster", SAME_DEVICE),
    Rule("machine.driver", Level.TELL, "drivers change speed a little"),
    Rule("effective", Level.REFUSE, "sessions of other kernels are not one baseline", RECORD),
    Rule("scheme", Level.IGNORE, "the scheme is what is under test"),
    Rule("workload", Level.IGNORE, "it is part of what a baseline is filed under"),
    Rule("recorded_at", Level.IGNORE, "a baseline does not age by itself"),
    Rule("git_commit", Level.IGNORE, "code around the model"),
    Rule("rounds", Level.IGNORE, "they are what is compared"),
    Rule("footprint", Level.IGNORE, "judged by itself"),
    Rule("load_seconds", Level.IGNORE, "judged by itself"),
    Rule("bandwidth", Level.IGNORE, "told by itself"),
    Rule("warmup", Level.REFUSE, "colder rounds are slower ones", RECORD),
    Rule("args", Level.TELL, "engine arguments change speed"),
    Rule("threads", Level.REFUSE, "more threads are faster", RECORD),
    Rule("power_limit_w", Level.REFUSE, "another power limit is another speed", RECORD),
    Rule("states", Level.IGNORE, "told by themselves"),
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
    log = DifferenceLog(
        (*rules, Rule("model.dtype", Level.TELL, "it is part of how fast it is")), "refuse"
    )
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
