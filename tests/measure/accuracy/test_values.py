"""What is measured is what lm-eval itself reports, prompt by prompt and score by score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

from pytest_quantreg.core.records.run import Accuracy
from pytest_quantreg.measure import Journal, PreparedTask, chunk_size, measure

Prepare = Callable[..., PreparedTask]


@pytest.fixture
def run(scripted: Any, heard: Any, memory: Journal) -> Callable[..., Accuracy]:
    """Measures with a fresh scripted engine unless one is given."""

    def measured(task: PreparedTask, n: int = 10**9, engine: Any = None) -> Accuracy:
        return measure(
            task,
            engine or scripted(),
            n=n,
            batch_size=4,
            fingerprint="model",
            journal=Journal(None),
            progress=heard,
        )

    return measured


@pytest.fixture
def alone(task_folder: Path, scripted: Any) -> Callable[..., Any]:
    """lm-eval's own evaluation of a task with the same scripted model."""

    def evaluated(task: str, engine: Any = None, **options: Any) -> Any:
        return simple_evaluate(
            model=(engine or scripted()).lm(4),
            tasks=[task],
            task_manager=TaskManager(include_path=str(task_folder), include_defaults=False),
            bootstrap_iters=0,
            **options,
        )

    return evaluated


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", ["choose", "write", "read"])
def test_values_of_all_items_are_lm_evals_own(
    task: str, prepared: Prepare, run: Any, alone: Any
) -> None:
    """Every metric under every filter has the value that simple_evaluate reports."""
    expected = alone(task)["results"][task]
    ours = run(prepared(task)).values
    theirs = {
        name: value for name, value in expected.items() if "," in name and "_stderr" not in name
    }
    assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-12)
    assert len(ours) == {"choose": 3, "write": 2, "read": 3}[task]


@pytest.mark.filterwarnings("ignore")
def test_values_of_some_items_are_lm_evals_on_these_items(
    prepared: Prepare, run: Any, alone: Any
) -> None:
    """A limited run equals simple_evaluate with the same documents selected."""
    measured = run(prepared("choose"), 100)
    chosen = sorted(measured.items.doc_ids)
    expected = alone("choose", samples={"choose": chosen})["results"]["choose"]
    for name, value in measured.values.items():
        assert value == pytest.approx(expected[name], rel=1e-12)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", ["choose", "write"])
def test_scores_belong_to_their_documents(
    task: str, prepared: Prepare, run: Any, alone: Any
) -> None:
    """Each item's score is the one in lm-eval's sample log for its doc_id and filter."""
    measured = run(prepared(task), 260)
    logged = {
        (sample["doc_id"], f"{metric},{sample['filter']}"): sample[metric]
        for sample in alone(task)["samples"][task]
        for metric in sample["metrics"]
    }
    for name, column in measured.items.scores.items():
        expected = [logged[doc_id, name] for doc_id in measured.items.doc_ids]
        assert list(column) == [float(score) for score in expected]
        assert 0 < sum(column) < len(column)


@pytest.mark.filterwarnings("ignore")
def test_prompts_do_not_depend_on_how_many_items_are_measured(
    prepared: Prepare, run: Any, alone: Any, scripted: Any
) -> None:
    """A few-shot task asks the same of each document in a full, a limited, a chunked run
    and in lm-eval's own full run.
    """
    task = prepared("write")
    full, limited, theirs = scripted(), scripted(), scripted()
    run(task, engine=full)
    run(task, 150, engine=limited)
    alone("write", engine=theirs)
    assert full.calls == 3
    assert dict(full.asked) == dict(theirs.asked)
    assert len(full.asked) == 300
    assert set(limited.asked) < set(full.asked)
    assert len(limited.asked) == 150


@pytest.mark.filterwarnings("ignore")
def test_the_trap_this_avoids_is_real(alone: Any, scripted: Any) -> None:
    """lm-eval's own selection of few-shot documents changes the prompts of most of them."""
    full, selected = scripted(), scripted()
    alone("write", engine=full)
    alone("write", engine=selected, samples={"write": list(range(100, 150))})
    prompts = {prompt for _, prompt in full.asked}
    assert sum(prompt in prompts for _, prompt in selected.asked) < 10


def test_perplexity_comes_with_weights(prepared: Prepare, run: Any) -> None:
    """A rolling task stores a log-likelihood per item and the words or bytes it is over."""
    measured = run(prepared("read"), 50)
    words = measured.items.weights["word_perplexity,none"]
    assert [metric.kind for metric in measured.protocol.metrics] == ["perplexity"] * 3
    assert set(words) == {6.0}
    assert all(score < 0 for score in measured.items.scores["word_perplexity,none"])
    assert not measured.protocol.metrics[0].higher_is_better
    assert measured.chance == 0


def test_metrics_that_are_no_mean_of_items_are_aggregates(prepared: Prepare, run: Any) -> None:
    """mcc has a value and the kind aggregate, and no column of scores; acc is binary."""
    measured = run(prepared("choose"))
    kinds = {metric.name: metric.kind for metric in measured.protocol.metrics}
    assert kinds == {
        "acc_norm,none": "binary",
        "acc,none": "binary",
        "mcc,none": "aggregate",
    }
    assert set(measured.items.scores) == {"acc_norm,none", "acc,none"}
    assert -1 < measured.values["mcc,none"] < 1


def test_repeats_average_passes_with_fixed_seeds(prepared: Prepare, run: Any) -> None:
    """Three sampled passes give thirds per item, the same each time, another seed others."""
    sampled = {"do_sample": True, "temperature": 0.7}
    task = prepared("write", repeats=3, gen_kwargs=sampled)
    first, again = run(task, 200), run(task, 200)
    scores = first.items.scores["exact_match,flexible"]
    assert first == again
    assert {round(3 * score) for score in scores} >= {0, 1, 2}
    assert all((3 * score) % 1 == pytest.approx(0, abs=1e-9) for score in scores)
    assert first.protocol.metrics[0].kind == "mean"
    assert first.values["exact_match,flexible"] == pytest.approx(sum(scores) / 200)
    other = run(prepared("write", repeats=3, gen_kwargs=sampled, seed=7), 200)
    assert dict(
        zip(other.items.digests, other.items.scores["exact_match,flexible"], strict=True)
    ) != dict(zip(first.items.digests, scores, strict=True))


def test_borders_do_not_depend_on_the_number_of_items() -> None:
    """Chunks hold at least 16 batches, however many items are asked for."""
    assert chunk_size("multiple_choice", 8) == 512
    assert chunk_size("multiple_choice", 64) == 1024
    assert chunk_size("generate_until", 4) == 128
