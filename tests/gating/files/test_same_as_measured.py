"""Files are pooled, judged and doubted by the rules for models that a test measures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantreg.core.codes import CommandCode, GateCode
from pytest_quantreg.core.comparison.accuracy import Comparison
from pytest_quantreg.core.facts import Problem
from pytest_quantreg.core.gates.outcome import (
    AccuracyOutcome,
    JudgedAccuracy,
    MeasuredAccuracy,
    RefusedAccuracy,
)
from pytest_quantreg.core.records.evaluation import Aggregate, Evaluation, Result
from pytest_quantreg.core.records.run import Accuracy, Items, Metric
from pytest_quantreg.core.settings import GateMode
from pytest_quantreg.gating.files.judge import Conclusion, conclude, judge_candidate
from pytest_quantreg.gating.files.policy import ComparePolicy
from pytest_quantreg.imports.stored_runs import read_run

STORE = Path(__file__).parents[3] / "baselines/tiny-llama/bf16/transformers"
N = 400
ACC = Metric("acc,none", True, "mean")
PERPLEXITY = Metric("word_perplexity,none", False, "perplexity")
KEPT = [float(at % 10 != 0) for at in range(N)]
"""Nine right answers of ten."""


def task(
    name: str,
    scores: Sequence[float],
    *,
    metric: Metric = ACC,
    weights: Sequence[float] = (),
    value: float | None = None,
) -> Result:
    """A result with a score per item."""
    stored = read_run(STORE / "recall.0shot.json")[0].accuracy
    columns = {metric.name: tuple(scores)}
    items = Items(
        tuple(range(len(scores))),
        tuple(f"{name} {at}" for at in range(len(scores))),
        columns,
        {metric.name: tuple(weights)} if weights else {},
        {},
    )
    mean = sum(scores) / len(scores) if value is None else value
    protocol = replace(stored.protocol, task=name, metrics=(metric,), total_items=len(scores))
    accuracy = Accuracy(protocol, items, {metric.name: mean}, 0.0, 1)
    aggregate = Aggregate(metric, mean, None, len(scores))
    return Result(name, {}, (aggregate,), accuracy=accuracy, total=N)


def totals(name: str, value: float, parts: tuple[str, ...] = ()) -> Result:
    """A result of totals alone."""
    return Result(name, {}, (Aggregate(ACC, value, None, N),), parts=parts, total=N)


def evaluation(label: str, *results: Result) -> Evaluation:
    """What one model scored."""
    return Evaluation(label, f"org/{label}", "hf", {result.task: result for result in results})


def both(*results: Result) -> tuple[Evaluation, Evaluation]:
    """Two models that scored the same."""
    return evaluation("base", *results), evaluation("quant", *results)


def pooled(sides: tuple[Evaluation, Evaluation], policy: ComparePolicy) -> AccuracyOutcome:
    """The outcome of all tasks together."""
    (outcome,) = judge_candidate(*sides, policy).together
    return outcome


def code_of(outcome: AccuracyOutcome) -> object:
    """Why an outcome is a refusal."""
    assert isinstance(outcome, RefusedAccuracy)
    return outcome.error.problem.code


POOLED = ComparePolicy(0.9, pooled=True)
LARGE = [3.0 * score for score in KEPT[:100]] + [0.0] * 300


def test_scores_above_1_outweigh_a_pool_of_files_too() -> None:
    """A mean below 1 of scores up to 3 was pooled; a pool that was requested is refused."""
    sides = both(task("t", KEPT), task("u", LARGE))
    assert code_of(pooled(sides, POOLED)) is GateCode.SCORES_OUTWEIGH
    judged = judge_candidate(*sides, ComparePolicy(0.9))
    assert judged.together == ()
    (note,) = [note for note in judged.notes if not isinstance(note, str)]
    assert (note.code, note.facts["tasks"]) == (CommandCode.NOT_AVERAGED, ("u",))
    assert judge_candidate(*sides, ComparePolicy()).together == ()


@pytest.mark.parametrize("policy", [POOLED, ComparePolicy(0.9)])
def test_a_task_of_two_groups_counted_twice(policy: ComparePolicy) -> None:
    """Two groups of totals that share a task are no pool, as two measurements of it are none."""
    results = [totals("t", 0.9), totals("u", 0.9), totals("v", 0.9)]
    groups = [totals("g", 0.9, ("t", "u")), totals("h", 0.9, ("u", "v"))]
    sides = both(*groups, *results)
    outcome = pooled(sides, policy)
    assert code_of(outcome) is GateCode.TASK_TWICE_IN_POOL
    assert isinstance(outcome, RefusedAccuracy)
    assert outcome.error.problem.facts["task"] == "u"
    assert judge_candidate(*sides, ComparePolicy()).together == ()


def test_a_pool_of_one_task_is_judged() -> None:
    """One task alone was too few to pool, and is judged as a pool of one measured task is."""
    outcome = pooled(both(task("t", KEPT)), POOLED)
    assert isinstance(outcome, JudgedAccuracy)
    assert (outcome.verdict.comparison.n, outcome.verdict.is_lost) == (N, False)


def test_a_pool_of_none_is_refused() -> None:
    """Perplexities alone are no pool."""
    text = Result("t", {}, (Aggregate(PERPLEXITY, 8.0, 0.1, N),), total=N)
    assert code_of(pooled(both(text), POOLED)) is CommandCode.NOTHING_TO_POOL


def test_a_lower_is_better_total_says_why_it_is_not_pooled() -> None:
    """The refusal names the metric, with items or without."""
    rate = Result("u", {}, (Aggregate(Metric("wer,none", False, "mean"), 0.3, 0.01, N),), total=N)
    assert code_of(pooled(both(task("t", KEPT), rate), POOLED)) is GateCode.NOT_POOLABLE


def test_a_refused_pool_names_its_gate_and_shows_its_figures() -> None:
    """As a refused verdict on one task does."""
    short = [task(name, KEPT[:20]) for name in ("t", "u")]
    policy = ComparePolicy(0.98, max_undetected=0.01, pooled=True)
    outcome = pooled(both(*short), policy)
    assert isinstance(outcome, RefusedAccuracy)
    assert outcome.gate == policy.gate
    assert outcome.comparison is not None
    assert (outcome.task, outcome.comparison.n) == ("all 2 tasks", 40)
    suspect = replace(totals("v", 0.9), suspicions={"": outcome.error.problem})
    incomplete = pooled(both(task("t", KEPT), suspect), POOLED)
    assert code_of(incomplete) is GateCode.POOL_INCOMPLETE
    assert isinstance(incomplete, RefusedAccuracy)
    assert incomplete.gate == POOLED.gate


def test_tasks_of_a_pool_are_listed_as_judged_in_it() -> None:
    """Their rows say so, as those of a test with a pooling gate do."""
    by_task = judge_candidate(*both(task("t", KEPT), task("u", KEPT)), POOLED).by_task
    assert [outcome.in_pool for outcome in by_task if isinstance(outcome, MeasuredAccuracy)] == [
        True,
        True,
    ]


def test_a_perplexity_of_fewer_items_has_a_baseline() -> None:
    """The baseline's perplexity on the candidate's items was unknown, though items tell it."""
    losses = [-2.0 - (at % 7) / 7 for at in range(N)]

    def text(n: int) -> Result:
        perplexity = math.exp(-sum(losses[:n]) / n)
        return task("t", losses[:n], metric=PERPLEXITY, weights=[1.0] * n, value=perplexity)

    judged = judge_candidate(
        evaluation("base", text(N)), evaluation("quant", text(100)), ComparePolicy()
    )
    (outcome,) = judged.by_task
    assert isinstance(outcome, MeasuredAccuracy)
    figures: Comparison = outcome.comparison
    assert figures.n == 100
    assert figures.baseline == pytest.approx(figures.quantized)


def test_perplexities_make_certify_refuse_and_detect_list() -> None:
    """Files hold what was evaluated, and a test names what it gates: here the two differ."""
    text = Result("p", {}, (Aggregate(PERPLEXITY, 8.0, 0.1, N),), total=N)
    sides = both(task("t", KEPT), text)
    detect = ComparePolicy(0.9)
    assert conclude([judge_candidate(*sides, detect)], detect) is Conclusion.HOLDS
    certify = ComparePolicy(0.9, GateMode.CERTIFY)
    judged = judge_candidate(*sides, certify)
    assert conclude([judged], certify) is Conclusion.NOT_USABLE
    assert code_of(judged.by_task[1]) is CommandCode.PERPLEXITY_NOT_CERTIFIED
    together = replace(certify, pooled=True)
    assert code_of(pooled(sides, together)) is GateCode.POOL_INCOMPLETE


def test_a_metric_that_no_gate_judges_fails_certify() -> None:
    """The verdict names it, and an outcome of its own follows."""

    def scored(other: Sequence[float]) -> Result:
        columns: Mapping[str, Sequence[float]] = {"acc,none": KEPT, "acc_norm,none": other}
        made = task("t", KEPT)
        assert made.accuracy is not None
        metrics = tuple(Metric(name, True, "mean") for name in columns)
        accuracy = replace(
            made.accuracy,
            protocol=replace(made.accuracy.protocol, metrics=metrics),
            items=replace(
                made.accuracy.items,
                scores={name: tuple(column) for name, column in columns.items()},
            ),
            values={name: sum(column) / N for name, column in columns.items()},
        )
        aggregates = tuple(
            Aggregate(metric, accuracy.values[metric.name], None, N) for metric in metrics
        )
        return replace(made, accuracy=accuracy, aggregates=aggregates)

    half = [score * float(at % 2) for at, score in enumerate(KEPT)]
    sides = evaluation("base", scored(KEPT)), evaluation("quant", scored(half))
    policy = ComparePolicy(0.9, GateMode.CERTIFY)
    judged = judge_candidate(*sides, policy)
    verdict = judged.by_task[0]
    assert isinstance(verdict, JudgedAccuracy)
    assert verdict.beside is not None
    assert [loss.metric for loss in verdict.beside.comparisons] == ["acc_norm,none"]
    assert conclude([judged], policy) is Conclusion.FELL_SHORT
    averaged = replace(sides[1].results["t"], unaveraged=frozenset({"acc_norm"}))
    base = replace(sides[0].results["t"], unaveraged=frozenset({"acc_norm"}))
    others = evaluation("base", base), evaluation("quant", averaged)
    assert conclude([judge_candidate(*others, policy)], policy) is Conclusion.HOLDS


def test_a_part_of_few_scores_is_not_surely_lost() -> None:
    """Of a group's tasks those are named that a verdict could call lost: not 12 graded answers."""
    graded = [0.9] * 12
    parts = task("t", KEPT), task("u", graded)

    def grouped(label: str, second: Sequence[float]) -> Evaluation:
        every = [*KEPT, *second]
        whole = Aggregate(ACC, sum(every) / len(every), None, len(every))
        group = Result("g", {}, (whole,), parts=("t", "u"), total=len(every))
        return evaluation(label, group, parts[0], task("u", second))

    policy = ComparePolicy(0.9)
    sides = grouped("base", graded), grouped("quant", [0.1] * 12)
    (outcome,) = judge_candidate(*sides, policy).by_task
    assert isinstance(outcome, JudgedAccuracy)
    codes = [note.code for note in outcome.notes if isinstance(note, Problem)]
    assert CommandCode.LOSSES_HIDDEN_IN_GROUP not in codes
