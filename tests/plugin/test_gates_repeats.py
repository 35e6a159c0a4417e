"""repeats=k with sampled decoding: an item's score is its mean, and the item is the unit."""

from __future__ import annotations

import pytest

from pytest_quantreg.baselines import Store

from .conftest import ANSWERS, Suite

TEST = """
@pytest.mark.min_retention(0.9)
def test_sum(compare_accuracy):
    found = compare_accuracy("sum", repeats=4, gen_kwargs={"do_sample": True, "temperature": 1.0})
    assert (found.n, found.counts) == (400, None)
"""


@pytest.fixture
def sampled(suite: Suite) -> Suite:
    """A fifth of the answers of baseline and checkpoint are drawn anew each time."""
    noisy = {**ANSWERS["sum"], "ambiguous": {"seed": 4, "share": 0.2}}
    suite.model(tasks={"sum": noisy})
    suite.model("int8", scheme="w8a8-int8", weights="q", tasks={"sum": noisy})
    worse = {**noisy, "also_wrong": {"seed": 5, "share": 0.3}}
    suite.model("bad", scheme="w8a8-int8", tasks={"sum": worse})
    suite.test(TEST)
    return suite


def test_the_mean_of_four_answers_is_judged(sampled: Suite) -> None:
    """Quarters of right answers are stored per item, and a sound model is kept."""
    sampled.record()
    store = Store(sampled.path / "baselines")
    (key,) = store.keys()
    run = store.load(key)
    assert {0.25, 0.5, 0.75} <= set(run.accuracy.items.scores["exact_match,none"])
    assert len(run.accuracy.items) == 400
    result = sampled.gate()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["sum *exact_match * 400 * kept"])


def test_a_loss_of_sampled_answers_is_lost(sampled: Suite) -> None:
    """A third of the answers lost shows in their means as well."""
    sampled.record()
    result = sampled.gate(checkpoint="bad")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["LOST w8a8-int8 sum: keeps *"])
