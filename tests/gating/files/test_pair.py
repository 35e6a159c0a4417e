"""Two evaluations against each other: groups with items, subsets, pools, totals, suspicions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.codes import Category, CommandCode, GateCode, ImportCode
from pytest_quantreg.core.comparison.accuracy import Comparison
from pytest_quantreg.core.comparison.unpaired import compare_totals, paired_width
from pytest_quantreg.core.facts import Problem
from pytest_quantreg.core.gates.outcome import (
    AccuracyOutcome,
    JudgedAccuracy,
    MeasuredAccuracy,
    RefusedAccuracy,
)
from pytest_quantreg.core.records.evaluation import Aggregate, Evaluation
from pytest_quantreg.core.records.run import Metric
from pytest_quantreg.core.settings import GateMode
from pytest_quantreg.gating.files.judge import (
    Conclusion,
    JudgedCandidate,
    conclude,
    judge_candidate,
)
from pytest_quantreg.gating.files.policy import ComparePolicy
from pytest_quantreg.imports.open_results import open_path

Row = Callable[..., dict[str, Any]]
Evaluate = Callable[..., Evaluation]
REPOSITORY = Path(__file__).parents[3]
STORE = REPOSITORY / "baselines/tiny-llama/bf16/transformers"


@pytest.fixture
def evaluate(tmp_path: Path, row: Row) -> Evaluate:
    """Writes an evaluation with items: task -> scores, and what groups it has."""

    def write(
        label: str, tasks: Mapping[str, Sequence[float]], groups: Mapping[str, Sequence[str]] = {}
    ) -> Evaluation:
        folder = tmp_path / label
        folder.mkdir()
        results = {name: {"acc,none": sum(s) / len(s)} for name, s in tasks.items()}
        for name, below in groups.items():
            leaves = [leaf for task in below for leaf in groups.get(task, [task])]
            every = [score for leaf in leaves for score in tasks[leaf]]
            results[name] = {"acc,none": sum(every) / len(every)}
        document = {
            "results": results,
            "group_subtasks": groups,
            "configs": {name: {"output_type": "multiple_choice"} for name in tasks},
            "versions": dict.fromkeys(tasks, 1),
            "n-shot": dict.fromkeys(tasks, 0),
            "n-samples": {
                name: {"original": 1000, "effective": len(s)} for name, s in tasks.items()
            },
            "config": {"model": "hf", "model_args": f"pretrained=org/{label}"},
            "date": 1_700_000_000.0,
        }
        (folder / "results.json").write_text(json.dumps(document))
        for name, scores in tasks.items():
            # No two models have the same log-likelihoods.
            likely = [[[str(-len(label) - choice), "False"]] for choice in range(4)]
            lines = [
                json.dumps({**row(at, acc=score), "doc": f"{name} {at}", "resps": likely})
                for at, score in enumerate(scores)
            ]
            (folder / f"samples_{name}.jsonl").write_text("\n".join(lines))
        imported = open_path(folder)
        assert isinstance(imported, Evaluation)
        return imported

    return write


def scores(n: int, wrong: Sequence[int]) -> list[float]:
    """``n`` items right but for some."""
    return [float(at not in wrong) for at in range(n)]


def compared(outcome: AccuracyOutcome) -> Comparison:
    """The figures of an outcome that has some."""
    if isinstance(outcome, JudgedAccuracy):
        return outcome.verdict.comparison
    assert isinstance(outcome, MeasuredAccuracy)
    return outcome.comparison


def only(judged: JudgedCandidate, task: str) -> AccuracyOutcome:
    """The outcome of one task."""
    return next(outcome for outcome in judged.outcomes if task_of(outcome) == task)


def task_of(outcome: AccuracyOutcome) -> str | None:
    """The task that an outcome is of."""
    return outcome.task if isinstance(outcome, RefusedAccuracy) else compared(outcome).task


def measured(baseline: Evaluation, candidate: Evaluation, task: str) -> Comparison:
    """The figures of one task without a gate."""
    return compared(only(judge_candidate(baseline, candidate, ComparePolicy()), task))


def refusal(outcome: AccuracyOutcome) -> Problem:
    """Why an outcome is a refusal."""
    assert isinstance(outcome, RefusedAccuracy)
    return outcome.error.problem


def test_items_are_paired(evaluate: Evaluate) -> None:
    """Two lost and one won of 100: counts, and an interval narrower than that of totals."""
    base = evaluate("base", {"t": scores(100, range(20))})
    quant = evaluate("quant", {"t": scores(100, [*range(1, 20), 50, 51])})
    outcome = measured(base, quant, "t")
    assert (outcome.lost, outcome.won, outcome.n) == (2, 1, 100)
    assert outcome.low is not None
    assert outcome.high is not None
    before, after = (side.results["t"].aggregates[0] for side in (base, quant))
    totals = compare_totals(
        replace(before, stderr=None),
        replace(after, stderr=None),
        task="t",
        total=100,
        label="quant",
        confidence=0.95,
    )
    assert totals.low is not None
    assert totals.high is not None
    assert outcome.high - outcome.low < 0.4 * (totals.high - totals.low)


def test_a_group_is_pooled_from_the_items_of_its_tasks(evaluate: Evaluate) -> None:
    """A group of two tasks, below it another group: by lm-eval's weights, all items."""
    below = {"all": ["some", "b"], "some": ["a"]}
    base = evaluate("base", {"a": scores(60, range(10)), "b": scores(40, range(10))}, below)
    quant = evaluate("quant", {"a": scores(60, range(12)), "b": scores(40, range(10))}, below)
    assert base.tasks == ("all",)
    judged = judge_candidate(base, quant, ComparePolicy())
    outcome = compared(only(judged, "all"))
    assert (outcome.lost, outcome.won, outcome.n) == (2, 0, 100)
    assert outcome.baseline == pytest.approx(0.8)
    assert outcome.retention == pytest.approx(0.78 / 0.8)
    assert judged.narrower == ()
    chosen = judge_candidate(base, quant, ComparePolicy(tasks=("a",)))
    assert compared(only(chosen, "a")).lost == 2


def test_a_smaller_limit_is_compared_on_its_own_items(evaluate: Evaluate) -> None:
    """A baseline with more items serves a candidate with fewer, on those alone."""
    base = evaluate("base", {"t": scores(100, range(20))})
    quant = evaluate("quant", {"t": scores(50, range(20))})
    outcome = measured(base, quant, "t")
    assert (outcome.n, outcome.baseline, outcome.quantized) == (50, 0.6, 0.6)
    more = only(judge_candidate(quant, base, ComparePolicy()), "t")
    assert refusal(more).code.category is Category.NOT_COMPARABLE


def test_all_tasks_are_one_line_and_one_gate(evaluate: Evaluate) -> None:
    """Two tasks of 300: each too small for 0.98 under certify, together kept."""
    tasks = {name: scores(300, range(30)) for name in ("a", "b", "c", "d")}
    base, quant = evaluate("base", tasks), evaluate("quant", tasks)
    quant = replace(quant, scheme="w8a8-int8")
    judged = judge_candidate(base, quant, ComparePolicy())
    pooled = compared(judged.together[0])
    assert (pooled.task, pooled.n) == ("all 4 tasks", 1200)
    policy = ComparePolicy(0.99, GateMode.CERTIFY, pooled=True)
    assert conclude([judge_candidate(base, quant, policy)], policy) is Conclusion.HOLDS


def test_a_loss_is_a_loss(evaluate: Evaluate) -> None:
    """A tenth of the right answers lost on 400 items turns the gate red."""
    base = evaluate("base", {"t": scores(400, range(40))})
    quant = evaluate("quant", {"t": scores(400, range(80))})
    policy = ComparePolicy(0.98)
    judged = judge_candidate(base, quant, policy)
    outcome = only(judged, "t")
    assert isinstance(outcome, JudgedAccuracy)
    assert outcome.verdict.is_lost
    assert conclude([judged], policy) is Conclusion.FELL_SHORT


def test_a_candidate_far_above_is_suspect(evaluate: Evaluate) -> None:
    """Quantizing does not teach: 90 % against 60 % was asked differently."""
    base = evaluate("base", {"t": scores(400, range(160))})
    quant = evaluate("quant", {"t": scores(400, range(40))})
    listed = only(judge_candidate(base, quant, ComparePolicy()), "t")
    assert isinstance(listed, MeasuredAccuracy)
    assert listed.doubt is not None
    assert listed.doubt.code is GateCode.FAR_ABOVE_BASELINE
    assert listed.notes == (listed.doubt,)
    refused = only(judge_candidate(base, quant, ComparePolicy(0.9)), "t")
    assert refusal(refused).code is GateCode.FAR_ABOVE_BASELINE
    policy = ComparePolicy(0.9, allow_better=True)
    assert conclude([judge_candidate(base, quant, policy)], policy) is Conclusion.HOLDS


def test_a_baseline_at_chance_is_suspect(evaluate: Evaluate) -> None:
    """A quarter right of four choices: nothing can be lost there."""
    guessed = {"t": [float(at % 4 == 0) for at in range(200)]}
    base, quant = evaluate("base", guessed), evaluate("quant", guessed)
    outcome = only(judge_candidate(base, quant, ComparePolicy(0.9)), "t")
    assert refusal(outcome).code is GateCode.AT_CHANCE


def test_a_stored_run_that_quantized_nothing_is_suspect() -> None:
    """What a run of ours read from the loaded weights is believed before what it claims."""
    from pytest_quantreg.imports.stored_runs import read_run, result_of

    run, _ = read_run(STORE / "recall.0shot.json")
    claimed = replace(run, provenance=replace(run.provenance, claimed="w8a8-int8"))
    base = Evaluation("base", "m", "e", {"recall": result_of(run)})
    quant = Evaluation("quant", "m", "e", {"recall": result_of(claimed)})
    outcome = only(judge_candidate(base, quant, ComparePolicy(0.98)), "recall")
    problem = refusal(outcome)
    assert problem.code is CommandCode.SUSPECT
    cause = problem.facts["cause"]
    assert isinstance(cause, Problem)
    assert cause.code is CommandCode.SIDE_SUSPECT
    reason = cause.facts["cause"]
    assert isinstance(reason, Problem)
    assert reason.code is ImportCode.NOTHING_QUANTIZED


def test_the_same_model_on_both_sides_is_told(twice: list[Path]) -> None:
    """Nobody quantized anything if both name the same model; the page says so."""
    sides = [open_path(path) for path in twice]
    assert isinstance(sides[0], Evaluation)
    assert isinstance(sides[1], Evaluation)
    notes = judge_candidate(sides[0], sides[1], ComparePolicy()).notes
    named = [note for note in notes if isinstance(note, Problem)]
    assert CommandCode.SAME_MODEL_NAMED in [note.code for note in named]


ACC = Metric("acc,none", True, "mean")


def totals(
    value: float, n: int | None, stderr: float | None = None, name: str = "acc"
) -> Aggregate:
    """One total."""
    higher = not name.endswith("perplexity")
    return Aggregate(Metric(f"{name},none", higher, "mean"), value, stderr, n)


@pytest.mark.parametrize(
    ("aggregate", "right"),
    [
        (totals(0.8, 100), 80),
        (totals(0.8, 100, 0.0402), 80),
        (totals(0.8, 100, 0.01), None),
        (totals(0.8123, 100, 0.0392), None),
        (totals(0.8, None), None),
        (totals(81.2, 100, 2.0), None),
        (totals(0.5, 10, None, "f1"), None),
    ],
)
def test_right_answers_are_told_by_the_figures(aggregate: Aggregate, right: int | None) -> None:
    """A share of right answers is a whole number of items with the error of such."""
    assert aggregate.right == right


def test_lower_is_better_is_turned_round() -> None:
    """A perplexity that rises by a tenth keeps 10/11, and its bounds with it."""
    made = compare_totals(
        totals(10.0, 100, 0.2, "perplexity"),
        totals(11.0, 100, 0.2, "perplexity"),
        task="t",
        total=100,
        label="quant",
        confidence=0.95,
    )
    assert made.retention == pytest.approx(10 / 11)
    assert made.low is not None
    assert made.high is not None
    assert made.low < made.retention < made.high < 1.0


def test_paired_answers_would_be_narrower() -> None:
    """With 5 % flips at 78 % right the interval of items is less than half as wide."""
    made = compare_totals(
        totals(0.78, 1300), totals(0.78, 1300), task="t", total=1300, label="q", confidence=0.95
    )
    width = paired_width(made)
    assert width is not None
    assert 0.3 < width < 0.5
    assert paired_width(replace(made, low=None)) is None


def test_a_task_beside_its_group_counts_once(data: Path) -> None:
    """Naming a group and one of its tasks makes two lines and no pool of the two."""
    sides = [open_path(data / f"lm-eval/qwen3.6-27b/{arm}/mmlu_pro") for arm in ("bf16", "nvfp4")]
    assert isinstance(sides[0], Evaluation)
    assert isinstance(sides[1], Evaluation)
    judged = judge_candidate(sides[0], sides[1], ComparePolicy(tasks=("mmlu_pro", "mmlu_pro_law")))
    assert list(map(task_of, judged.outcomes)) == ["mmlu_pro", "mmlu_pro_law"]


def test_a_pool_of_totals_knows_how_many_items_there_are(data: Path) -> None:
    """What a larger limit could still show is planned with the whole tasks."""
    sides = [open_path(data / f"lm-eval/qwen3.6-27b/{arm}") for arm in ("bf16", "nvfp4")]
    assert isinstance(sides[0], Evaluation)
    assert isinstance(sides[1], Evaluation)
    policy = ComparePolicy(tasks=("mmlu_pro", "gsm8k"))
    pooled = compared(judge_candidate(sides[0], sides[1], policy).together[0])
    assert (pooled.n, pooled.total_items) == (1300, 12032 + 1319)
