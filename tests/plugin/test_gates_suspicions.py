"""Evidence that must not be judged: far above, and answers that came out empty or cut."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import ANSWERS, Suite

TEST = """
@pytest.mark.min_retention(0.9)
def test_sum(compare_accuracy):
    compare_accuracy("sum")
"""


def _sum(**more: Any) -> dict[str, Any]:
    return {**ANSWERS, "sum": {**ANSWERS["sum"], **more}}


def test_a_candidate_far_above_is_suspicious(suite: Suite) -> None:
    """All answers right where the baseline has 80 %: refused, unless that is allowed."""
    suite.test(TEST)
    suite.record()
    suite.model("better", scheme="w8a8-int8", tasks=_sum(wrong=[]))
    result = suite.gate(checkpoint="better")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "REFUSED (suspicious) * far above its baseline on sum: *with 99.9 % confidence at "
            "least 1.1?? times as good",
            "*quant_allow_better = true",
        ]
    )
    suite.ini(quant_allow_better=True)
    allowed = suite.gate(checkpoint="better")
    assert allowed.ret == 0
    allowed.stdout.fnmatch_lines(["1 kept"])


@pytest.mark.parametrize("kind", ["empty", "truncated"])
def test_answers_that_went_missing_are_told(suite: Suite, kind: str) -> None:
    """Five per cent more of them stand beside the verdict, of both models."""
    suite.test(TEST)
    suite.record()
    script = {"empty": "empty", "truncated": "endless"}[kind]
    suite.model(
        "made",
        scheme="w8a8-int8",
        tasks=_sum(**{script: {"seed": 9, "share": 0.05}, "also_wrong": []}),
    )
    result = suite.gate("-rA", "--junit-xml=junit.xml", checkpoint="made")
    result.stdout.fnmatch_lines(
        [f"note: sum: ?.? % of the quantized model's answers are {kind}, 0.0 % *"]
    )
    xml = (suite.path / "junit.xml").read_text()
    assert f'name="quantreg.sum.exact_match.baseline_{kind}" value="0.0"' in xml
    assert f'name="quantreg.sum.exact_match.quantized_{kind}" value="0.0' in xml


@pytest.mark.parametrize("kind", ["empty", "truncated"])
def test_far_more_of_them_are_suspicious(suite: Suite, kind: str) -> None:
    """A third of the answers: no verdict on the scores, whatever they are."""
    suite.test(TEST)
    suite.record()
    script = {"empty": "empty", "truncated": "endless"}[kind]
    suite.model("made", scheme="w8a8-int8", tasks=_sum(**{script: {"seed": 9, "share": 0.33}}))
    result = suite.gate(checkpoint="made")
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"REFUSED (suspicious) * answers are {kind}, 0.0 % of the *"])
