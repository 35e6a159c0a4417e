"""`quantreg compare` and two evaluations that are none: parts left out, one model twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Run
from ..lm_eval_folders import BASE, CERTIFY, GOOD, LOSSY, N, answers, evaluated, flipped, rows

pytestmark = pytest.mark.usefixtures("in_empty_folder")


@pytest.mark.usefixtures("base")
def test_items_that_were_left_out_are_missed(said: Run) -> None:
    """A candidate without the items that it lost is refused; the first 900 items are a limit."""
    lossy = list(rows("lossy", LOSSY))
    kept = [row for row in lossy if row["acc"] == BASE[row["doc_id"]]]
    evaluated("picked", {"t": kept})
    status, page = said("compare", "base", "picked", *CERTIFY)
    assert status == 2
    assert "t: the candidate has 940 of the baseline's 1,000 items, and not the first" in page
    folder = evaluated("limited", {"t": list(rows("limited", GOOD))[:900]})
    assert said("compare", "base", "limited", *CERTIFY)[0] == 0
    next(folder.glob("results_*")).unlink()
    status, page = said("compare", "base", "limited", *CERTIFY)
    assert status == 2
    assert "ends after 900 of the baseline's 1,000 items, and nothing says that a limit" in page


@pytest.mark.usefixtures("base")
def test_what_is_noted_is_said_once(said: Run) -> None:
    """A note of a lost task stands below the table, and not with its figures too."""
    evaluated("lossy", {"t": list(rows("lossy", LOSSY))}, lm_eval_version="0.4.12")
    status, page = said("compare", "base", "lossy", *CERTIFY)
    assert status == 1
    assert page.count("t: not compared: baseline says no more, now says lm_eval") == 1


@pytest.mark.usefixtures("base")
def test_one_evaluation_is_not_its_own_candidate(said: Run) -> None:
    """The same folder, a link to it, a copy: shown without a gate, refused under one."""
    shutil.copytree("base", "copy")
    Path("link").symlink_to("base")
    for other in ("base", "link"):
        status, page = said("compare", "base", other, "--min-retention", ".9")
        assert status == 2
        assert f"{other} is named twice: nothing can be lost against itself" in page
    status, page = said("compare", "base", "copy", "--min-retention", ".9")
    assert status == 2
    assert "t is one and the same evaluation on both sides, written at the same moment" in page
    assert said("compare", "base", "copy")[0] == 0


@pytest.mark.usefixtures("base")
def test_the_baselines_log_in_place_of_the_candidates(said: Run) -> None:
    """Log-likelihoods equal to the last bit came from the same weights, whatever the names say."""
    evaluated("quantized", {"t": list(rows("base", BASE))})
    status, page = said("compare", "base", "quantized", "--min-retention", ".9")
    assert status == 2
    assert "all log-likelihoods of t are the baseline's to the last bit" in page


def test_one_name_and_arguments_that_quantize_it(said: Run) -> None:
    """The same hub id is another model with load_in_4bit; in one folder the two are refused."""
    evaluated("bf16", {"t": list(rows("bf16", BASE))}, arguments="org/m")
    evaluated("nf4", {"t": list(rows("nf4", GOOD))}, arguments="org/m,load_in_4bit=True")
    assert said("compare", "bf16", "nf4", *CERTIFY)[0] == 0
    log = {"t": list(rows("nf4", LOSSY))}
    stamp = "2026-06-08T21-35-36.841005"
    evaluated("bf16", log, arguments="org/m,load_in_4bit=True", stamp=stamp)
    status, page = said("compare", "bf16", "nf4", *CERTIFY)
    assert status == 2
    assert "bf16 holds results of org/m with different weights: as they are; load_in_4bit" in page


def test_two_models_of_one_name_in_a_folder(said: Run) -> None:
    """Local models are known by the last part of their path; of two the newest is not taken."""
    evaluated("base", {"t": list(rows("a", BASE))}, arguments="/models/full/model")
    other: dict[str, Any] = {
        "arguments": "/models/small/model",
        "stamp": "2026-06-08T21-35-36.841005",
    }
    evaluated("base", {"t": list(rows("b", LOSSY))}, **other)
    evaluated("quantized", {"t": list(rows("c", LOSSY))})
    status, page = said("compare", "base", "quantized", *CERTIFY)
    assert status == 2
    assert "two models called model, which lay in different folders" in page
    assert "/models" not in page


def test_a_shared_cache_answers_for_both(said: Run) -> None:
    """lm-eval's cache knows questions and no models: equal scores out of one are no evidence."""
    for folder in ("base", "quantized"):
        config = {"model": "hf", "model_args": f"pretrained=org/{folder}", "use_cache": "kept"}
        evaluated(folder, {"t": answers(BASE)}, config=config)
    status, page = said("compare", "base", "quantized", "--min-retention", ".9")
    assert status == 2
    assert "both read their answers from one --use_cache" in page
    config = {"model": "hf", "model_args": "pretrained=org/quantized", "use_cache": "its own"}
    evaluated("quantized", {"t": answers(BASE)}, config=config)
    assert said("compare", "base", "quantized", "--min-retention", ".9")[0] == 0


def test_a_baseline_that_did_not_answer_hides_a_loss(said: Run) -> None:
    """A fifth of the baseline's answers missing: what it never had cannot be lost."""
    evaluated("base", {"t": answers(BASE, range(0, N, 6))})
    evaluated("quantized", {"t": answers(flipped(BASE, 100, 0))})
    status, page = said("compare", "base", "quantized", *CERTIFY)
    assert status == 2
    assert "16.7 % of the baseline's answers are empty, 0.0 % of the quantized model's" in page


def test_null_is_no_answer(said: Run) -> None:
    """A server that fails leaves null in the log, which counts as an empty answer."""
    evaluated("base", {"t": answers(BASE)})
    evaluated("quantized", {"t": answers(BASE, range(0, N, 6), None)})
    status, page = said("compare", "base", "quantized", "--min-retention", ".5")
    assert status == 2
    assert "16.7 % of the quantized model's answers are empty" in page


def test_copies_of_items_say_no_more_than_one(said: Run) -> None:
    """Two hundred items five times under other numbers decide what two hundred items decide."""
    few, good = BASE[:200], flipped(BASE[:200], 2, 2)
    for folder, scores in (("base", few), ("quantized", good)):
        log = list(rows(folder, scores))
        copies = [{**row, "doc_id": row["doc_id"] + 200 * k} for k in range(5) for row in log]
        evaluated(folder, {"t": copies})
    assert said("compare", "base", "quantized", *CERTIFY)[0] == 3


@pytest.mark.usefixtures("base")
def test_the_worst_of_several_candidates_decides(said: Run) -> None:
    """Lost before refused before undecided before kept, in any order; JSON says the same."""
    evaluated("good", {"t": list(rows("good", GOOD))})
    evaluated("lossy", {"t": list(rows("lossy", LOSSY))})
    evaluated("unsure", {"t": list(rows("unsure", flipped(BASE, 40, 30)))})
    shown: dict[str, Any] = {"n-shot": {"t": 5}}
    evaluated("other", {"t": list(rows("other", GOOD))}, **shown)
    for names, worst in (
        (("good",), 0),
        (("good", "unsure"), 3),
        (("unsure", "other", "good"), 2),
        (("other", "lossy"), 1),
        (("lossy", "unsure", "good", "other"), 1),
    ):
        assert said("compare", "base", *names, *CERTIFY)[0] == worst
        status, page = said("compare", "base", *names, *CERTIFY, "--format", "json")
        assert ("candidates under certify" in page) == (len(names) > 1)
        assert (status, json.loads(page)["status"]) == (worst, worst)
        assert json.loads(page)["gate"] == {
            "min_retention": 0.98,
            "mode": "certify",
            "confidence": 0.95,
            "pooled": False,
        }


@pytest.mark.parametrize("words", [("base", "same"), ("kept-base", "kept-same")])
def test_questions_asked_many_times_were_many_items(said: Run, words: tuple[str, str]) -> None:
    """60 questions 20 times, each under another number, certified what 60 cannot."""
    for folder in ("base", "same"):
        log = [
            {**row, "doc_id": at, "doc": {**row["doc"], "id": at}}
            for at, row in enumerate([*rows(folder, BASE[:60])] * 20)
        ]
        counts: dict[str, Any] = {"n-samples": {"t": {"original": 1200, "effective": 1200}}}
        evaluated(folder, {"t": log}, **counts)
        said("import", folder, "--scheme", "bf16", "--out", f"kept-{folder}")
    status, page = said("compare", *words, *CERTIFY)
    assert status == 3
    assert "t: 1,200 items, 60 distinct: copies count as one" in page
