"""One run of a test per scheme under test: ids, order, filters, skips and who may parametrize."""

from __future__ import annotations

import pytest

from .conftest import Suite
from .test_markers_errors import collection_error, is_clean

THREE = "--quant-scheme=w8a8-int8,w4a16-int4-gptq,w8a8-fp8"


@pytest.fixture
def any_scheme(suite: Suite) -> Suite:
    """A suite whose ini file names a checkpoint for three schemes."""
    names = ("w8a8-int8", "w4a16-int4-gptq", "w8a8-fp8")
    suite.ini(quant_checkpoint=[f"{name}=int8" for name in names])
    return suite


def collected(suite: Suite, *args: str) -> list[str]:
    """The ids that --collect-only shows, without the file."""
    result = suite.run("--collect-only", "-q", *args)
    assert result.ret == 0
    return [line.partition("::")[2] for line in result.outlines if "::" in line]


def test_ids(any_scheme: Suite) -> None:
    """The canonical name opens the id, before the test's own parameters."""
    any_scheme.test(
        """
        @pytest.mark.parametrize("task", ["gsm8k", "arc"])
        def test_x(task, compare_accuracy): pass

        class TestA:
            @pytest.mark.parametrize("n", [1])
            @pytest.mark.parametrize("m", [2])
            def test_y(self, n, m, quantized_model): pass
        """
    )
    assert collected(any_scheme, "--quant-scheme=FP8_W8A8") == [
        "test_x[w8a8-fp8-gsm8k]",
        "test_x[w8a8-fp8-arc]",
        "TestA::test_y[w8a8-fp8-2-1]",
    ]


def test_only_what_uses_a_scheme(any_scheme: Suite) -> None:
    """Directly, through a fixture of one's own or by usefixtures; others run once."""
    any_scheme.test(
        """
        @pytest.fixture
        def mine(quantized_model): pass

        def test_direct(quant_scheme): pass
        def test_indirect(mine): pass
        @pytest.mark.usefixtures("quant_scheme")
        def test_used(): pass
        def test_baseline(baseline_model): pass
        def test_other(tmp_path): pass
        """
    )
    assert collected(any_scheme, "--quant-scheme=w8a8-int8") == [
        "test_direct[w8a8-int8]",
        "test_indirect[w8a8-int8]",
        "test_used[w8a8-int8]",
        "test_baseline",
        "test_other",
    ]


def test_grouped_by_scheme(any_scheme: Suite) -> None:
    """All tests of a scheme run before the next one's, whatever file they are in."""
    source = """
        @pytest.mark.parametrize("n", [1, 2])
        def test_x(n, quant_scheme): pass
        class TestA:
            def test_y(self, quant_scheme): pass
        """
    for name in ("test_a.py", "test_b.py"):
        any_scheme.test(source, name)
    names = collected(any_scheme, THREE)
    schemes = [
        name.partition("[")[2].rstrip("]").removesuffix("-1").removesuffix("-2") for name in names
    ]
    assert schemes == ["w8a8-int8"] * 6 + ["w4a16-int4-gptq"] * 6 + ["w8a8-fp8"] * 6


def test_value_is_the_canonical_name(any_scheme: Suite) -> None:
    """The fixture quant_scheme gives what the id shows."""
    any_scheme.test("def test_x(quant_scheme): assert quant_scheme == 'w4a16-int4-gptq'")
    any_scheme.run("--quant-scheme=GPTQ").assert_outcomes(passed=1)


def test_select_by_keyword(any_scheme: Suite) -> None:
    """-k with a scheme's name picks its runs."""
    any_scheme.test("def test_x(quant_scheme): pass\ndef test_y(quant_scheme): pass")
    assert collected(any_scheme, THREE, "-k", "w8a8-fp8") == [
        "test_x[w8a8-fp8]",
        "test_y[w8a8-fp8]",
    ]


def test_same_scheme_twice(any_scheme: Suite) -> None:
    """Two spellings of one scheme are one run."""
    any_scheme.test("def test_x(quant_scheme): pass")
    args = ["--quant-scheme=w8a8-fp8,FP8-W8A8", "--quant-scheme=fp8"]
    assert collected(any_scheme, *args) == ["test_x[w8a8-fp8]"]


FILTERED = """
pytestmark = pytest.mark.quant_schemes("w8a8-int8", "w8a8-fp8")

def test_module(quant_scheme): pass

@pytest.mark.quant_schemes("w4a16-int4")
def test_any_method(quant_scheme): pass

@pytest.mark.quant_schemes("w4a16-int4-awq")
def test_other_method(quant_scheme): pass

@pytest.mark.quant_schemes("FP8", "nvfp4")
def test_alias(quant_scheme): pass
"""


def test_filter(any_scheme: Suite) -> None:
    """quant_schemes leaves those it names, the nearest marker alone, and adds none."""
    any_scheme.test(FILTERED)
    assert sorted(collected(any_scheme, THREE)) == [
        "test_alias[w8a8-fp8]",
        "test_any_method[w4a16-int4-gptq]",
        "test_module[w8a8-fp8]",
        "test_module[w8a8-int8]",
        "test_other_method",
    ]


def test_none_left(any_scheme: Suite) -> None:
    """A test for other schemes only is skipped and says for which it is not."""
    any_scheme.test(FILTERED)
    result = any_scheme.run("--quant-scheme=w8a8-int8", "-rs")
    assert result.ret == 0
    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines(["SKIPPED * not for w8a8-int8 (marker quant_schemes)"])


def test_no_scheme(suite: Suite) -> None:
    """Without --quant-scheme, tests that need one are skipped with the reason; others run."""
    suite.test(
        """
        pytestmark = pytest.mark.min_retention(0.9)
        def test_x(compare_accuracy): pass
        def test_y(quantized_model): pass
        def test_z(): pass
        """
    )
    result = suite.run("-rs")
    assert result.ret == 0
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED * no --quant-scheme given, e.g. --quant-scheme=w8a8-fp8"])


def test_no_scheme_and_no_configuration(suite: Suite) -> None:
    """A fresh checkout without any option skips as well, even under -W error."""
    (suite.path / "pytest.toml").unlink()
    suite.test("def test_x(compare_accuracy): pass")
    result = suite.run("-W", "error", "-p", "no:cacheprovider")
    assert result.ret == 0
    result.assert_outcomes(skipped=1)


@pytest.mark.parametrize(
    ("names", "values", "arguments"),
    [
        ('"quant_scheme"', '["w8a8-fp8"]', "quant_scheme"),
        ('"n, quant_scheme"', '[(1, "w8a8-fp8")]', "n, quant_scheme"),
        ('["quant_scheme", "n"]', '[("w8a8-fp8", 1)]', "n, quant_scheme"),
        ('("quant_scheme",)', '[("w8a8-fp8",)]', "quant_scheme, compare_accuracy"),
    ],
)
@pytest.mark.parametrize("args", [[], [THREE], ["--quant-update"]], ids=["none", "three", "update"])
def test_parametrized_by_the_user(
    names: str, values: str, arguments: str, args: list[str], any_scheme: Suite
) -> None:
    """A parametrize mark for quant_scheme is one clean error that names the marker to use."""
    any_scheme.test(f"@pytest.mark.parametrize({names}, {values})\ndef test_x({arguments}): pass")
    assert collection_error(any_scheme.run(*args)) == [
        "test_gate.py::test_x: quant_scheme is parametrized by --quant-scheme; choose among the "
        "schemes of a test with @pytest.mark.quant_schemes(...)"
    ]


def test_parametrized_by_a_class_mark(any_scheme: Suite) -> None:
    """The mark is found on a class as well, with keywords."""
    any_scheme.test(
        """
        @pytest.mark.parametrize(argnames="quant_scheme", argvalues=["w8a8-fp8"])
        class TestA:
            def test_x(self, quant_scheme): pass
        """
    )
    [line] = collection_error(any_scheme.run(THREE))
    assert line.startswith("test_gate.py::TestA::test_x: quant_scheme is parametrized by")


@pytest.mark.parametrize("args", [[], [THREE]], ids=["none", "three"])
def test_parametrized_by_the_users_hook(args: list[str], any_scheme: Suite) -> None:
    """A hook of the user's own cannot smuggle a scheme in."""
    any_scheme.test(
        """
        def pytest_generate_tests(metafunc):
            metafunc.parametrize("quant_scheme", ["w4a16-int4"])
        def test_x(quant_scheme): pass
        """
    )
    result = any_scheme.run(*args)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert is_clean(result)
    result.stdout.fnmatch_lines(
        ["*test_x*parametriz*quant_scheme*"] if args else ["*quant_scheme is*"]
    )


def test_collect_only_requires_nothing(any_scheme: Suite) -> None:
    """--quant-require has no effect where nothing can run."""
    any_scheme.test("def test_x(compare_accuracy): pass")
    result = any_scheme.run("--collect-only", "--quant-require", THREE)
    assert result.ret == 0
    assert any_scheme.run("--quant-require", THREE, "-k", "nothing").ret == 1


def test_recording_runs_each_test_once(any_scheme: Suite) -> None:
    """With --quant-update schemes are ignored; only what compares is run."""
    any_scheme.test(
        """
        @pytest.mark.quant_schemes("w8a8-fp8")
        def test_x(compare_accuracy): compare_accuracy("sum", limit=20)
        def test_y(quantized_model): assert 0
        def test_z(): pass
        """
    )
    assert collected(any_scheme, THREE, "--quant-update") == ["test_x", "test_y", "test_z"]
    result = any_scheme.run(THREE, "--quant-update", "-rs")
    assert result.ret == 0
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED * recording baselines: no quantized model is run"])


@pytest.mark.slow
def test_workers_read_the_same_options(any_scheme: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started in a subfolder, xdist's workers find the same paths, and the ids are the same."""
    any_scheme.test(
        "@pytest.mark.min_retention(0.5)\ndef test_x(compare_accuracy): compare_accuracy('sum')",
        "sub/test_x.py",
    )
    monkeypatch.chdir(any_scheme.path / "sub")
    assert any_scheme.record().ret == 0
    result = any_scheme.run_on_workers(
        "-v", "--quant-scheme=w8a8-int8", "--quant-checkpoint=../int8", n=1
    )
    assert result.ret == 0
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*test_x[[]w8a8-int8[]]*"])
