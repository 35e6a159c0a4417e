"""The summary's table: aligned, within the width, and true where it shortens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_quantreg.core.gates.outcome import NOT_RECORDED
from pytest_quantreg.core.records.outcome_row import (
    KEPT,
    LOST,
    NOT_APPLICABLE,
    RECORDED,
    REFUSED,
    UNDECIDED,
    OutcomeRow,
)
from pytest_quantreg.report.summary_table import accepted_table, table

KEPT_ROW = OutcomeRow(
    KEPT,
    False,
    "w8a8-int8",
    "",
    task="recall",
    metric="acc_norm,none",
    minimum=0.98,
    baseline=0.832,
    quantized=0.831,
    retention=0.9988,
    low=0.9931,
    high=1.0059,
    n=1500,
    lost=12,
    won=11,
)


def lines(*outcomes: OutcomeRow, width: int = 80) -> list[str]:
    """Head and rows as printed."""
    head, rows = table(outcomes, width)
    return [head, *(row.figures + row.word for row in rows)]


def test_columns_stand_below_each_other() -> None:
    """Texts to the left, figures to the right, thousands set apart."""
    lost = replace(
        KEPT_ROW, result=LOST, fails=True, task="sum", metric="exact_match,none", lost=474
    )
    assert lines(KEPT_ROW, lost, width=100) == [
        "task    metric        base  quant  retention     interval      n  lost  won",
        "recall  acc_norm     0.832  0.831      0.998  0.993-1.006  1,500    12   11  kept",
        "sum     exact_match  0.832  0.831      0.998  0.993-1.006  1,500   474   11  LOST",
    ]


@pytest.mark.parametrize("result", [KEPT, UNDECIDED, LOST, REFUSED])
@pytest.mark.parametrize("task", ["sum", "mmlu_pro_high_school_macroeconomics_five_shot"])
def test_eighty_columns_are_held(task: str, result: str) -> None:
    """However long task and metric are, and with the longest verdicts."""
    row = replace(
        KEPT_ROW,
        result=result,
        fails=result == LOST,
        task=task,
        metric="exact_match,flexible-extract",
        n=14_042,
        lost=1_234,
        won=1_003,
    )
    other = replace(row, minimum=0.985, excused=result == LOST)
    for line in lines(row, other):
        assert len(line) < 80


def test_shortened_names_keep_both_ends() -> None:
    """Two subjects of one family stay apart."""
    first = replace(KEPT_ROW, task="mmlu_high_school_mathematics")
    second = replace(KEPT_ROW, task="mmlu_high_school_microeconomics")
    names = {line.split()[0] for line in lines(first, second)[1:]}
    assert len(names) == 2
    assert all("~" in name for name in names)


def test_bounds_are_rounded_outwards() -> None:
    """A printed interval contains the real one."""
    row = lines(replace(KEPT_ROW, low=0.97996, high=0.97901, retention=0.97999))[1]
    assert "0.979-0.980" in row
    assert " 0.979 " in row


def test_unknown_figures_are_dashes() -> None:
    """A refused task has a line all the same."""
    row = lines(OutcomeRow(REFUSED, True, "w8a8-int8", "", task="sum"))[1]
    assert row.split() == ["sum", "-", "-", "-", "-", "-", "-", "-", "-", "REFUSED"]


def test_different_minima_stand_behind_the_verdicts() -> None:
    """With one minimum for all the table need not repeat it."""
    other = replace(KEPT_ROW, minimum=0.9)
    assert [line.split()[-2:] for line in lines(KEPT_ROW, other)[1:]] == [
        ["kept", "0.98"],
        ["kept", "0.9"],
    ]
    assert lines(KEPT_ROW)[1].endswith("kept")


def test_recordings_have_columns_of_their_own() -> None:
    """No column for what a baseline has not."""
    row = OutcomeRow(
        RECORDED, False, "bf16", "", task="sum", metric="acc,none", baseline=0.8, n=1500
    )
    assert lines(row) == ["task  metric  score      n", "sum   acc     0.800  1,500  recorded"]


def test_failed_recordings_have_the_same_columns() -> None:
    """Also where nothing could be recorded."""
    row = OutcomeRow(REFUSED, True, NOT_RECORDED, "", task="sum")
    assert lines(row) == ["task  metric  score  n", "sum   -           -  -  REFUSED"]


def test_the_accepted_run_has_a_table_of_its_own() -> None:
    """Its score stands where the baseline's does, and neither table repeats the other's bound."""
    step = replace(KEPT_ROW, gate="no_regression(0.97)", minimum=0.97, baseline=0.829, n=14_042)
    assert lines(KEPT_ROW, step) == lines(KEPT_ROW)
    head, rows = accepted_table([KEPT_ROW, step], 80)
    assert head == "task    metric    accepted  quant  keeps     interval       n  lost  won"
    assert [row.figures + row.word for row in rows] == [
        "recall  acc_norm     0.829  0.831  0.998  0.993-1.006  14,042    12   11  kept"
    ]


def test_nothing_accepted_is_no_row() -> None:
    """A row of dashes below that of the baseline would say nothing; a line says why."""
    none_yet = replace(KEPT_ROW, result=NOT_APPLICABLE, gate="no_regression(0.97)", baseline=None)
    assert accepted_table([KEPT_ROW, none_yet], 80)[1] == []
    assert lines(KEPT_ROW, none_yet) == lines(KEPT_ROW)


@pytest.mark.parametrize("result", [KEPT, UNDECIDED, LOST, REFUSED])
def test_eighty_columns_are_held_there_too(result: str) -> None:
    """With two margins behind the longest verdicts."""
    row = replace(
        KEPT_ROW, result=result, fails=result == LOST, gate="no_regression(0.975)", minimum=0.975
    )
    row = replace(row, task="mmlu_pro_high_school_macroeconomics", n=14_042, lost=1_234, won=1_003)
    head, rows = accepted_table([row, replace(row, minimum=0.98, excused=result == LOST)], 80)
    assert max(map(len, [head, *(row.figures + row.word for row in rows)])) < 80
