"""What is noted of items beside their scores: tokens, blank and cut answers, passages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.measure import Journal, PreparedTask, measure
from pytest_quantreg.measure.accuracy.item_facts import clusters, tokens_of

PASSAGE = "A passage that is long enough to be one, number {}."


@pytest.fixture
def run(heard: Any) -> Callable[..., Any]:
    """Measures the first items in chunks of 128 and more."""

    def measured(task: PreparedTask, engine: Any, n: int, journal: Journal | None = None) -> Any:
        return measure(
            task,
            engine,
            n=n,
            batch_size=8,
            fingerprint="one",
            journal=journal or Journal(None),
            progress=heard,
        )

    return measured


class Telling:
    """A scripted engine whose model also tells tokens and cut answers."""

    def __init__(self, engine: Any, *, cuts: bool = True) -> None:
        self._engine = engine
        self._cuts = cuts

    def lm(self, batch_size: int) -> Any:
        lm = self._engine.lm(batch_size)
        answer = lm.generate_until

        def generate_until(requests: Any) -> list[str]:
            texts = [text if len(text) == 7 else "  \n" for text in answer(requests)]
            if self._cuts:
                lm.cut_answers = tuple(request.doc_id % 3 == 0 for request in requests)
            return texts

        lm.generate_until = generate_until
        lm.tok_encode = lambda text, **_: text.split()
        return lm

    def is_out_of_memory(self, error: BaseException) -> bool:
        return False


def test_answers_are_noted_before_the_filters(prepared: Any, scripted: Any, run: Any) -> None:
    """Blank answers and those that hit the limit are shares per item, in the items' order."""
    task = prepared("write")
    ours = run(task, Telling(scripted()), 200)
    facts = ours.items.facts
    assert set(facts) == {"empty", "truncated"}
    assert facts["truncated"] == tuple(float(at % 3 == 0) for at in ours.items.doc_ids)
    right = ours.items.scores["exact_match,flexible"]
    assert 0 < sum(facts["empty"]) < 200
    assert all(not (empty and score) for empty, score in zip(facts["empty"], right, strict=True))


def test_repeats_give_shares(prepared: Any, scripted: Any, run: Any) -> None:
    """With several sampled answers an item's fact is the share of them."""
    task = prepared("write", repeats=4, gen_kwargs={"do_sample": True, "temperature": 1.0})
    facts = run(task, Telling(scripted()), 40).items.facts
    assert set(facts["empty"]) > {0.25, 0.5}
    assert set(facts["empty"]) <= {0.0, 0.25, 0.5, 0.75, 1.0}
    assert set(facts["truncated"]) == {0.0, 1.0}


def test_an_engine_that_does_not_tell_gives_no_fact(prepared: Any, scripted: Any, run: Any) -> None:
    """Whether answers were cut is unknown then, never assumed to be no."""
    assert set(run(prepared("write"), scripted(), 20).items.facts) == {"empty"}
    assert run(prepared("read"), scripted(), 20).items.facts == {}


def test_documents_have_their_tokens(prepared: Any, scripted: Any, run: Any) -> None:
    """A rolling task notes how many tokens of each document were scored."""
    task = prepared("read")
    ours = run(task, Telling(scripted()), 30)
    words = tuple(float(len(item[0].args[0].split())) for item in task.requests[:30])
    assert ours.items.facts == {"tokens": words}


def test_other_tasks_have_no_tokens(prepared: Any, scripted: Any, run: Any) -> None:
    """Choices are not documents: nothing is noted of them."""
    assert run(prepared("choose"), Telling(scripted()), 20).items.facts == {}


def test_a_resumed_chunk_brings_its_facts(
    prepared: Any, scripted: Any, run: Any, tmp_path: Path
) -> None:
    """The journal holds what was noted; one of an older format is measured again."""
    task = prepared("write")
    first = run(task, Telling(scripted()), 200, Journal(tmp_path))
    engine = scripted()
    again = run(task, Telling(engine), 200, Journal(tmp_path))
    assert (engine.asked, again.resumed_items, again.items) == ([], 200, first.items)
    for path in tmp_path.glob("*.json"):
        held = json.loads(path.read_text("utf-8"))
        assert held["body"]["format"] == 4
        assert set(held["body"]["facts"]) == {"answer", "empty", "length", "truncated"}


def test_continuations_are_counted_as_lm_eval_scores_them() -> None:
    """Tokens of a continuation are what it adds; a BOS that a lone text brings is no target."""

    class Model:
        prefix_token_id = "<s>"

        def tok_encode(self, text: str, add_special_tokens: bool = True) -> list[str]:
            return (["<s>"] if add_special_tokens else []) + text.split()

    class Request:
        request_type = "loglikelihood"

        def __init__(self, *args: str) -> None:
            self.args = args

    counts = [
        tokens_of(Model(), [Request(*args)])
        for args in [("a b", " c d e"), ("a b ", "c"), ("", "c d"), ("", "<s> c d")]
    ]
    assert counts == [3, 1, 2, 2]
    assert tokens_of(object(), [Request("a", " b")]) is None


@pytest.mark.parametrize("field", ["passage", "context", "article", "premise"])
def test_items_that_share_a_passage_have_one_number(field: str) -> None:
    """Numbers count up in order of appearance; an item without a passage is on its own."""
    docs: list[dict[str, object]] = [
        {field: PASSAGE.format(1)},
        {field: PASSAGE.format(2)},
        {field: "short"},
        {field: f" {PASSAGE.format(1)}\n"},
        {field: None},
        {field: PASSAGE.format(3)},
    ]
    assert clusters(docs) == (0, 1, 2, 0, 3, 4)


@pytest.mark.parametrize(
    "docs",
    [
        [],
        [{"passage": PASSAGE.format(at)} for at in range(9)],
        [{"context": "geometry"}] * 4 + [{"context": "algebra"}] * 5,
        [{"context": "Answer the question as well as you can, please."}] * 5 + [{}] * 4,
        [{"question": PASSAGE.format(1)}] * 2 + [{}] * 4,
        ["text"] * 6,
    ],
    ids=["none", "own", "labels", "instruction", "other field", "no mapping"],
)
def test_nothing_shared_is_no_cluster(docs: list[Any]) -> None:
    """Passages of one item each, labels, instructions and other fields make no clusters."""
    assert clusters(docs) == ()


def test_clusters_are_those_of_the_whole_task(
    prepared: Any, scripted: Any, run: Any, task_folder: Path, tmp_path: Path
) -> None:
    """Numbers come from all items of the task, so that smaller limits have the same ones."""
    folder = Path(shutil.copytree(task_folder, tmp_path / "tasks"))
    rows = [json.loads(line) for line in (folder / "choose.jsonl").read_text().splitlines()]
    for at, row in enumerate(rows):
        row["passage"] = PASSAGE.format(at // 3)
    (folder / "share.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    text = (folder / "choose.yaml").read_text("utf-8").replace("choose", "share")
    (folder / "share.yaml").write_text(text, "utf-8")
    task = prepared("share", include_paths=(str(folder),))
    whole = run(task, scripted(), 600)
    few = run(task, scripted(), 100)
    numbers = whole.items.facts["cluster"]
    assert numbers[:100] == few.items.facts["cluster"]
    assert len(set(numbers)) == 200
    passages = {at // 3: number for at, number in zip(whole.items.doc_ids, numbers, strict=True)}
    assert all(
        passages[at // 3] == number for at, number in zip(whole.items.doc_ids, numbers, strict=True)
    )


def test_copies_with_other_examples_before_them_are_copies(
    task_folder: Path, tmp_path: Path, prepared: Any, scripted: Any, run: Any
) -> None:
    """Each question three times under a number of its own, with few-shot examples drawn anew."""
    for path in task_folder.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    rows = [json.loads(line) for line in (tmp_path / "write.jsonl").read_text().splitlines()]
    rows = [{**row, "id": at} for at, row in enumerate(rows[:50] * 3)]
    (tmp_path / "write.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = prepared("write", include_paths=(str(tmp_path),))
    assert len({*task.digests}) == 150
    assert len({request.args[0] for item in task.requests for request in item}) > 100
    items = run(task, Telling(scripted()), 150).items
    questions = {doc: rows[doc]["q"] for doc in items.doc_ids}
    texts: dict[float, set[str]] = {}
    for doc, number in zip(items.doc_ids, items.facts["copy"], strict=True):
        texts.setdefault(number, set()).add(questions[doc])
    assert len(texts) == 50
    assert all(len(copies) == 1 for copies in texts.values())
    assert "copy" not in run(prepared("write"), Telling(scripted()), 150).items.facts
