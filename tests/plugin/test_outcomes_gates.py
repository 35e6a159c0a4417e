"""Which gate judges what: several tasks in a test, selectors, metrics, modes."""

from __future__ import annotations

import pytest

from .conftest import Suite
from .events import events

LOSES = {"seed": 5, "share": 0.3}
HALF = {"seed": 5, "share": 0.05}


def test_several_tasks_in_one_test(suite: Suite) -> None:
    """Each call is judged, also when an earlier one is lost; all losses are told."""
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        def test_both(compare_accuracy):
            compare_accuracy("sum")
            compare_accuracy("pick")
        """
    )
    suite.record()
    suite.checkpoint("bad", also_wrong=LOSES)
    suite.gate().assert_outcomes(passed=1)
    result = suite.gate(checkpoint="bad")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["LOST w8a8-int8 sum: *", "LOST w8a8-int8 pick: *", "2 lost"])


def test_a_smaller_second_call_does_not_replace_the_first(suite: Suite) -> None:
    """A loss measured on all items stays lost when a part of them looks better."""
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        def test_twice(compare_accuracy):
            compare_accuracy("sum")
            compare_accuracy("sum", limit=150)
        """
    )
    suite.record()
    suite.checkpoint("bad", also_wrong=LOSES)
    result = suite.gate(checkpoint="bad")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*2 lost*"])


def test_the_more_specific_marker_wins(suite: Suite) -> None:
    """task= on the module beats a bare marker nearer by; the others keep the bare one."""
    suite.test(
        """
        pytestmark = pytest.mark.min_retention(0.6, task="sum")

        @pytest.mark.min_retention(0.99)
        @pytest.mark.parametrize("task", ["sum", "pick"])
        def test_task(task, compare_accuracy):
            compare_accuracy(task)
        """
    )
    suite.record()
    suite.checkpoint("half", also_wrong=HALF)
    result = suite.gate(checkpoint="half")
    assert result.ret == 1
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["sum * kept 0.6", "pick * LOST 0.99"])


def test_a_gate_that_another_replaces_refuses_nothing(suite: Suite) -> None:
    """Only the gate that will judge is looked at before loading, not the one it replaces."""
    suite.test(
        """
        pytestmark = pytest.mark.min_retention(0.5)

        @pytest.mark.min_retention(0.9)
        def test_pick(compare_accuracy):
            compare_accuracy("pick")
        """
    )
    suite.record()
    suite.gate("--quant-require").assert_outcomes(passed=1)


def test_metric_selectors(suite: Suite) -> None:
    """A gate that names a metric judges that one, the bare gate the call's own."""
    suite.test(
        """
        @pytest.mark.min_retention(0.8)
        @pytest.mark.min_retention(0.7, metric="acc_norm")
        def test_pick(compare_accuracy):
            assert compare_accuracy("pick", metric="acc").metric == "acc,none"
        """
    )
    suite.record()
    result = suite.gate()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["pick *acc *kept 0.8", "pick *acc_norm *kept 0.7"])


def test_a_gate_on_another_metric_leaves_the_call_listed(suite: Suite) -> None:
    """The metric of the call is listed as not judged beside the one that a gate names."""
    suite.test(
        """
        @pytest.mark.min_retention(0.7, metric="acc_norm")
        def test_pick(compare_accuracy):
            compare_accuracy("pick")
        """
    )
    suite.record()
    result = suite.gate()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["pick *acc *not judged", "pick *acc_norm *kept"])


@pytest.mark.parametrize(
    ("mark", "call"),
    [("min_retention(0.9, metric='f1')", "'pick'"), ("min_retention(0.9)", "'pick', metric='f1'")],
)
def test_a_metric_that_the_task_lacks(suite: Suite, mark: str, call: str) -> None:
    """It is refused with the task's metrics, before anything loads."""
    suite.test(
        f"""
        @pytest.mark.{mark}
        def test_pick(compare_accuracy):
            compare_accuracy({call})
        """
    )
    suite.test(
        """
        def test_pick(compare_accuracy):
            compare_accuracy("pick")
        """,
        "test_record.py",
    )
    suite.record("test_record.py")
    folder = suite.checkpoint("logged", log="events.log")
    result = suite.gate("test_gate.py", checkpoint="logged")
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["REFUSED * task 'pick' has no metric 'f1'", "*its metrics: acc,none, acc_norm,none"]
    )
    assert events(folder) == []


def test_a_perplexity_under_a_retention(suite: Suite) -> None:
    """It is listed without a marker and refused under one, before anything loads."""
    suite.test(
        """
        def test_listed(compare_accuracy):
            assert compare_accuracy("prose").low == pytest.approx(1.0, abs=0.01)
        """,
        "test_listed.py",
    )
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        def test_gated(compare_accuracy):
            compare_accuracy("prose")
        """
    )
    suite.record()
    folder = suite.checkpoint("logged", log="events.log")
    result = suite.gate("test_gate.py", checkpoint="logged")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (nothing measured) *does not judge word_perplexity*"])
    assert events(folder) == []
    result = suite.gate("test_listed.py")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["prose *word_perplexity *not judged"])


def test_a_part_of_the_items_is_compared_with_the_same_part(suite: Suite) -> None:
    """The perplexity of a limited run is set beside the baseline's on those items."""
    suite.test(
        """
        @pytest.mark.parametrize("metric", ["word_perplexity", "byte_perplexity"])
        def test_prose(metric, compare_accuracy):
            found = compare_accuracy("prose", limit=37, metric=metric)
            assert found.baseline == pytest.approx(found.quantized, rel=1e-12)
            assert found.retention == pytest.approx(1, rel=1e-12)
        """
    )
    suite.record("--quant-limit=400")
    suite.test(
        """
        def test_prose(compare_accuracy):
            compare_accuracy("prose")
        """,
        "test_all.py",
    )
    suite.record("test_all.py")
    assert suite.gate("test_gate.py").ret == 0


def test_shares_that_are_0_or_1_on_some_items(suite: Suite) -> None:
    """A score that is a share on other items than were compared is no difference."""
    path = suite.path / "tasks" / "sum.yaml"
    path.write_text(
        path.read_text().replace("metric: exact_match", "metric: share")
        + "process_results: !function loader.share\n"
    )
    loader = suite.path / "tasks" / "loader.py"
    loader.write_text(
        loader.read_text() + "\ndef share(doc, results):\n"
        "    if results[0].strip() == doc['answer']:\n        return {'share': 1.0}\n"
        "    return {'share': 0.5 if doc['id'] % 50 == 9 else 0.0}\n"
    )
    suite.test(
        """
        @pytest.mark.parametrize("limit", [5, 20, 400])
        def test_sum(limit, compare_accuracy):
            assert compare_accuracy("sum", limit=limit).counts is None or limit < 400
        """
    )
    suite.record("-k", "400")
    result = suite.gate()
    assert result.ret == 0
    result.assert_outcomes(passed=3)


def test_a_marker_added_in_the_body_cannot_loosen_the_gate(suite: Suite) -> None:
    """Of two minima at one place the stricter judges, whenever it was added."""
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        def test_sum(compare_accuracy, request):
            compare_accuracy("sum")
            request.node.add_marker(pytest.mark.min_retention(0.5), append=False)
        """
    )
    suite.record()
    suite.checkpoint("bad", also_wrong=LOSES)
    result = suite.gate(checkpoint="bad")
    assert result.ret == 1
    result.assert_outcomes(failed=1)


def test_own_gate_for_a_task_that_was_not_measured(suite: Suite) -> None:
    """A marker on the test whose task the body does not measure is refused."""
    suite.test(
        """
        @pytest.mark.min_retention(0.9, task="pick")
        def test_sum(compare_accuracy):
            compare_accuracy("sum")
        """
    )
    suite.record()
    result = suite.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["REFUSED (nothing measured) *the test measured sum, so min_retention(0.9, task='pick')*"]
    )


def test_an_inherited_gate_that_guards_nothing_is_told(suite: Suite) -> None:
    """A module's marker for a misspelt task fails no test, but the summary names it."""
    suite.test(
        """
        pytestmark = [
            pytest.mark.min_retention(0.9),
            pytest.mark.min_retention(0.95, task="summ"),
            pytest.mark.min_retention(0.8, task="pick"),
        ]

        @pytest.mark.parametrize("task", ["sum", "pick"])
        def test_task(task, compare_accuracy):
            compare_accuracy(task)
        """
    )
    suite.record()
    result = suite.gate()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["min_retention(0.95, task='summ') judged nothing: *"])
    result.stdout.no_fnmatch_line("*task='pick') judged nothing*")


def test_a_task_with_an_aggregate_metric_is_recorded_and_gated(suite: Suite) -> None:
    """mcc has a value over all items and no score per item: acc is gated all the same."""
    path = suite.path / "tasks" / "pick.yaml"
    path.write_text(path.read_text("utf-8").rstrip() + "\n  - metric: mcc\n", "utf-8")
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        def test_acc(compare_accuracy):
            compare_accuracy("pick")

        @pytest.mark.min_retention(0.9, metric="mcc")
        def test_mcc(compare_accuracy):
            compare_accuracy("pick")
        """
    )
    assert suite.record("-rs").ret == 0
    result = suite.gate()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["REFUSED (not judged) w8a8-int8 pick: *no score of 0 or more for each item*"]
    )


def test_a_metric_where_lower_is_better_is_inverted(suite: Suite) -> None:
    """A rate of errors that rises from 20 % to over 40 % keeps less than half."""
    (suite.path / "tasks" / "scoring.py").write_text(
        "def score(doc, results):\n"
        "    return {'error': float(results[0].strip() != doc['answer'])}\n",
        "utf-8",
    )
    path = suite.path / "tasks" / "sum.yaml"
    path.write_text(
        path.read_text("utf-8").split("metric_list")[0]
        + "process_results: !function scoring.score\n"
        "metric_list: [{metric: error, aggregation: mean, higher_is_better: false}]\n",
        "utf-8",
    )
    suite.test(
        """
        @pytest.mark.min_retention(0.6)
        def test_sum(compare_accuracy):
            compare_accuracy("sum")
        """
    )
    suite.ini(quant_max_undetected=0.3)
    suite.record()
    suite.checkpoint("same", also_wrong=[])
    suite.gate(checkpoint="same").stdout.fnmatch_lines(["sum * 1.000 * 0 * 0 *kept"])
    suite.checkpoint("worse", also_wrong=LOSES)
    result = suite.gate(checkpoint="worse")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["LOST w8a8-int8 sum: keeps 4?.? % of the baseline's error, *"])


def test_a_task_without_a_direction_was_judged_upside_down(suite: Suite) -> None:
    """A loss read as "keeps 150 %": it is recorded and listed, and a gate says what to add."""
    scoring = suite.path / "tasks" / "scoring.py"
    scoring.write_text(
        "def score(doc, results):\n"
        "    return {'hit': float(results[0].strip() == doc['answer'])}\n",
        "utf-8",
    )
    path = suite.path / "tasks" / "sum.yaml"
    text = path.read_text("utf-8").split("metric_list")[0]
    text += (
        "process_results: !function scoring.score\nmetric_list: [{metric: hit, aggregation: mean}"
    )
    path.write_text(f"{text}]\n", "utf-8")
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        def test_gated(compare_accuracy):
            compare_accuracy("sum")

        def test_listed(compare_accuracy):
            assert compare_accuracy("sum", metric="hit").low is None
        """
    )
    suite.checkpoint("bad", also_wrong=LOSES)
    suite.record().assert_outcomes(skipped=2)
    result = suite.gate(checkpoint="bad")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (not judged) w8a8-int8 sum: the direction of hit,none of sum is unknown, *",
            "*add `higher_is_better: true (or false)`, without quotes, *entry of hit*",
        ]
    )
    scoring.write_text(
        "def score(doc, results):\n"
        "    right = float(results[0].strip() == doc['answer'])\n"
        "    return {'hit': right, 'exact_match': right}\n",
        "utf-8",
    )
    path.write_text(f"{text}, {{metric: exact_match, aggregation: mean}}]\n", "utf-8")
    suite.record("--quant-update=all").assert_outcomes(skipped=2)
    result = suite.gate("-k", "gated", checkpoint="bad")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["LOST w8a8-int8 sum: keeps * of the baseline's exact_match*"], consecutive=False
    )
    result.stdout.fnmatch_lines(["*so exact_match,none is compared instead*"])


def test_sixty_questions_twenty_times_were_1200_items(suite: Suite) -> None:
    """They certified 0.97 without a change; 60 distinct items cannot, and the verdict says so."""
    path = suite.path / "tasks" / "items.jsonl"
    rows = path.read_text("utf-8").splitlines()
    path.write_text("\n".join(rows[:60] * 20), "utf-8")
    suite.test(
        """
        @pytest.mark.min_retention(0.97)
        def test_sum(compare_accuracy):
            compare_accuracy("sum")
        """
    )
    suite.record()
    suite.checkpoint("same", also_wrong=[])
    result = suite.gate("--quant-gate=certify", checkpoint="same")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "UNDECIDED w8a8-int8 sum: keeps 100.0 % of the baseline's exact_match, *",
            "*sum: 1,200 items, 60 distinct: copies count as one*",
        ]
    )


def test_a_metric_that_the_scoring_leaves_out_for_some_answers(suite: Suite) -> None:
    """A task's scoring that skips wrong answers is refused in one line, without a traceback."""
    (suite.path / "tasks" / "scoring.py").write_text(
        "def score(doc, results):\n"
        "    right = results[0].strip() == doc['answer']\n"
        "    return {'hit': 1} if right or doc['id'] != 7 else {}\n",
        "utf-8",
    )
    path = suite.path / "tasks" / "sum.yaml"
    text = path.read_text("utf-8").split("metric_list")[0]
    path.write_text(
        text + "process_results: !function scoring.score\n"
        "metric_list: [{metric: hit, aggregation: mean, higher_is_better: true}]\n",
        "utf-8",
    )
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        def test_sum(compare_accuracy):
            compare_accuracy("sum")
        """
    )
    suite.record()
    suite.checkpoint("int8", also_wrong=[7])
    result = suite.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (not comparable) w8a8-int8 sum: hit,none * missing *"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*KeyError*")
