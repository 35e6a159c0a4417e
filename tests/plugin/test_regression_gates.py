"""no_regression: judged against the run accepted last, and never without the baseline."""

from __future__ import annotations

import json

import pytest

from .accept_suite import TESTS, accepted_suite, history, loses, recorded_suite
from .conftest import Suite


@pytest.fixture
def recorded(suite: Suite) -> Suite:
    """Two tasks with both gates, and their baselines."""
    return recorded_suite(suite)


@pytest.fixture
def accepted(recorded: Suite) -> Suite:
    """The same with a first accepted run, which loses 1 % of the answers."""
    return accepted_suite(recorded)


def test_nothing_accepted_is_refused(recorded: Suite) -> None:
    """Without an accepted run the gate cannot hold, and the message says how to get one."""
    result = recorded.gate()
    assert result.ret == 1
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["*REFUSED (baseline absent)*no run of sum*was ever accepted*"],
    )
    result.stdout.fnmatch_lines(["*type the same command with --quant-accept*"])


def test_what_is_left_since_the_first_is_a_figure(accepted: Suite) -> None:
    """Dashboards get the cumulative retention from JUnit and JSON, not out of a sentence."""
    accepted.checkpoint("worse", also_wrong=loses(0.04))
    result = accepted.gate("--junitxml=j.xml", "--quant-report=r.json", checkpoint="worse")
    assert result.ret == 0
    outcomes = json.loads((accepted.path / "r.json").read_text("utf-8"))["outcomes"]
    left = {
        outcome["task"]: outcome["of_first_accepted"]
        for outcome in outcomes
        if outcome["gate"] == "no_regression(0.97)"
    }
    assert set(left) == {"sum", "pick"}
    assert 0.96 < left["sum"] < 0.99
    assert all(
        outcome["of_first_accepted"] is None for outcome in outcomes if "min_" in outcome["gate"]
    )
    told = f'"quantreg.sum.exact_match.of_accepted.of_first_accepted" value="{left["sum"]}"'
    assert told in (accepted.path / "j.xml").read_text("utf-8")


def test_the_accepted_run_is_what_counts(accepted: Suite) -> None:
    """The accepted run passes; a worse one that the baseline's gate lets through is lost."""
    same = accepted.gate()
    assert same.ret == 0
    same.stdout.fnmatch_lines(
        [
            "task * base * quant *",
            "sum * 0.812 *0.79* kept",
            "pick *",
            "task * accepted * quant *",
            "sum * 0.792 *0.79* 1.000 * kept",
            "pick *",
            "4 kept",
            "required retention: 0.93",
            "required retention of the run accepted last: 0.97",
            "note: sum: 1.000 of the first accepted run (20??-??-??)",
        ]
    )
    accepted.checkpoint("worse", also_wrong=loses(0.06))
    lost = accepted.gate(checkpoint="worse")
    assert lost.ret == 1
    lost.stdout.fnmatch_lines(
        [
            "LOST w8a8-int8 sum: keeps 95.2 % of the last accepted run's exact_match*",
            "  last accepted 0.792, quantized 0.755 on 400 items: 15 answers lost, 0 won",
            "sum * 400 * 23 * 0 *undecided",
            "task * accepted *",
            "sum * 400 * 15 * 0 LOST",
        ]
    )


def test_a_better_run_is_no_suspicion(accepted: Suite) -> None:
    """Far above the accepted run, and not above the baseline, is a repair and passes."""
    accepted.checkpoint("poor", also_wrong=loses(0.03))
    suite = accepted
    suite.test(TESTS.replace("0.93", "0.5").replace("0.97", "0.9"))
    suite.checkpoint("poor", also_wrong=loses(0.08))
    assert suite.gate("--quant-accept", checkpoint="poor").ret == 0
    suite.checkpoint("good", also_wrong=())
    better = suite.gate(checkpoint="good")
    assert better.ret == 0
    better.stdout.fnmatch_lines(["4 kept"])


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ("no_regression(0)", "expected a fraction in (0, 1], e.g. 0.99"),
        ("no_regression(99)", "expected a fraction in (0, 1]; did you mean 0.99?"),
        ("no_regression(True)", "expected a fraction in (0, 1], e.g. 0.99"),
        ("no_regression(0.99, 0.98)", "write no_regression(margin=0.99, *, task=None, metric=*"),
        ("no_regression(task='')", "allowed is a name as lm-eval spells it"),
        ("no_regression", "no min_retention of this test judges the same"),
    ],
)
def test_wrong_markers(marks: str, said: str, suite: Suite) -> None:
    """A margin that cannot be, and one without a gate on the baseline, end collection."""
    suite.test(f"""
        @pytest.mark.{marks}
        def test_x(compare_accuracy): compare_accuracy("sum")
        """)
    result = suite.gate()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([f"*test_gate.py::test_x: {marks.partition('(')[0]}*{said}*"])


@pytest.mark.parametrize(
    ("baseline", "accepted", "fits"),
    [
        ("0.9", "0.97", True),
        ("0.9", "0.97, task='sum'", True),
        ("0.9, task='sum'", "0.97, task='sum'", True),
        ("0.9, task='pick'", "0.97, task='sum'", False),
        ("0.9, task='*'", "0.97", False),
        ("0.9, task='*'", "0.97, task='*'", True),
        ("0.9, metric='acc'", "0.97, metric='acc_norm'", False),
        ("0.9", "0.97, metric='acc_norm'", True),
    ],
)
def test_what_covers_what(baseline: str, accepted: str, fits: bool, suite: Suite) -> None:
    """The baseline's gate must judge the same task and metric, as far as markers tell."""
    suite.test(f"""
        pytestmark = pytest.mark.min_retention({baseline})

        @pytest.mark.no_regression({accepted})
        def test_x(compare_accuracy): compare_accuracy("sum")
        """)
    result = suite.gate("--collect-only")
    assert result.ret == (0 if fits else pytest.ExitCode.INTERRUPTED)


def test_an_uncovered_metric_is_refused_before_loading(recorded: Suite) -> None:
    """What markers cannot tell is refused when the task is known: here acc_norm alone is gated."""
    recorded.test(
        """
        @pytest.mark.min_retention(0.9)
        @pytest.mark.no_regression(0.97, metric="acc_norm")
        def test_x(compare_accuracy): compare_accuracy("pick")
        """
    )
    recorded.checkpoint("int8", log="events.log")
    result = recorded.gate("--quant-accept")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*REFUSED (not judged)*judges acc_norm,none of pick, and no min_retention does*"]
    )
    result.stdout.fnmatch_lines(["quantreg: not accepted: the session is red"])
    assert not (recorded.path / "int8" / "events.log").exists()


def test_a_pool_of_tasks(recorded: Suite) -> None:
    """task="*" pools the accepted runs as it pools the baselines."""
    recorded.test(
        """
        @pytest.mark.min_retention(0.93, task="*")
        @pytest.mark.no_regression(0.97, task="*")
        def test_all(compare_accuracy):
            compare_accuracy("sum")
            compare_accuracy("pick")
        """
    )
    first = recorded.gate("--quant-accept")
    assert first.ret == 0
    first.stdout.fnmatch_lines(["1 kept, 1 not applicable", "quantreg: accepted * sum, pick"])
    again = recorded.gate()
    assert again.ret == 0
    again.stdout.fnmatch_lines(["2 kept", "note: sum: 1.000 of the first *"])
    recorded.checkpoint("worse", also_wrong=loses(0.06))
    worse = recorded.gate(checkpoint="worse")
    assert worse.ret == 1
    worse.stdout.fnmatch_lines(["poo* 2 * undecided", "task * accepted *", "poo* 2 * LOST"])


def test_a_gate_added_by_the_body_is_refused(accepted: Suite) -> None:
    """What was accepted is looked up before the measurement, not after it."""
    accepted.test(
        """
        @pytest.mark.min_retention(0.93)
        def test_x(compare_accuracy, request):
            compare_accuracy("sum")
            request.node.add_marker(pytest.mark.no_regression(0.97))
        """
    )
    result = accepted.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*REFUSED (wrong use)*was added while the test ran*"])


def test_another_task_version_is_refused_with_both_values(accepted: Suite) -> None:
    """An accepted run is compared under the rules of a baseline, and says so in its words."""
    yaml = accepted.path / "tasks" / "sum.yaml"
    yaml.write_text(yaml.read_text("utf-8").replace("version: 1.0", "version: 2.0"), "utf-8")
    assert accepted.run("--quant-update=all").ret == 0
    result = accepted.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*REFUSED (not comparable)*sum cannot be compared with the run accepted as number 1: "
            "protocol.task_version: accepted 1.0, now 2.0 *"
        ]
    )
    forced = accepted.gate("--quant-accept")
    assert forced.ret == 1
    forced.stdout.fnmatch_lines(
        ["quantreg: not accepted: undecided: no_regression(0.97) on sum; accept it*--force"]
    )
    assert len(history(accepted)) == 1


def test_more_items_than_were_accepted(recorded: Suite) -> None:
    """The message names the limit with which it can be compared, and how to go on without."""
    assert recorded.gate("--quant-accept", "--quant-limit=350").ret == 0
    result = recorded.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*items.missing: accepted 350 items, now 400 asked, * (the accepted run lacks items *",
            "  compare the items that it holds: --quant-limit=350",
            "  to make this run the new reference, type the same command with --quant-accept, *",
        ]
    )
    assert recorded.gate("--quant-limit=350").ret == 0
