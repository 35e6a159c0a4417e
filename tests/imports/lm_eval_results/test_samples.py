"""Sample logs of lm-eval: items, filters, and what contradicts the results beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.records.evaluation import Evaluation
from pytest_quantreg.core.records.run import Accuracy
from pytest_quantreg.imports.open_results import open_path

from ...wording import refused, suspicions_of

Write = Callable[..., Path]
Row = Callable[..., dict[str, Any]]


def measured(path: Path, task: str = "t") -> Accuracy:
    """The items of one task."""
    imported = open_path(path)
    assert isinstance(imported, Evaluation)
    accuracy = imported.results[task].accuracy
    assert accuracy is not None
    return accuracy


def test_one_item_under_two_filters_is_one_item(data: Path) -> None:
    """16 rows of a real log are 8 items with two metrics each."""
    accuracy = measured(data / "lm-eval/protocol-mismatch/nothink", "gsm8k")
    assert len(accuracy.items) == 8
    assert {metric.name: metric.kind for metric in accuracy.protocol.metrics} == {
        "exact_match,strict-match": "binary",
        "exact_match,flexible-extract": "binary",
    }
    assert accuracy.items.scores["exact_match,flexible-extract"].count(0.0) == 2
    assert set(accuracy.items.facts["empty"]) == {0.0}


def test_old_rows_without_filter_names(twice: list[Path]) -> None:
    """Rows of 2024 name neither filter nor metrics; the results file does."""
    accuracy = measured(twice[0], "asdiv")
    assert len(accuracy.items) == 50
    assert sum(accuracy.items.scores["acc,none"]) == 46
    assert accuracy.chance == 0.1  # the commonest answer of 50


def test_unnamed_filters_come_in_the_order_of_the_file(
    results_file: Write, log_file: Write, row: Row
) -> None:
    """Blocks of unnamed rows belong to the filters in the task's own order."""
    rows = []
    for name, score in (("strict", 0.0), ("loose", 1.0)):
        for doc in range(4):
            made = row(doc, acc=score, note=name)
            del made["filter"], made["metrics"], made["note"]
            rows.append(made)
    log_file(rows)
    config = {"filter_list": [{"name": "strict"}, {"name": "loose"}]}
    path = results_file(
        results={"t": {"acc,strict": 0.0, "acc,loose": 1.0}},
        configs={"t": config},
        **{"n-samples": {"t": {"original": 4, "effective": 4}}},
    )
    scores = measured(path).items.scores
    assert scores == {"acc,strict": (0.0,) * 4, "acc,loose": (1.0,) * 4}


def test_unnamed_filters_alone_are_refused(log_file: Write, row: Row) -> None:
    """Without a results file nobody knows which rows are which: counted twice is wrong."""
    rows = [row(doc % 3) for doc in range(6)]
    for logged in rows:
        del logged["filter"]
    with refused("several filters and does not name them"):
        open_path(log_file(rows))


def test_rows_that_were_appended_twice_are_refused(log_file: Write, row: Row) -> None:
    """lm-eval appends to a log that is there; each item would count twice."""
    with refused("doc 0 twice"):
        open_path(log_file([row(0), row(1), row(0)]))


def test_a_row_missing_under_one_filter_is_refused(log_file: Write, row: Row) -> None:
    """A log that was cut off inside the second filter is no whole log."""
    rows = [row(doc, filter=name) for name in ("a", "b") for doc in range(3)][:-1]
    with refused("not for doc 2"):
        open_path(log_file(rows))


def test_items_fewer_than_the_results_say_are_refused(
    results_file: Write, log_file: Write, row: Row
) -> None:
    """A log cut off at a line end is whole JSON, and yet not the whole log."""
    log_file([row(doc) for doc in range(99)])
    with refused("99 items of t, and its results are about 100"):
        open_path(results_file())


def test_a_log_of_another_evaluation_is_refused(
    results_file: Write, log_file: Write, row: Row
) -> None:
    """Items whose mean is not what the results say belong to others."""
    log_file([row(doc, acc=1.0) for doc in range(100)])
    with refused(r"gives 1 as the mean of acc,none of t, its results 0\.8"):
        open_path(results_file())


def test_items_and_results_that_fit(results_file: Write, log_file: Write, row: Row) -> None:
    """80 of 100 right, four choices: chance is what drawing or the commonest label gives."""
    log_file([row(doc) for doc in range(100)])
    accuracy = measured(results_file())
    assert accuracy.values == {"acc,none": 0.8}
    assert accuracy.chance == 0.25
    assert accuracy.protocol.total_items == 100


def test_an_array_of_before_0_4_3(results_file: Write, tmp_path: Path, row: Row) -> None:
    """The first versions wrote an indented array into a .jsonl, named by the model."""
    rows = [row(doc) for doc in range(100)]
    (tmp_path / "pretrained__a_b_t.jsonl").write_text(json.dumps(rows, indent=2))
    assert len(measured(results_file()).items) == 100


def test_empty_answers_are_noted_in_old_and_new_rows(log_file: Write, row: Row) -> None:
    """Tasks that generate tell how many answers were blank, whatever the rows' form."""
    until = {"until": ["."], "max_gen_toks": 8}
    for place, arguments in enumerate(
        ({"gen_args_0": {"arg_0": "q", "arg_1": until}}, [["q", until]])
    ):
        rows = [row(doc, arguments=arguments, resps=[[" " if doc else "five"]]) for doc in range(4)]
        accuracy = measured(log_file(rows, f"samples_t{place}.jsonl"), f"t{place}")
        assert accuracy.items.facts == {"empty": (0.0, 1.0, 1.0, 1.0)}


def test_metrics_without_a_number_per_item_stay_totals(
    results_file: Write, log_file: Write, row: Row
) -> None:
    """A list per item (instructions, pairs for F1) has a total and no column."""
    log_file([row(doc, metrics=["acc", "f1"], f1=[1, 0]) for doc in range(100)])
    path = results_file(results={"t": {"acc,none": 0.8, "f1,none": 0.7}})
    accuracy = measured(path)
    assert {metric.name: metric.kind for metric in accuracy.protocol.metrics} == {
        "acc,none": "binary",
        "f1,none": "aggregate",
    }
    assert set(accuracy.items.scores) == {"acc,none"}


def test_perplexities_keep_their_weights(results_file: Write, log_file: Write, row: Row) -> None:
    """word_perplexity is a log-likelihood and its number of words per item."""
    rows = [row(doc, metrics=["word_perplexity"], word_perplexity=[-20.0, 10]) for doc in range(30)]
    log_file(rows)
    path = results_file(
        results={"t": {"word_perplexity,none": 7.389}},
        **{"n-samples": {"t": {"original": 30, "effective": 30}}},
    )
    accuracy = measured(path)
    assert accuracy.items.weights["word_perplexity,none"] == (10.0,) * 30
    assert accuracy.protocol.metrics[0].kind == "perplexity"
    assert not accuracy.protocol.metrics[0].higher_is_better


def test_equal_log_probabilities_are_suspect(
    results_file: Write, log_file: Write, row: Row
) -> None:
    """A server without prompt log-probabilities gives 0.0 for every choice of every item."""
    zeros = [["0.0", "False"]] * 4
    log_file([row(doc, filtered_resps=zeros) for doc in range(100)])
    imported = open_path(results_file())
    assert isinstance(imported, Evaluation)
    assert "same log-probability" in suspicions_of(imported.results["t"])[""]


def test_the_same_item_asked_in_two_ways_is_refused(log_file: Write, row: Row) -> None:
    """Two filters look at one answer to one question; another question is another item."""
    rows = [row(0, filter="a"), {**row(0, filter="b"), "doc": {"question": "other"}}]
    with refused("doc 0 in two ways"):
        open_path(log_file(rows))


@pytest.mark.parametrize("wrong", [{"doc_id": None}, {"doc_id": -1}, {"doc_id": 1.5}])
def test_rows_without_a_number_are_refused(
    log_file: Write, row: Row, wrong: dict[str, Any]
) -> None:
    """A row that does not say whose it is cannot be paired."""
    with refused("no doc_id in row 1"):
        open_path(log_file([{**row(0), **wrong}]))
