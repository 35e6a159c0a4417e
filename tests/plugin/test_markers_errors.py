"""Wrong markers: one clean collection error that names marker, value and what is allowed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import SCHEME, Suite

Wrong = Callable[[str], list[str]]

FRACTION = "expected a fraction in (0, 1]"
MODES = "allowed are detect, certify, point"
SLIP = "a minimum below 0.5 passes a model that lost half of its score"


def is_clean(result: pytest.RunResult) -> bool:
    """Whether nothing of Python's or pytest's own workings is shown."""
    words = ("Traceback", "INTERNALERROR", "site-packages", "raise ")
    return not [line for line in result.outlines + result.errlines if any(w in line for w in words)]


def collection_error(result: pytest.RunResult) -> list[str]:
    """The lines of the only error of a run that was interrupted at collection."""
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert is_clean(result)
    result.assert_outcomes(errors=1)
    lines = result.outlines
    [start] = [i for i, line in enumerate(lines) if " ERROR collecting " in line]
    end = next(i for i, line in enumerate(lines) if "short test summary" in line)
    return [line for line in lines[start + 1 : end] if line]


@pytest.fixture
def wrong(suite: Suite) -> Wrong:
    """Collects a file with a mistake and gives what is said about it."""

    def run(source: str) -> list[str]:
        suite.test(source)
        return collection_error(suite.gate())

    return run


VALUES = [
    ("min_retention(98)", f"{FRACTION}; did you mean 0.98?"),
    ("min_retention(99.5)", f"{FRACTION}; did you mean 0.995?"),
    ("min_retention(1.02)", f"{FRACTION}, e.g. 0.98"),
    ("min_retention(-0.5)", f"{FRACTION}, e.g. 0.98"),
    ("min_retention(0.02)", f"{SLIP}; did you mean 0.98?"),
    ("min_retention(0.49)", f"{SLIP}; did you mean 0.51?"),
    ("min_retention(2)", f"{FRACTION}; did you mean 0.98?"),
    ("no_regression(0.01)", f"{SLIP}; did you mean 0.99?"),
    ("min_retention(0)", f"{FRACTION}, e.g. 0.98"),
    ("min_retention(float('nan'))", f"{FRACTION}, e.g. 0.98"),
    ("min_retention(float('inf'))", f"{FRACTION}, e.g. 0.98"),
    ("min_retention(True)", f"{FRACTION}, e.g. 0.98"),
    ("min_retention('98%')", f"{FRACTION}, e.g. 0.98"),
    ("min_retention(None)", f"{FRACTION}, e.g. 0.98"),
    (
        "min_retention()",
        "missing a required argument: 'r'; write min_retention(r, *, task=None, metric=None)",
    ),
    (
        "min_retention(0.9, 'sum')",
        "too many positional arguments; write min_retention(r, *, task=None, metric=None)",
    ),
    (
        "min_retention(0.9, tsk='sum')",
        "got an unexpected keyword argument 'tsk'; "
        "write min_retention(r, *, task=None, metric=None)",
    ),
    ("min_retention(0.9, task=3)", "task=3: allowed is a name as lm-eval spells it"),
    ("min_retention(0.9, metric='')", "metric='': allowed is a name as lm-eval spells it"),
    ("quant_schemes()", "allowed are scheme names, e.g. *"),
    ("quant_schemes('')", "allowed are scheme names, e.g. *"),
    ("quant_schemes(8)", "allowed are scheme names, e.g. *"),
    ("quant_schemes('w8a8-fp9')", "unknown scheme 'w8a8-fp9'"),
    ("quant_schemes('bf16')", "bf16 is not a quantized scheme"),
    ("quant_gate()", "says nothing; give mode=, confidence= or both"),
    (
        "quant_gate(mode='dtect')",
        f"mode='dtect': {MODES}; did you mean detect?",
    ),
    (
        "quant_gate(mode=['point'])",
        f"mode=['point']: {MODES}; did you mean point?",
    ),
    ("quant_gate(confidence=95)", "confidence=95: allowed *; did you mean 0.95?"),
    ("quant_gate(confidence=0.05)", "confidence=0.05: allowed *; did you mean 0.95?"),
    ("quant_gate(confidence='high')", "confidence='high': allowed is a number above 0.5 *"),
    ("quant_gate(level=1)", "got an unexpected keyword argument 'level'; write quant_gate(*"),
]


def _text(said: str) -> str:
    return said.replace("[", "[[]")


@pytest.mark.parametrize(("mark", "said"), VALUES, ids=[mark for mark, _ in VALUES])
def test_wrong_value(mark: str, said: str, wrong: Wrong) -> None:
    """The error names where the marker stands, the marker with its value and the rule."""
    lines = wrong(
        f"""
        @pytest.mark.{mark}
        def test_x(compare_accuracy): pass
        """
    )
    shown = mark.replace("float('nan')", "nan").replace("float('inf')", "inf")
    pytest.LineMatcher(lines).fnmatch_lines([_text(f"test_gate.py::test_x: {shown}: {said}")])
    if "fp9" not in mark:
        assert len(lines) == 1


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("min_retention", f"{FRACTION}, e.g. 0.98"),
        ("max_perplexity_ratio", "at least 1 and no more than 2, e.g. 1.02"),
        ("min_speedup", "above 0, e.g. 1.8"),
    ],
)
def test_a_number_too_large_was_an_internal_error(mark: str, said: str, wrong: Wrong) -> None:
    """A whole number beyond every float is a wrong value like any other."""
    [line] = wrong(f"pytestmark = pytest.mark.{mark}(10**400)\ndef test_x(quant_scheme): pass")
    assert "00): " in line
    assert line.endswith(said)


PLACES = {
    "param": """
        @pytest.mark.parametrize(
            "n", [1, pytest.param(2, marks=pytest.mark.min_retention(98)),
                  pytest.param(3, marks=pytest.mark.min_retention(98))]
        )
        def test_x(n, compare_accuracy): pass
        """,
    "test_gate.py::TestA": """
        @pytest.mark.min_retention(98)
        class TestA:
            def test_x(self, compare_accuracy): pass
            def test_y(self, compare_accuracy): pass
            def test_z(self): pass
        """,
    "class Base": """
        @pytest.mark.min_retention(98)
        class Base: pass
        class TestA(Base):
            def test_x(self, compare_accuracy): pass
        """,
    "test_gate.py::TestA::TestB": """
        class TestA:
            class TestB:
                pytestmark = [pytest.mark.min_retention(98)]
                def test_x(self, compare_accuracy): pass
        """,
    "test_gate.py": """
        pytestmark = pytest.mark.min_retention(98)
        def test_x(compare_accuracy): pass
        class TestA:
            def test_y(self, compare_accuracy): pass
        """,
    "test_gate.py::TestU": """
        import unittest
        @pytest.mark.min_retention(98)
        class TestU(unittest.TestCase):
            def test_x(self): pass
        """,
    "test_gate.py::TestV::test_x": """
        import unittest
        class TestV(unittest.TestCase):
            @pytest.mark.min_retention(98)
            def test_x(self): pass
        """,
}


@pytest.mark.parametrize("place", PLACES)
def test_every_place(place: str, wrong: Wrong) -> None:
    """Wherever a wrong marker stands, it is told once and its place is named."""
    where = "test_gate.py::test_x" if place == "param" else place
    assert wrong(PLACES[place]) == [f"{where}: min_retention(98): {FRACTION}; did you mean 0.98?"]


def test_all_mistakes_of_a_file_at_once(wrong: Wrong) -> None:
    """Nobody has to mend and run again to see the next mistake, in classes neither."""
    lines = wrong(
        """
        @pytest.mark.min_retention(98)
        def test_a(compare_accuracy): pass

        @pytest.mark.quant_gate(mode="x")
        def test_b(compare_accuracy): pass

        @pytest.mark.parametrize("quant_scheme", ["w8a8-fp8"])
        def test_c(quant_scheme): pass

        class TestD:
            @pytest.mark.min_retention(0)
            def test_d(self, compare_accuracy): pass

            class TestE:
                @pytest.mark.min_retention(2)
                def test_e(self, compare_accuracy): pass
        """
    )
    assert [line.partition(": ")[0] for line in lines] == [
        "test_gate.py::test_a",
        "test_gate.py::test_b",
        "test_gate.py::test_c",
        "test_gate.py::TestD::test_d",
        "test_gate.py::TestD::TestE::test_e",
    ]


def test_each_class_of_a_sound_file(suite: Suite) -> None:
    """Mistakes of two classes are two errors of one run."""
    suite.test(
        """
        def test_sound(): pass

        class TestA:
            @pytest.mark.min_retention(98)
            def test_a(self, compare_accuracy): pass

        class TestB:
            @pytest.mark.min_retention(0)
            def test_b(self, compare_accuracy): pass
        """
    )
    result = suite.gate()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*TestA::test_a: min_retention(98)*", "*TestB::test_b: min_*(0)*"])


def test_other_files_run_if_asked(suite: Suite) -> None:
    """With --continue-on-collection-errors a wrong file costs only itself."""
    suite.test("@pytest.mark.min_retention(98)\ndef test_x(compare_accuracy): pass", "test_bad.py")
    suite.test("def test_x(): pass", "test_good.py")
    result = suite.run("--continue-on-collection-errors")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=1, passed=1)


def test_told_without_any_option(suite: Suite) -> None:
    """A wrong marker is an error whether or not anything is gated, and so on a worker."""
    suite.ini(quant_model=None, quant_backend=None, quant_include_path=None)
    suite.test("@pytest.mark.min_retention(98)\ndef test_x(compare_accuracy): pass")
    assert len(collection_error(suite.run())) == 1
    result = suite.run_on_workers()
    assert result.ret not in (0, pytest.ExitCode.NO_TESTS_COLLECTED)
    result.stdout.fnmatch_lines(["*min_retention(98): expected *; did you mean 0.98?*"])
    assert is_clean(result)


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        (
            ["min_retention(0.9)"],
            "min_retention(0.9): the test does not request compare_accuracy,*",
        ),
        (
            ["quant_gate(mode='point')"],
            "quant_gate(mode='point'): *request compare_accuracy or compare_speed,*",
        ),
        (["quant_schemes('awq')"], "quant_schemes('awq'): *does not request quant_scheme,*"),
    ],
)
def test_marker_that_nothing_feeds(marks: list[str], said: str, wrong: Wrong) -> None:
    """On the test itself, a marker without a fixture for it is a mistake."""
    lines = wrong("\n".join([*(f"@pytest.mark.{mark}" for mark in marks), "def test_x(): pass"]))
    pytest.LineMatcher(lines).fnmatch_lines([f"test_gate.py::test_x: {said}"])


def test_unittest_method_cannot_feed(wrong: Wrong) -> None:
    """A TestCase method has no arguments, so its own gate could never be judged."""
    lines = wrong(
        """
        import unittest
        class TestU(unittest.TestCase):
            @pytest.mark.min_retention(0.9)
            def test_x(self): pass
        """
    )
    pytest.LineMatcher(lines).fnmatch_lines(["test_gate.py::TestU::test_x: *does not request*"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("min_retention(0.9)", "min_retention(0.95)"),
        ("min_retention(0.9, task='sum')", "min_retention(0.95, task='sum')"),
        ("quant_gate(mode='point')", "quant_gate(mode='certify', confidence=0.9)"),
        ("quant_schemes('fp8')", "quant_schemes('awq')"),
    ],
)
@pytest.mark.parametrize("place", ["function", "class", "module"])
def test_contradiction_at_one_place(first: str, second: str, place: str, wrong: Wrong) -> None:
    """Two values of one key at one place are a mistake, for nobody could say which holds."""
    marks = f"[pytest.mark.{first}, pytest.mark.{second}]"
    source = {
        "function": f"@pytest.mark.{first}\n@pytest.mark.{second}\n"
        "def test_x(compare_accuracy): pass",
        "class": f"class TestA:\n pytestmark = {marks}\n def test_x(self, compare_accuracy): pass",
        "module": f"pytestmark = {marks}\ndef test_x(compare_accuracy): pass",
    }[place]
    [line] = wrong(source)
    where = {"function": "::test_x", "class": "::TestA", "module": ""}[place]
    assert line.startswith(f"test_gate.py{where}: ")
    assert first in line
    assert second in line
    assert line.endswith("contradict each other at the same place; keep one")


def test_no_contradiction(suite: Suite) -> None:
    """Repeated, complementary and differently selected markers stand together."""
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        @pytest.mark.min_retention(0.9)
        @pytest.mark.min_retention(0.8, task="sum")
        @pytest.mark.min_retention(0.7, task="sum", metric="exact_match")
        @pytest.mark.quant_gate(mode="point")
        @pytest.mark.quant_gate(confidence=0.9)
        @pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.min_retention(0.6))])
        def test_x(n, quant_scheme, compare_accuracy): pass
        """
    )
    result = suite.gate("--collect-only", "-q")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["test_gate.py::test_x[[]w8a8-int8-1]"])


@pytest.mark.parametrize("name", ["min_agreement(0.9)", "max_flips(0.1)"])
def test_marker_not_built_yet(name: str, suite: Suite) -> None:
    """It is an unknown mark: an error under --strict-markers, a warning otherwise."""
    suite.test(f"@pytest.mark.{name}\ndef test_x(): pass")
    word = name.partition("(")[0]
    strict = suite.run("--strict-markers")
    assert strict.ret == pytest.ExitCode.INTERRUPTED
    strict.stdout.fnmatch_lines([f"*'{word}' not found in `markers` configuration option*"])
    suite.run().stdout.fnmatch_lines([f"*PytestUnknownMarkWarning: Unknown pytest.mark.{word}*"])


HOOKS = {
    "plain": "",
    "first": "@pytest.hookimpl(tryfirst=True)",
    "last": "@pytest.hookimpl(trylast=True)",
}


@pytest.mark.parametrize("order", [*HOOKS, "wrapper"])
def test_wrong_mark_added_by_a_hook(order: str, suite: Suite) -> None:
    """A conftest's wrong mark is one usage error, whenever its hook runs."""
    add = "for item in items: item.add_marker(pytest.mark.min_retention(98))"
    head = "def pytest_collection_modifyitems(items):\n"
    if order == "wrapper":
        body = f"@pytest.hookimpl(wrapper=True, tryfirst=True)\n{head} yield\n {add}"
    else:
        body = f"{HOOKS[order]}\n{head} {add}"
    suite.test(body, "conftest.py")
    suite.test("def test_x(compare_accuracy): pass\ndef test_y(compare_accuracy): pass")
    result = suite.gate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert is_clean(result)
    assert [line for line in result.errlines if line] == [
        f"ERROR: test_gate.py::{name}: min_retention(98): {FRACTION}; did you mean 0.98?"
        if name == "test_x"
        else f"test_gate.py::{name}: min_retention(98): {FRACTION}; did you mean 0.98?"
        for name in ("test_x", "test_y")
    ]


def test_wrong_mark_added_by_a_hook_on_a_worker(suite: Suite) -> None:
    """Under xdist the run fails as well, and says why."""
    suite.test(
        "def pytest_collection_modifyitems(items):\n"
        " for item in items: item.add_marker(pytest.mark.min_retention(98))",
        "conftest.py",
    )
    suite.test("def test_x(compare_accuracy): pass")
    words = (f"--quant-scheme={SCHEME}", "--quant-checkpoint=int8")
    result = suite.run_on_workers(*words, n=1)
    assert result.ret not in (0, pytest.ExitCode.NO_TESTS_COLLECTED)
    output = result.stdout.str() + result.stderr.str()
    assert f"min_retention(98): {FRACTION}; did you mean 0.98?" in output
