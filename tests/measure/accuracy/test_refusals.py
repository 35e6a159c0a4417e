"""What cannot be measured as asked is refused with the way out, before or after the model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_quantreg.core.codes import TaskCode
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.facts import Problem
from pytest_quantreg.core.records.run import Metric
from pytest_quantreg.measure import (
    Journal,
    PreparedTask,
    TaskLibrary,
    chat_note,
    default_metric,
    find_metric,
    measure,
)
from pytest_quantreg.measure.accuracy.metrics import columns

from ...wording import says

Prepare = Callable[..., PreparedTask]
HEAD = "doc_to_text: q\ndoc_to_target: q\noutput_type: generate_until\ntest_split: test\n"


def _refused(call: Callable[[], Any]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value


def test_unknown_task_names_the_nearest_of_ones_own(prepared: Prepare) -> None:
    """A slip of the pen is answered with the tasks of the user's folders."""
    error = _refused(lambda: prepared("chose"))
    assert error.category is Category.WRONG_USE
    assert says(error).splitlines()[:2] == ["no task is called 'chose'", "  nearest: choose"]
    assert "choose, read, translate, write" in says(error)


@pytest.mark.slow
def test_unknown_task_names_the_nearest_of_lm_evals(task_folder: Path) -> None:
    """A name near to none of one's own is looked for in lm-eval's tasks, and that is said."""
    said: list[str] = []
    library = TaskLibrary(said.append)
    error = _refused(lambda: library.load("hellaswagg", (str(task_folder),)))
    assert "nearest: hellaswag" in says(error)
    assert len(said) == 1
    assert "lm-eval" in said[0]


def test_shipped_task_is_found_without_the_whole_index(
    task_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task of lm-eval's own is found by its line, not by indexing 14,000 files."""
    said: list[str] = []
    monkeypatch.setattr("datasets.load_dataset", _offline)
    error = _refused(lambda: TaskLibrary(said.append).load("gsm8k", (str(task_folder),)))
    assert error.category is Category.NOTHING_MEASURED
    assert says(error).startswith("task 'gsm8k' cannot be loaded: ConnectionError: no hub")
    assert "HF_HUB_OFFLINE" in says(error)
    assert said == []


def _offline(*_: Any, **__: Any) -> Any:
    raise ConnectionError("no hub\nlong story")


@pytest.mark.parametrize(
    ("body", "name", "said"),
    [
        ("group: many\ntask: [choose, read]\n", "many", "'many' is a group of tasks"),
        ("task: one\ntag: few\n" + HEAD, "few", "'few' is a tag of tasks"),
        ("task: code\nunsafe_code: true\n" + HEAD, "code", "runs code that the model has written"),
        ("task: seen\ndoc_to_image: picture\n" + HEAD, "seen", "needs pictures or sound"),
        ("task: torn\nmetric_list: [{\n", "torn", "its file own.yaml cannot be read"),
    ],
)
def test_files_that_are_no_single_text_task(
    body: str, name: str, said: str, prepared: Prepare, tmp_path: Path
) -> None:
    """Groups, tags, unsafe and multimodal tasks and broken files are told apart."""
    (tmp_path / "own.yaml").write_text(body, "utf-8")
    error = _refused(lambda: prepared(name, include_paths=(str(tmp_path),)))
    assert error.category is Category.WRONG_USE
    assert said in says(error)
    assert "parametrize" not in says(error) or "its tasks: " in says(error)


def test_folder_that_does_not_exist(prepared: Prepare) -> None:
    """A mistyped folder is not an unknown task."""
    error = _refused(lambda: prepared("choose", include_paths=("nowhere",)))
    assert "the folder of task files nowhere does not exist" in says(error)


@pytest.mark.parametrize(
    ("rows", "files", "said"),
    [
        (None, "gone.jsonl", "cannot be loaded: FileNotFoundError"),
        ('{"other": 1}', "data.jsonl", "UndefinedError|cannot be"),
    ],
)
def test_data_that_is_not_there(
    rows: str | None, files: str, said: str, prepared: Prepare, tmp_path: Path
) -> None:
    """A missing data file and a missing field are one line with the cause."""
    if rows is not None:
        (tmp_path / files).write_text(rows, "utf-8")
    body = (
        f"task: own\ndataset_path: json\ndataset_kwargs:\n  cache_dir: {tmp_path / 'cache'}\n"
        f"  data_files: {{test: {tmp_path / files}}}\n"
        'output_type: generate_until\ntest_split: test\ndoc_to_text: "{{q}}"\n'
        'doc_to_target: "{{q}}"\nmetric_list: [{metric: exact_match}]\n'
    )
    (tmp_path / "own.yaml").write_text(body, "utf-8")
    error = _refused(lambda: prepared("own", include_paths=(str(tmp_path),)))
    assert error.category is Category.NOTHING_MEASURED
    assert any(part in says(error) for part in said.split("|"))
    assert "\n  " in says(error)


def test_task_without_items(prepared: Prepare, tmp_path: Path) -> None:
    """An empty data set is said to be empty."""
    (tmp_path / "empty.py").write_text(
        "import datasets\ndef load(**_):\n"
        "    return {'test': datasets.Dataset.from_dict({'q': []})}\n",
        "utf-8",
    )
    body = "task: none\ncustom_dataset: !function empty.load\n" + HEAD
    (tmp_path / "none.yaml").write_text(body, "utf-8")
    error = _refused(lambda: prepared("none", include_paths=(str(tmp_path),)))
    assert error.category is Category.NOTHING_MEASURED
    assert error.problem == Problem(TaskCode.TASK_WITHOUT_ITEMS, {"task": "none"})


@pytest.mark.parametrize(
    ("task", "fields", "said"),
    [
        ("write", {"apply_chat_template": True}, "the tokenizer has no chat template"),
        ("write", {"apply_chat_template": "tools"}, "no chat template 'tools'"),
        ("read", {"apply_chat_template": True}, "scores raw text"),
        ("write", {"repeats": 2}, "greedy decoding repeats itself"),
        ("choose", {"repeats": 2}, "a repeat gives the same log-probabilities"),
        ("write", {"repeats": 0}, "must be 1 or more"),
        ("write", {"gen_kwargs": {"do_sample": True}}, "needs a temperature above 0"),
        ("choose", {"gen_kwargs": {"temperature": 1}}, "nothing is generated"),
        ("read", {"num_fewshot": 2}, "a rolling task has no prompts"),
        ("write", {"num_fewshot": -1}, "must be 0 or more"),
        ("write", {"num_fewshot": 41}, "cannot be built: ValueError"),
        (
            "write",
            {"num_fewshot": -1},
            "with num_fewshot=-1: must be 0 or more\n  leave num_few",
        ),
        ("write", {"repeats": 2}, "with gen_kwargs={'do_sample': True, 'temperature': 0.7}\n"),
    ],
)
def test_requests_that_cannot_take_effect(
    task: str, fields: dict[str, Any], said: str, prepared: Prepare
) -> None:
    """What lm-eval would ignore in silence, or fail on later, is refused at once."""
    assert said in says(_refused(lambda: prepared(task, **fields)))


def test_chat_template_is_on_for_generation_only(prepared: Prepare) -> None:
    """With a template a generating task uses it unless told otherwise, another does not."""

    def formatter(messages: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        return "".join(f"<{message['role']}>{message['content']}" for message in messages)

    chatting = prepared("write", chat=lambda template: formatter)
    assert (chatting.protocol.chat_template, chatting.protocol.template_digest) == ("on", "feed")
    assert chatting.protocol.fewshot_as_multiturn
    assert chatting.requests[0][0].args[0].count("<user>") == 3
    single = prepared("write", chat=lambda template: formatter, fewshot_as_multiturn=False)
    assert single.requests[0][0].args[0].count("<user>") == 1
    off = prepared("write", chat=lambda template: formatter, apply_chat_template=False)
    assert (off.protocol.chat_template, off.protocol.template_digest) == ("off", None)
    assert "<user>" not in off.requests[0][0].args[0]
    assert prepared("choose", chat=lambda template: formatter).protocol.chat_template == "off"
    assert chatting.notes == (chat_note("write"),)
    asked = prepared("write", chat=lambda template: formatter, apply_chat_template=True)
    assert asked.notes == off.notes == ()


def test_task_that_samples_is_made_greedy(prepared: Prepare) -> None:
    """A task's own sampling is switched off and that is said; gen_kwargs bring it back."""
    made = prepared("translate")
    greedy = made.protocol.gen_kwargs
    assert (greedy["do_sample"], greedy["temperature"]) == (False, 0.0)
    assert len(made.notes) == 1
    assert made.notes[0].startswith("translate: samples in its own file; evaluated greedily")
    sampled = prepared("translate", gen_kwargs={"do_sample": True, "temperature": 0.9})
    assert sampled.protocol.gen_kwargs["temperature"] == 0.9
    assert sampled.notes == ()
    assert sampled.protocol.config_digest != prepared("translate").protocol.config_digest


def test_overrides_reach_the_prompts(prepared: Prepare) -> None:
    """Few-shot examples and a system instruction change prompts, digests and protocol."""
    plain, more = prepared("write"), prepared("write", num_fewshot=4)
    instructed = prepared("write", system_instruction="Be brief.")
    assert more.protocol.num_fewshot == 4
    assert more.requests[0][0].args[0].count("?") == 5
    assert instructed.requests[0][0].args[0].startswith("Be brief.")
    assert instructed.protocol.system_instruction_digest is not None
    assert not set(plain.digests) & (set(more.digests) | set(instructed.digests))


def test_metrics_are_found_as_lm_eval_spells_them(prepared: Prepare) -> None:
    """The first metric of the file is the default; names may leave out the first filter."""
    choose, write = prepared("choose").protocol, prepared("write").protocol
    assert default_metric(choose).name == "acc_norm,none"
    assert default_metric(write).name == "exact_match,strict"
    assert find_metric(choose, "acc").name == "acc,none"
    assert find_metric(write, "exact_match,flexible").name == "exact_match,flexible"
    assert find_metric(write, "exact_match").name == "exact_match,strict"
    error = _refused(lambda: find_metric(write, "acc"))
    assert error.category is Category.WRONG_USE
    assert "exact_match,strict, exact_match,flexible" in says(error)
    assert _refused(lambda: default_metric(replace(write, metrics=()))).category


@pytest.mark.parametrize(
    ("task", "value", "category", "said"),
    [
        ("choose", math.nan, Category.NOT_COMPARABLE, "NaN) on 50 of 50 items"),
        ("read", math.nan, Category.NOT_COMPARABLE, "not a number"),
        ("read", -math.inf, Category.NOT_COMPARABLE, "not a finite number on 50 of 50"),
        ("choose", 0.0, Category.SUSPICIOUS, "same log-probability in 50 of 50 items"),
    ],
)
def test_scores_that_are_none(
    task: str,
    value: float,
    category: Category,
    said: str,
    prepared: Prepare,
    scripted: Any,
    heard: Any,
    memory: Journal,
) -> None:
    """NaN and infinite scores are refused, and choices that the engine did not score."""
    engine = scripted(log_probability=value)
    error = _refused(lambda: _measured(prepared(task), engine, memory, heard))
    assert error.category is category
    assert said in says(error)


def test_engine_that_fails(prepared: Prepare, scripted: Any, heard: Any, memory: Journal) -> None:
    """An engine's own exception becomes one line, its cause kept; a refusal passes through."""
    failing = scripted(dies_at=1, death=RuntimeError("no kernel\ndetails"))
    error = _refused(lambda: _measured(prepared("write"), failing, memory, heard))
    assert error.category is Category.ENGINE
    assert says(error).splitlines()[0].endswith("the engine failed: RuntimeError: no kernel")
    assert isinstance(error.__cause__, RuntimeError)
    refusal = Refusal(Category.UNUSABLE_MODEL, "torn")
    refusing = scripted(dies_at=1, death=refusal)
    assert _refused(lambda: _measured(prepared("write"), refusing, memory, heard)) is refusal


def test_no_items_asked_for(prepared: Prepare, scripted: Any, heard: Any, memory: Journal) -> None:
    """Zero items are refused and never a result."""
    error = _refused(lambda: _measured(prepared("write"), scripted(), memory, heard, n=0))
    assert error.category is Category.NOTHING_MEASURED


def _measured(task: PreparedTask, engine: Any, journal: Journal, heard: Any, n: int = 50) -> Any:
    return measure(
        task,
        engine,
        n=n,
        batch_size=4,
        fingerprint="model",
        journal=journal,
        progress=heard,
    )


@pytest.mark.parametrize("score", [10**400, -(10**400), 1e308, (1.0, 10**400), (10**400, 1.0)])
def test_a_score_beyond_all_numbers_was_a_traceback(score: Any) -> None:
    """A task's own scoring may return anything; what cannot be added up is refused."""
    weighted = isinstance(score, tuple)
    metric = Metric("score,none", not weighted, "perplexity" if weighted else "mean")
    task = SimpleNamespace(aggregation=dict, higher_is_better=lambda: {"score": True})
    passes = [{"score,none": [score, score, (1.0, 1.0) if weighted else 1.0]}]
    error = _refused(lambda: columns(task, [metric], passes, [0, 1, 2]))
    assert error.category is Category.NOT_COMPARABLE
    assert "score,none is not a finite number on 2 of 3 items" in says(error)
