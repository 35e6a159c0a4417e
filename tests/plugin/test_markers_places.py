"""Which of several markers holds: more selectors first, then the nearest to the test."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

from pytest_quantreg.core.gates.plan import Plan
from pytest_quantreg.core.gates.selection import choose, matching
from pytest_quantreg.core.settings import GateMode
from pytest_quantreg.plugin.markers import plan
from pytest_quantreg.plugin.options import read

from .conftest import Suite

FEEDING = frozenset({"compare_accuracy"})

Plans = Callable[..., dict[str, Plan]]


@pytest.fixture
def plans(suite: Suite) -> Plans:
    """Collects a file and gives the plan of each test by its id within the file."""

    def make(source: str, *args: str, fixtures: frozenset[str] = FEEDING) -> dict[str, Plan]:
        suite.test(source)
        items, _ = suite.pytester.inline_genitems("-q", *args)
        assert items
        return {
            item.nodeid.partition("::")[2]: plan(item, read(item.config), fixtures)
            for item in items
        }

    return make


def minimum(gate_plan: Plan, task: str = "sum", metric: str = "exact_match") -> float | None:
    """What the plan requires of one metric of one task."""
    gates = [gate for gate in matching(gate_plan.gates, task) if gate.metric in (None, metric)]
    chosen = choose([(gate, metric) for gate in gates])
    return chosen[0][0].minimum if chosen else None


NESTED = """
pytestmark = pytest.mark.min_retention(0.51)

def of_module(compare_accuracy): pass

@pytest.mark.min_retention(0.52)
class Base: pass

class TestInherits(Base):
    def test_x(self, compare_accuracy): pass

@pytest.mark.min_retention(0.53)
class TestA(Base):
    def test_class(self, compare_accuracy): pass

    @pytest.mark.min_retention(0.54)
    def test_function(self, compare_accuracy): pass

    @pytest.mark.min_retention(0.54)
    @pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.min_retention(0.55))])
    def test_param(self, n, compare_accuracy): pass

    class TestInner:
        def test_x(self, compare_accuracy): pass

def test_x(compare_accuracy): pass
"""


def test_nearest_wins(plans: Plans) -> None:
    """Param before function before class before base class before module."""
    minima = {name: minimum(gate_plan) for name, gate_plan in plans(NESTED).items()}
    assert minima == {
        "TestInherits::test_x": 0.52,
        "TestA::test_class": 0.53,
        "TestA::test_function": 0.54,
        "TestA::test_param[1]": 0.54,
        "TestA::test_param[2]": 0.55,
        "TestA::TestInner::test_x": 0.53,
        "test_x": 0.51,
    }


def test_more_selectors_win(plans: Plans) -> None:
    """A marker for one task or metric wins over a general one that stands nearer."""
    source = """
        pytestmark = [
            pytest.mark.min_retention(0.6, task="sum"),
            pytest.mark.min_retention(0.7, task="sum", metric="other"),
            pytest.mark.min_retention(0.8, metric="acc"),
        ]
        @pytest.mark.min_retention(0.9)
        def test_x(compare_accuracy): pass
        """
    [gate_plan] = plans(source).values()
    assert minimum(gate_plan, "sum", "exact_match") == 0.6
    assert minimum(gate_plan, "sum", "other") == 0.7
    assert minimum(gate_plan, "pick", "acc") == 0.8
    assert minimum(gate_plan, "pick", "acc_norm") == 0.9


def test_inherited_marker_needs_its_fixture(plans: Plans) -> None:
    """A gate of the module is none for a test that measures nothing; an own gate stays one."""
    source = """
        pytestmark = pytest.mark.min_retention(0.9)
        @pytest.mark.min_retention(0.8, task="sum")
        def test_x(request): pass
        """
    [idle] = plans(source, fixtures=frozenset()).values()
    assert [str(gate) for gate in idle.gates] == ["min_retention(0.8, task='sum')"]
    [fed] = plans(source).values()
    assert len(fed.gates) == 2


def test_marks_of_hooks_count_as_the_nodes_own(plans: Plans, suite: Suite) -> None:
    """add_marker on a class stands where the class stands, on an item where the test does."""
    suite.test(
        """
        def pytest_itemcollected(item):
            if item.cls is not None:
                item.parent.add_marker(pytest.mark.min_retention(0.6))
            if item.originalname == "test_own":
                item.add_marker(pytest.mark.min_retention(0.7))
        """,
        "conftest.py",
    )
    source = """
        pytestmark = pytest.mark.min_retention(0.5)
        class TestA:
            def test_x(self, compare_accuracy): pass
        def test_own(compare_accuracy): pass
        """
    minima = {name: minimum(gate_plan) for name, gate_plan in plans(source).items()}
    assert minima == {"TestA::test_x": 0.6, "test_own": 0.7}


@pytest.mark.parametrize(
    ("marks", "args", "mode", "confidence"),
    [
        ("", [], GateMode.DETECT, 0.95),
        ("", ["--quant-gate=point", "--quant-confidence=0.9"], GateMode.POINT, 0.9),
        ("quant_gate(mode='certify')", ["--quant-gate=point"], GateMode.CERTIFY, 0.95),
        ("quant_gate(confidence=0.8)", ["--quant-confidence=0.9"], GateMode.DETECT, 0.8),
        ("quant_gate('certify', 0.8)", ["--quant-gate=point"], GateMode.CERTIFY, 0.8),
    ],
)
def test_marker_before_command_line(
    marks: str, args: list[str], mode: GateMode, confidence: float, plans: Plans
) -> None:
    """quant_gate wins over the command line, each of its two values by itself."""
    mark = f"pytest.mark.{marks}" if marks else "[]"
    [gate_plan] = plans(f"pytestmark = {mark}\ndef test_x(compare_accuracy): pass", *args).values()
    assert (gate_plan.mode, gate_plan.confidence) == (mode, confidence)


def test_nearest_quant_gate_by_value(plans: Plans) -> None:
    """The function's mode and the class's confidence hold together."""
    source = """
        @pytest.mark.quant_gate(mode="point", confidence=0.7)
        class TestA:
            @pytest.mark.quant_gate(mode="certify")
            def test_x(self, compare_accuracy): pass
        """
    [gate_plan] = plans(source, "--quant-confidence=0.9").values()
    assert (gate_plan.mode, gate_plan.confidence) == (GateMode.CERTIFY, 0.7)


def test_the_run_judges_by_the_chosen_marker(suite: Suite) -> None:
    """What is required in the verdict is what the nearest marker says."""
    source = """
        pytestmark = pytest.mark.min_retention(0.5)

        @pytest.mark.parametrize(
            "task", ["sum", pytest.param("pick", marks=pytest.mark.min_retention(0.999))]
        )
        def test_x(task, compare_accuracy):
            compare_accuracy(task)
        """
    suite.test(dedent(source))
    suite.record()
    suite.checkpoint("int8", also_wrong={"seed": 5, "share": 0.2})
    result = suite.gate()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*99.9 %*was required*"])


def test_own_gate_fed_by_a_later_request(suite: Suite) -> None:
    """A test with `request` may ask for compare_accuracy in its body; unfed it is refused."""
    suite.test(
        """
        @pytest.mark.min_retention(0.5)
        def test_feeds(request):
            request.getfixturevalue("compare_accuracy")("sum")

        @pytest.mark.min_retention(0.5)
        def test_does_not(request):
            pass
        """
    )
    suite.run("--quant-update", "test_gate.py::test_feeds")
    result = suite.gate("-rA")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["PASSED test_gate.py::test_feeds*", "ERROR *test_does_not*"])
