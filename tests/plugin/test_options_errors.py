"""Wrong options: one clear message and exit 4, before anything is collected."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import Suite

Fails = Callable[..., list[str]]

USES = "def test_x(compare_accuracy): compare_accuracy('sum')"


@pytest.fixture
def fails(suite: Suite) -> Fails:
    """Runs pytest and gives the lines of its one message."""
    suite.test(USES)
    (suite.path / "file").write_text("", "utf-8")

    def run(*args: str) -> list[str]:
        result = suite.run(*args)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        everything = result.outlines + result.errlines
        assert not [line for line in everything if "Traceback" in line or "INTERNAL" in line]
        assert not [line for line in everything if line.startswith(("collected", "collecting"))]
        assert len([line for line in everything if "ERROR: " in line]) == 1
        return [line.removeprefix("ERROR: ") for line in result.errlines if line]

    return run


@pytest.mark.parametrize(
    ("option", "first", "more"),
    [
        (
            "--quant-scheme=w8a8-fb8",
            "--quant-scheme: unknown scheme 'w8a8-fb8'",
            "  nearest: w8a8-fp8,*",
        ),
        (
            "--quant-scheme=w8a8-fp8,,w8a8-int8",
            "--quant-scheme=w8a8-fp8,,w8a8-int8: an empty name",
            "  separate*",
        ),
        ("--quant-scheme=", "--quant-scheme is empty", "  give a value or leave it out"),
        (
            "--quant-scheme=bf16",
            "--quant-scheme=bf16: bf16 is not a quantized scheme",
            "*--quant-model",
        ),
        ("--quant-backend=nope", "unknown backend 'nope'", "  known: llamacpp, *"),
        ("--quant-backend=", "--quant-backend is empty", "  give*"),
        (
            "--quant-confidence=95",
            "--quant-confidence=95: allowed is a number above 0.5 and below 1; did you mean 0.95?",
            "",
        ),
        ("--quant-confidence=0.5", "--quant-confidence=0.5: allowed is*above 0.5*", ""),
        ("--quant-confidence=nan", "--quant-confidence=nan: allowed is a number*", ""),
        ("--quant-limit=0", "--quant-limit=0: allowed is a whole number of items, 1 or more*", ""),
        ("--quant-limit=-1", "--quant-limit=-1: allowed is a whole number of items*", ""),
        ("--quant-model=", "--quant-model is empty", "  give a value*"),
        ("--quant-model=./none", "--quant-model=./none: no such folder", "  looked for */none"),
        ("--quant-model=a/b/c", "--quant-model=a/b/c: no such folder", "  looked for */a/b/c"),
        ("--quant-model=~nobody/x", "--quant-model=~nobody/x: no such folder", "  looked for *"),
        ("--quant-model=file", "--quant-model=file: a file", "  a model is a folder, *"),
        (
            "--quant-model=model@main",
            "--quant-model=model@main: a folder has no revisions",
            "  leave out @main",
        ),
        ("--quant-model=org/name@", "--quant-model=org/name@: neither a folder nor a hub id*", ""),
        ("--quant-model=what is it", "--quant-model=what is it: neither*", "  a folder is looked*"),
        ("--quant-gpu=", "--quant-gpu is empty", "  give a value*"),
        ("--quant-gpu=-", "--quant-gpu=-: allowed are words of the device's name*", ""),
        ("--quant-baselines=file", "--quant-baselines=file: a file, not a folder", "  name*"),
        ("--quant-baselines=", "--quant-baselines is empty", "  give*"),
        (
            "--quant-include-path=none",
            "--quant-include-path=none: no such folder",
            "  looked for */none",
        ),
        (
            "--quant-include-path=file",
            "--quant-include-path=file: a file, not a folder",
            "  looked for */file",
        ),
        (
            "--quant-backend-arg=dtype",
            "--quant-backend-arg=dtype: write [[]baseline:|quantized:]KEY=VALUE",
            "  e.g. dtype=float16*",
        ),
        ("--quant-backend-arg=both:a=1", "--quant-backend-arg=both:a=...: write*", "  e.g.*"),
        ("--quant-backend-arg=:a=1", "--quant-backend-arg=:a=...: write*", "  e.g.*"),
        ("--quant-backend-arg==1", "--quant-backend-arg==...: write*", "  e.g.*"),
    ],
)
def test_wrong_option(option: str, first: str, more: str, fails: Fails) -> None:
    """Each wrong value is named with its option, what is allowed and the way out."""
    lines = fails(option)
    matcher = pytest.LineMatcher(lines)
    matcher.fnmatch_lines([first, *([more] if more else [])], consecutive=True)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--quant-limit=x", "*argument --quant-limit: invalid int value: 'x'"),
        ("--quant-confidence=x", "*argument --quant-confidence: invalid float value: 'x'"),
        ("--quant-gate=dtect", "*argument --quant-gate: invalid choice: 'dtect'*"),
    ],
)
def test_wrong_type_on_the_command_line(option: str, text: str, suite: Suite) -> None:
    """pytest's own parser names option and value."""
    result = suite.run(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([text])


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("quant_gate", "dtect", "quant_gate=dtect: allowed are detect, *; did you mean detect?"),
        ("quant_gate", "", "quant_gate is empty"),
        ("quant_scheme", "w8a8-int8", "quant_scheme: *expects a list*'w8a8-int8'"),
        ("quant_scheme", ["w8a8-int9"], "quant_scheme: unknown scheme 'w8a8-int9'"),
        ("quant_limit", "7", "quant_limit: *expects an int*"),
        ("quant_limit", True, "quant_limit: *expects an int*"),
        ("quant_limit", 0, "quant_limit=0: allowed is a whole number of items*"),
        ("quant_confidence", 95, "quant_confidence=95: *did you mean 0.95?"),
        ("quant_max_undetected", 10, "quant_max_undetected=10: allowed is above 0 and below 1*"),
        ("quant_model", "./none", "quant_model=./none: no such folder"),
        ("quant_model_name", "a b", "quant_model_name=a b: allowed are letters*"),
        ("quant_model_name", "..", "quant_model_name=..: allowed are letters*"),
        ("quant_model_name", "../b", "quant_model_name=../b: allowed are letters*"),
        ("quant_include_path", ["none"], "quant_include_path=none: no such folder"),
        ("quant_gpu", "-", "quant_gpu=-: allowed are words of the device's name*"),
        ("quant_speed_xdist", "alow", "quant_speed_xdist=alow: allowed are refuse, allow; did *"),
        ("quant_speed_timeout", 0, "quant_speed_timeout=0*: allowed are seconds, above 0, *"),
        ("quant_effective", "warm", "quant_effective=warm: allowed are refuse, warn; did you*"),
        ("quant_baseline_drift", "off", "quant_baseline_drift=off: allowed are refuse, warn"),
    ],
)
def test_wrong_ini_value(key: str, value: object, text: str, suite: Suite, fails: Fails) -> None:
    """The same checks hold in the ini file, and messages name the ini key."""
    suite.ini(**{key: value})
    gating = [] if key == "quant_scheme" else ["--quant-scheme=w8a8-int8"]
    pytest.LineMatcher(fails(*gating)).fnmatch_lines([text])


def test_an_ini_file_may_name_what_is_not_built_yet(suite: Suite) -> None:
    """Runs that neither gate nor record are not stopped by a missing folder of the ini file."""
    suite.ini(
        quant_model="./gone",
        quant_include_path=["gone"],
        quant_checkpoint=["w8a8-fp8=./gone"],
    )
    suite.test("def test_unit():\n    pass")
    result = suite.run()
    assert result.ret == 0
    result.assert_outcomes(passed=1)


def test_recording_ignores_schemes_and_their_checkpoints(suite: Suite) -> None:
    """A baseline is recorded before the checkpoint that the ini file names exists."""
    suite.ini(quant_scheme=["w8a8-fp8"], quant_checkpoint=["w8a8-fp8=./gone"])
    suite.test("def test_sum(compare_accuracy):\n    compare_accuracy('sum')")
    result = suite.record("-rs")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*baseline recorded: sum*"])


def test_a_scheme_without_its_checkpoint(fails: Fails) -> None:
    """A forgotten =REF is told before collection, not looked up as a hub id."""
    words = fails("--quant-scheme=w8a8-fp8", "--quant-checkpoint=w8a8-fp8")
    pytest.LineMatcher(words).fnmatch_lines(
        [
            "*--quant-checkpoint=w8a8-fp8: a scheme without its checkpoint",
            "*write --quant-checkpoint=w8a8-fp8=FOLDER-OR-HUB-ID",
        ]
    )


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("quant_limit=x", "quant_limit: invalid literal for int() with base 10: 'x'"),
        ("quant_confidence=x", "quant_confidence: could not convert string to float: 'x'"),
        ("quant_require=perhaps", "quant_require: invalid truth value 'perhaps'"),
    ],
)
def test_wrong_type_in_classic_ini(override: str, text: str, fails: Fails) -> None:
    """Values that come as text are named with their key when they do not convert."""
    pytest.LineMatcher(fails("-o", override)).fnmatch_lines([text])


@pytest.mark.parametrize(
    ("args", "first", "more"),
    [
        (
            ["int8", "model"],
            "--quant-checkpoint: two checkpoints without a scheme: int8 and model",
            "*--quant-checkpoint=SCHEME=model",
        ),
        (
            ["w8a8-int8=int8", "int8-w8a8=model"],
            "--quant-checkpoint: two checkpoints for w8a8-int8: int8 and model",
            "  keep one*",
        ),
        (
            ["w8a8-fp8=int8"],
            "--quant-checkpoint=w8a8-fp8=int8: w8a8-fp8 is not under test",
            "  --quant-scheme names w8a8-int8",
        ),
        (["w8a8=./none"], "--quant-checkpoint=w8a8=./none: no such folder", "  looked for */none"),
        (["w9=int8"], "--quant-checkpoint: unknown scheme 'w9'", "  known: *"),
        (["none/lr=1/x"], "--quant-checkpoint=none/lr=1/x: no such folder", "  looked for*"),
        (["w8a8-int8="], "--quant-checkpoint=w8a8-int8 is empty", "  give*"),
        (["int8@main"], "--quant-checkpoint=int8@main: a folder has no revisions", "  leave*"),
        (["file"], "--quant-checkpoint=file: a file", "  a model is a folder, *"),
    ],
)
def test_wrong_checkpoint(args: list[str], first: str, more: str, fails: Fails) -> None:
    """A checkpoint must be there, once, for a scheme under test."""
    words = [f"--quant-checkpoint={arg}" for arg in args]
    matcher = pytest.LineMatcher(fails("--quant-scheme=w8a8-int8", *words))
    matcher.fnmatch_lines([first, more], consecutive=True)


def test_plain_checkpoint_for_two_schemes(fails: Fails) -> None:
    """One plain checkpoint cannot be two schemes."""
    lines = fails("--quant-scheme=w8a8-int8,w4a16-int4", "--quant-checkpoint=int8")
    assert lines == [
        "--quant-checkpoint=int8: 2 schemes are under test, and a checkpoint holds one",
        "  say which: --quant-checkpoint=w8a8-int8=int8",
    ]


def test_nothing_to_test(suite: Suite, fails: Fails) -> None:
    """A scheme with neither checkpoint nor model is told before collection."""
    suite.ini(quant_model=None)
    lines = fails("--quant-scheme=w8a8-int8")
    assert lines[0] == "--quant-scheme=w8a8-int8: nothing to test"
    assert "--quant-checkpoint=w8a8-int8=REF" in lines[1]


def test_same_checkpoint_twice_is_no_contradiction(suite: Suite) -> None:
    """One folder spelt in two ways is one checkpoint."""
    suite.test("def test_x(quant_scheme): pass")
    result = suite.gate("--quant-checkpoint=./int8/")
    result.assert_outcomes(passed=1)


def test_checkpoint_for_each_scheme(suite: Suite) -> None:
    """A plain checkpoint of the ini file is no obstacle when each scheme has its own."""
    suite.test("def test_x(quant_scheme): pass")
    suite.ini(quant_checkpoint=["int8"])
    result = suite.run(
        "--quant-scheme=w8a8-int8,w4a16-int4",
        "--quant-checkpoint=w8a8-int8=int8",
        "--quant-checkpoint=w4a16-int4=int8",
    )
    result.assert_outcomes(passed=2)


def test_help_is_given_whatever_is_wrong(suite: Suite) -> None:
    """--help and --markers work beside a wrong ini file, so that one can mend it."""
    suite.ini(quant_gate="dtect")
    for option in ("--help", "--markers", "--version"):
        assert suite.run(option).ret == pytest.ExitCode.OK
