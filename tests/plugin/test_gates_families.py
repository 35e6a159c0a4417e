"""What many gates and many tries do to a promise: quant_family_size and counted attempts."""

from __future__ import annotations

import pytest

from .conftest import Suite

TEST = """
@pytest.mark.min_retention(0.9)
def test_sum(compare_accuracy):
    print("CONFIDENCE", compare_accuracy("sum").confidence)
"""


def test_a_family_divides_what_detect_may_err(suite: Suite) -> None:
    """Ten gates at 95 % are judged at 99.5 % each, and both figures are printed."""
    suite.ini(quant_family_size=10)
    suite.test(TEST)
    suite.record()
    result = suite.gate("-rA", "-s")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*CONFIDENCE 0.995",
            "*with 99.5 % (95 % over 10 gates) confidence*",
            "*quantreg: w8a8-int8 against bf16, detect, 99.5 % (95 % over 10 gates)*",
        ]
    )


def test_certify_is_not_divided(suite: Suite) -> None:
    """A model must pass every gate, so more of them make it no easier."""
    suite.ini(quant_family_size=10)
    suite.test(TEST)
    suite.record()
    suite.gate("--quant-gate=certify", "-s").stdout.fnmatch_lines(["*CONFIDENCE 0.95"])


@pytest.mark.parametrize("value", [0, -3, True, 10**9])
def test_a_family_is_a_whole_number(suite: Suite, value: object) -> None:
    """Anything else is a usage error that names the key."""
    suite.ini(quant_family_size=value)
    suite.test(TEST)
    result = suite.gate()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*quant_family_size*"])


def test_attempts_to_certify_are_counted_and_shown(suite: Suite) -> None:
    """Each session that certifies a checkpoint counts once, whatever it is called."""
    suite.test(TEST + TEST.replace("test_sum", "test_again"))
    suite.record()
    first = suite.gate("--quant-gate=certify")
    first.stdout.fnmatch_lines(["note: certify, attempt 1 on this checkpoint (as counted here)"])
    (suite.path / "int8").rename(suite.path / "renamed")
    two = suite.gate("--quant-gate=certify", checkpoint="renamed")
    two.stdout.fnmatch_lines(
        ["note: certify, attempt 2 on this checkpoint (as counted here): by now*"]
    )
    suite.checkpoint("other", also_wrong=[7], weights="others")
    other = suite.gate("--quant-gate=certify", checkpoint="other")
    other.stdout.fnmatch_lines(["note: certify, attempt 1 on this checkpoint (as counted here)"])
    suite.gate(checkpoint="renamed").stdout.no_fnmatch_line("*certify, attempt*")


def test_attempts_outlive_a_damaged_file(suite: Suite) -> None:
    """Lines that cannot be read are passed over, and a folder in the way stops nothing."""
    suite.test(TEST)
    suite.record()
    path = suite.path / "cache" / "attempts.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b'{"checkpoint": 1}\n\xff\xfe{[\n[]\n')
    suite.gate("--quant-gate=certify").stdout.fnmatch_lines(["note: certify, attempt 1 *"])
    suite.gate("--quant-gate=certify").stdout.fnmatch_lines(["note: certify, attempt 2 *"])
    path.unlink()
    path.mkdir()
    assert suite.gate("--quant-gate=certify").ret == 0


def test_what_judges_nothing_is_no_attempt(suite: Suite) -> None:
    """A session without a gate, and one that is refused, do not count."""
    suite.test('def test_free(compare_accuracy): compare_accuracy("sum")', "test_free.py")
    suite.test(TEST)
    suite.record()
    suite.gate("--quant-gate=certify", "test_free.py")
    suite.model("broken", scheme="w8a8-int8", fail={"kind": "error", "at": "load"})
    suite.gate("--quant-gate=certify", "test_gate.py", checkpoint="broken")
    (suite.path / "broken" / "scripted.json").write_text(
        (suite.path / "int8" / "scripted.json").read_text("utf-8"), "utf-8"
    )
    suite.gate("--quant-gate=certify", "test_gate.py", checkpoint="broken").stdout.fnmatch_lines(
        ["note: certify, attempt 1 on this checkpoint*"]
    )
