"""The words of a verdict: true as printed, the decision in the first line."""

from __future__ import annotations

import pytest

from pytest_quantreg.core.gates.plan import Plan
from pytest_quantreg.core.gates.selection import MIN_RETENTION, Gate
from pytest_quantreg.core.gates.verdict import judge
from pytest_quantreg.core.records.outcome_row import Context, OutcomeRow
from pytest_quantreg.core.settings import GateMode
from pytest_quantreg.report.messages import of_verdict, percent
from pytest_quantreg.report.number_format import floor_3
from tests.core.comparison.comparisons import paired

CONTEXT = Context("model", None, "bf16", "w8a8-int8", "scripted 1.0", "cpu")


def outcome(
    cells: tuple[int, int, int, int],
    minimum: float,
    mode: GateMode = GateMode.DETECT,
    total: int | None = None,
) -> OutcomeRow:
    """What one gate says."""
    gate = Gate(MIN_RETENTION, minimum, None, None, 1)
    made = paired(*cells, total=total)
    plan = Plan((gate,), mode, 0.95)
    return of_verdict(judge(gate, made, plan, max_undetected=0.3), CONTEXT)


def test_lost() -> None:
    """How much is kept, how sure that is, what was required, and which items went."""
    judged = outcome((600, 0, 300, 100), 0.98)
    assert judged.headline == (
        "LOST w8a8-int8 sum: keeps 66.6 % of the baseline's acc, with 95 % confidence no more "
        "than 69.3 %; 98 % was required"
    )
    assert judged.details == (
        "baseline 0.900, quantized 0.600 on 1,000 items: 300 answers lost, 0 won",
        "first items lost (doc_id): 100, 101, 102, 103, 104, ...",
    )
    assert judged.fails
    assert judged.advice is None


def test_a_loss_by_a_hair_does_not_read_as_kept() -> None:
    """An upper bound just below the minimum is printed with the digits that show it."""
    high = outcome((600, 0, 300, 100), 0.98).high
    assert high is not None
    judged = outcome((600, 0, 300, 100), high + 1e-5)
    printed = judged.headline.split("no more than ")[1].split(" %")[0]
    assert high <= float(printed) / 100 < high + 1e-5


def test_undecided_under_each_mode() -> None:
    """Lower case where it passes, capitals where it fails; only detect says what it saw."""
    detect = outcome((870, 5, 25, 100), 0.97)
    certify = outcome((870, 5, 25, 100), 0.97, GateMode.CERTIFY)
    assert detect.headline.startswith("undecided w8a8-int8 sum: keeps 97.7 %")
    assert certify.headline.startswith("UNDECIDED w8a8-int8 sum: keeps 97.7 %")
    assert any("would have turned red" in line for line in detect.details)
    assert not any("would have turned red" in line for line in certify.details)


def test_advice_when_the_task_has_more() -> None:
    """Items that would decide it and that the task has: raise the limit."""
    judged = outcome((170, 3, 4, 23), 0.97, total=20_000)
    assert judged.advice is not None
    assert judged.advice.endswith(
        "200 of the task's 20,000 were compared: raise --quant-limit or limit="
    )


def test_advice_when_the_task_has_no_more() -> None:
    """All items were compared and are too few even for a lossless model."""
    judged = outcome((170, 3, 4, 23), 0.97)
    assert judged.advice is not None
    assert "raise" not in judged.advice
    assert judged.advice.endswith("the task has 200: lower the minimum or gate a larger task")


def test_advice_when_a_lossless_model_would_have_passed() -> None:
    """There were enough items: the model has probably lost a little."""
    judged = outcome((8600, 50, 320, 1030), 0.97)
    assert judged.result == "undecided"
    assert judged.advice is not None
    assert "so the model has probably lost a little" in judged.advice


def test_a_minimum_of_one_can_never_be_shown() -> None:
    """No number of items is promised for it."""
    judged = outcome((880, 10, 12, 98), 1.0)
    assert (
        judged.advice == "that everything is kept can be refuted but never shown: lower the minimum"
    )


def test_point_makes_no_promise() -> None:
    """It says that it has no confidence."""
    judged = outcome((870, 5, 25, 100), 0.98, GateMode.POINT)
    assert judged.headline.endswith("98 % was required (point gate: no confidence)")
    assert judged.headline.startswith("LOST")


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.9796, "97.9 %"), (0.98, "98.0 %"), (0.57, "57.0 %"), (0.99999, "99.9 %"), (1.0, "100.0 %")],
)
def test_percent_never_rounds_up(share: float, words: str) -> None:
    """0.9796 is not 98 %, and binary dust does not make 57 % into 56.9 %."""
    assert percent(share) == words


def test_floor_3() -> None:
    """A promise that holds as printed."""
    assert floor_3(0.9119999) == "0.911"


def test_outcomes_travel_as_plain_values() -> None:
    """To plain JSON types and back; xdist passes exact types only."""
    judged = outcome((870, 5, 25, 100), 0.97)
    plain = judged.to_plain()
    allowed = (str, int, float, bool, list, dict, type(None))
    assert all(type(value) in allowed for value in plain.values())
    assert OutcomeRow.from_plain(plain) == judged
    assert OutcomeRow.from_plain({**plain, "later": 1}) == judged
    assert OutcomeRow.from_plain(judged.excuse().to_plain()).excused
