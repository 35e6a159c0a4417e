"""JUnit: every figure is a property of its test case, and a refusal is no loss."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from .conftest import SCHEME, Suite

LOSES = {"seed": 5, "share": 0.3}
HALF = {"seed": 5, "share": 0.05}

TESTS = """
    @pytest.mark.min_retention(0.98)
    def test_lost(compare_accuracy):
        compare_accuracy("pick")

    @pytest.mark.min_retention(0.93)
    def test_half(compare_accuracy):
        compare_accuracy("sum")

    @pytest.mark.quant_gate("certify")
    @pytest.mark.min_retention(0.93)
    def test_certify(compare_accuracy):
        compare_accuracy("sum")

    @pytest.mark.min_retention(0.9)
    def test_refused(compare_accuracy):
        compare_accuracy("sum", num_fewshot=2)

    @pytest.mark.xfail
    @pytest.mark.min_retention(0.9)
    def test_refused_all_the_same(compare_accuracy):
        compare_accuracy("sum", num_fewshot=2)

    @pytest.mark.xfail
    @pytest.mark.min_retention(0.98)
    def test_excused(compare_accuracy):
        compare_accuracy("pick")

    @pytest.mark.min_retention(0.5)
    def test_own_failure(compare_accuracy):
        assert compare_accuracy("pick").retention > 2

    @pytest.fixture
    def asks(compare_accuracy):
        compare_accuracy("sum", num_fewshot=3)

    def test_refused_before(asks):
        pass

    def test_other():
        assert False

    def test_passes():
        pass
"""

TYPES = {
    "test_lost": ("failure", "quantreg.Lost"),
    "test_half": None,
    "test_certify": ("failure", "quantreg.Undecided"),
    "test_refused": ("failure", "quantreg.Refused"),
    "test_refused_all_the_same": ("failure", "quantreg.Refused"),
    "test_excused": ("skipped", "pytest.xfail"),
    "test_own_failure": ("failure", None),
    "test_refused_before": ("error", "quantreg.Refused"),
    "test_other": ("failure", None),
    "test_passes": None,
}


@pytest.fixture
def gated(suite: Suite) -> Suite:
    """Baselines, and a checkpoint that loses a twentieth of its answers in both tasks."""
    suite.test(TESTS)
    suite.test(
        'def test_a(compare_accuracy):\n    [compare_accuracy(x) for x in ("sum", "pick")]',
        "test_record.py",
    )
    assert suite.record("test_record.py").ret == 0
    suite.checkpoint("half", also_wrong=HALF)
    return suite


def words() -> list[str]:
    """What every run here is asked."""
    return [
        *("test_gate.py", f"--quant-scheme={SCHEME}", "--quant-checkpoint=half"),
        *("--junitxml=junit.xml", "-o", "junit_logging=all"),
    ]


def cases(path: Path) -> dict[str, ElementTree.Element]:
    """Test name, without its scheme -> test case; the file is as readers of JUnit expect it."""
    root = ElementTree.parse(path / "junit.xml").getroot()
    assert root.tag == "testsuites"
    [suite] = root
    cases_in_suite = list(suite.iter("testcase"))
    assert int(suite.attrib["tests"]) == len(cases_in_suite)
    for kind, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert int(suite.attrib[count]) == sum(len(case.findall(kind)) for case in cases_in_suite)
    order = ("properties", "skipped", "error", "failure", "system-out", "system-err")
    for case in cases_in_suite:
        tags = [child.tag for child in case]
        assert tags == sorted(tags, key=order.index)
        assert tags.count("properties") <= 1
        assert set(case.attrib) == {"classname", "name", "time"}
        for prop in case.iter("property"):
            assert set(prop.attrib) == {"name", "value"}
    return {case.attrib["name"].partition("[")[0]: case for case in cases_in_suite}


def types(
    cases_by_name: dict[str, ElementTree.Element],
) -> dict[str, tuple[str, str | None] | None]:
    """Test name -> what ended it and of which type."""
    ended = {}
    for name, case in cases_by_name.items():
        ends = [child for child in case if child.tag in ("failure", "error", "skipped")]
        ended[name] = (ends[0].tag, ends[0].get("type")) if ends else None
    return ended


def test_types_and_figures(gated: Suite) -> None:
    """A lost, an undecided and a refused gate have types of their own; other failures none."""
    assert gated.run(*words()).ret == 1
    cases_by_name = cases(gated.path)
    assert types(cases_by_name) == TYPES
    figures = {
        prop.attrib["name"]: prop.attrib["value"]
        for prop in cases_by_name["test_half"].iter("property")
    }
    assert figures["quantreg.scheme"] == SCHEME
    assert figures["quantreg.sum.exact_match.verdict"] == "undecided"
    assert figures["quantreg.sum.exact_match.mode"] == "detect"
    assert float(figures["quantreg.sum.exact_match.low"]) < 0.93
    assert int(figures["quantreg.sum.exact_match.lost"]) > 0
    refused = {
        prop.attrib["name"]: prop.attrib["value"]
        for prop in cases_by_name["test_refused"].iter("property")
    }
    assert refused["quantreg.sum.category"] == "baseline absent"
    excused = {
        prop.attrib["name"]: prop.attrib["value"]
        for prop in cases_by_name["test_excused"].iter("property")
    }
    assert excused["quantreg.pick.acc.verdict"] == "lost"
    text = cases_by_name["test_lost"].find("failure")
    assert text is not None
    assert (text.text or "").startswith(f"LOST {SCHEME} pick: keeps ")


def test_a_teardown_that_fails_as_well(gated: Suite) -> None:
    """Of a test that lost and whose teardown was refused, each failure has its own type."""
    gated.test(
        """
        @pytest.fixture
        def late(compare_accuracy):
            yield
            compare_accuracy("sum")

        @pytest.mark.min_retention(0.98)
        def test_lost(late, compare_accuracy):
            compare_accuracy("pick")
        """
    )
    assert gated.run(*words()).ret == 1
    root = ElementTree.parse(gated.path / "junit.xml").getroot()
    ends = [
        (child.tag, child.get("type"))
        for case in root.iter("testcase")
        for child in case
        if child.tag in ("failure", "error")
    ]
    assert ends == [("failure", "quantreg.Lost"), ("error", "quantreg.Refused")]


def test_a_second_try_has_its_own_figures(gated: Suite) -> None:
    """What a first try of a test left is not added to the properties of the second."""
    gated.pytester.makeconftest(
        """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            runtestprotocol(item, nextitem=nextitem, log=False)
            for report in runtestprotocol(item, nextitem=nextitem, log=False):
                item.ihook.pytest_runtest_logreport(report=report)
            return True
        """
    )
    gated.run(*words(), "-k", "test_half")
    names = [prop.attrib["name"] for prop in cases(gated.path)["test_half"].iter("property")]
    assert "quantreg.sum.exact_match.verdict" in names
    assert len(names) == len(set(names))


def test_what_is_no_junit_file_is_left_alone(gated: Suite) -> None:
    """Where another plugin wrote something else in its place, nothing is touched."""
    gated.pytester.makeconftest(
        """
        import pytest
        from pathlib import Path

        @pytest.hookimpl(trylast=True)
        def pytest_sessionfinish():
            Path("junit.xml").write_text("not <xml")
        """
    )
    assert gated.run(*words(), "-k", "test_lost").ret == 1
    assert (gated.path / "junit.xml").read_text() == "not <xml"
