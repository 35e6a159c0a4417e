"""Reports for the tests of what is made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytest_quantreg.core.records.outcome_row import (
    KEPT,
    LOST,
    MEASURED,
    NOT_APPLICABLE,
    RECORDED,
    REFUSED,
    UNDECIDED,
    Context,
    OutcomeRow,
    SpeedFigures,
)
from pytest_quantreg.report.session_report import Report, Session

CONTEXT = Context(
    model="org/tiny",
    revision="3f2a9c1",
    baseline_scheme="bf16",
    scheme="w8a8-int8",
    engine="transformers 5.17.0",
    machine="NVIDIA H100 80GB HBM3",
    runs_as="w8a8-int8 (emulated)",
    layers="21 of 22 linear layers",
)

KEEPS = OutcomeRow(
    KEPT,
    False,
    "w8a8-int8",
    "kept w8a8-int8 recall: keeps 99.8 % of the baseline's acc_norm",
    details=("baseline 0.832, quantized 0.831 on 1,500 items: 12 answers lost, 11 won",),
    context=CONTEXT,
    task="recall",
    metric="acc_norm,none",
    gate="min_retention(0.98)",
    minimum=0.98,
    mode="detect",
    confidence=0.95,
    baseline=0.832,
    quantized=0.831,
    retention=0.9988,
    low=0.9931,
    high=1.0059,
    n=1500,
    total_items=1500,
    lost=12,
    won=11,
    detectable=0.9633,
)
LOSES = replace(
    KEEPS,
    result=LOST,
    fails=True,
    headline="LOST w8a8-int8 sum: keeps 67.8 %, with 95 % confidence no more than 69.8 %",
    task="sum",
    metric="exact_match,none",
    retention=0.678,
    low=0.657,
    high=0.698,
    lost=474,
    detectable=None,
)
WAVERS = replace(
    KEEPS,
    result=UNDECIDED,
    headline="undecided w8a8-int8 gsm8k: keeps 97.3 %, at least 92.5 % and no more than 102.1 %",
    task="gsm8k",
    metric="exact_match,strict-match",
    retention=0.973,
    low=0.925,
    high=1.021,
    n=250,
    advice="about 3,100 items decide 0.98 if the model is lossless; the task has 1,319",
    notes=("gsm8k: 4.5 % of the answers are truncated",),
)
IS_REFUSED = OutcomeRow(
    REFUSED,
    True,
    "w8a8-int8",
    "REFUSED (baseline absent) w8a8-int8 pick: no baseline of pick (0-shot) of org/tiny",
    details=("record it: pytest test_gate.py --quant-update",),
    task="pick",
    category="baseline absent",
)
ONLY_MEASURED = replace(KEEPS, result=MEASURED, minimum=None, mode=None, gate=None, task="piqa")
FASTER = OutcomeRow(
    KEPT,
    False,
    "w8a8-int8",
    "kept w8a8-int8 batch 16: speed-up 1.93x",
    context=CONTEXT,
    gate="min_speedup(1.8)",
    mode="detect",
    confidence=0.95,
    speed=SpeedFigures(
        subject="batch 16",
        quantity="speed-up",
        unit="x",
        value=1.93,
        low=1.9,
        high=1.96,
        baseline=1000.0,
        quantized=1930.0,
        units=10,
        bound=1.8,
        why="for H100 (this is NVIDIA H100 80GB HBM3)",
        lines=("batch 16, 128+64 tokens, 10 rounds", "  baseline: 1,000 tok/s"),
    ),
)
ELSEWHERE = OutcomeRow(
    NOT_APPLICABLE,
    False,
    "w8a8-int8",
    "not applicable here",
    context=CONTEXT,
    advice="not applicable here: min_speedup is for A40",
    speed=SpeedFigures(subject="", quantity="speed-up", unit="x"),
)
IS_RECORDED = replace(
    KEEPS, result=RECORDED, scheme="bf16", minimum=None, mode=None, gate=None, headline="recorded"
)


def session(**changes: Any) -> Session:
    """A session that gated and ended well."""
    made = Session(
        purpose="gates",
        started_at="2026-11-20T10:00:00Z",
        ended_at="2026-11-20T10:21:07Z",
        exit_status=0,
        incomplete=(),
        model="org/tiny",
        schemes=("w8a8-int8",),
        backend="transformers",
        gate="detect",
        confidence=0.95,
        limit=1500,
        require=False,
        git_commit="0" * 40,
        versions={"pytest-quantreg": "0.1.0", "lm_eval": "0.4.13"},
        tests={"passed": 2},
    )
    return replace(made, **changes)


def report(*outcomes: OutcomeRow, lines: tuple[str, ...] = (), **changes: Any) -> Report:
    """A report of these outcomes; the exit status follows from them unless it is given."""
    fails = any(outcome.fails and not outcome.excused for outcome in outcomes)
    return Report(session(**{"exit_status": int(fails), **changes}), outcomes, lines)


EVERY = (KEEPS, LOSES, WAVERS, IS_REFUSED, ONLY_MEASURED, FASTER, ELSEWHERE)
