"""--quant-require against tests that measured in vain and hooks that change the exit status."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast
from xml.etree import ElementTree

import pytest

from pytest_quantreg.core.records.outcome_row import (
    KEPT,
    LOST,
    MEASURED,
    NOT_APPLICABLE,
    OutcomeRow,
    SpeedFigures,
)
from pytest_quantreg.gating import Evidence, Timing
from pytest_quantreg.plugin.requirement import unjudged

from .conftest import SCHEME, Suite

FLAG = "quantreg: --quant-require:"
GATES = """
{marks}

@pytest.mark.parametrize("task", ["sum", "pick"])
def test_task(task, compare_accuracy):
    compare_accuracy(task)
"""
BOTH = "pytestmark = pytest.mark.min_retention(0.9)"
MISSPELT = (
    'pytestmark = [pytest.mark.min_retention(0.9, task="sum"), '
    'pytest.mark.min_retention(0.9, task="pik")]'
)
LOSES = {"seed": 5, "share": 0.3}


@pytest.fixture
def recorded(suite: Suite) -> Suite:
    """Two gates with their baselines, and a model ``bad`` that loses both."""
    suite.test(GATES.format(marks=BOTH))
    suite.record()
    suite.checkpoint("bad", also_wrong=LOSES)
    return suite


def test_a_misspelt_task_passed_beside_a_judged_gate(recorded: Suite) -> None:
    """The verdict of one test on the scheme covered up that another one had no gate."""
    recorded.test(GATES.format(marks=MISSPELT))
    assert recorded.gate().ret == 0
    result = recorded.gate("--quant-require")
    assert result.ret == 1
    test = f"test_gate.py::test_task[{SCHEME}-pick]"
    assert result.outlines[-1] == f"{FLAG} {test} measured pick, and no gate judged it"


def test_a_stripped_marker_passed_beside_a_judged_gate(recorded: Suite) -> None:
    """A hook that takes a test its marker away leaves a measurement without a gate."""
    decorated = '@pytest.mark.min_retention(0.9)\n@pytest.mark.parametrize("t'
    recorded.test(GATES.format(marks="").replace('@pytest.mark.parametrize("t', decorated))
    recorded.pytester.makeconftest(
        """
        def pytest_collection_modifyitems(items):
            items[-1].own_markers[:] = [
                mark for mark in items[-1].own_markers if mark.name != "min_retention"
            ]
        """
    )
    result = recorded.gate("--quant-require")
    assert result.ret == 1
    assert result.outlines[-1].endswith("measured pick, and no gate judged it")


def test_an_excused_loss_passed_for_a_judged_gate(recorded: Suite) -> None:
    """It does not count as judged, and the first line of every report names it."""
    recorded.test(GATES.format(marks=BOTH).replace("@pytest", "@pytest.mark.xfail\n@pytest", 1))
    reports = ("--quant-report=run.md", "--quant-report=run.json", "--junitxml=run.xml")
    result = recorded.gate("--quant-require", *reports, "-k", "sum", checkpoint="bad")
    assert result.ret == 1
    why = "no gate was judged for w8a8-int8 (an xfail excused its failed gates)"
    assert result.outlines[-1] == f"{FLAG} {why}"
    named = "LOST sum excused by xfail"
    first = next(line for line in result.outlines if "= quantreg:" in line)
    assert named in first
    assert named in (recorded.path / "run.md").read_text("utf-8").partition("\n")[0]
    assert [*json.loads((recorded.path / "run.json").read_text("utf-8")).items()][2] == (
        *("excused", named),
    )
    [suite] = ElementTree.parse(recorded.path / "run.xml").iter("testsuite")
    [skipped] = suite.iter("skipped")
    assert suite[0][0].attrib == {"name": "quantreg.excused", "value": named}
    assert skipped.get("message", "").startswith(f"LOST {SCHEME} sum: keeps ")


EXITS = {
    "configure": "def pytest_configure(): pytest.exit('x', 0)",
    "sessionstart": "def pytest_sessionstart(): pytest.exit('x', 0)",
    "collection": "def pytest_collection(): pytest.exit('x', 0)",
    "modifyitems": "def pytest_collection_modifyitems(): pytest.exit('x', 0)",
    "nothing collected": "def pytest_collection_modifyitems(): pytest.exit('x', 5)",
    "runtest": "def pytest_runtest_setup(): pytest.exit('x', 0)",
    "sessionfinish": "def pytest_sessionfinish(): pytest.exit('x', 0)",
    "status": "def pytest_sessionfinish(session): session.exitstatus = 0",
    "late status": """
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session):
    yield
    session.exitstatus = 0
""",
    "unconfigure": "def pytest_unconfigure(): raise SystemExit(0)",
    "the flag": "def pytest_configure(config): config.option.quant_require = False",
    "only collects": "def pytest_sessionstart(session): session.config.option.collectonly = True",
}


@pytest.mark.parametrize("hook", EXITS.values(), ids=EXITS)
def test_a_hook_ended_the_session_with_0(suite: Suite, hook: str) -> None:
    """Nothing was measured, and with --quant-require no hook makes that green."""
    suite.test("def test_nothing(quantized_model): pass")
    (suite.path / "conftest.py").write_text(f"import pytest\n{hook}\n", "utf-8")
    result = suite.gate("--quant-require")
    assert result.ret == 1
    last = [*result.outlines, *result.errlines]
    assert any(line.startswith(f"{FLAG} no gate was judged") for line in last)


def test_a_conftest_ended_pytest_with_0_while_it_was_imported(suite: Suite) -> None:
    """sys.exit(0) at its top is wrong use where gates are required, and stays 0 elsewhere."""
    suite.test("def test_nothing(quantized_model): pass")
    suite.pytester.makeconftest("import sys; sys.exit(0)")
    result = suite.run_apart("--quant-require")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --quant-require: no gate was judged: a conftest ended *"])
    assert suite.run_apart("--collect-only", "--quant-require").ret == 0


def test_other_endings_stay(suite: Suite) -> None:
    """Wrong use stays 4, an internal error 3, and what runs no test is not required to."""
    suite.test("def test_nothing(quantized_model): pass")
    suite.ini(quant_require=True)
    for option in ("--collect-only", "--fixtures", "--markers"):
        assert suite.gate(option).ret == 0
    assert suite.gate().ret == 1
    assert suite.gate("--quant-confidence=2").ret == 4
    suite.pytester.makeconftest("def pytest_collection(): raise ValueError('broken')")
    assert suite.gate().ret == 3


def test_an_exit_status_set_to_0_hid_a_lost_gate(recorded: Suite) -> None:
    """The loss is what the last line says, and the report is red."""
    recorded.pytester.makeconftest("def pytest_unconfigure(config): config.ended.exitstatus = 0")
    with (recorded.path / "conftest.py").open("a") as file:
        file.write("\ndef pytest_sessionstart(session): session.config.ended = session\n")
    words = ("--quant-require", "--quant-report=run.json", "-k", "sum")
    result = recorded.gate(*words, checkpoint="bad")
    assert result.ret == 1
    assert result.outlines[-1].startswith(
        f"quantreg: the exit status was changed, but LOST {SCHEME} sum: keeps "
    )
    assert json.loads((recorded.path / "run.json").read_text("utf-8"))["conclusion"] == "red"


def test_pytest_exit_left_tests_out(recorded: Suite) -> None:
    """pytest.exit(returncode=0) after the first of two gates: not every test ran."""
    recorded.pytester.makeconftest(
        """
        import pytest

        def pytest_runtest_setup(item):
            if "pick" in item.name:
                pytest.exit("enough", returncode=0)
        """
    )
    assert recorded.gate().ret == 0
    result = recorded.gate("--quant-require")
    assert result.ret == 1
    assert result.outlines[-1] == f"{FLAG} not every test ran: interrupted: enough"


LEAVES_OUT = {
    "a failure": ("", "item.session.shouldfail = 'enough'", "stopped early: enough"),
    "an internal error": ("", "raise ValueError", "internal error of pytest or a plugin"),
    "sys.exit": (
        "@pytest.hookimpl(tryfirst=True)\ndef pytest_keyboard_interrupt(): raise SystemExit(0)",
        "pytest.exit('enough', 0)",
        "interrupted: enough",
    ),
    "its words": (
        "",
        "pytest.exit('during collection', 0)",
        "interrupted: during collection",
    ),
}


@pytest.mark.parametrize(("hook", "act", "why"), LEAVES_OUT.values(), ids=LEAVES_OUT)
def test_an_exit_status_set_to_0_hid_that_tests_were_left_out(
    recorded: Suite, hook: str, act: str, why: str
) -> None:
    """The first of two gates is judged and kept, and the second, which is lost, never runs."""
    (recorded.path / "conftest.py").write_text(
        f"""
import pytest

{hook}

def pytest_runtest_logreport(report):
    if report.when == "teardown" and "sum" in report.nodeid:
        item = ITEMS[0]
        {act}

def pytest_collection_finish(session):
    global ITEMS
    ITEMS = session.items

def pytest_sessionfinish(session):
    session.exitstatus = 0
""",
        "utf-8",
    )
    result = recorded.gate("--quant-require", "--quant-report=run.json")
    assert result.ret == 1
    assert result.outlines[-1] == f"{FLAG} not every test ran: {why}"
    made = json.loads((recorded.path / "run.json").read_text("utf-8"))
    assert made["session"]["incomplete"] == [why]


def test_an_exit_status_set_to_0_hid_a_file_that_could_not_be_collected(recorded: Suite) -> None:
    """Its gates were never judged, whatever became of those in other files."""
    recorded.test("raise ValueError", "test_other.py")
    conftest = recorded.path / "conftest.py"
    conftest.write_text("def pytest_sessionfinish(session): session.exitstatus = 0", "utf-8")
    result = recorded.gate("--quant-require", "--continue-on-collection-errors", "-k", "sum")
    assert result.ret == 1
    why = "1 file or class could not be collected"
    assert result.outlines[-1] == f"{FLAG} not every test ran: {why}"


def timed(result: str, subject: str, **more: Any) -> OutcomeRow:
    """An outcome of what was timed."""
    speed = SpeedFigures(subject, "speed-up", "x")
    return OutcomeRow(result, False, SCHEME, "", speed=speed, **more)


@pytest.mark.parametrize(
    ("outcomes", "why"),
    [
        ([timed(MEASURED, "batch 1"), timed(KEPT, "batch 8")], None),
        ([timed(MEASURED, "batch 1"), timed(KEPT, "")], None),
        ([timed(MEASURED, "batch 1")], "no gate judged it"),
        ([timed(MEASURED, "batch 1"), timed(KEPT, "batch 2")], "no gate judged it"),
        (
            [timed(MEASURED, "batch 1"), timed(NOT_APPLICABLE, "")],
            "no threshold is for this accelerator",
        ),
        ([timed(LOST, "batch 1", excused=True)], "an xfail excused its failed gate"),
    ],
)
def test_a_misspelt_gpu_passed_for_a_judged_gate(
    outcomes: list[OutcomeRow], why: str | None
) -> None:
    """What was timed needs a threshold that holds on this accelerator."""
    loads = [SimpleNamespace(label="batch 1"), SimpleNamespace(label="batch 8")]
    evidence = Evidence(SCHEME, timed=[cast(Timing, SimpleNamespace(workloads=loads))])
    lines = unjudged("test_x", evidence, outcomes)
    assert lines == ([f"test_x measured speed, and {why}"] if why else [])
