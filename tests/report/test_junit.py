"""What JUnit gets of a test: one property per figure, and a type for what failed it."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from pytest_quantreg.core.records.outcome_row import OutcomeRow
from pytest_quantreg.report.junit import failure_type, properties, typed

from .report_samples import FASTER, IS_REFUSED, KEEPS, LOSES, ONLY_MEASURED, WAVERS


def test_one_property_per_figure() -> None:
    """What the test's outcomes share comes first, then each figure under task and metric."""
    assert dict(properties([KEEPS])) == {
        "quantreg.scheme": "w8a8-int8",
        "quantreg.model": "org/tiny",
        "quantreg.revision": "3f2a9c1",
        "quantreg.baseline_scheme": "bf16",
        "quantreg.engine": "transformers 5.17.0",
        "quantreg.machine": "NVIDIA H100 80GB HBM3",
        "quantreg.runs_as": "w8a8-int8 (emulated)",
        "quantreg.recall.acc_norm.verdict": "kept",
        "quantreg.recall.acc_norm.gate": "min_retention(0.98)",
        "quantreg.recall.acc_norm.mode": "detect",
        "quantreg.recall.acc_norm.confidence": 0.95,
        "quantreg.recall.acc_norm.minimum": 0.98,
        "quantreg.recall.acc_norm.retention": 0.9988,
        "quantreg.recall.acc_norm.low": 0.9931,
        "quantreg.recall.acc_norm.high": 1.0059,
        "quantreg.recall.acc_norm.baseline": 0.832,
        "quantreg.recall.acc_norm.quantized": 0.831,
        "quantreg.recall.acc_norm.n": 1500,
        "quantreg.recall.acc_norm.total_items": 1500,
        "quantreg.recall.acc_norm.lost": 12,
        "quantreg.recall.acc_norm.won": 11,
        "quantreg.recall.acc_norm.detectable": 0.9633,
    }


def test_several_outcomes_of_one_test() -> None:
    """Each has names of its own, also where one task was asked twice."""
    other = replace(KEEPS, retention=0.5)
    pairs = list(properties([KEEPS, LOSES, other, FASTER]))
    assert len({name for name, _ in pairs}) == len(pairs)
    values = dict(pairs)
    assert values["quantreg.recall.acc_norm.retention"] == 0.9988
    assert values["quantreg.recall.acc_norm.2.retention"] == 0.5
    assert values["quantreg.sum.exact_match.verdict"] == "lost"
    assert values["quantreg.speed.batch_16.speed-up.value"] == 1.93
    assert values["quantreg.speed.batch_16.speed-up.unit"] == "x"


def test_the_accepted_run_has_names_of_its_own() -> None:
    """They are the same whether or not the baseline's gate comes first."""
    step = replace(KEEPS, gate="no_regression(0.97)", retention=1.01)
    for outcomes in ([KEEPS, step], [step, KEEPS]):
        values = dict(properties(outcomes))
        assert values["quantreg.recall.acc_norm.retention"] == 0.9988
        assert values["quantreg.recall.acc_norm.of_accepted.retention"] == 1.01
        assert len(values) == len(list(properties(outcomes)))


def test_a_refusal_has_its_category() -> None:
    """Without figures, and with the reason it belongs to."""
    assert dict(properties([IS_REFUSED])) == {
        "quantreg.scheme": "w8a8-int8",
        "quantreg.pick.verdict": "refused",
        "quantreg.pick.category": "baseline absent",
    }


@pytest.mark.parametrize(
    ("outcomes", "name"),
    [
        ([LOSES], "quantreg.Lost"),
        ([LOSES, IS_REFUSED], "quantreg.Refused"),
        ([replace(WAVERS, fails=True)], "quantreg.Undecided"),
        ([replace(WAVERS, fails=True), LOSES], "quantreg.Lost"),
        ([replace(KEEPS, fails=True)], "quantreg.Failed"),
        ([ONLY_MEASURED], "quantreg.Failed"),
    ],
)
def test_the_type_of_a_failure(outcomes: list[OutcomeRow], name: str) -> None:
    """A refusal outweighs a loss, and that what certify could not decide."""
    assert failure_type(outcomes) == name


XML = """<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite
 name="pytest" tests="3"><testcase classname="a" name="lost &lt;é&gt;"><properties><property
 name="quantreg.failure" value="quantreg.Refused" /><property name="quantreg.failure"
 value="quantreg.Lost" /></properties><failure message="LOST &quot;x&quot;">text &amp;
 more</failure></testcase><testcase classname="a" name="own"><failure message="assert"
 /></testcase><testcase classname="a" name="setup"><properties><property name="quantreg.failure"
 value="quantreg.Refused" /></properties><error message="r" /></testcase></testsuite></testsuites>
"""


def test_types_are_set_and_nothing_else() -> None:
    """Failures of ours get the last type named; all other text and attributes stay."""
    before, after = ElementTree.fromstring(XML), ElementTree.fromstring(typed(XML.encode()))
    types = {
        case.attrib["name"]: element.attrib.pop("type", None)
        for case in after.iter("testcase")
        for element in (*case.findall("failure"), *case.findall("error"))
    }
    assert types == {"lost <é>": "quantreg.Lost", "own": None, "setup": "quantreg.Refused"}
    assert ElementTree.canonicalize(ElementTree.tostring(after)) == ElementTree.canonicalize(
        ElementTree.tostring(before)
    )
    assert typed(XML.encode()).startswith(b'<?xml version="1.0" encoding="utf-8"?><testsuites')
