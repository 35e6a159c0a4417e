"""Copies of an item count as one, alone, beside shared passages, in pools and in planning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pytest_quantreg.core import stats
from pytest_quantreg.core.comparison import item_clusters
from pytest_quantreg.core.comparison.accuracy import Comparison, Pair
from pytest_quantreg.core.comparison.pairs import compare_items, pool, refuse_overlap
from pytest_quantreg.core.comparison.suspicion import refuse_chance
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.gates.plan import Plan
from pytest_quantreg.core.gates.power import observed_power
from pytest_quantreg.core.gates.selection import Gate
from pytest_quantreg.core.gates.verdict import judge
from pytest_quantreg.core.records.run import Accuracy, Metric
from pytest_quantreg.core.settings import GateMode
from pytest_quantreg.report.words import words_of

from ...wording import refused
from .comparisons import ACC, accuracy


def repeated(measured: Accuracy, copies: Sequence[int]) -> Accuracy:
    """Each item as often as ``copies`` says, with the digest of the first."""
    rows = np.repeat(np.arange(len(copies)), copies).tolist()
    items = measured.items
    return replace(
        measured,
        items=replace(
            items,
            doc_ids=tuple(range(len(rows))),
            digests=tuple(items.digests[at] for at in rows),
            scores={
                name: tuple(column[at] for at in rows) for name, column in items.scores.items()
            },
            facts={name: tuple(column[at] for at in rows) for name, column in items.facts.items()},
        ),
        protocol=replace(measured.protocol, total_items=len(rows)),
    )


def compared(*sides: Accuracy, metric: Metric = ACC) -> Comparison:
    """The comparison of two measurements, the baseline first."""
    return compare_items(sides[0], sides[1], metric, scheme="w8a8-int8", confidence=0.95)


def scores(n: int, lost: int, won: int) -> tuple[list[float], list[float]]:
    """A baseline that has three of four right, and a model with so many changed."""
    before = [float(at % 4 != 0) for at in range(n)]
    right = [at for at, answer in enumerate(before) if answer]
    wrong = [at for at, answer in enumerate(before) if not answer]
    after = list(before)
    for at in [*right[:lost], *wrong[:won]]:
        after[at] = 1.0 - after[at]
    return before, after


@pytest.mark.parametrize(("n", "times"), [(60, 20), (250, 2)])
def test_a_question_asked_many_times_was_many_questions(n: int, times: int) -> None:
    """60 questions 20 times certified in 41 % of runs: they say what 60 say, and no more."""
    before, after = scores(n, 2, 2)
    once = compared(accuracy(before), accuracy(after))
    made = compared(*(repeated(accuracy(answers), [times] * n) for answers in (before, after)))
    assert once.low is not None
    assert once.high is not None
    assert made.low == pytest.approx(once.low, abs=3e-3)
    assert made.high == pytest.approx(once.high, abs=3e-3)
    assert (made.low or 0.0) <= once.low
    assert made.retention == pytest.approx(once.retention)
    assert made.support == stats.Support(n, sum(before))
    assert not made.exact
    assert made.notes == (f"sum: {n * times:,} items, {n} distinct: copies count as one",)
    known = [
        observed_power(comparison, 0.9, confidence=0.95).detectable for comparison in (once, made)
    ]
    assert known[0] == known[1]


def test_items_without_copies_are_judged_as_before() -> None:
    """Nothing changes to the last digit: the interval is that of the counts."""
    before, after = scores(400, 10, 6)
    made = compared(accuracy(before), accuracy(after))
    expected = stats.retention_interval(290, 6, 10, 94, confidence=0.95, sides=1)
    assert (made.low, made.high) == expected
    assert made.exact
    assert made.notes == ()
    assert [piece.repetition for piece in made.slices] == [1.0]


def test_a_handful_of_duplicates_hardly_widens_the_interval() -> None:
    """Three of a thousand items twice: the bounds, and what could be seen, stay the same."""
    copies = [*(1,) * 994, 2, 2, 2]
    sides = [repeated(accuracy(answers), copies) for answers in scores(997, 14, 10)]
    digests = tuple(str(at) for at in range(1000))
    plain = compared(*(replace(x, items=replace(x.items, digests=digests)) for x in sides))
    made = compared(*sides)
    assert plain.exact
    assert made.low == pytest.approx(plain.low, abs=2e-4)
    assert made.high == pytest.approx(plain.high, abs=2e-4)
    seen = [observed_power(comparison, 0.98, confidence=0.95) for comparison in (plain, made)]
    assert seen[1].detectable == pytest.approx(seen[0].detectable, abs=2e-3)
    needed = [power.needed(1.0).needed for power in seen]
    assert needed[0] is not None
    assert needed[1] == pytest.approx(needed[0], rel=0.03)


def test_copies_and_passages_are_united() -> None:
    """Items linked by either, or through a third, are one unit; three ways to the same four."""
    digests = ["a", "a", "b", "c", "d", "e"]
    passages = [0, 1, 1, 2, 3, 4]
    codes = item_clusters.group_numbers(digests, None, passages, [9, 8, 7, 6, 6, 5])
    assert codes is not None
    assert [codes.index(code) for code in codes] == [0, 0, 0, 3, 3, 5]
    assert item_clusters.group_numbers(["a", "b"], None, [1.0, 2.0]) is None
    before, after = scores(60, 3, 0)
    shared = [float(at // 3) for at in range(60)]
    both = [
        repeated(accuracy(answers, facts={"cluster": shared}), [2] * 60)
        for answers in (before, after)
    ]
    made = compared(both[0], both[1])
    assert made.support == stats.Support(20, sum(before))
    assert made.own_width


def test_what_an_older_baseline_does_not_know_the_candidate_does() -> None:
    """Copies with other digests are known to a fresh candidate alone, and count."""
    before, after = scores(60, 2, 2)
    marked = repeated(accuracy(after), [20] * 60)
    numbers = tuple(float(at // 20) for at in range(1200))
    digests = tuple(f"{at:020x}" for at in range(1200))
    items = replace(marked.items, digests=digests, facts={"copy": numbers})
    old = repeated(accuracy(before), [20] * 60)
    old = replace(old, items=replace(old.items, digests=digests))
    made = compared(old, replace(marked, items=items))
    assert made.support == stats.Support(60, sum(before))


def test_too_few_distinct_items_decide_nothing() -> None:
    """19 questions a hundred times: certify is undecided and says so, detect is too weak."""
    before = [1.0] * 19
    sides = [repeated(accuracy(before), [100] * 19) for _ in range(2)]
    made = compared(*sides)
    gate = Gate("min_retention", 0.5, None, None, 1)
    plan = Plan.of([gate], GateMode.CERTIFY, 0.95, 1)
    verdict = judge(gate, made, plan, max_undetected=0.1)
    assert verdict.evidence is stats.IntervalVerdict.UNDECIDED
    assert verdict.sparse is not None
    assert "19 independent items" in words_of(verdict.sparse).what
    plan = Plan.of([gate], GateMode.DETECT, 0.95, 1)
    with refused() as caught:
        judge(gate, made, plan, max_undetected=0.1)
    assert caught.value.category is Category.TOO_WEAK


def test_a_few_right_answers_repeated_are_few() -> None:
    """Five right answers of 60, each twenty times, are five."""
    before = [1.0] * 5 + [0.0] * 55
    made = compared(*(repeated(accuracy(before), [20] * 60) for _ in range(2)))
    assert made.support is not None
    assert made.support.right == 5.0
    assert not made.support.suffices


def test_a_baseline_at_chance_is_so_however_often_it_is_asked() -> None:
    """30 % of 60 questions is not above 25 %, nor are they asked 20 times."""
    before = [1.0] * 18 + [0.0] * 42
    sides = [repeated(accuracy(before, chance=0.25), [20] * 60) for _ in range(2)]
    with refused("not above chance"):
        refuse_chance(compared(*sides).slices, 0.98, name="sum", confidence=0.95)


def test_copies_in_a_pool_are_units_too() -> None:
    """A pooled gate counts the units of each task, and its note names the task."""
    before, after = scores(60, 2, 2)
    sides = [
        [accuracy(answers, task=name) for answers in (before, after)] for name in ("one", "two")
    ]
    often = [repeated(side, [20] * 60) for side in sides[1]]
    made, alone = (
        pool(
            [Pair(sides[0][0], sides[0][1], ACC), Pair(second[0], second[1], ACC)],
            task="pool",
            metric="acc",
            scheme="w8a8-int8",
            confidence=0.95,
        )
        for second in (often, sides[1])
    )
    assert alone.low is not None
    assert made.low == pytest.approx(alone.low, abs=2e-3)
    assert made.support == alone.support
    assert made.notes == ("two: 1,200 items, 60 distinct: copies count as one",)


def test_the_same_few_items_in_many_tasks_are_no_pool() -> None:
    """5 % of each of 40 tasks must not be the same 5 %: that is four times the variance."""
    tasks = []
    for number in range(40):
        measured = accuracy([1.0] * 100, task=f"t{number}")
        digests = tuple(f"common-{at}" if at < 5 else f"{number}-{at}" for at in range(100))
        tasks.append(replace(measured, items=replace(measured.items, digests=digests)))
    refuse_overlap(tasks[:2])
    with refused("in up to 40 of the 40 tasks"):
        refuse_overlap(tasks)


def test_documents_that_are_copies_are_one_document() -> None:
    """The bounds of a perplexity widen as if each text had been read once."""
    rng = np.random.default_rng(4)
    metric = Metric("word_perplexity,none", False, "perplexity")
    before = (-100.0 - 10.0 * rng.random(40)).tolist()
    after = [value - 0.5 * rng.random() for value in before]
    value = float(np.exp(-np.sum(before) / 1600.0))
    sides = [accuracy(nats, metric, value=value, weights=[40.0] * 40) for nats in (before, after)]
    made = []
    for copies in ([1] * 40, [20] * 40):
        several = [repeated(side, copies) for side in sides]
        weights = {metric.name: (40.0,) * sum(copies)}
        several = [replace(side, items=replace(side.items, weights=weights)) for side in several]
        made.append(compared(*several, metric=metric))
    assert made[0].low is not None
    assert made[1].low == pytest.approx(made[0].low, abs=1e-4)
    assert made[1].support == made[0].support


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"doc": {"id": 2, "q": "Why?"}}, True),
        (
            {
                "requests": [
                    ["Q: How? A: So.\n\nQ: Why? A:", " x"],
                    ["Q: How? A: So.\n\nQ: Why? A:", " y"],
                ]
            },
            True,
        ),
        ({"target": "y"}, False),
        ({"requests": [["Q: Why? A:", " x"], ["Q: Why? A:", " z"]]}, False),
        ({"doc": {"id": 1, "q": "Who?"}, "requests": [["Q: Who? A:", " x"]]}, False),
    ],
)
def test_copies_are_told_by_what_is_asked(other: dict[str, Any], same: bool) -> None:
    """A number of its own, or other examples before it, make no other question."""
    doc_call: dict[str, Any] = {
        "doc": {"id": 1, "q": "Why?"},
        "target": "x",
        "requests": [["Q: Why? A:", " x"], ["Q: Why? A:", " y"]],
    }
    keys = [item_clusters.copy_keys(**arguments) for arguments in (doc_call, {**doc_call, **other})]
    assert bool(item_clusters.copy_column(keys)) is same
