"""A quantized KV cache: it must run, and only a gate on generated answers tests it."""

from __future__ import annotations

import pytest

from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.core.schemes.catalogue import Catalogue, ProjectScheme
from pytest_quantreg.gating.models import how_made, refuse_wrong_checkpoint

from ..wording import refused, says
from .conftest import Suite

SCHEME = "w8a8-fp8+kv-fp8"
PICK = """
@pytest.mark.min_retention(0.9)
def test_pick(compare_accuracy):
    compare_accuracy("pick")
"""
SUM = PICK.replace("pick", "sum")
POOL = """
@pytest.mark.min_retention(0.9, task="*")
def test_pool(compare_accuracy):
    compare_accuracy("pick")
    compare_accuracy("sum")
"""
LAST = (
    f"quantreg: {SCHEME}: no gate judged generated answers, and nothing else reads the quantized "
    "KV cache: gate a generate-until task such as gsm8k too"
)
UNTESTED = "certify: no generate-until task was judged for w8a8-int8: how answers are generated"


def made(suite: Suite, *tests: str, **script: object) -> Suite:
    """A recorded suite with these tests and a checkpoint whose KV cache runs in fp8."""
    suite.checkpoint("kv", SCHEME, **script)
    for number, source in enumerate(tests):
        suite.test(source, name=f"test_{number}.py")
    suite.record()
    return suite


def closing(result: pytest.RunResult) -> str:
    """The summary below the last heading of ours, unwrapped."""
    start = max(i for i, line in enumerate(result.outlines) if "= quantreg:" in line)
    return " ".join(" ".join(result.outlines[start:]).split())


@pytest.mark.parametrize("tests", [(SUM,), (SUM, PICK), (POOL,)], ids=["alone", "both", "pool"])
def test_a_gate_on_generated_answers_is_enough(suite: Suite, tests: tuple[str, ...]) -> None:
    """Alone, beside others or in a pool: the session ends as its tests did."""
    result = made(suite, *tests).gate(scheme=SCHEME, checkpoint="kv")
    assert result.ret == 0
    assert result.outlines[-1] != LAST


def test_other_gates_alone_are_not(suite: Suite) -> None:
    """Their verdicts stay, the session ends with 1, and its last line says why."""
    result = made(suite, PICK).gate(scheme=SCHEME, checkpoint="kv")
    result.assert_outcomes(passed=1)
    assert result.ret == 1
    assert result.outlines[-1] == LAST
    assert suite.gate("--collect-only", scheme=SCHEME, checkpoint="kv").ret == 0


def test_the_controller_decides(suite: Suite) -> None:
    """Under xdist it adds up the gates of all workers, for each scheme: one lacks generation."""
    both = SUM.replace("@pytest", '@pytest.mark.quant_schemes("w8a8-int8+kv-fp8")\n@pytest', 1)
    made(suite, PICK, both).checkpoint("other", "w8a8-int8+kv-fp8")
    result = suite.run_on_workers(
        f"--quant-scheme={SCHEME},w8a8-int8+kv-fp8",
        f"--quant-checkpoint={SCHEME}=kv",
        "--quant-checkpoint=w8a8-int8+kv-fp8=other",
    )
    assert result.ret == 1
    result.assert_outcomes(passed=3)
    assert [line for line in result.outlines if "no gate judged generated" in line] == [LAST]


def test_measuring_without_a_gate_is_not_enough(suite: Suite) -> None:
    """A generate-until task that no marker judges tests nothing."""
    unjudged = 'def test_sum(compare_accuracy):\n    compare_accuracy("sum")\n'
    result = made(suite, PICK, unjudged).gate(scheme=SCHEME, checkpoint="kv")
    assert result.ret == 1
    assert result.outlines[-1] == LAST


def test_sessions_that_gate_nothing_are_left_alone(suite: Suite) -> None:
    """Other tests may run where the ini file names such a scheme."""
    made(suite, PICK)
    assert suite.gate("-k", "nothing", scheme=SCHEME, checkpoint="kv").ret == 5


def test_other_schemes_need_no_generation(suite: Suite) -> None:
    """Without a quantized cache, gates of any kind are as good."""
    made(suite, PICK)
    result = suite.gate()
    assert result.ret == 0


def test_where_its_scales_come_from_is_printed(suite: Suite) -> None:
    """The engine's own words on the cache stand beside what it runs as."""
    words = "fp8 e4m3 per tensor, scales from the checkpoint"
    made(suite, SUM, effective={"kv_cache": words})
    result = suite.gate(scheme=SCHEME, checkpoint="kv")
    assert result.ret == 0
    assert f"runs as {SCHEME} (native), KV cache {words}; 8 of 8" in closing(result)


@pytest.mark.parametrize("mode", ["detect", "certify", "point"])
@pytest.mark.parametrize("scheme", [SCHEME, "w8a8-fp8"])
def test_a_cache_that_is_not_quantized_is_refused(suite: Suite, mode: str, scheme: str) -> None:
    """Under every gate, whatever the engine calls the rest: no score would show it."""
    made(suite, SUM, effective={"scheme": scheme, "kv_cache": "bfloat16"})
    result = suite.gate(f"--quant-gate={mode}", scheme=SCHEME, checkpoint="kv")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            f"*the engine runs it as {scheme}, KV cache bfloat16, not as {SCHEME}*",
            "*test it as what runs: --quant-scheme=w8a8-fp8",
        ]
    )


def test_it_may_be_allowed_and_told(suite: Suite) -> None:
    """quant_effective = "warn" turns the refusal into a note, as for all that runs otherwise."""
    made(suite, SUM, effective={"kv_cache": "bfloat16"})
    suite.ini(quant_effective="warn")
    result = suite.gate(scheme=SCHEME, checkpoint="kv")
    assert result.ret == 0
    assert f"note: runs as {SCHEME}, KV cache bfloat16, not as {SCHEME}" in closing(result)


def test_a_cache_that_nobody_claimed_is_told(suite: Suite) -> None:
    """An engine that quantizes it unasked runs another scheme: a note, under certify a refusal."""
    suite.checkpoint("int8", effective={"kv_cache": "fp8 e4m3, scales 1.0"})
    suite.test(SUM)
    suite.record()
    told = suite.gate()
    assert told.ret == 0
    words = "w8a8-int8, KV cache fp8 e4m3, scales 1.0, not as w8a8-int8"
    assert f"note: runs as {words}" in closing(told)
    refused = suite.gate("--quant-gate=certify")
    assert refused.ret == 1
    refused.stdout.fnmatch_lines([f"*the engine runs it as {words}*"])


def test_a_server_may_not_say(suite: Suite) -> None:
    """What cannot be read back is a claim: told under detect, refused under certify."""
    effective = {"mode": "unverified", "quantized_layers": 0, "linear_layers": 0}
    suite.checkpoint("int8", effective=effective)
    suite.test(SUM)
    suite.record()
    told = suite.gate()
    assert told.ret == 0
    words = "what runs could not be read back: w8a8-int8 is a claim"
    assert f"note: {words}" in closing(told)
    refused = suite.gate("--quant-gate=certify")
    assert refused.ret == 1
    refused.stdout.fnmatch_lines([f"*{words}*"])


def test_certify_says_that_generation_was_not_tested(suite: Suite) -> None:
    """One line of the summary, no failure; with a gate on generated answers it is gone."""
    suite.checkpoint("sound")
    suite.test(PICK)
    suite.test(SUM, name="test_sum.py")
    suite.record()
    result = suite.gate("--quant-gate=certify", "test_gate.py", checkpoint="sound")
    assert result.ret == 0
    assert f"{UNTESTED} was not tested" in closing(result)
    assert UNTESTED not in closing(suite.gate("--quant-gate=certify", checkpoint="sound"))
    assert UNTESTED not in closing(suite.gate("test_gate.py", checkpoint="sound"))


CATALOGUE = Catalogue((ProjectScheme("cached", SCHEME),))


def spec(scheme: str, backend: str, **changes: object) -> ModelSpec:
    """A model as it was asked for."""
    return ModelSpec("/m", "m", scheme, backend, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("scheme", [SCHEME, "cached"])
@pytest.mark.parametrize(
    ("backend", "stored", "why"),
    [
        ("transformers", "w8a8-fp8", "only where the checkpoint asks for it, and this one holds"),
        ("transformers", SCHEME, None),
        ("vllm", "w8a8-fp8", None),
        ("llamacpp", "w8a8-fp8", "llamacpp is not known to run an FP8 KV cache"),
    ],
)
def test_engines_that_cannot_are_refused_before_loading(
    scheme: str, backend: str, stored: str, why: str | None
) -> None:
    """What an engine is known not to quantize is refused by the files; others may load."""
    if why is None:
        refuse_wrong_checkpoint(spec(scheme, backend), stored, CATALOGUE)
        return
    with refused(why) as caught:
        refuse_wrong_checkpoint(spec(scheme, backend), stored, CATALOGUE)
    assert "--quant-scheme=w8a8-fp8" in says(caught.value)


def test_a_cache_alone_needs_no_quantized_files() -> None:
    """bf16+kv-fp8 takes full-precision files where the engine quantizes the cache itself."""
    refuse_wrong_checkpoint(spec("bf16+kv-fp8", "vllm"), None, CATALOGUE)
    refuse_wrong_checkpoint(spec("bf16+kv-fp8", "transformers"), "unquantized+kv-fp8", CATALOGUE)
    with refused("holds nothing quantized"):
        refuse_wrong_checkpoint(spec("bf16+kv-fp8", "transformers"), None, CATALOGUE)


@pytest.mark.parametrize(
    ("scheme", "backend", "changes", "note"),
    [
        ("w4a16-int4", "transformers", {"quantize": True}, "nearest from m; a tuned method (GPTQ,"),
        ("w4a16-int4-rtn", "transformers", {"quantize": True}, "nearest from m; a tuned method"),
        ("w8a8-int8", "transformers", {"quantize": True}, "made by round-to-nearest from m"),
        ("w4a16-int4", "transformers", {}, None),
        ("bnb-nf4", "transformers", {"quantize": True}, None),
        ("w8a8-fp8", "vllm", {"quantize": True}, None),
        ("w4a16-int4", "somebody's", {"quantize": True}, None),
        (
            "w4a16-int4",
            "transformers",
            {"quantize": True, "args": {"quantization_config": "x"}},
            None,
        ),
    ],
)
def test_what_was_rounded_here_says_so(
    scheme: str, backend: str, changes: dict[str, object], note: str | None
) -> None:
    """Only what is known to be rounded to nearest; with fewer than 8 bits, what keeps more."""
    notes = how_made(spec(scheme, backend, **changes), CATALOGUE)
    assert len(notes) == (note is not None)
    assert (note or "") in "".join(notes)
    assert ("tuned" in "".join(notes)) is ("tuned" in (note or ""))
