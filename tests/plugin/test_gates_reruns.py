"""The same weights under another name: refused unless quant_allow_rerun declares a rerun."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import ANSWERS, Suite

TEST = """
@pytest.mark.min_retention(0.8)
def test_sum(compare_accuracy):
    compare_accuracy("sum")
"""

SERVED = {"mode": "unverified"}
"""What cannot be read back."""


def wordy(text: str, **more: Any) -> dict[str, Any]:
    """Half of the answers to sum are wrong and have 70 words."""
    wrong = {"seed": 1, "share": 0.5}
    long = " ".join([text] * 70)
    return {**ANSWERS, "sum": {**ANSWERS["sum"], "wrong": wrong, "wrong_text": long, **more}}


@pytest.mark.parametrize("gate", ["detect", "certify", "point"])
def test_the_baseline_served_in_place_of_its_copy_passed(suite: Suite, gate: str) -> None:
    """Two hundred long answers equal to the letter are the baseline's own, unless declared."""
    suite.test(TEST)
    suite.model(tasks=wordy("no"), effective=SERVED)
    suite.record()
    suite.model("served", scheme="w8a8-int8", tasks=wordy("no"), effective=SERVED)
    suite.ini(quant_effective="warn", quant_gate=gate)
    result = suite.gate(checkpoint="served")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "REFUSED (suspicious) *: all ??? generated answers of 64 tokens or more to sum are "
            "the baseline's to the letter, and nobody could read the weights",
            "*quant_allow_rerun = true",
        ]
    )
    suite.ini(quant_effective="warn", quant_gate=gate, quant_allow_rerun=True)
    allowed = suite.gate(checkpoint="served")
    assert allowed.ret == 0
    allowed.stdout.fnmatch_lines(["1 kept*", "*judged as a rerun (quant_allow_rerun)"])


def test_a_served_copy_that_says_other_things_is_judged(suite: Suite) -> None:
    """Long answers that differ are another model's."""
    suite.test(TEST)
    suite.model(tasks=wordy("no"), effective=SERVED)
    suite.record()
    suite.model("served", scheme="w8a8-int8", tasks=wordy("never"), effective=SERVED)
    assert suite.gate(checkpoint="served").ret == 0


def test_the_baselines_own_files_as_a_rerun(suite: Suite) -> None:
    """A model that is born quantized is its own candidate only where that is declared."""
    suite.test(TEST)
    suite.model(scheme="w8a8-int8")
    suite.record()
    result = suite.gate(checkpoint="model")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (suspicious) *is compared with itself*"])
    suite.ini(quant_allow_rerun=True)
    allowed = suite.gate(checkpoint="model")
    assert allowed.ret == 0
    allowed.stdout.fnmatch_lines(
        ["note: *is compared with itself*", "*judged as a rerun (quant_allow_rerun)"]
    )


def test_one_candidate_under_two_schemes_is_told(suite: Suite) -> None:
    """Two schemes that gave the same answers may be one model; their own verdicts stand."""
    suite.test(TEST)
    suite.model(tasks=wordy("no"), effective=SERVED)
    suite.record()
    for folder in ("w8a8-int8", "w8a16-int8"):
        suite.model(folder, scheme=folder, tasks=wordy("never"), effective=SERVED)
    result = suite.run(
        "--quant-scheme=w8a8-int8,w8a16-int8",
        "--quant-checkpoint=w8a8-int8=w8a8-int8",
        "--quant-checkpoint=w8a16-int8=w8a16-int8",
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*w8a8-int8 and w8a16-int8 gave identical answers on sum*"])
