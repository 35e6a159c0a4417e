"""The example model on the example tasks: what lm-eval alone reports, item by item."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from transformers import AutoModelForCausalLM, AutoTokenizer

from pytest_quantreg.core.records.run import Accuracy
from pytest_quantreg.measure import Journal, PreparedTask, measure

EXAMPLES = Path(__file__).parents[3] / "examples"
TASKS = str(EXAMPLES / "tasks")
BATCH = 32


class HFEngine:
    """The example model through HFLM, and nothing else; counts what it was asked."""

    def __init__(self, dtype: str = "bfloat16") -> None:
        folder = EXAMPLES / "tiny-llama"
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.weights = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        self.requests = 0

    def lm(self, batch_size: int) -> Any:
        engine = self

        class Counting(HFLM):  # type: ignore[misc]
            def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
                engine.requests += len(requests)
                return super().loglikelihood(requests, disable_tqdm)

        return Counting(
            pretrained=self.weights,
            tokenizer=self.tokenizer,
            batch_size=batch_size,
            softmax_dtype="float32",
        )

    def is_out_of_memory(self, error: BaseException) -> bool:
        return False


@pytest.fixture(scope="module")
def engine() -> HFEngine:
    """Loaded once for the tests of this file."""
    return HFEngine()


@pytest.fixture
def run(engine: Any, heard: Any) -> Callable[..., Accuracy]:
    """Measures the first n items."""

    def measured(task: PreparedTask, n: int, journal: Journal | None = None) -> Accuracy:
        return measure(
            task,
            engine,
            n=n,
            batch_size=BATCH,
            fingerprint="tiny",
            journal=journal or Journal(None),
            progress=heard,
        )

    return measured


def _alone(engine: HFEngine, task: str, **options: Any) -> Any:
    return simple_evaluate(
        model=engine.lm(BATCH),
        tasks=[task],
        task_manager=TaskManager(include_path=TASKS, include_defaults=False),
        bootstrap_iters=0,
        **options,
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", ["recall", "sum", "stories"])
def test_values_are_lm_evals_own(
    task: str, prepared: Callable[..., PreparedTask], heard: Any
) -> None:
    """On the same items every metric has the value of simple_evaluate.

    In float32: on some CPUs the last bits depend on an item's place in its batch, and in
    bfloat16 they move a perplexity by 1e-5.
    """
    engine: Any = HFEngine("float32")
    ready = prepared(task, include_paths=(TASKS,))
    ours = measure(
        ready,
        engine,
        n=96,
        batch_size=BATCH,
        fingerprint="exact",
        journal=Journal(None),
        progress=heard,
    )
    theirs = _alone(engine, task, samples={task: sorted(ours.items.doc_ids)})
    assert ours.values
    for name, value in ours.values.items():
        assert value == pytest.approx(theirs["results"][task][name], rel=1e-7)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_few_shot_scores_are_lm_evals_own(
    prepared: Callable[..., PreparedTask], run: Any, engine: HFEngine
) -> None:
    """A limited few-shot run scores its items as lm-eval's own run of all items does.

    Its batches hold other items, so a near tie may fall the other way.
    """
    ours = run(prepared("pattern", include_paths=(TASKS,)), 512)
    samples = _alone(engine, "pattern")["samples"]["pattern"]
    theirs = {sample["doc_id"]: sample for sample in samples}
    scores = zip(ours.items.doc_ids, ours.items.scores["acc,none"], strict=True)
    same = [theirs[doc_id]["acc"] == score for doc_id, score in scores]
    assert sum(same) >= 0.99 * 512


@pytest.mark.slow
def test_real_run_resumes(
    prepared: Callable[..., PreparedTask],
    run: Any,
    engine: HFEngine,
    tmp_path: Path,
) -> None:
    """A second process would find the first chunk and ask only for the rest."""
    task = prepared("recall", include_paths=(TASKS,))
    run(task, 512, Journal(tmp_path))
    before = engine.requests
    resumed = run(task, 544, Journal(tmp_path))
    assert engine.requests - before == 32 * len(task.requests[0])
    assert resumed.resumed_items == 512
    assert set(resumed.items.scores["acc_norm,none"]) == {0.0, 1.0}
