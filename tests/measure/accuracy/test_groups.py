"""Groups of tasks: their leaves and weights are those with which lm-eval averages."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.measure import Journal, TaskGroup, TaskLibrary, measure

from ...wording import refused, says

SIZES = {"leaf_a": 12, "leaf_b": 30, "leaf_c": 61}

TASK = """
output_type: multiple_choice
doc_to_text: "{{q}}"
doc_to_choice: choices
doc_to_target: gold
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
"""

AVERAGES = """
aggregate_metric_list:
  - {{metric: {metric}, filter_list: none, weight_by_size: {by_size}}}
"""

BY_SIZE = AVERAGES.format(metric="acc", by_size="true")
EQUAL = AVERAGES.format(metric="acc", by_size="false")


@pytest.fixture
def shelf(tmp_path: Path, task_folder: Path) -> Path:
    """A folder with three tasks of unequal size, two of them tagged."""
    from ..conftest import HEAD

    shutil.copy(task_folder / "loader.py", tmp_path)
    (tmp_path / "train.jsonl").write_text("{}", "utf-8")
    rows = (task_folder / "choose.jsonl").read_text("utf-8").splitlines()
    for at, (name, size) in enumerate(SIZES.items()):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows[at * 100 :][:size]), "utf-8")
        tag = "" if name == "leaf_a" else "tag: [pair]\n"
        (tmp_path / f"{name}.yaml").write_text(HEAD.format(name=name) + tag + TASK, "utf-8")
    return tmp_path


@pytest.fixture
def grouped(shelf: Path, library: TaskLibrary) -> Callable[..., TaskGroup | None]:
    """Writes group files and reads the first of them."""

    def make(**groups: str) -> TaskGroup | None:
        for name, text in groups.items():
            (shelf / f"{name}.yaml").write_text(f"group: {name}\n{text}", "utf-8")
        return library.group(next(iter(groups)), (str(shelf),))

    return make


def _theirs(shelf: Path, name: str, engine: Any) -> Any:
    manager = TaskManager(include_path=str(shelf), include_defaults=False)
    results = simple_evaluate(
        model=engine.lm(8), tasks=[name], task_manager=manager, bootstrap_iters=0
    )
    return results["groups"][name]


NESTED = {
    "outer": f"task: [leaf_b, inner, {{group: inline, task: [leaf_c]}}]\n{BY_SIZE}",
    "inner": f"task: [leaf_a]\n{EQUAL}",
}


@pytest.mark.filterwarnings("ignore")  # lm-eval and datasets warn about their own parts
@pytest.mark.parametrize(
    ("groups", "leaves"),
    [
        ({"flat": f"task: [leaf_c, leaf_a]\n{BY_SIZE}"}, ["leaf_c", "leaf_a"]),
        ({"flat": f"task: [leaf_c, leaf_a]\n{EQUAL}"}, ["leaf_c", "leaf_a"]),
        ({"flat": f"task: [pair, leaf_a]\n{EQUAL}"}, ["leaf_b", "leaf_c", "leaf_a"]),
        (NESTED, ["leaf_b", "leaf_a", "leaf_c"]),
        ({**NESTED, "outer": NESTED["outer"].replace("true", "false")}, None),
        (
            {
                "outer": f"task: [left, right, leaf_b, leaf_b]\n{BY_SIZE}",
                "left": "task: [leaf_a, leaf_c]",
                "right": "task: [leaf_c, leaf_b]",
            },
            ["leaf_a", "leaf_c", "leaf_b"],
        ),
        (
            {"flat": f"task:\n  - {{task: leaf_b, task_alias: b}}\n  - leaf_a\n{BY_SIZE}"},
            ["leaf_b", "leaf_a"],
        ),
    ],
    ids=["size", "equal", "tag", "nested", "nested-equal", "shared", "alias"],
)
def test_the_average_is_lm_evals_own(
    groups: dict[str, str],
    leaves: Sequence[str] | None,
    shelf: Path,
    grouped: Callable[..., TaskGroup | None],
    prepared: Any,
    scripted: Any,
    heard: Any,
) -> None:
    """Our weights times our values per task is the figure that lm-eval gives for the group."""
    group = grouped(**groups)
    assert group is not None
    assert leaves is None or list(group.subtasks) == leaves
    values, sizes = [], []
    for name in group.subtasks:
        task = prepared(name, include_paths=(str(shelf),))
        ours = measure(
            task,
            scripted(),
            n=len(task),
            batch_size=8,
            fingerprint="one",
            journal=Journal(None),
            progress=heard,
        )
        values.append(ours.values["acc,none"])
        sizes.append(ours.protocol.total_items)
    weights = group.weights(sizes)
    assert len(set(values)) > 1
    assert sum(weights) == pytest.approx(1.0, abs=1e-12)
    average = sum(weight * value for weight, value in zip(weights, values, strict=True))
    theirs = _theirs(shelf, group.name, scripted())
    assert average == pytest.approx(theirs["acc,none"], abs=1e-12)
    assert group.metric == "acc,none"


def test_averages_may_weigh_differently(grouped: Callable[..., TaskGroup | None]) -> None:
    """Each metric has the weights that the group's file gives it; others those of the first."""
    group = grouped(
        mixed=(
            "task: [leaf_a, leaf_b]\naggregate_metric_list:\n"
            "  - {metric: acc, weight_by_size: false}\n"
            "  - {metric: acc_norm, filter_list: [none, other], weight_by_size: true}\n"
        )
    )
    assert group is not None
    assert [aggregate.name for aggregate in group.aggregates] == ["acc", "acc_norm,none"]
    assert group.weights([10, 30]) == (0.5, 0.5)
    assert group.weights([10, 30], "acc_norm,none") == (0.25, 0.75)
    assert group.weights([10, 30], "acc_norm") == (0.25, 0.75)
    assert group.weights([10, 30], "f1,none") == (0.5, 0.5)


def test_weights_need_a_size_for_each_task(grouped: Callable[..., TaskGroup | None]) -> None:
    """A missing or empty size is an error, never a weight of its own making."""
    group = grouped(flat=f"task: [leaf_a, leaf_b]\n{BY_SIZE}")
    assert group is not None
    for sizes in ([10], [10, 0], [10, -1], [10, 20, 30]):
        with pytest.raises(ValueError, match="2 tasks"):
            group.weights(sizes)


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"bare": "task: [leaf_a, leaf_b]"}, "no average of its own.*leaf_a, leaf_b"),
        ({"empty": f"task: []\n{EQUAL}"}, "names no tasks"),
        ({"text": f"task: leaf_a\n{EQUAL}"}, "names no tasks"),
        (
            {"shots": f"task: [{{task: leaf_a, num_fewshot: 3}}]\n{EQUAL}"},
            "changes num_fewshot of its tasks",
        ),
        ({"shots": f"task: [leaf_a]\nnum_fewshot: 3\n{EQUAL}"}, "changes num_fewshot"),
        ({"inline": f"task: [{{dataset_path: json}}]\n{EQUAL}"}, "changes dataset_path"),
        ({"tags": f"task: [{{task: pair, task_alias: p}}]\n{EQUAL}"}, "changes the names"),
        (
            {
                "a": f"task: [b]\n{EQUAL}",
                "b": "task: [a]",
            },
            "contains itself",
        ),
        (
            {"odd": "task: [leaf_a]\naggregate_metric_list: [{metric: acc, aggregation: max}]"},
            "cannot be read.*mean",
        ),
        ({"gone": f"task: [leaf_a, leaf_x]\n{EQUAL}"}, "no task is called 'leaf_x'"),
    ],
)
def test_groups_that_are_not_the_sum_of_their_tasks_are_refused(
    groups: dict[str, str], words: str, grouped: Callable[..., TaskGroup | None]
) -> None:
    """What one by one would not be what lm-eval measures in the group is refused in words."""
    with pytest.raises(Refusal) as caught:
        grouped(**groups)
    assert caught.value.category is Category.WRONG_USE
    assert re.search(words, says(caught.value), re.DOTALL), says(caught.value)


def test_a_task_is_no_group_and_a_tag_is_refused(shelf: Path, library: TaskLibrary) -> None:
    """One call measures one task or one group; a tag has no average at all."""
    paths = (str(shelf),)
    assert library.group("leaf_a", paths) is None
    with refused(r"is a tag of tasks.*\n.*leaf_b, leaf_c"):
        library.group("pair", paths)


def test_loading_a_group_as_one_task_is_refused(
    grouped: Callable[..., TaskGroup | None], shelf: Path, library: TaskLibrary
) -> None:
    """`load` is for single tasks, and says which those of a group are."""
    grouped(flat=f"task: [leaf_a, leaf_b]\n{BY_SIZE}")
    with refused(r"is a group of tasks.*\n.*leaf_a, leaf_b"):
        library.load("flat", (str(shelf),))


def test_mmlu_has_57_tasks_without_loading_any(library: TaskLibrary) -> None:
    """The shipped group is read from its files: four nested groups, each of one tag."""
    group = library.group("mmlu", ())
    assert group is not None
    assert (len(group.subtasks), len(set(group.subtasks)), group.metric) == (57, 57, "acc")
    assert group.subtasks[0] == "mmlu_abstract_algebra"
    assert all(name.startswith("mmlu_") for name in group.subtasks)
    sizes = list(range(100, 157))
    assert group.weights(sizes)[3] == pytest.approx(103 / sum(sizes))


def test_own_groups_may_name_shipped_tasks(
    grouped: Callable[..., TaskGroup | None], shelf: Path
) -> None:
    """A team's own release group can hold tasks of its own beside lm-eval's."""
    group = grouped(release=f"task: [leaf_a, arc_easy]\n{EQUAL}")
    assert group is not None
    assert group.subtasks == ("leaf_a", "arc_easy")
    assert group.counts == (1, 1)
