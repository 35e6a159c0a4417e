"""Schemes that a project defines, through the whole plugin: named as it names them."""

from __future__ import annotations

import json
from textwrap import dedent

import pytest

from .conftest import Suite

GATE = """
@pytest.mark.min_retention(0.9)
def test_sum(compare_accuracy):
    compare_accuracy("sum")
"""
OURS = """
[tool.quantreg.schemes.our-int8]
like = "w8a8-int8-gptq"
aliases = ["o8"]
"""


def define(suite: Suite, text: str) -> None:
    """Writes the pyproject.toml beside the suite's pytest.toml."""
    (suite.path / "pyproject.toml").write_text(dedent(text), "utf-8")


@pytest.fixture
def gated(suite: Suite) -> Suite:
    """A suite of one gate, recorded, whose project calls a scheme its own."""
    define(suite, OURS)
    suite.test(GATE)
    suite.record()
    return suite


def test_verdict_and_ids_bear_its_name(gated: Suite) -> None:
    """Any spelling finds it; test id, summary, context and JUnit call it by its own name."""
    result = gated.gate("-v", "--quant-require", "--junitxml=out.xml", scheme="O8")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "quantreg: our-int8, detect, 95 %",
            "*test_gate.py::test_sum?our-int8? PASSED*",
            "*= quantreg: our-int8 against bf16, detect, 95 % =*",
            "model; scripted 1.0; scripted; runs as w8a8-int8 (native); 8 of 8 linear layers*",
            "loaded: model our-int8 once",
        ]
    )
    assert "our-int8" in (gated.path / "out.xml").read_text("utf-8")


def test_a_lost_gate_bears_its_name(gated: Suite) -> None:
    """The message of a failure names the project's scheme, never what it is like."""
    gated.checkpoint("bad", also_wrong={"seed": 5, "share": 0.4})
    result = gated.gate(scheme="our-int8", checkpoint="bad")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*LOST our-int8 sum: *"])


def test_planning_knows_its_bits(gated: Suite) -> None:
    """An own scheme is planned with the flips of what it claims: 4 bits flip more than 8."""
    define(gated, OURS + '[tool.quantreg.schemes.our-int4]\nlike = "w4a16-int4"\n')
    gated.checkpoint("sound8")
    gated.checkpoint("sound4", "w4a16-int4")
    seen = {}
    for scheme, folder in (("our-int8", "sound8"), ("our-int4", "sound4")):
        result = gated.gate(scheme=scheme, checkpoint=folder)
        assert result.ret == 0
        (seen[scheme],) = [line for line in result.outlines if line.startswith("would have turned")]
    built_in = gated.gate(scheme="w4a16-int4", checkpoint="sound4")
    assert seen["our-int4"] in built_in.outlines
    assert seen["our-int8"] != seen["our-int4"]


def test_a_checkpoint_of_something_else_is_refused(gated: Suite) -> None:
    """Identity is that of the claim, and the message has both names."""
    gated.checkpoint("fp8", "w8a8-fp8")
    result = gated.gate(scheme="our-int8", checkpoint="fp8")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*the checkpoint is w8a8-fp8, and it is tested as our-int8 (like w8a8-int8-gptq)*"]
    )


def test_what_runs_must_be_the_claim(gated: Suite) -> None:
    """Under certify an engine that runs something else is refused, as for built-in names."""
    gated.checkpoint("runs", effective={"scheme": "w8a16-int8"})
    lenient = gated.gate(scheme="our-int8", checkpoint="runs")
    assert lenient.ret == 0
    lenient.stdout.fnmatch_lines(["note: runs as w8a16-int8, not as our-int8"])
    strict = gated.gate("--quant-gate=certify", scheme="our-int8", checkpoint="runs")
    assert strict.ret == 1
    strict.stdout.fnmatch_lines(["*the engine runs it as w8a16-int8, not as our-int8*"])


NAMELESS = """
[tool.quantreg.schemes.our-int3]
weights = {type = "int", bits = 3, granularity = "group", group_size = 64}
"""


@pytest.mark.parametrize(("size", "bits", "code"), [(64, 3, 0), (128, 3, 0), (64, 2, 1)])
def test_data_that_has_no_name(gated: Suite, size: int, bits: int, code: int) -> None:
    """A scheme that no built-in one is like is compared by its bits, before and after loading."""
    define(gated, NAMELESS)
    words = f"int{bits} in groups of {size}"
    effective = {"scheme": None, "weights": words, "activations": "bfloat16"}
    gated.checkpoint("int3", f"{words} weights", effective=effective)
    result = gated.gate("--quant-gate=certify", scheme="our-int3", checkpoint="int3")
    assert result.ret == code
    if code:
        result.stdout.fnmatch_lines(["*the checkpoint is int2 *, and it is tested as our-int3 *"])


def test_nameless_data_that_runs_as_something_else(gated: Suite) -> None:
    """What the engine loaded is compared with the definition too."""
    define(gated, NAMELESS)
    effective = {"scheme": None, "weights": "int3 in groups of 64", "activations": "int8 per token"}
    gated.checkpoint("int3", "int3 in groups of 64 weights", effective=effective)
    result = gated.gate("--quant-gate=certify", scheme="our-int3", checkpoint="int3")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*runs it as int3 in groups of 64 weights with int8 per token*"])


def test_nobody_makes_what_is_written_out(gated: Suite) -> None:
    """Without a checkpoint such a scheme is refused before collection."""
    define(gated, NAMELESS)
    result = gated.gate(scheme="our-int3", checkpoint=None)
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        [
            "ERROR: scheme our-int3: its weights or activations are written out, *",
            "  give a checkpoint: --quant-checkpoint=our-int3=REF",
        ]
    )


def test_made_as_what_it_is_like(suite: Suite) -> None:
    """Without a checkpoint the backend makes what the name claims."""
    define(suite, '[tool.quantreg.schemes.ours]\nlike = "w8a8-int8"\n')
    suite.model(on_the_fly={"w8a8-int8": {"scheme": "w8a8-int8"}})
    suite.test(GATE)
    suite.record()
    result = suite.gate(scheme="ours", checkpoint=None)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*= quantreg: ours against bf16*", "note: made by round-to-nearest from model"]
    )


def test_what_cannot_be_made_is_told_by_its_name(gated: Suite) -> None:
    """The backend's own words, with the project's name in them and in the option that helps."""
    gated.model(on_the_fly={"w8a8-int8-gptq": {"scheme": "w8a8-int8"}})
    gated.ini(quant_backend="transformers")
    result = gated.gate(scheme="o8", checkpoint=None)
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        [
            "ERROR: scheme our-int8 (like w8a8-int8-gptq): gptq needs calibration data, *",
            "  give a checkpoint: --quant-checkpoint=our-int8=REF",
        ]
    )


CHECKPOINTS = """
[tool.quantreg.schemes.our-int8]
like = "w8a8-int8"
checkpoint = "int8"
[tool.quantreg.schemes.w8a8-fp8]
checkpoint = "./not-built-yet"
"""


def test_checkpoints_of_the_file(gated: Suite) -> None:
    """Relative to the file; of schemes not under test it need not be there; options win."""
    define(gated, CHECKPOINTS)
    assert gated.gate(scheme="our-int8", checkpoint=None).ret == 0
    gated.checkpoint("bad", also_wrong={"seed": 5, "share": 0.4})
    for words in ("bad", "our-int8=bad", "OUR_INT8=bad"):
        assert gated.gate(scheme="our-int8", checkpoint=words).ret == 1
    gated.ini(quant_checkpoint=["our-int8=bad"])
    assert gated.gate(scheme="our-int8", checkpoint=None).ret == 1
    absent = gated.gate(scheme="w8a8-fp8", checkpoint=None)
    assert absent.ret == 4
    absent.stderr.fnmatch_lines(
        ["*schemes.w8a8-fp8] checkpoint=./not-built-yet: no such folder", "*looked for *"]
    )


def test_checkpoints_of_the_file_by_model(gated: Suite) -> None:
    """The name of the model chooses; that of quant_model_name comes first."""
    table = '[tool.quantreg.schemes.w8a8-int8]\ncheckpoint = {"org/m" = "./none", model = "int8"}\n'
    define(gated, table)
    assert gated.gate(checkpoint=None).ret == 0
    gated.ini(quant_model_name="org/m")
    absent = gated.gate(checkpoint=None)
    absent.stderr.fnmatch_lines(["*checkpoint of org/m=./none: no such folder"])
    gated.ini(quant_model_name="org/other")
    other = gated.gate(checkpoint=None)
    assert other.ret == 4
    other.stderr.fnmatch_lines(["*w8a8-int8] checkpoint has no entry for org/other"])


def test_markers_know_own_schemes(gated: Suite) -> None:
    """quant_schemes takes own names; a built-in one admits own schemes that are like it."""
    define(gated, OURS.replace("-gptq", ""))
    gated.test(
        """
        @pytest.mark.quant_schemes("O8")
        def test_own(quant_scheme):
            assert quant_scheme in "our-int8"

        @pytest.mark.quant_schemes("w8a8-int8")
        def test_both(quant_scheme):
            pass
        """
    )
    gated.gate(scheme="our-int8").assert_outcomes(passed=2)
    gated.gate(scheme="w8a8-int8").assert_outcomes(passed=1, skipped=1)


def test_unknown_names_in_markers(gated: Suite) -> None:
    """A name that neither knows is a collection error with the nearest of both."""
    gated.test('@pytest.mark.quant_schemes("our-int9")\ndef test_x(quant_scheme): pass')
    result = gated.gate(scheme="our-int8")
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*unknown scheme 'our-int9'*", "*nearest: our-int8*"])


def test_a_mistake_stops_at_the_start(suite: Suite) -> None:
    """One line for the file's mistake, before anything is collected, also without a scheme."""
    define(suite, '[tool.quantreg.schemes.ours]\nlik = "fp8"\n')
    suite.test(GATE)
    for result in (suite.run(), suite.gate(), suite.record()):
        assert result.ret == 4
        result.stderr.fnmatch_lines(
            ["ERROR: pyproject.toml ?tool.quantreg.schemes.ours? lik: no such key*mean like?"]
        )


def test_workers_know_own_schemes(gated: Suite) -> None:
    """Under xdist each worker reads the same file."""
    gated.test('def test_x(quant_scheme): assert quant_scheme == "our-int8"')
    result = gated.run_on_workers("--quant-scheme=our-int8", "--quant-checkpoint=int8", n=1)
    result.assert_outcomes(passed=1)


def test_certifying_it_again_counts_on(gated: Suite) -> None:
    """Another name for the same model made on the fly is no fresh first attempt."""
    two = "".join(f'[tool.quantreg.schemes.{name}]\nlike = "int8"\n' for name in ("a", "b"))
    define(gated, two)
    gated.model(on_the_fly={"w8a8-int8": {"scheme": "w8a8-int8"}})
    assert json.loads((gated.path / "model" / "scripted.json").read_text())
    first = gated.gate("--quant-gate=certify", scheme="a", checkpoint=None)
    second = gated.gate("--quant-gate=certify", scheme="b", checkpoint=None)
    first.stdout.fnmatch_lines(["note: certify, attempt 1 on this checkpoint*"])
    second.stdout.fnmatch_lines(["note: certify, attempt 2 on this checkpoint*"])
