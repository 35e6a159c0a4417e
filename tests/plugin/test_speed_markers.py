"""Markers on speed: wrong values, places, and which threshold holds on which accelerator."""

from __future__ import annotations

import pytest

from .conftest import Suite
from .events import events
from .gated_speed import H100, Gated, ended
from .test_markers_errors import collection_error

FACTOR = "multiples of the baseline's throughput, above 0, e.g. 1.8"
TOKENS = "generated tokens per second, above 0, e.g. 250"
MILLIS = "milliseconds, above 0, e.g. 50"
GIB = "GiB (1024 to the third bytes), above 0, e.g. 24"
SHARE = "allowed is from 1 to below 100, e.g. 99"
NAME = 'allowed are words of the device\'s name, e.g. "H100" (`quantreg hardware` prints it)'
KINDS = "allowed are ttft, tpot, e2e"
UP_TO = "allowed is a whole number from"
LATENCY = 'max_latency(ms, *, kind="ttft", percentile=50, gpu=None)'

WRONG = [
    ("min_speedup(-1.8)", f"allowed are {FACTOR}"),
    ("min_speedup(0)", f"allowed are {FACTOR}"),
    ("min_speedup(180)", "expected a multiple *, and at most 100; did you mean 1.8?"),
    ("min_speedup(0.2)", "a minimum of 0.3 or less *; did you mean 1.2?"),
    ("min_speedup(0.3)", "a minimum of 0.3 or less *; did you mean 1.3?"),
    ("min_speedup('fast')", f"allowed are {FACTOR}"),
    ("min_speedup(True)", f"allowed are {FACTOR}"),
    ("min_speedup()", "missing a required argument: 'x'; write min_speedup(x, *, gpu=None)"),
    ("min_speedup(1.8, 'H100')", "too many positional *; write min_speedup(x, *, gpu=None)"),
    ("min_speedup(1.8, gpu='')", f"gpu='': {NAME}"),
    ("min_speedup(1.8, gpu=' - ')", f"gpu=' - ': {NAME}"),
    ("min_speedup(1.8, gpu=100)", f"gpu=100: {NAME}"),
    ("min_throughput(-250)", f"allowed are {TOKENS}"),
    ("min_throughput(250, per='card')", "per='card': allowed are server, gpu"),
    ("max_latency(-5)", f"allowed are {MILLIS}"),
    ("max_latency(float('inf'))", f"allowed are {MILLIS}"),
    ("max_latency(50, percentile=0)", f"percentile=0: {SHARE}"),
    ("max_latency(50, percentile=100)", f"percentile=100: {SHARE}"),
    ("max_latency(50, percentile=101)", f"percentile=101: {SHARE}"),
    ("max_latency(50, percentile=0.99)", f"percentile=0.99: {SHARE}; did you mean 99?"),
    ("max_latency(50, percentile='p99')", f"percentile='p99': {SHARE}"),
    ("max_latency(50, kind='tpt')", f"kind='tpt': {KINDS}; did you mean tpot?"),
    (
        "max_latency(50, kind=['ttft'])",
        f"kind=['ttft']: {KINDS}; did you mean ttft?",
    ),
    ("max_latency(50, p=99)", f"got an unexpected keyword argument 'p'; write {LATENCY}"),
    ("max_memory(-1)", f"allowed are {GIB}"),
    (
        "max_memory(25769803776)",
        "allowed are GiB, and no more than 100,000; did you mean 24?",
    ),
    ("max_memory(24, kind='kv')", "kind='kv': allowed are weights, peak"),
    ("max_load_time(0)", "allowed are seconds, above 0, e.g. 60"),
]


@pytest.fixture
def gated(suite: Suite) -> Gated:
    """Two timed models, the quantized one twice as fast for a single request."""
    return Gated(suite)


def _wrong(suite: Suite, marks: list[list[str]]) -> list[str]:
    """What is said about tests that carry these marks, one test for each list."""
    suite.test(
        "\n".join(
            "\n".join(
                [*(f"@pytest.mark.{mark}" for mark in several), f"def test_{number}(x): pass"]
            )
            for number, several in enumerate(marks)
        ).replace("(x)", "(compare_speed)")
    )
    return collection_error(suite.gate())


def test_wrong_values(suite: Suite) -> None:
    """Each names test, marker, value and what is allowed; all of a file are told at once."""
    lines = _wrong(suite, [[mark] for mark, _ in WRONG])
    assert len(lines) == len(WRONG)
    for number, (line, (mark, said)) in enumerate(zip(lines, WRONG, strict=True)):
        shown = mark.replace("float('inf')", "inf")
        expected = f"test_gate.py::test_{number}: {shown}: {said}".replace("[", "[[]")
        pytest.LineMatcher([line]).fnmatch_lines([expected])


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ("min_speedup(1.8, gpu='H100')", "min_speedup(1.5, gpu='H100')", "contradict each other"),
        ("min_speedup(1.8, gpu='H100')", "min_speedup(1.8, gpu='h100')", "say the same"),
        ("max_latency(5, gpu='A100 80GB')", "max_latency(6, gpu='80gb-A100')", "contradict *"),
        ("max_memory(5)", "max_memory(5)", "say the same"),
    ],
)
def test_two_of_one_key_for_one_accelerator(
    first: str, second: str, what: str, suite: Suite
) -> None:
    """However the name is spelt, nobody could say which of both holds."""
    [line] = _wrong(suite, [[first, second]])
    expected = f"test_gate.py::test_0: {second} and {first} {what} at the same place; keep one"
    pytest.LineMatcher([line]).fnmatch_lines([expected])


def test_what_is_no_contradiction(suite: Suite) -> None:
    """Other accelerators, kinds, percentiles and places stand beside each other."""
    suite.test(
        """
        pytestmark = pytest.mark.min_speedup(1.2)

        @pytest.mark.min_speedup(1.5)
        @pytest.mark.min_speedup(1.8, gpu="H100")
        @pytest.mark.min_speedup(1.8, gpu="A100")
        @pytest.mark.max_latency(50)
        @pytest.mark.max_latency(90, percentile=99)
        @pytest.mark.max_latency(90, kind="e2e")
        @pytest.mark.min_throughput(90)
        @pytest.mark.min_throughput(50, per="gpu")
        def test_x(compare_speed): pass
        """
    )
    assert suite.gate("--collect-only").ret == 0


def test_marker_that_nothing_feeds(suite: Suite) -> None:
    """On a test without compare_speed it is a mistake; on its module it is meant for others."""
    suite.test("@pytest.mark.max_memory(5)\ndef test_x(compare_accuracy): pass")
    [line] = collection_error(suite.gate())
    assert line == (
        "test_gate.py::test_x: max_memory(5): the test does not request compare_speed, without "
        "which this marker does nothing; add it to the test's arguments"
    )
    suite.test("pytestmark = pytest.mark.max_memory(5)\ndef test_x(quant_scheme): pass")
    suite.gate().assert_outcomes(passed=1)


def test_gates_that_nothing_fed(gated: Gated) -> None:
    """A test that asks for compare_speed and times nothing is refused, inherited gates and own."""
    gated.test(
        """
        @pytest.mark.min_speedup(1.5)
        def test_own(compare_speed): pass

        @pytest.mark.max_memory(5)
        class TestA:
            def test_inherited(self, compare_speed): pass

            def test_skips(self, compare_speed):
                pytest.skip("not today")

            def test_of_no_speed(self, quant_scheme): pass
        """
    )
    result = gated.run("-v")
    assert ended(result) == {
        "test_own": "ERROR",
        "TestA::test_inherited": "ERROR",
        "TestA::test_skips": "ERROR",
        "TestA::test_of_no_speed": "PASSED",
    }
    result.stdout.fnmatch_lines(
        [
            "REFUSED (nothing measured) w4a16-int4 speed: the test timed nothing, so "
            "min_speedup(1.5) judged nothing",
            "  call compare_speed() in the body of the test, or take the marker off it",
            "REFUSED (nothing measured) * so max_memory(5, kind='weights') judged nothing",
        ]
    )
    assert events(gated.path / "int4") == []


def test_the_nearest_marker_judges(gated: Gated) -> None:
    """param before test before class before module, for each key by itself."""
    gated.test(
        """
        pytestmark = [pytest.mark.min_speedup(9), pytest.mark.max_memory(6)]

        def test_module(compare_speed):
            compare_speed(batch_size=1)

        @pytest.mark.min_speedup(8)
        class TestA:
            def test_class(self, compare_speed):
                compare_speed(batch_size=1)

            @pytest.mark.min_speedup(7)
            @pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.min_speedup(1.5))])
            def test_own(self, n, compare_speed):
                compare_speed(batch_size=1)
        """
    )
    result = gated.run("-v")
    assert list(ended(result).values()) == ["FAILED", "FAILED", "FAILED", "PASSED"]
    required = [line.rpartition(" at least ")[2] for line in result.outlines if "LOST w4" in line]
    assert required[:3] == [f"{bound}x was required" for bound in (9, 8, 7)]
    # One row, since all four tests judged the same of the same measurement.
    assert len([line for line in result.outlines if line.split()[:2] == ["weight", "memory"]]) == 1


ACCELERATORS = """
@pytest.mark.min_speedup(1.5, gpu="H100")
@pytest.mark.min_speedup(1.9, gpu="H100 80GB")
@pytest.mark.min_speedup(9.9, gpu="H10")
@pytest.mark.min_speedup(9.9)
def test_most_words(compare_speed):
    compare_speed(batch_size=1)

@pytest.mark.min_speedup(1.1)
@pytest.mark.min_speedup(9.9, gpu="A40")
def test_generic(compare_speed):
    compare_speed(batch_size=1)

@pytest.mark.min_speedup(1.1, gpu="80GB")
@pytest.mark.min_speedup(9.9, gpu="H100")
def test_tie(compare_speed):
    compare_speed(batch_size=1)

@pytest.mark.min_speedup(1.1, gpu="A40")
@pytest.mark.min_speedup(1.2, gpu="L4S")
@pytest.mark.max_memory(1, gpu="A100")
def test_none_fits(compare_speed):
    compare_speed(batch_size=1)

@pytest.mark.min_speedup(1.1, gpu="cpu")
def test_of_the_processor(compare_speed):
    compare_speed(batch_size=1)
"""


def test_which_accelerators_threshold(gated: Gated) -> None:
    """Most words win, a tie is refused, and what fits nothing is listed and never passed."""
    gated.on(H100)
    gated.test(ACCELERATORS)
    result = gated.run("-v", "-rP")
    assert ended(result) == {
        "test_most_words": "PASSED",
        "test_generic": "PASSED",
        "test_tie": "ERROR",
        "test_none_fits": "PASSED",
        "test_of_the_processor": "PASSED",
    }
    result.stdout.fnmatch_lines(
        [
            "REFUSED (wrong use) w4a16-int4 speed: min_speedup(9.9, gpu='H100') and "
            "min_speedup(1.1, gpu='80GB') both fit NVIDIA H100 80GB HBM3, with as many words each",
            "  name one of them more fully, as nvidia-smi -L spells it",
        ]
    )
    result.stdout.fnmatch_lines(
        [
            "kept w4a16-int4 speed-up, batch 1: *; at least 1.9x was required for H100 80GB "
            "(this is NVIDIA H100 80GB HBM3)",
            "kept w4a16-int4 speed-up, batch 1: *; at least 1.1x was required",
            "not applicable here, w4a16-int4 weight memory: for A100, this is NVIDIA H100 80GB *",
            "not applicable here, w4a16-int4 speed-up: for L4S and A40, this is NVIDIA H100 80GB "
            "HBM3 ('L4S' is no known name, the nearest is L40S)",
        ]
    )
    closing = " ".join(line.strip() for line in result.outlines)
    why = "speed-up >= 1.9x for H100 80GB (this is NVIDIA H100 80GB HBM3)"
    assert why in closing
    assert "weight memory: not applicable here: max_memory is for A100, this is" in closing
    rows = [line for line in result.outlines if line.endswith(" n/a here")]
    assert [row.split()[0] for row in rows] == ["weight", "speed-up", "speed-up"]
    assert "2 kept, 1 refused, 3 not applicable" in closing


def test_a_named_accelerator(gated: Gated) -> None:
    """--quant-gpu takes the thresholds of another one, and both names stand in the verdict."""
    gated.on(H100)
    gated.test(ACCELERATORS)
    result = gated.run("-v", "--quant-gpu=A40")
    assert ended(result) == {
        "test_most_words": "FAILED",
        "test_generic": "FAILED",
        "test_tie": "PASSED",
        "test_none_fits": "PASSED",
        "test_of_the_processor": "PASSED",
    }
    result.stdout.fnmatch_lines(
        ["*at least 9.9x was required for A40 (--quant-gpu=A40; this is NVIDIA H100 80GB HBM3)"]
    )
    closing = " ".join(line.strip() for line in result.outlines)
    assert "min_speedup is for cpu, this is taken for A40 (--quant-gpu)" in closing


@pytest.mark.parametrize(
    ("name", "passed"), [("NVIDIA A100-SXM4-40GB MIG 3g.20gb", "MIG"), ("NVIDIA A100-SXM4", "A100")]
)
def test_a_slice_of_a_card(name: str, passed: str, gated: Gated) -> None:
    """A threshold for A100 is none for a slice of one, nor the other way round."""
    gated.on({"kind": "cuda", "accelerator": name})
    gated.test(
        """
        @pytest.mark.min_speedup(1.1, gpu="A100 MIG")
        def test_slice(compare_speed):
            compare_speed(batch_size=1)

        @pytest.mark.min_speedup(1.2, gpu="A100")
        def test_card(compare_speed):
            compare_speed(batch_size=1)
        """
    )
    result = gated.run()
    result.assert_outcomes(passed=2)
    rows = [line for line in result.outlines if line.startswith(("batch 1 ", "     "))]
    kept = [row for row in rows if row.endswith(" kept")]
    assert len(kept) == 1
    assert (">= 1.1x" if passed == "MIG" else ">= 1.2x") in kept[0]
    assert len([row for row in rows if row.endswith(" n/a here")]) == 1


CALLS = [
    ("batch_size=0", f"batch_size=0: {UP_TO} 1 to 10,000,000"),
    ("batch_size=1.5", f"batch_size=1.5: {UP_TO} 1 to 10,000,000"),
    ("batch_size=True", f"batch_size=True: {UP_TO} 1 to 10,000,000"),
    ("concurrency='8'", f"concurrency='8': {UP_TO} 1 to 10,000,000"),
    ("request_rate=0", "request_rate=0: allowed are requests per second, above 0"),
    ("request_rate=float('inf')", "request_rate=inf: allowed are requests per second, above 0"),
    ("prompt_tokens=0", f"prompt_tokens=0: {UP_TO} 1 to 10,000,000"),
    ("output_tokens=-4", f"output_tokens=-4: {UP_TO} 1 to 10,000,000"),
    (
        "output_tokens=10**9",
        f"output_tokens=1000000000: {UP_TO} 1 to 10,000,000",
    ),
    ("rounds=0", f"rounds=0: {UP_TO} 1 to 10,000,000"),
    ("warmup=-1", f"warmup=-1: {UP_TO} 0 to 10,000,000"),
    ("batch_size=8, requests=4", "requests=4: a round with so few never has 8 at once"),
    (
        "batch_size=8, concurrency=8",
        "batch_size= is one batch after another, concurrency= and request_rate= are many requests "
        "in flight; name one kind",
    ),
]


def test_wrong_arguments(gated: Gated) -> None:
    """Each is refused with the value and what is allowed, before any process starts."""
    gated.test(
        "\n".join(
            f"def test_{number}(compare_speed): compare_speed({call})"
            for number, (call, _) in enumerate(CALLS)
        )
        + "\ndef test_more(compare_speed): compare_speed('batch 1')"
    )
    result = gated.run()
    result.assert_outcomes(errors=len(CALLS), failed=1)
    lines = [line for line in result.outlines if line.startswith("REFUSED (wrong use) w4")]
    head = "REFUSED (wrong use) w4a16-int4 speed: compare_speed: "
    assert lines[: len(CALLS)] == [f"{head}{said}" for _, said in CALLS]
    result.stdout.fnmatch_lines(["*TypeError: *takes 1 positional argument but 2 were given"])
    assert events(gated.path / "int4") == []


def test_gates_that_mean_nothing_for_a_workload(gated: Gated) -> None:
    """A speed-up of what arrives anyway, a time per further token of one: refused unloaded."""
    gated.test(
        """
        @pytest.mark.min_throughput(90)
        def test_rate(compare_speed):
            compare_speed(request_rate=20, requests=8)

        @pytest.mark.max_latency(90, kind="tpot")
        def test_one_token(compare_speed):
            compare_speed(batch_size=1, output_tokens=1)
        """
    )
    result = gated.run()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (not judged) w4a16-int4 speed: min_throughput(90) under 20 requests/s: what "
            "is generated per second is then what arrives, however fast the model is",
            "REFUSED (not judged) w4a16-int4 speed: max_latency(90, kind='tpot', percentile=50): "
            "one token is generated, and none after it",
        ]
    )
    assert events(gated.path / "int4") == []
