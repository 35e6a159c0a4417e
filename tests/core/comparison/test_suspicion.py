"""What is suspicious whatever the verdict: chance in a pool, far above, missing answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_quantreg.core.comparison.accuracy import Slice
from pytest_quantreg.core.comparison.suspicion import answers, refuse_chance, refuse_too_good
from pytest_quantreg.core.errors import Category

from ...wording import refused, shown
from .comparisons import accuracy, paired


def _slice(accuracy: float, chance: float | None, weight: float = 1.0) -> Slice:
    return Slice("task", 400, 400, weight, accuracy, 0.0, chance)


def test_chance_of_a_group_is_that_of_its_tasks_weighed() -> None:
    """A group may hold tasks at chance; it is refused when it is at chance as a whole."""
    refuse_chance([_slice(0.25, 0.25), _slice(0.9, 0.25)], 0.9, name="g", confidence=0.95)
    with refused(r"not above chance on g: 0\.260"):
        refuse_chance([_slice(0.25, 0.25, 9), _slice(0.35, 0.25)], 0.9, name="g", confidence=0.95)


def test_tasks_at_chance_may_not_outweigh_a_group() -> None:
    """Six of seven tasks on which nothing can be lost would hide what the seventh lost."""
    idle = [_slice(0.25, 0.25)] * 6
    with refused("not above chance on 6 of the 7 tasks of g, 86 % of its"):
        refuse_chance([_slice(0.95, 0.25), *idle], 0.9, name="g", confidence=0.95)


def test_chance_means_nothing_for_errors() -> None:
    """Where less is better nobody guesses."""
    refuse_chance([_slice(0.0, None)], 0.9, name="errors", confidence=0.95)


def test_far_above_needs_certainty() -> None:
    """Twice as good on many items is refused, a little better or on few items is not."""
    refuse_too_good(paired(700, 40, 20, 240))
    refuse_too_good(paired(5, 4, 0, 3))
    with refused(r"far above .* at least 1\.\d+ times") as caught:
        refuse_too_good(paired(400, 400, 0, 200))
    assert caught.value.category is Category.SUSPICIOUS


def _answered(shares: Sequence[float], kind: str = "empty") -> tuple[str, ...]:
    facts = {kind: shares}
    before = accuracy([1.0] * len(shares), facts={kind: [0.0] * len(shares)})
    notes = answers(before, accuracy([1.0] * len(shares), facts=facts))
    return tuple(map(shown, notes))


@pytest.mark.parametrize("kind", ["empty", "truncated"])
def test_a_rise_of_two_points_is_told(kind: str) -> None:
    """At two points nothing is said, above it both shares are."""
    assert _answered([1.0] * 2 + [0.0] * 98, kind) == ()
    assert _answered([1.0] * 3 + [0.0] * 97, kind) == (
        f"sum: 3.0 % of the quantized model's answers are {kind}, 0.0 % of the baseline's",
    )


def test_a_great_rise_is_refused_unless_it_may_be_chance() -> None:
    """Eleven points on 200 items are refused; on ten items two more are chance."""
    with refused(r"11\.0 % of the quantized model's answers are empty"):
        _answered([1.0] * 22 + [0.0] * 178)
    assert len(_answered([1.0] * 2 + [0.0] * 8)) == 1


def test_answers_nobody_looked_at_say_nothing() -> None:
    """Tasks that choose among answers have no such facts; an older baseline is told of."""
    assert answers(accuracy([1.0]), accuracy([1.0])) == ()
    (told,) = answers(accuracy([1.0]), accuracy([1.0], facts={"empty": [1.0]}))
    assert "were not counted when the baseline was recorded" in shown(told)
