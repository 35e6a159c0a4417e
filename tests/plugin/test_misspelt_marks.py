"""Marks that look like ours and are registered nowhere, on tests with our fixtures."""

from __future__ import annotations

import pytest

from pytest_quantreg.plugin.misspelt_marks import NOT_BUILT, edits, misspelt
from pytest_quantreg.plugin.option_table import OUR_MARKERS

from .conftest import Suite
from .test_markers_errors import collection_error

GATE = """
    @pytest.fixture
    def compared(compare_accuracy):
        return compare_accuracy

    {mark}
    def test_sum({args}):
        compared("sum")
"""


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [
        ("min_retention", "min_retention", 0),
        ("min_retentoin", "min_retention", 1),
        ("minretention", "min_retention", 1),
        ("min_retension", "min_retention", 1),
        ("mni_retentoin", "min_retention", 2),
        ("ab", "ba", 1),
        ("", "abc", 3),
        ("abc", "", 3),
        ("slow", "min_speedup", 10),
    ],
)
def test_edits(left: str, right: str, distance: int) -> None:
    """Letters added, dropped, replaced, and neighbours swapped, each cost one."""
    assert edits(left, right) == edits(right, left) == distance


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("min_retentoin", "min_retention"),
        ("minretention", "min_retention"),
        ("Min_Retention", "min_retention"),
        ("min_memory", "max_memory"),
        ("quant_scheme", "quant_schemes"),
        ("no_regresion", "no_regression"),
        *NOT_BUILT.items(),
        ("slow", ""),
        ("minimal", ""),
        ("max_flops", ""),
        ("parametrize", ""),
        ("mine_retention", ""),
    ],
)
def test_the_nearest_of_ours(pytester: pytest.Pytester, name: str, near: str) -> None:
    """One that pytest, a plugin or the project has registered is none of our business."""
    pytester.makeini("[pytest]\nmarkers =\n  mine_retention(x): theirs\n  max_flops")
    config = pytester.parseconfigure()
    problems = misspelt(config, [name, *OUR_MARKERS])
    assert [*problems] == ([name] if near else [])
    assert all(near in problem.facts.values() for problem in problems.values())
    assert not NOT_BUILT.keys() & OUR_MARKERS, "a marker that is built is no longer announced"


@pytest.mark.parametrize(
    ("mark", "args"),
    [
        ("@pytest.mark.min_retentoin(0.9)", "compared"),
        ("pytestmark = pytest.mark.min_retentoin(0.9)\n", "compared"),
        ("@pytest.mark.parametrize('x', [pytest.param(1, marks=[SLIP])])", "compared, x"),
    ],
    ids=["test", "module", "param"],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnknownMarkWarning")
def test_a_misspelt_mark_gated_nothing(suite: Suite, mark: str, args: str) -> None:
    """A collection error, through other fixtures too, where a misspelt gate was passed over."""
    mark = mark.replace("SLIP", "pytest.mark.min_retentoin(0.9)")
    suite.test(GATE.format(mark=mark, args=args))
    [line] = collection_error(suite.gate())
    assert "unknown mark min_retentoin, which judges nothing; did you mean min_retention?" in line


@pytest.mark.filterwarnings("ignore::pytest.PytestUnknownMarkWarning")
def test_other_peoples_marks_and_tests_are_left_alone(suite: Suite) -> None:
    """@pytest.mark.slow on our tests, and a mark like ours on theirs."""
    suite.test(GATE.format(mark="@pytest.mark.slow", args="compared"))
    suite.test("@pytest.mark.min_retentoin(0.9)\ndef test_other(): pass", "test_other.py")
    assert suite.run().ret == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnknownMarkWarning")
def test_a_misspelt_mark_that_a_hook_added(suite: Suite) -> None:
    """Told as soon as all hooks have added theirs."""
    suite.test(GATE.format(mark="", args="compared"))
    suite.pytester.makeconftest(
        """
        import pytest

        def pytest_collection_modifyitems(items):
            items[0].add_marker(pytest.mark.max_flips(0.1))
        """
    )
    result = suite.gate()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *max_flips is not built yet*use min_retention instead*"])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnknownMarkWarning")
def test_a_misspelt_mark_that_a_body_added(suite: Suite) -> None:
    """A gate that a test adds to itself and misspells is refused."""
    adds = "request.node.add_marker(pytest.mark.min_retentoin(0.9))\n        "
    source = GATE.format(mark="", args="compared, request")
    suite.test(source.replace('compared("sum")', f'{adds}compared("sum")'))
    result = suite.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (wrong use) *unknown mark min_retentoin*"])
