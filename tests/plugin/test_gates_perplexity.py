"""max_perplexity_ratio: what it judges, and how it stands beside min_retention."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_quantreg.baselines import Store

from .conftest import ANSWERS, Suite

GATE = """
@pytest.mark.max_perplexity_ratio(1.02)
def test_prose(compare_accuracy):
    compare_accuracy("prose")
"""


def _prose(nats: float, **more: Any) -> dict[str, Any]:
    return {**ANSWERS, "prose": {**ANSWERS["prose"], "nats_per_char": nats, **more}}


@pytest.mark.parametrize(("nats", "word", "status"), [(1.0005, "kept", 0), (1.2, "LOST", 1)])
def test_the_rise_is_judged_per_token(suite: Suite, nats: float, word: str, status: int) -> None:
    """A rise within the bound is kept, one beyond it lost; the message gives the factor."""
    suite.test(GATE)
    suite.record()
    suite.model("made", scheme="w8a8-int8", tasks=_prose(nats))
    result = suite.gate("-rA", "--quant-require", checkpoint="made")
    assert result.ret == status
    result.stdout.fnmatch_lines(
        [
            f"{word} w8a8-int8 prose: perplexity per token is *times the baseline's, with 95 % *"
            "1.02 times was allowed",
            f"prose *ppl/token *{word}",
            f"1 {word.lower()}",
            "allowed perplexity ratio: 1.02",
        ]
    )


def test_the_bound_reaches_junit(suite: Suite) -> None:
    """The allowed ratio is a property of its own."""
    suite.test(GATE)
    suite.record()
    suite.gate("--junit-xml=junit.xml")
    xml = (suite.path / "junit.xml").read_text()
    assert 'name="quantreg.prose.token_perplexity.maximum" value="1.02"' in xml


def test_gates_of_a_module_judge_what_suits_them(suite: Suite) -> None:
    """Accuracy is judged by min_retention, perplexity by its ratio, and neither is in the way."""
    suite.test(
        """
        pytestmark = [pytest.mark.min_retention(0.9), pytest.mark.max_perplexity_ratio(1.02)]

        @pytest.mark.parametrize("task", ["sum", "prose"])
        def test_task(task, compare_accuracy):
            compare_accuracy(task)
        """
    )
    suite.record()
    result = suite.gate("--quant-require")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["sum *kept 0.9", "prose *kept 1.02 max", "2 kept"])
    result.stdout.no_fnmatch_line("*judged nothing*")


def test_retention_of_a_perplexity_is_not_judged_unasked(suite: Suite) -> None:
    """min_retention refuses a perplexity and names the marker that bounds it."""
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        def test_prose(compare_accuracy):
            compare_accuracy("prose")
        """
    )
    suite.record()
    result = suite.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["REFUSED * does not judge word_perplexity,none of prose*", "*max_perplexity_ratio*"]
    )


def test_retention_of_a_perplexity_is_judged_when_it_is_named(suite: Suite) -> None:
    """metric= makes min_retention judge the inverted ratio of a perplexity."""
    suite.test(
        """
        @pytest.mark.min_retention(0.9, metric="word_perplexity")
        def test_prose(compare_accuracy):
            compare_accuracy("prose")
        """
    )
    suite.record()
    suite.gate().stdout.fnmatch_lines(["prose *word_perplexity *kept"])
    suite.model("made", scheme="w8a8-int8", tasks=_prose(1.5))
    assert suite.gate(checkpoint="made").ret == 1


def test_a_test_without_perplexity_is_refused(suite: Suite) -> None:
    """A ratio of perplexities on the test itself, which measures accuracy alone."""
    suite.test(
        """
        @pytest.mark.max_perplexity_ratio(1.02)
        def test_sum(compare_accuracy):
            compare_accuracy("sum")
        """
    )
    suite.record()
    result = suite.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED * judges perplexities, and sum has none*"])


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        ("max_perplexity_ratio(0.02)", "*did you mean 1.02?"),
        ("max_perplexity_ratio(2.5)", "*did you mean 1.025?"),
        ("max_perplexity_ratio('1')", "allowed is how many times the baseline's perplexity*"),
        ("max_perplexity_ratio(1.02, task='prose')", "*write max_perplexity_ratio(x)"),
    ],
)
def test_slips_are_told_at_collection(suite: Suite, marker: str, text: str) -> None:
    """A share for a ratio, per cent, a text and an argument that it does not take."""
    suite.test(f"@pytest.mark.{marker}\ndef test_x(compare_accuracy): compare_accuracy('prose')")
    result = suite.run("--collect-only")
    assert result.ret == 2
    result.stdout.fnmatch_lines([f"*max_perplexity_ratio(*): {text}"])


def test_few_documents_are_refused_before_loading(suite: Suite) -> None:
    """Ten documents could never turn the gate red: too weak, not green."""
    suite.test(GATE)
    suite.record()
    suite.model("made", scheme="w8a8-int8", tasks=_prose(1.5))
    result = suite.gate("--quant-limit=10", checkpoint="made")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (too weak) *10 independent items *too few to judge*"])
    result.stdout.no_fnmatch_line("loaded:*")


def test_a_baseline_without_tokens_is_refused_before_loading(suite: Suite) -> None:
    """One of an older version does not know them; the command that records it again is given."""
    suite.test(GATE)
    suite.record()
    store = Store(suite.path / "baselines")
    (key,) = store.keys()
    run = store.load(key)
    old = replace(run.accuracy, items=replace(run.accuracy.items, facts={}))
    store.save(key, replace(run, accuracy=old))
    result = suite.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["REFUSED (not comparable) *without counting tokens*", "*record it again: pytest *=all"]
    )
    result.stdout.no_fnmatch_line("loaded:*")


def test_a_pool_of_a_module_leaves_perplexities_to_their_own_gate(suite: Suite) -> None:
    """Accuracy is pooled, the perplexity of the same or another test is judged by its ratio."""
    suite.test(
        """
        pytestmark = [
            pytest.mark.min_retention(0.9, task="*"), pytest.mark.max_perplexity_ratio(1.02)
        ]

        def test_both(compare_accuracy):
            compare_accuracy("sum")
            compare_accuracy("prose")

        def test_prose(compare_accuracy):
            compare_accuracy("prose")
        """
    )
    suite.record()
    result = suite.gate("--quant-require")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["prose *kept 1.02 max", "pool of 1 *kept 0.9", "2 kept"])


def test_a_pool_alone_does_not_let_a_perplexity_through(suite: Suite) -> None:
    """An inherited pool judges no perplexity, so a test with nothing else is refused."""
    suite.test(
        """
        pytestmark = pytest.mark.min_retention(0.9, task="*")

        def test_prose(compare_accuracy):
            compare_accuracy("prose")
        """
    )
    suite.record()
    result = suite.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED * does not judge word_perplexity,none of prose*"])
