"""`quantreg compare` and what no gate can judge: no figure, no error, other kinds of scores."""

from __future__ import annotations

from typing import Any

import pytest

from ..conftest import Run
from ..lm_eval_folders import BASE, CERTIFY, GOOD, LOSSY, N, Row, answers, evaluated, rows

pytestmark = pytest.mark.usefixtures("in_empty_folder")


@pytest.mark.parametrize("figures", [{"acc,none": "N/A"}, {"bypass,none": 999}, {"alias": "u"}])
def test_a_task_without_a_figure_is_not_kept(said: Run, figures: Row) -> None:
    """What the baseline lists and nobody measured is refused by a gate, and told without one."""
    for folder, scores in (("base", BASE), ("quantized", GOOD)):
        evaluated(folder, {"t": list(rows(folder, scores))}, results={"u": figures})
    status, page = said("compare", "base", "quantized", *CERTIFY)
    assert status == 2
    assert "base lists u without a figure, so that nobody knows what was to be kept" in page
    assert said("compare", "base", "quantized", *CERTIFY, "--task", "t")[0] == 0
    status, page = said("compare", "base", "quantized")
    assert status == 0
    assert "note: base has no figure of u" in page


def test_a_group_with_a_part_that_nobody_measured(said: Run) -> None:
    """The rest of a group does not speak for its part without a figure."""
    for folder, scores in (("base", BASE), ("quantized", GOOD)):
        log = list(rows(folder, scores))
        parts = {"g": {"acc,none": sum(scores) / N}, "u": {"acc,none": "N/A"}}
        evaluated(folder, {"t": log}, results=parts, group_subtasks={"g": ["t", "u"]})
    status, page = said("compare", "base", "quantized", *CERTIFY, "--task", "g")
    assert status == 2
    assert "the baseline's g is suspect: its file has no figure of u, a part of it" in page


def test_a_group_at_chance(said: Run) -> None:
    """A quarter right of four choices each: the group guesses as its tasks do, without logs too."""
    choices = {"output_type": "multiple_choice", "doc_to_choice": ["A", "B", "C", "D"]}
    value = {"acc,none": 0.26}
    for folder in ("base", "quantized"):
        evaluated(
            folder,
            {},
            results={"g": value, "t": value, "u": value},
            group_subtasks={"g": ["t", "u"]},
            configs={"t": choices, "u": choices},
        )
    status, page = said("compare", "base", "quantized", "--min-retention", ".5")
    assert status == 2
    assert "the baseline is not above chance on g" in page


def test_an_error_of_zero_is_none(said: Run) -> None:
    """Scores that differ have a standard error: with 0 there is no interval, and no verdict."""
    for folder, value in (("base", 0.8), ("quantized", 0.79)):
        evaluated(folder, {}, results={"t": {"f1,none": value, "f1_stderr,none": 0.0}})
    status, page = said("compare", "base", "quantized", *CERTIFY)
    assert status == 2
    assert "REFUSED (not judged)" in page
    assert "leave --min-retention out to have it listed" in page


def test_a_metric_that_turned_round(said: Run) -> None:
    """Better when higher by one file and not by the other: refused with both."""
    turned: dict[str, Any] = {"higher_is_better": {"t": {"acc": False}}}
    evaluated("base", {"t": list(rows("base", BASE))}, **turned)
    evaluated("quantized", {"t": list(rows("quantized", LOSSY))})
    status, page = said("compare", "base", "quantized", *CERTIFY)
    assert status == 2
    assert (
        "is of unknown direction by the baseline's file, and better when higher by the candidate's"
        in page
    )


@pytest.mark.parametrize("told", [None, "false", "true", 1, "absent"])
def test_a_score_without_a_direction_was_better_when_higher(said: Run, told: Any) -> None:
    """Of a count of errors that halved it said lost: it is listed, and no gate judges it."""
    for folder, value in (("base", 0.4), ("quantized", 0.2)):
        results = {"t": {"errors,none": value, "errors_stderr,none": 0.01}}
        directions: dict[str, Any] = {}
        if told != "absent":
            directions = {"higher_is_better": {"t": {"errors": told}}}
        evaluated(folder, {}, results=results, arguments=f"org/{folder}", **directions)
    status, page = said("compare", "base", "quantized", "--min-retention", ".9")
    assert status == 2
    assert "REFUSED (not judged)" in page
    assert "the direction of errors,none of t is unknown" in page
    assert "add `higher_is_better: true (or false)`" in page
    status, page = said("compare", "base", "quantized")
    assert status == 0
    assert "0.400 0.200 - " in page


def test_an_import_keeps_an_unknown_direction(said: Run) -> None:
    """Stored as unknown, and refused by a gate on the stored figures too."""
    for folder in ("base", "quantized"):
        log = [{**row, "score": row["acc"], "metrics": ["score"]} for row in rows(folder, BASE)]
        evaluated(folder, {"t": log}, results={"t": {"score,none": 0.8}})
        assert said("import", folder, "--scheme", "bf16", "--out", f"kept-{folder}")[0] == 0
    status, page = said("compare", "kept-base", "kept-quantized", *CERTIFY)
    assert status == 2
    assert "the direction of score,none of t is unknown" in page


def test_a_log_alone_does_not_say_which_score_counts(said: Run) -> None:
    """Of two scores in a log without results one has to be named under a gate."""
    for folder, scores in (("base", BASE), ("quantized", LOSSY)):
        log = [{**row, "easy": 1.0, "metrics": ["easy", "acc"]} for row in rows(folder, scores)]
        next(evaluated(folder, {"t": log}).glob("results_*")).unlink()
    status, page = said("compare", "base", "quantized", *CERTIFY)
    assert status == 2
    assert "which score of t counts is not known: its log is alone" in page
    assert "there are easy,none, acc,none name one with --metric" in page
    assert said("compare", "base", "quantized", *CERTIFY, "--metric", "acc")[0] == 1
    assert said("compare", "base", "quantized")[0] == 0


def test_the_second_score_does_not_stand_in_for_the_first(said: Run) -> None:
    """Where the task's own first score has no value, another one is judged only if named."""
    for folder in ("base", "quantized"):
        value = {"acc,none": "N/A", "acc_norm,none": 0.8}
        evaluated(folder, {}, results={"t": value}, arguments=f"org/{folder}")
    words = ("compare", "base", "quantized", "--min-retention", ".9")
    status, page = said(*words)
    assert status == 2
    assert "its first score has no value; there are acc_norm,none" in page
    assert said(*words, "--metric", "acc_norm")[0] == 0


def test_perplexities_are_counted_as_not_judged(said: Run) -> None:
    """Under detect the page counts them, and certify does not certify what nobody judged."""
    for folder, scores, value in (("base", BASE, 8.0), ("quantized", GOOD, 80.0)):
        text = {"text": {"word_perplexity,none": value}}
        evaluated(folder, {"t": list(rows(folder, scores))}, results=text)
    status, page = said("compare", "base", "quantized", "--min-retention", ".98")
    assert status == 0
    assert "1 kept, 1 not judged." in page
    status, page = said("compare", "base", "quantized", *CERTIFY)
    assert status == 2
    assert "word_perplexity of text is a perplexity, of which no share can be certified" in page
    status, page = said("compare", "base", "quantized", *CERTIFY, "--pooled")
    assert status == 2
    assert "text cannot be judged, and a pool without it would be another gate" in page
    assert said("compare", "base", "quantized", *CERTIFY, "--task", "t")[0] == 0


def test_scores_of_another_kind_do_not_turn_a_good_model_red(said: Run) -> None:
    """An error rate beside a share of right answers: each is judged, and no pool is asked for."""
    for folder, scores in (("base", BASE), ("quantized", GOOD)):
        rate = {"speech": {"wer,none": 0.3, "wer_stderr,none": 0.002}}
        lower: dict[str, Any] = {"higher_is_better": {"speech": {"wer": False}}}
        evaluated(folder, {"t": list(rows(folder, scores))}, results=rate, **lower)
    words = ("compare", "base", "quantized", "--min-retention", ".95")
    status, page = said(*words)
    assert status == 0
    assert "2 kept." in page
    assert "scores of speech cannot be averaged with others" in page
    assert said(*words, "--pooled")[0] == 2


def test_what_a_gate_refuses_is_refused_after_an_import(said: Run) -> None:
    """Thoughts that were scored are imported with the suspicion, which no gate forgets."""
    template = "{% if add_generation_prompt %}<think>\n{% endif %}"
    settings = {"t": {"output_type": "generate_until"}}
    for folder, scores in (("base", BASE), ("quantized", GOOD)):
        evaluated(folder, {"t": answers(scores)}, configs=settings, chat_template=template)
        status, page = said("import", folder, "--out", f"store/{folder}")
        assert status == 0
        assert "imported: t, 1,000 items" in page
        assert "no gate will judge acc,none: its chat template opens" in page
    for sides in (("base", "quantized"), ("store/base", "store/quantized")):
        status, page = said("compare", *sides, "--min-retention", ".9")
        assert status == 2
        assert "REFUSED (suspicious)" in page


@pytest.mark.usefixtures("base")
def test_markdown_sets_reasons_below_their_verdict(quantreg: Run) -> None:
    """What explains a verdict is a list below it, and the counts come first."""
    evaluated("lossy", {"t": list(rows("lossy", LOSSY))})
    status, page = quantreg("compare", "base", "lossy", *CERTIFY, "--format", "md")
    assert status == 1
    lines = page.splitlines()
    place = lines.index("- 1 lost.")
    assert lines[place + 1].startswith("- LOST lossy t: keeps 92.5 %")
    assert lines[place + 2].startswith("  - baseline 0.800, quantized 0.740 on 1,000 items")
