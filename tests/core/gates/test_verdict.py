"""One gate on one comparison: kept, lost, undecided, and when no verdict is given."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import pytest
from scipy.stats import binom

from pytest_quantreg.core.comparison.accuracy import Slice
from pytest_quantreg.core.comparison.suspicion import refuse_chance
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.gates.plan import Plan
from pytest_quantreg.core.gates.power import (
    about,
    default_discordance,
    planned_power,
    refuse_underpowered,
)
from pytest_quantreg.core.gates.selection import MIN_RETENTION, Gate
from pytest_quantreg.core.gates.verdict import Verdict, judge, refuse_other_scores
from pytest_quantreg.core.settings import GateMode
from pytest_quantreg.core.stats import IntervalVerdict
from pytest_quantreg.report.words import words_of

from ...wording import refused, says
from ..comparison.comparisons import paired

BROKEN, SOUND, CLOSE = (600, 0, 300, 100), (880, 10, 12, 98), (870, 5, 25, 100)


def verdict(
    cells: tuple[int, int, int, int],
    mode: GateMode = GateMode.DETECT,
    minimum: float = 0.97,
    chance: float = 0.0,
    confidence: float = 0.95,
) -> Verdict:
    """The verdict of one bare gate."""
    gate = Gate(MIN_RETENTION, minimum, None, None, 1)
    return judge(
        gate,
        paired(*cells, confidence=confidence, chance=chance),
        Plan((gate,), mode, confidence),
        max_undetected=0.1,
    )


@pytest.mark.parametrize(
    ("cells", "evidence", "fails"),
    [
        (SOUND, IntervalVerdict.KEPT, {}),
        (CLOSE, IntervalVerdict.UNDECIDED, {GateMode.CERTIFY}),
        (BROKEN, IntervalVerdict.LOST, {GateMode.DETECT, GateMode.CERTIFY, GateMode.POINT}),
    ],
)
@pytest.mark.parametrize("mode", GateMode)
def test_each_mode(
    cells: tuple[int, int, int, int],
    evidence: IntervalVerdict,
    fails: set[GateMode],
    mode: GateMode,
) -> None:
    """The evidence is the same in every mode; which of it fails is not."""
    judgement = verdict(cells, mode)
    assert judgement.evidence is evidence
    assert judgement.fails is (mode in fails)


def test_the_bound_decides_unrounded() -> None:
    """A minimum a hair above the upper bound is lost, a hair below it is not."""
    high = verdict(CLOSE).comparison.high
    assert high is not None
    assert verdict(CLOSE, minimum=high + 1e-9).fails
    assert not verdict(CLOSE, minimum=high - 1e-9).fails


def test_point_compares_unrounded() -> None:
    """0.9749 is not 0.975."""
    judgement = verdict((877, 0, 23, 100), GateMode.POINT, minimum=877 / 900 + 1e-12)
    assert judgement.fails
    assert not verdict((877, 0, 23, 100), GateMode.POINT, minimum=877 / 900).fails


def test_a_promise_of_detect() -> None:
    """What it says it would have seen lies below the minimum, and grows with n."""
    small, large = verdict((176, 2, 2, 20), minimum=0.9), verdict(SOUND, minimum=0.9)
    assert small.detectable is not None
    assert large.detectable is not None
    assert 0.8 <= small.detectable < large.detectable < 0.9


def test_a_broken_candidate_does_not_plan() -> None:
    """Its own flips say nothing about a sound one: planning takes the scheme's default."""
    assert verdict(BROKEN).detectable == verdict((900, 0, 0, 100)).detectable
    needed = verdict(BROKEN).needed
    assert needed is not None
    assert needed[0].needed is not None
    assert needed[0].needed < 2000


@pytest.mark.parametrize(("scheme", "share"), [("w8a8-fp8", 0.04), ("w4a16-int4", 0.08)])
def test_default_discordance(scheme: str, share: float) -> None:
    """Four bits flip more than eight."""
    assert default_discordance(scheme) == share


def test_chance() -> None:
    """A baseline that may be guessing, and a minimum that a coin meets, are suspicious."""

    def refuse(right: int, minimum: float) -> None:
        part = Slice("pick", 400, 400, 1.0, right / 400, 0.0, 0.25)
        refuse_chance([part], minimum, name="pick", confidence=0.95)

    refuse(320, 0.9)
    for right, minimum, text in (
        (100, 0.9, "not above chance"),
        (112, 0.9, "not above"),
        (320, 0.3, "guessing would meet"),
        (0, 0.9, "not above"),
    ):
        with refused(text) as caught:
            refuse(right, minimum)
        assert caught.value.category is Category.SUSPICIOUS


@pytest.mark.parametrize("mode", GateMode)
def test_chance_is_refused_in_every_mode(mode: GateMode) -> None:
    """Also a lost or certified gate means nothing on a guessing baseline."""
    with refused("not above chance"):
        verdict((200, 50, 60, 690), mode, chance=0.25)


def test_too_weak_even_if_everything_were_lost() -> None:
    """Three items never turn red at 95 %, whatever may stay undetected."""
    seen = planned_power(
        [Slice("sum", 3, 3, 1.0, 1.0, 0.0, 0.0)],
        0.5,
        confidence=0.999,
        discordance=0.0,
        planned=0.04,
        exact=True,
    )
    with refused() as caught:
        refuse_underpowered(
            seen, Gate(MIN_RETENTION, 0.5, None, None, 1), "sum", max_undetected=0.49
        )
    assert caught.value.category is Category.TOO_WEAK
    assert "nothing" in says(caught.value)


def test_too_weak_after_measuring() -> None:
    """Flips beyond those of a sound model cost the gate its teeth."""
    with refused() as caught:
        verdict((40, 30, 31, 49), minimum=0.9)
    assert caught.value.category is Category.TOO_WEAK


@pytest.mark.parametrize("mode", GateMode)
def test_a_kept_gate_was_refused_as_too_weak(mode: GateMode) -> None:
    """31 lost and 31 won of 400 leave bounds of 0.933 to 1.071: kept at 0.88, in every mode."""
    judgement = verdict((162, 31, 31, 176), mode, minimum=0.88)
    assert judgement.evidence is IntervalVerdict.KEPT
    assert not judgement.fails
    # Green says that it would have seen less than the ten points which are asked for.
    assert judgement.detectable is not None
    assert judgement.detectable < 0.78


@pytest.mark.parametrize("minimum", [0.94, 0.98])
def test_what_the_same_flips_leave_undecided_is_too_weak(minimum: float) -> None:
    """Nothing was shown, and a loss of ten points would not have been."""
    with refused() as caught:
        verdict((162, 31, 31, 176), minimum=minimum)
    assert caught.value.category is Category.TOO_WEAK


def test_a_kept_pool_was_refused_as_too_weak() -> None:
    """Several tasks, and scores with a width of their own, follow the same rule."""
    part = paired(162, 31, 31, 176)
    for made in (replace(part, exact=False), replace(part, own_width=True)):
        gate = Gate(MIN_RETENTION, 0.88, None, None, 1)
        plan = Plan((gate,), GateMode.DETECT, 0.95)
        assert judge(gate, made, plan, max_undetected=0.05).evidence is IntervalVerdict.KEPT
        high = replace(gate, bound=0.95)
        with refused() as caught:
            judge(high, made, plan, max_undetected=0.05)
        assert caught.value.category is Category.TOO_WEAK


@pytest.mark.parametrize("own_width", [False, True])
def test_a_gate_that_could_never_turn_red_is_too_weak_though_kept(own_width: bool) -> None:
    """Four right answers keep 0.5 at 95 %, and four lost ones would not fall below it."""
    made = replace(paired(4, 0, 0, 0), own_width=own_width)
    gate = Gate(MIN_RETENTION, 0.5, None, None, 1)
    assert made.low is not None
    assert made.low > 0.5
    with refused() as caught:
        judge(gate, made, Plan((gate,), GateMode.DETECT, 0.95), max_undetected=0.45)
    assert caught.value.category is Category.TOO_WEAK


def test_a_shown_loss_needs_no_teeth() -> None:
    """Evidence of a loss is red on any number of items."""
    assert verdict((2, 0, 28, 0), minimum=0.9).fails


def test_other_scores_are_not_judged() -> None:
    """A figure over all items is refused, with the metrics that could be judged."""
    gate = Gate(MIN_RETENTION, 0.9, None, None, 1)
    kinds = {"acc": "binary", "bleu": "aggregate"}
    refuse_other_scores(gate, "sum", "acc", kinds)
    with refused() as caught:
        refuse_other_scores(gate, "sum", "bleu", kinds)
    assert caught.value.category is Category.NOT_JUDGED
    assert "that has: acc" in says(caught.value)


@pytest.mark.parametrize(("items", "shown"), [(7, 10), (91, 100), (154, 160), (3001, 3100)])
def test_plans_have_two_digits(items: int, shown: int) -> None:
    """Rounded up, to tens at least, so that following the advice is enough."""
    assert about(items) == shown


def _advice(n: int, right: int, minimum: float, undetected: float, total: int) -> tuple[str, ...]:
    """The help of a gate refused before loading on n items."""
    seen = planned_power(
        [Slice("sum", n, total, 1.0, right / n, 0.0, 0.0)],
        minimum,
        confidence=0.95,
        discordance=0.0,
        planned=default_discordance("w8a8-int8"),
        exact=True,
    )
    gate = Gate(MIN_RETENTION, minimum, None, None, 1)
    with refused() as caught:
        refuse_underpowered(seen, gate, "sum", max_undetected=undetected)
    return words_of(caught.value.problem).help


@pytest.mark.parametrize(
    ("minimum", "undetected", "share"),
    [*product([0.97], [0.1, 0.02], [0.01, 0.02, 0.03, 0.04]), (0.9, 0.1, 0.04)],
)
def test_the_advice_holds_after_measuring(minimum: float, undetected: float, share: float) -> None:
    """As many flips as a sound 8-bit model shows, 4 times in 5, leave the gate its teeth."""
    match = re.match(r"about ([\d,]+) items", _advice(30, 24, minimum, undetected, 10**6)[0])
    assert match is not None
    n = int(match[1].replace(",", ""))
    assert n % 10 == 0
    flips, right = int(binom.ppf(0.8, n, share)), round(0.8 * n)
    won = flips // 2
    lost = flips - won
    gate = Gate(MIN_RETENTION, minimum, None, None, 1)
    made = judge(
        gate,
        paired(right - lost, won, lost, n - right - won),
        Plan((gate,), GateMode.DETECT, 0.95),
        max_undetected=undetected,
    )
    assert made.detectable is not None
    assert made.detectable >= minimum - undetected


def test_the_advice_stays_within_the_task() -> None:
    """A task that is just large enough is asked for whole, not for more than it has."""
    asked = _advice(30, 24, 0.97, 0.1, 10**6)[0]
    n = int(asked.split()[1])
    assert _advice(30, 24, 0.97, 0.1, n - 1)[0].split(" items")[0] in (
        f"about {n - 1}",
        f"the task has {n - 1}",
    )
    assert _advice(30, 24, 0.97, 0.1, n)[0].endswith("raise --quant-limit or limit=")
    assert _advice(30, 24, 0.97, 0.1, 40)[0] == (
        f"the task has 40 items, too few to show 0.87 (about {n} would)"
    )
