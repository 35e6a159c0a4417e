"""Gates over several tasks: task="*" in one test, and lm-eval's groups."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import HEAD, Suite

LOSES = {"seed": 5, "share": 0.3}

POOLED = """
@pytest.mark.min_retention(0.9, task="*")
def test_all(compare_accuracy):
    compare_accuracy("sum")
    compare_accuracy("pick")
"""

GROUP = """
group: both
task: [sum2, pick2]
aggregate_metric_list: [{metric: acc, weight_by_size: true}]
"""

PICK = """
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: choices
doc_to_target: label
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""


def test_a_task_far_above_hides_nothing(suite: Suite) -> None:
    """A task that came out far too good is refused, not set against what another lost."""
    tasks: dict[str, dict[str, Any]] = {
        "sum": {"target": "answer", "index": "id", "wrong": {"seed": 1, "share": 0.1}},
        "pick": {"target": "label", "index": "id", "wrong": {"seed": 2, "share": 0.5}},
    }
    odd = {
        "sum": {**tasks["sum"], "also_wrong": {"seed": 5, "share": 0.2}},
        "pick": {**tasks["pick"], "wrong": {"seed": 2, "share": 0.2}},
    }
    suite.model(tasks=tasks)
    suite.model("odd", scheme="w8a8-int8", tasks=odd)
    suite.test(POOLED)
    assert suite.record().ret == 0
    result = suite.gate(checkpoint="odd")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*REFUSED (suspicious)*far above its baseline on pick*"])


@pytest.fixture
def grouped(suite: Suite) -> Suite:
    """A group ``both`` of two tasks of 400 items, and a test that gates it."""
    folder = suite.path / "tasks"
    text = (folder / "items.jsonl").read_text("utf-8")
    (folder / "other.jsonl").write_text(text.replace("What is", "How much is"), "utf-8")
    for name, data in (("sum2", "items"), ("pick2", "other")):
        head = HEAD.format(name=name).replace("items.jsonl", f"{data}.jsonl")
        (folder / f"{name}.yaml").write_text(head + PICK, "utf-8")
    (folder / "both.yaml").write_text(GROUP, "utf-8")
    answers: dict[str, Any] = {"target": "label", "index": "id", "wrong": {"seed": 1, "share": 0.2}}
    tasks: dict[str, dict[str, Any]] = {
        "sum2": answers,
        "pick2": {**answers, "wrong": {"seed": 2, "share": 0.3}},
    }
    suite.model(tasks=tasks)
    suite.model("int8", scheme="w8a8-int8", tasks=_losing(tasks, {"seed": 5, "share": 0.01}))
    suite.model("bad", scheme="w8a8-int8", tasks=_losing(tasks, LOSES))
    suite.test(
        """
        @pytest.mark.min_retention(0.93)
        def test_both(compare_accuracy):
            found = compare_accuracy("both")
            assert (found.task, found.n) == ("both", 800)
        """
    )
    return suite


def _losing(tasks: dict[str, dict[str, Any]], lost: object) -> dict[str, dict[str, Any]]:
    return {name: {**how, "also_wrong": lost} for name, how in tasks.items()}


def test_a_pool_is_judged_once_and_its_tasks_are_listed(suite: Suite) -> None:
    """One verdict over both tasks; their own rows say that they are judged in the pool."""
    suite.test(POOLED)
    suite.record()
    result = suite.gate("--quant-require")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "sum * in the pool",
            "pick * in the pool",
            "pool of 2 scores * 800 * kept",
            "1 kept",
            "required retention: 0.9",
        ]
    )


def test_a_pool_loses(suite: Suite) -> None:
    """What both tasks lost together turns the pool red, with one message."""
    suite.test(POOLED)
    suite.record()
    suite.checkpoint("bad", also_wrong=LOSES)
    result = suite.gate(checkpoint="bad")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["LOST w8a8-int8 pool of 2: keeps 6?.? % *"])
    result.stdout.fnmatch_lines(["1 lost"])


def test_a_pool_and_a_floor_for_each_task(suite: Suite) -> None:
    """The gate of each task and that of the pool stand beside each other."""
    suite.test(f"pytestmark = pytest.mark.min_retention(0.8)\n{POOLED}")
    suite.record()
    result = suite.gate()
    result.stdout.fnmatch_lines(
        ["sum * kept 0.8", "pick * kept 0.8", "pool of 2 * kept 0.9", "3 kept"]
    )


@pytest.mark.parametrize(
    ("calls", "text"),
    [
        ('compare_accuracy("sum"); compare_accuracy("sum", limit=150)', "*more than once*"),
        ('compare_accuracy("sum"); compare_accuracy("prose")', "*word_perplexity,none of prose*"),
        ('compare_accuracy("pick"); compare_accuracy("sum", metric="acc")', "*sum was refused*"),
        ("pass", "*measured nothing*"),
    ],
)
def test_a_pool_that_would_be_another_gate_is_refused(suite: Suite, calls: str, text: str) -> None:
    """A task twice, a perplexity, a refused call or nothing at all make no pool."""
    suite.test(
        f"""
        @pytest.mark.min_retention(0.9, task="*")
        def test_all(compare_accuracy):
            try:
                {calls}
            except Exception:
                pass
        """
    )
    suite.test(
        'def test_r(compare_accuracy): [compare_accuracy(t) for t in ("sum", "pick", "prose")]',
        "test_r.py",
    )
    suite.record("test_r.py")
    result = suite.gate("test_gate.py")
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"REFUSED {text}"])


def test_a_task_at_chance_does_not_dilute_a_pool(suite: Suite) -> None:
    """A task on which nothing can be lost is refused in a pool, however well others are kept."""
    wrong = {"seed": 3, "share": 0.8}
    answers = {
        "sum": {"target": "answer", "index": "id"},
        "pick": {"target": "label", "index": "id", "wrong": wrong},
    }
    suite.model(tasks=answers)
    suite.model("int8", scheme="w8a8-int8", weights="q", tasks=answers)
    suite.test(POOLED)
    suite.record()
    result = suite.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (suspicious) *not above chance on pick*"])


def test_a_group_is_one_gate(grouped: Suite) -> None:
    """A group is recorded task by task and judged as one, its tasks listed."""
    recorded = grouped.record()
    recorded.stdout.fnmatch_lines(["sum2 * 400 *recorded", "pick2 * 400 *recorded"])
    result = grouped.gate("--quant-require")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["both * 800 * kept", "sum2 * 400 * in both", "pick2 * 400 * in both", "1 kept"]
    )
    lost = grouped.gate(checkpoint="bad")
    assert lost.ret == 1
    lost.stdout.fnmatch_lines(["LOST w8a8-int8 both: keeps *"])


def test_a_limit_counts_for_each_task_of_a_group(grouped: Suite) -> None:
    """The first 150 items of each task, as for tasks asked for one by one."""
    grouped.test(
        """
        @pytest.mark.min_retention(0.93)
        def test_both(compare_accuracy):
            assert compare_accuracy("both", limit=150).n == 300
        """
    )
    grouped.record()
    grouped.gate().stdout.fnmatch_lines(["both * 300 *", "sum2 * 150 * in both"])


def test_a_task_of_a_group_is_gated_when_it_is_named(grouped: Suite) -> None:
    """A marker that names a task of the group judges that one beside the whole."""
    grouped.test(
        """
        @pytest.mark.min_retention(0.93)
        @pytest.mark.min_retention(0.85, task="pick2")
        def test_both(compare_accuracy):
            compare_accuracy("both")
        """
    )
    grouped.record()
    result = grouped.gate()
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["both * kept 0.93", "sum2 * in both", "pick2 * kept 0.85", "2 kept"]
    )


def test_a_group_that_is_too_small_is_refused_before_loading(grouped: Suite) -> None:
    """Ten items of each task show nothing: told before the model is loaded."""
    grouped.record()
    result = grouped.gate("--quant-limit=10")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (too weak) w8a8-int8 both: too few items for *"])
    result.stdout.no_fnmatch_line("loaded:*")


def test_an_absent_baseline_of_one_task_is_named(grouped: Suite) -> None:
    """A group with one baseline missing is refused, with the command that records it."""
    grouped.record()
    for path in (grouped.path / "baselines").rglob("pick2.*"):
        path.unlink()
    result = grouped.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (baseline absent) *no baseline of pick2*"])


def test_a_pool_of_a_body_that_skips_is_refused(suite: Suite) -> None:
    """Skipping before the second task leaves a pool of one, which would be another gate."""
    suite.test(POOLED.replace('compare_accuracy("pick")', 'pytest.skip("enough")'))
    suite.test(
        'def test_r(compare_accuracy): compare_accuracy("sum"), compare_accuracy("pick")',
        "test_r.py",
    )
    suite.record("test_r.py")
    result = suite.gate("test_gate.py")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (nothing measured) *ended before its end, after sum*"])


@pytest.mark.parametrize("step", ["record", "gate"])
def test_a_group_of_perplexities_is_refused_in_one_line(suite: Suite, step: str) -> None:
    """Perplexities of different texts make no average: told before anything is measured."""
    folder = suite.path / "tasks"
    (folder / "texts.yaml").write_text(
        "group: texts\ntask: [prose]\n"
        "aggregate_metric_list: [{metric: word_perplexity, weight_by_size: true}]\n",
        "utf-8",
    )
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        def test_texts(compare_accuracy):
            compare_accuracy("texts")
        """
    )
    suite.test('def test_r(compare_accuracy): compare_accuracy("prose")', "test_r.py")
    suite.record("test_r.py")
    result = suite.record("test_gate.py") if step == "record" else suite.gate("test_gate.py")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (wrong use) *word_perplexity,none of prose cannot be *"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_each_metric_of_a_group_has_its_own_weights(grouped: Suite) -> None:
    """acc is averaged by size and acc_norm task by task, as the group's file says."""
    folder = grouped.path / "tasks"
    (folder / "both.yaml").write_text(
        GROUP.replace("}]", "}, {metric: acc_norm, weight_by_size: false}]"), "utf-8"
    )
    metric = "  - {metric: acc_norm, aggregation: mean, higher_is_better: true}\n"
    for name in ("sum2", "pick2"):
        path = folder / f"{name}.yaml"
        body = PICK.replace("metric_list: [{", "metric_list:\n  - {").replace("}]", "}") + metric
        path.write_text(path.read_text("utf-8").replace(PICK, body), "utf-8")
    other = folder / "other.jsonl"
    other.write_text("\n".join(other.read_text("utf-8").splitlines()[:200]), "utf-8")
    grouped.test(
        """
        @pytest.mark.min_retention(0.5)
        @pytest.mark.min_retention(0.6, metric="acc_norm")
        def test_both(compare_accuracy):
            size = compare_accuracy("both").baseline
            equal = compare_accuracy("both", metric="acc_norm").baseline
            parts = [compare_accuracy(task).baseline for task in ("sum2", "pick2")]
            assert size == pytest.approx((400 * parts[0] + 200 * parts[1]) / 600)
            assert equal == pytest.approx(sum(parts) / 2)
            print("EQUAL", round(equal, 3), "SIZE", round(size, 3))
        """
    )
    grouped.ini(quant_max_undetected=0.4)
    grouped.record()
    result = grouped.gate("-s")
    assert result.ret == 0
    (line,) = [line for line in result.outlines if "EQUAL" in line]
    equal, size = (f"{float(word):.3f}" for word in line.split("EQUAL")[1].split()[::2])
    result.stdout.fnmatch_lines(
        [f"both *acc * {size} *kept 0.5", f"both *acc_norm * {equal} *kept 0.6"]
    )


def test_tasks_of_the_same_items_are_no_pool(grouped: Suite) -> None:
    """A copy of a task under another name would count every answer twice."""
    path = grouped.path / "tasks" / "pick2.yaml"
    path.write_text(path.read_text("utf-8").replace("other.jsonl", "items.jsonl"), "utf-8")
    grouped.record("-p", "no:cacheprovider")
    result = grouped.gate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REFUSED (wrong use) * hold the same items*"])
