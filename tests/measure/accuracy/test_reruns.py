"""Further runs of a model: other batches, the same items in the same order, scores beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.run import Accuracy, Metric
from pytest_quantreg.measure import Journal, PreparedTask, gains_from_reruns, measure, with_reruns

from ...wording import refused

N = 300


@pytest.fixture
def run(heard: Any) -> Callable[..., Accuracy]:
    """Measures the first items."""

    def measured(task: PreparedTask, engine: Any, n: int = N, **options: Any) -> Accuracy:
        options.setdefault("journal", Journal(None))
        options.setdefault("batch_size", 8)
        return measure(task, engine, n=n, fingerprint="one", progress=heard, **options)

    return measured


@pytest.mark.parametrize("task", ["choose", "write", "read"])
def test_a_rerun_of_a_steady_model_is_the_same(
    task: str, prepared: Any, scripted: Any, run: Any
) -> None:
    """Where batches move nothing, items, scores, weights and values come out equal."""
    ready = prepared(task)
    first = run(ready, scripted(), 120)
    for rerun in (1, 2):
        again = run(ready, scripted(), 120, rerun=rerun)
        assert again.items == first.items
        assert again.values == pytest.approx(first.values, rel=1e-12)
        assert (again.protocol, again.chance) == (first.protocol, first.chance)


class Companies:
    """An engine that remembers which items were asked together, call by call."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.calls: list[tuple[int, ...]] = []

    def lm(self, batch_size: int) -> Any:
        lm = self._engine.lm(batch_size)
        for kind in ("loglikelihood", "generate_until"):
            setattr(lm, kind, self._heard(getattr(lm, kind)))
        return lm

    def _heard(self, answer: Any) -> Any:
        def ask(requests: Any) -> Any:
            self.calls.append(tuple(dict.fromkeys(request.doc_id for request in requests)))
            return answer(requests)

        return ask

    def is_out_of_memory(self, error: BaseException) -> bool:
        return False


def test_each_rerun_has_batches_of_its_own(prepared: Any, scripted: Any, run: Any) -> None:
    """A task of one chunk is visited in eight others; no two runs share a chunk or order."""
    ready = prepared("choose")
    engines = [Companies(scripted()) for _ in range(3)]
    for rerun, engine in enumerate(engines):
        run(ready, engine, 400, rerun=rerun)
    assert [len(engine.calls) for engine in engines] == [1, 8, 8]
    assert engines[0].calls[0] == ready.doc_ids[:400]
    sets = [{frozenset(call) for call in engine.calls} for engine in engines]
    assert not sets[1] & sets[2]
    for engine in engines:
        assert sorted(at for call in engine.calls for at in call) == sorted(ready.doc_ids[:400])
    repeated = Companies(scripted())
    run(ready, repeated, 400, rerun=2)
    assert repeated.calls == engines[2].calls


@pytest.mark.parametrize(
    ("task", "batch_size", "least"), [("write", 8, 13), ("write", 64, 64), ("choose", 64, 16)]
)
def test_a_chunk_is_never_less_than_a_batch(
    task: str, batch_size: int, least: int, prepared: Any, scripted: Any, run: Any
) -> None:
    """Smaller chunks would leave the batches part empty; a choice item has four requests."""
    engine = Companies(scripted())
    run(prepared(task), engine, 100, rerun=1, batch_size=batch_size)
    assert len(engine.calls[0]) == least
    assert len(engine.calls) == -(-100 // least)


def test_a_rerun_is_journalled_apart(
    prepared: Any, scripted: Any, run: Any, tmp_path: Path
) -> None:
    """It never takes the chunks of another run for its own, and resumes from its own."""
    ready = prepared("write")
    run(ready, scripted(), journal=Journal(tmp_path))
    engine = scripted()
    first = run(ready, engine, journal=Journal(tmp_path), rerun=1)
    assert len(engine.asked) == N
    resumed = scripted()
    again = run(ready, resumed, journal=Journal(tmp_path), rerun=1)
    assert (resumed.asked, again.resumed_items, again.items) == ([], N, first.items)


def test_even_a_single_item_is_measured_anew(
    prepared: Any, scripted: Any, run: Any, tmp_path: Path
) -> None:
    """One item has one order, so its journal entry must be told apart by the run."""
    ready = prepared("write")
    run(ready, scripted(), 1, journal=Journal(tmp_path))
    engine = scripted()
    run(ready, engine, 1, journal=Journal(tmp_path), rerun=1)
    assert len(engine.asked) == 1


def test_sampled_answers_are_drawn_anew(prepared: Any, scripted: Any, run: Any) -> None:
    """Reruns of a sampled task differ from the first run and from each other, repeatably."""
    ready = prepared("write", repeats=2, gen_kwargs={"do_sample": True, "temperature": 1.0})
    scores = [
        run(ready, scripted(), 1, rerun=rerun).items.scores["exact_match,flexible"]
        for rerun in range(12)
    ]
    assert len(set(scores)) > 1
    again = run(ready, scripted(), rerun=3).items.scores
    assert again == run(ready, scripted(), rerun=3).items.scores


def test_a_label_is_told(prepared: Any, scripted: Any, run: Any, heard: Any) -> None:
    """A person sees which run of how many is on."""
    run(prepared("write"), scripted(), 10, rerun=1, label="run 2 of 3")
    assert heard.said == ["write: run 2 of 3"]


def test_reruns_stand_beside_the_first(prepared: Any, scripted: Any, run: Any) -> None:
    """Scores of metrics with one number per item are kept; all else is the first run's."""
    ready = prepared("choose")
    first = run(ready, scripted())
    flipped = tuple(1.0 - score for score in first.items.scores["acc,none"])
    other = replace(
        first, items=replace(first.items, scores={**first.items.scores, "acc,none": flipped})
    )
    both = with_reruns(first, [other, first])
    assert [set(rerun) for rerun in both.items.reruns] == [{"acc,none", "acc_norm,none"}] * 2
    assert both.items.reruns[0]["acc,none"] == flipped
    assert both.items.scores == first.items.scores
    assert replace(both, items=first.items) == first
    assert len(with_reruns(both, [other]).items.reruns) == 3


def test_documents_have_no_reruns_of_their_own(prepared: Any, scripted: Any, run: Any) -> None:
    """Perplexities of further runs are not kept, and a caller can know before measuring."""
    first = run(prepared("read"), scripted(), 20)
    assert with_reruns(first, [first]) == first
    gains = [gains_from_reruns(prepared(name).protocol) for name in ("read", "choose", "write")]
    assert gains == [False, True, True]


def _as_kind(accuracy: Accuracy, kind: str) -> Accuracy:
    metrics: tuple[Metric, ...] = tuple(
        replace(metric, kind=kind) if metric.name == "acc,none" else metric
        for metric in accuracy.protocol.metrics
    )
    return replace(accuracy, protocol=replace(accuracy.protocol, metrics=metrics))


def test_a_metric_is_binary_only_if_it_is_so_in_every_run(
    prepared: Any, scripted: Any, run: Any
) -> None:
    """Shares that happen to be 0 or 1 in one run stay shares."""
    first = run(prepared("choose"), scripted())
    for pair in [(first, _as_kind(first, "mean")), (_as_kind(first, "mean"), first)]:
        both = with_reruns(pair[0], [pair[1], pair[0]])
        kinds = {metric.name: metric.kind for metric in both.protocol.metrics}
        assert kinds == {"acc_norm,none": "binary", "acc,none": "mean", "mcc,none": "aggregate"}
        assert len(both.items.reruns) == 2


def test_runs_of_other_items_or_metrics_are_refused(prepared: Any, scripted: Any, run: Any) -> None:
    """What is no rerun of the same items is not mixed in."""
    ready = prepared("choose")
    first = run(ready, scripted())
    without = _as_kind(first, "aggregate")
    for other, words in [(run(ready, scripted(), 299), "other items"), (without, "lacks a metric")]:
        with refused(words) as caught:
            with_reruns(first, [other])
        assert caught.value.category is Category.NOT_COMPARABLE
