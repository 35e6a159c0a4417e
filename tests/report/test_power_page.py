"""The page of `quantreg power`: its figures are those of core.stats, its width is bounded."""

from __future__ import annotations

import re

import pytest

from pytest_quantreg.core import stats
from pytest_quantreg.core.settings import GateMode
from pytest_quantreg.report.power_page import power_page
from pytest_quantreg.report.power_question import ITEMS, Question

from ..wording import says, wrong_use

FOUR = Question(baseline_accuracy=0.78, flips=0.05, retention=0.98, tasks=4)


@pytest.fixture(scope="module")
def of_four() -> str:
    """The page of four tasks, made once."""
    return power_page(FOUR)


def _rows(page: str, gate: str) -> dict[int, list[str]]:
    """The cells of a gate's table by items per task."""
    table = page.split(f"{gate}: ")[1].split("\n\n")[0]
    rows = (re.split(r"\s{2,}", line.strip()) for line in table.splitlines())
    return {int(row[0].replace(",", "")): row[1:] for row in rows if re.match(r"[\d,]+$", row[0])}


def _share(cell: str) -> float:
    return float(cell.strip("<>% ")) / 100


def test_single_gate_figures_are_those_of_the_planning_functions(of_four: str) -> None:
    """Detectable retention and the chances of a lossless model are not reworked on the way."""
    detect, certify = _rows(of_four, "detect"), _rows(of_four, "certify")
    assert tuple(detect) == tuple(certify) == ITEMS
    for n in ITEMS:
        seen = stats.detectable_retention(
            n=n, baseline_accuracy=0.78, discordance=0.05, minimum=0.98
        )
        assert seen is not None
        assert float(detect[n][0]) == pytest.approx(seen, abs=1e-3)
        assert float(detect[n][0]) <= seen
        red = stats.detection_power(
            1.0, n=n, baseline_accuracy=0.78, discordance=0.05, minimum=0.98
        )
        assert _share(detect[n][2]) == pytest.approx(1 - red, abs=1e-3)
        assert _share(detect[n][3]) == pytest.approx((1 - red) ** 4, abs=1e-3)
        kept = stats.verdict_chance(
            stats.IntervalVerdict.KEPT,
            1.0,
            n=n,
            baseline_accuracy=0.78,
            discordance=0.05,
            minimum=0.98,
        )
        assert _share(certify[n][0]) == pytest.approx(kept, abs=1e-3)
        assert _share(certify[n][1]) == pytest.approx(kept**4, abs=1e-3)


def test_pooled_figures_are_those_of_the_pooled_functions(of_four: str) -> None:
    """The pooled columns hold one gate over all tasks, which sees more than one task's."""
    detect, certify = _rows(of_four, "detect"), _rows(of_four, "certify")
    for n in (250, 1_319):
        layers = [stats.Layer(n, 0.78, 0.05)] * 4
        seen = stats.pooled_detectable_retention(layers, minimum=0.98)
        assert seen is not None
        assert float(detect[n][1]) == pytest.approx(seen, abs=1e-3)
        assert float(detect[n][1]) > float(detect[n][0])
        kept = stats.pooled_verdict_chance(stats.IntervalVerdict.KEPT, 1.0, layers, minimum=0.98)
        assert _share(certify[n][2]) == pytest.approx(kept, abs=1e-3)


def test_one_task_has_no_columns_of_a_suite() -> None:
    """With one task there is nothing to multiply or pool."""
    page = power_page(Question(0.78, 0.05, 0.98))
    assert "pooled" not in page
    assert "all 1" not in page
    assert all(len(cells) == 1 for cells in _rows(page, "certify").values())


@pytest.mark.parametrize(
    ("tasks", "flips"),
    [(1, 0.0), (4, 0.05), pytest.param(1_000, 0.05, marks=pytest.mark.slow)],
)
def test_lines_stay_below_80_columns(tasks: int, flips: float) -> None:
    """No line is wider than a terminal, with as many digits as may come."""
    page = power_page(Question(0.123456789, flips, 0.98, tasks, 12_345_678, available=99_999_999))
    assert max(map(len, page.splitlines())) < 80


def test_one_gate_alone() -> None:
    """--gate leaves the other gate's table and promise out."""
    only_detect = power_page(Question(0.78, 0.05, 0.98, items=250, gate=GateMode.DETECT))
    only_certify = power_page(Question(0.78, 0.05, 0.98, items=250, gate=GateMode.CERTIFY))
    assert "certify gate" not in only_detect
    assert "certify:" not in only_detect
    assert "detect gate" not in only_certify
    assert "detect:" not in only_certify


def test_items_that_decide(of_four: str) -> None:
    """The counts are those of items_needed, rounded up, and marked where the task has fewer."""
    needed = stats.items_needed(
        truth=1.0, baseline_accuracy=0.78, discordance=0.05, minimum=0.98
    ).needed
    assert needed is not None
    [line] = re.findall(r"lossless: .*", of_four)
    single, pooled = (int(word.replace(",", "")) for word in line.split()[-2:])
    assert needed <= single < needed * 1.1
    assert pooled < single
    capped = power_page(Question(0.78, 0.05, 0.98, 4, items=400, available=400))
    [line] = re.findall(r"lossless: .*", capped)
    assert line.split()[-2].endswith("+")
    assert not line.split()[-1].endswith("+")
    assert "more than the 400 items" in capped


def test_available_items_end_the_examples() -> None:
    """Numbers of items that a task does not have are not shown, its own number is."""
    page = power_page(Question(0.78, 0.05, 0.98, available=1_200))
    assert list(_rows(page, "detect")) == [250, 500, 1_000, 1_200]


def test_lossless_at_the_minimum_is_never_decided() -> None:
    """A minimum of 1 asks for what no number of items shows."""
    page = power_page(Question(0.78, 0.05, 1.0))
    assert re.search(r"lossless: .* never", page)


def test_gates_without_teeth_are_marked(of_four: str) -> None:
    """Where a gate would be refused as too weak, the table says so; elsewhere it does not."""
    weak = power_page(Question(0.25, 0.10, 0.98, items=250))
    assert _rows(weak, "detect")[250][0].endswith("*")
    assert "too weak" in weak
    assert "too weak" not in of_four


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"retention": 98.0}, "--retention 98: .* did you mean 0.98?"),
        ({"retention": 0.0}, "--retention 0: expected a fraction"),
        ({"retention": 0.02}, "--retention 0.02: .* did you mean 0.98?"),
        ({"baseline_accuracy": 0.0}, "--baseline-accuracy 0: .* above 0"),
        ({"baseline_accuracy": 1.0}, "--baseline-accuracy 1: .* below 1"),
        ({"baseline_accuracy": float("nan")}, "--baseline-accuracy nan"),
        ({"flips": 5.0}, "--flips 5: .* did you mean 0.05?"),
        ({"flips": -0.1}, "--flips -0.1"),
        ({"flips": 0.45}, "--flips 0.45: .* at most 0.44 of the answers"),
        ({"confidence": 95.0}, "--confidence 95: .* did you mean 0.95?"),
        ({"confidence": 0.5}, "--confidence 0.5"),
        ({"tasks": 0}, "--tasks 0: .* from 1"),
        ({"items": 0}, "--items 0"),
        ({"available": -3}, "--available -3"),
        ({"items": 500, "available": 400}, "--items 500: the tasks have 400 each"),
    ],
)
def test_figures_that_cannot_be(change: dict[str, float], words: str) -> None:
    """Every impossible figure is refused in one line that names it and what is allowed."""
    asked = {"baseline_accuracy": 0.78, "flips": 0.05, "retention": 0.98} | change
    with wrong_use(words) as refused:
        Question(**asked)  # type: ignore[arg-type]
    assert "\n" not in says(refused.value)
