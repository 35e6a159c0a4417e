"""What moves the numbers without having been asked for stands beside the verdict, in a log too."""

from __future__ import annotations

from .conftest import Suite

CHAT = "<{role}>{content}\n"
GATE = """
    @pytest.mark.min_retention(0.9)
    def test_gate(compare_accuracy):
        compare_accuracy("sum")
"""
ASKED = GATE.replace('"sum"', '"sum", apply_chat_template=True')


def _notes(lines: list[str], words: str) -> list[str]:
    return [line for line in lines if line.startswith("note: ") and words in line]


def _chatting(suite: Suite) -> None:
    suite.model(template=CHAT)
    suite.checkpoint("int8", template=CHAT)


def test_a_chat_template_by_default_is_told(suite: Suite) -> None:
    """Recording and judging both say, once per task, that nobody asked for the template."""
    _chatting(suite)
    suite.test(GATE)
    suite.test(GATE, name="test_again.py")
    line = "note: sum: chat template on: the tokenizer has one (apply_chat_template=False"
    recorded = suite.record()
    recorded.stdout.fnmatch_lines([line])
    judged = suite.gate()
    assert judged.ret == 0
    judged.stdout.fnmatch_lines([line])
    for result in (recorded, judged):
        assert len(_notes(result.outlines, "chat template on")) == 1


def test_a_chat_template_that_was_asked_for_is_not_told(suite: Suite) -> None:
    """Nothing is said of a template that the call names itself."""
    _chatting(suite)
    suite.test(ASKED)
    assert _notes(suite.record().outlines, "chat template") == []
    result = suite.gate()
    assert result.ret == 0
    assert _notes(result.outlines, "chat template") == []


def test_a_task_without_template_has_no_note(suite: Suite) -> None:
    """Without a template in the tokenizer there is nothing to tell."""
    suite.test(GATE)
    assert _notes(suite.record().outlines, "") == []
    assert _notes(suite.gate().outlines, "") == []


def test_greedy_instead_of_sampling_is_told(suite: Suite) -> None:
    """A task whose own file samples is evaluated greedily, and every verdict says so."""
    path = suite.path / "tasks" / "sum.yaml"
    text = path.read_text("utf-8")
    path.write_text(
        text.replace("max_gen_toks: 8", "max_gen_toks: 8, do_sample: true, temperature: 0.7"),
        "utf-8",
    )
    suite.test(GATE)
    line = "note: sum: samples in its own file; evaluated greedily here"
    suite.record().stdout.fnmatch_lines([line])
    result = suite.gate()
    assert result.ret == 0
    result.stdout.fnmatch_lines([line])


def test_cut_prompts_are_told(suite: Suite) -> None:
    """What lm-eval only logs about prompts beyond the context stands beside the verdict."""
    suite.path.joinpath("tasks", "cutting.py").write_text(
        "import logging\n"
        "def judge(doc, results):\n"
        "    logging.getLogger('lm_eval.models.huggingface').warning('Left truncation applied.')\n"
        "    return {'exact_match': float(results[0] == doc['answer'])}\n",
        "utf-8",
    )
    path = suite.path / "tasks" / "sum.yaml"
    text = path.read_text("utf-8")
    path.write_text(f"{text}\nprocess_results: !function cutting.judge\n", "utf-8")
    suite.test(GATE)
    line = "note: sum: prompts longer than the model's context were cut from the left"
    suite.record().stdout.fnmatch_lines([line])
    result = suite.gate()
    assert result.ret == 0
    result.stdout.fnmatch_lines([line])
