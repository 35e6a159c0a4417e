"""`quantreg compare` and the metrics that no gate judges."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from ..conftest import Run
from ..lm_eval_folders import BASE, CERTIFY, GOOD, evaluated, flipped, rows

pytestmark = pytest.mark.usefixtures("in_empty_folder")

BROKEN = flipped(BASE, 300, 0)


def folder(name: str, scores: dict[str, tuple[Sequence[float], Sequence[float]]]) -> None:
    """Tasks, each with the scores of ``acc`` and of ``acc_norm``."""
    logs = {}
    for task, (first, other) in scores.items():
        log = [
            {**row, "metrics": ["acc", "acc_norm"], "acc_norm": score}
            for row, score in zip(rows(f"{name} {task}", first), other, strict=True)
        ]
        logs[task] = [{**row, "doc": {"question": f"{task} {row['doc_id']}"}} for row in log]
    results = {
        task: {"acc,none": sum(first) / len(first), "acc_norm,none": sum(other) / len(other)}
        for task, (first, other) in scores.items()
    }
    evaluated(name, logs, results=results)


def test_a_metric_that_no_gate_judges_was_lost_in_silence(said: Run) -> None:
    """Detect names it and ends with 0; certify lists it as lost and ends with 1."""
    folder("base", {"t": (BASE, BASE)})
    folder("int4", {"t": (GOOD, BROKEN)})
    words = ["compare", "base", "int4", "--min-retention", ".95"]
    status, page = said(*words)
    assert status == 0
    assert "note: t: no gate judges acc_norm, which is surely below 0.95: it keeps" in page
    assert said("compare", "base", "int4")[1].count("no gate judges") == 0
    status, page = said(*words, "--gate", "certify")
    assert status == 1
    assert "1 kept, 1 lost." in page
    assert "LOST int4 t: no gate judges acc_norm, which keeps" in page
    assert "look at it with --metric acc_norm" in page
    assert said(*words, "--gate", "point")[0] == 0
    document = json.loads(said(*words, "--gate", "certify", "--format", "json")[1])
    kept, lost = document["outcomes"]
    assert [loss["metric"] for loss in kept["also_lost"]] == ["acc_norm,none"]
    assert (lost["metric"], lost["result"], lost["unjudged"]) == ("acc_norm,none", "lost", 1)


def test_a_pool_hid_a_metric_of_one_of_its_tasks(said: Run) -> None:
    """Each task's other metrics are looked at, two here, for two candidates."""
    folder("base", {"t": (BASE, BASE), "u": (BASE, BASE)})
    folder("int4", {"t": (GOOD, GOOD), "u": (GOOD, BROKEN)})
    folder("fp8", {"t": (GOOD, GOOD), "u": (GOOD, GOOD)})
    words = ["compare", "base", "fp8", "int4", "--pooled", *CERTIFY[:1], ".95", *CERTIFY[2:]]
    status, page = said(*words)
    assert status == 1
    assert "with 97.5 % confidence (95 % over 2 metrics)" in page
    assert "95 % was required of all 2 tasks" in page
    assert "2 kept, 1 lost" in page
    status, page = said("compare", "base", "fp8", "--pooled", *CERTIFY[:1], ".95", *CERTIFY[2:])
    assert status == 0


def test_totals_alone_show_it_too(said: Run) -> None:
    """Two shares of 1,000 items each, without a log."""
    for name, value in (("base", 0.8), ("int4", 0.5)):
        figures = {"acc,none": 0.8, "acc_norm,none": value}
        evaluated(name, {}, results={"t": figures})
    status, page = said("compare", "base", "int4", "--min-retention", ".9")
    assert status == 0
    assert "t: no gate judges acc_norm" in page


def test_a_log_alone_without_a_number_ended_in_a_traceback(said: Run) -> None:
    """Without its results file and without a usable number there is nothing to compare."""
    for name, value in (("base", 1.0), ("int4", "high")):
        path = evaluated(name, {"t": list(rows(name, GOOD))})
        next(path.glob("results_*")).unlink()
        log = next(path.glob("samples_*"))
        lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
        log.write_text("".join(f"{json.dumps({**row, 'acc': value})}\n" for row in lines), "utf-8")
    status, page = said("compare", "base", "int4")
    assert status == 2
    assert "t has no metric with a number" in page
