"""The scripted double: right and wrong answers through real lm-eval tasks, and failures."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends import find
from pytest_quantreg.core.engine import Backend
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.testing.scripted import ScriptedBackend, ScriptedOutOfMemory

from ..wording import refused, wrong_use

DOCS = [
    {"id": 100 + i, "question": f"What follows {i}?", "answer": str(i + 1), "label": i % 3}
    for i in range(60)
]

TASKS = {
    "choices": """
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: ["alpha", "beta", "gamma"]
doc_to_target: label
metric_list: [{metric: acc}, {metric: acc_norm}]
""",
    "says": """
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"]}
metric_list: [{metric: exact_match}]
""",
    "rolls": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{question}}"
metric_list: [{metric: byte_perplexity}]
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder that tests write their script into."""
    made = tmp_path / "tiny"
    made.mkdir()
    return made


def script(folder: Path, **entries: Any) -> ModelSpec:
    """Writes a script and says how to ask for the model."""
    (folder / "scripted.json").write_text(json.dumps(entries), encoding="utf-8")
    return ModelSpec(str(folder), folder.name, entries.get("scheme", "native"), "scripted")


@pytest.fixture
def scripted(tmp_path: Path) -> Backend:
    """The backend as it is found by its name."""
    return find("scripted", cache_dir=tmp_path / "cache")


def evaluate(lm: Any, folder: Path) -> dict[str, Any]:
    """Runs the three local tasks through lm-eval itself."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    data = folder / "docs.jsonl"
    data.write_text("\n".join(json.dumps(doc) for doc in DOCS), encoding="utf-8")
    for name, text in TASKS.items():
        head = f"task: {name}\ndataset_path: json\ntest_split: test\n"
        files = f"dataset_kwargs: {{data_files: {{test: {data}}}}}\n"
        (folder / f"{name}.yaml").write_text(head + files + text, encoding="utf-8")
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    results: dict[str, Any] = simple_evaluate(
        model=lm, tasks=list(TASKS), task_manager=manager, bootstrap_iters=0, log_samples=True
    )
    return results


@pytest.mark.filterwarnings("ignore")  # lm-eval and datasets warn about their own parts
def test_answers_real_tasks_as_written(folder: Path, scripted: Backend) -> None:
    """Listed items are answered wrongly and all others rightly, in every kind of task."""
    spec = script(
        folder,
        tasks={
            "choices": {"target": "label", "index": "id", "wrong": [100, 101, 102]},
            "says": {"target": "answer", "wrong": [5], "also_wrong": [6, 7], "fixed": [7]},
            "rolls": {"nats_per_char": 2.0},
        },
    )
    results = evaluate(scripted.load(spec).lm(8), folder)
    scores = results["results"]
    assert scores["choices"]["acc,none"] == pytest.approx(57 / 60)
    assert scores["choices"]["acc_norm,none"] == pytest.approx(57 / 60)
    assert scores["says"]["exact_match,none"] == pytest.approx(58 / 60)
    assert scores["rolls"]["byte_perplexity,none"] == pytest.approx(7.39, abs=0.1)
    lost = [row["doc_id"] for row in results["samples"]["says"] if row["exact_match"] == 0]
    assert lost == [5, 6]


def test_shares_are_drawn_by_seed(folder: Path, scripted: Backend) -> None:
    """A share draws the same items each time, about that many, others with another seed."""

    def wrong(seed: int) -> list[int]:
        spec = script(folder, tasks={"*": {"wrong": {"seed": seed, "share": 0.3}}})
        lm = scripted.load(spec).lm(1)
        texts = lm.generate_until([request(i) for i in range(400)])
        return [i for i, text in enumerate(texts) if text == "?"]

    assert wrong(1) == wrong(1)
    assert wrong(1) != wrong(2)
    assert 90 <= len(wrong(1)) <= 150


def request(doc_id: int, **options: Any) -> Any:
    """A generate-until request as lm-eval makes it."""
    from lm_eval.api.instance import Instance

    doc = {"answer": str(doc_id)}
    return Instance("generate_until", doc, ("say", options), 0, ("t", doc_id, 1))


def test_answers_can_be_empty_or_endless(folder: Path, scripted: Backend) -> None:
    """Empty answers have no text; endless ones fill the limit and are told as cut."""
    tasks = {"t": {"empty": [1], "endless": [2, 3], "wrong": [4]}}
    lm = scripted.load(script(folder, tasks=tasks)).lm(1)
    limits = [{}, {}, {"max_gen_toks": 5}, {}, {}]
    texts = lm.generate_until([request(i, **limit) for i, limit in enumerate(limits)])
    assert [texts[i] for i in (0, 1, 4)] == ["0", "", "?"]
    assert [len(lm.tok_encode(texts[i])) for i in (2, 3)] == [5, lm.max_gen_toks]
    assert lm.cut_answers == (False, False, True, True, False)
    many = {"t": {"empty": {"seed": 1, "share": 0.5}, "endless": {"seed": 2, "share": 0.5}}}
    lm = scripted.load(script(folder, tasks=many)).lm(1)
    texts = lm.generate_until([request(i) for i in range(200)])
    assert 70 <= sum(lm.cut_answers) <= 130
    assert 30 <= sum(text == "" for text in texts) <= 70


def test_tokens_are_words(folder: Path, scripted: Backend) -> None:
    """Equal words have equal numbers, so that documents can be counted in tokens."""
    lm = scripted.load(script(folder)).lm(1)
    first, second, third = lm.tok_encode("one two one", add_special_tokens=False)
    assert (first == third, first == second) == (True, False)


def _answers(lm: Any, *calls: range, **options: Any) -> dict[int, str]:
    return {
        i: text
        for call in calls
        for i, text in zip(
            call, lm.generate_until([request(i, **options) for i in call]), strict=True
        )
    }


def test_ambiguous_items_go_with_their_batch(folder: Path, scripted: Backend) -> None:
    """They are right or wrong by what is asked with them, the same for the same company."""
    tasks = {"t": {"ambiguous": {"seed": 1, "share": 0.25}, "wrong": [0], "also_wrong": [1]}}
    lm = scripted.load(script(folder, tasks=tasks)).lm(1)
    whole = _answers(lm, range(400))
    assert _answers(lm, range(399, -1, -1)) == whole
    halves = _answers(lm, range(200), range(200, 400))
    moved = [i for i in whole if whole[i] != halves[i]]
    assert 30 <= len(moved) <= 70  # half of a quarter of 400
    assert 30 <= sum(text == "?" for text in whole.values()) <= 70
    assert whole[1] == halves[1] == "?"
    other = scripted.load(script(folder, tasks=tasks, scheme="w8a8-int8")).lm(1)
    assert _answers(other, range(400)) != whole


def test_sampled_ambiguous_items_are_drawn(folder: Path, scripted: Backend) -> None:
    """With do_sample they follow Python's generator, which a measurement seeds."""
    lm = scripted.load(script(folder, tasks={"t": {"ambiguous": {"share": 1.0}}})).lm(1)
    random.seed(1)
    first = _answers(lm, range(50), do_sample=True)
    second = _answers(lm, range(50), do_sample=True)
    random.seed(1)
    assert _answers(lm, range(50), do_sample=True) == first != second


def test_ambiguous_choices_agree_within_an_item(folder: Path, scripted: Backend) -> None:
    """All choices of an item go the same way: exactly one is likely, right or wrong."""
    from lm_eval.api.instance import Instance

    task = {"target": "label", "ambiguous": {"seed": 1, "share": 1.0}}
    lm = scripted.load(script(folder, tasks={"t": task})).lm(1)
    requests = [
        Instance("loglikelihood", {"label": 1}, ("q", " word"), choice, ("t", doc, 1))
        for doc in range(100)
        for choice in range(2)
    ]
    greedy = [greedy for _, greedy in lm.loglikelihood(requests)]
    assert all(greedy[at] != greedy[at + 1] for at in range(0, 200, 2))
    assert 30 <= sum(greedy[1::2]) <= 70


def test_identity_follows_the_script(folder: Path, scripted: Backend) -> None:
    """Tokenizer, template and weights change their digests, and nothing else does."""
    before = scripted.identify(script(folder, tokenizer="a", template="{content}"))
    after = scripted.identify(script(folder, tokenizer="b", template=None, weights="v2"))
    assert before.tokenizer_digest != after.tokenizer_digest
    assert before.weights_digest != after.weights_digest
    assert after.template_digest is None
    assert (before.architecture, before.shapes) == (after.architecture, after.shapes)


def test_effective_scheme_can_be_overridden(folder: Path, scripted: Backend) -> None:
    """A script can claim a scheme and hold nothing quantized."""
    spec = script(folder, scheme="w8a8-int8", effective={"quantized_layers": 0})
    assert scripted.stored_scheme(spec) == "w8a8-int8"
    effective = scripted.load(spec).effective
    assert (effective.scheme, effective.quantized_layers) == ("w8a8-int8", 0)


def test_chats_render_with_the_template(folder: Path, scripted: Backend) -> None:
    """The formatter and the model's own apply_chat_template say the same."""
    spec = script(folder, template="<{role}>{content}\n")
    render = scripted.chat_formatter(spec, True)
    assert render is not None
    chat = [{"role": "user", "content": "hi"}]
    assert render(chat) == "<user>hi\n<assistant>\n"
    assert render(chat, add_generation_prompt=False) == "<user>hi\n"
    assert scripted.load(spec).lm(1).apply_chat_template(chat) == render(chat)
    assert scripted.chat_formatter(script(folder), True) is None


def test_makes_schemes_it_has_a_script_for(folder: Path, scripted: Backend) -> None:
    """``on_the_fly`` is laid over the file; a scheme without an entry is wrong use."""
    base = script(
        folder,
        tasks={"t": {"wrong": [1]}},
        on_the_fly={"w8a8-int8": {"scheme": "w8a8-int8", "tasks": {"t": {"also_wrong": [2]}}}},
    )
    lines: list[str] = []
    to_make = replace(base, scheme="w8a8-int8", quantize=True)
    made = scripted.prepare(to_make, lines.append)
    assert (made.quantize, made.name) == (False, "tiny")
    assert lines == ["quantizing tiny to w8a8-int8"]
    engine = scripted.load(made)
    assert engine.effective.scheme == "w8a8-int8"
    assert engine.lm(1).generate_until([request(i) for i in range(3)]) == ["0", "?", "?"]
    with wrong_use("--quant-checkpoint=w4a16-int4=FOLDER"):
        scripted.prepare(replace(to_make, scheme="w4a16-int4"), lines.append)


def test_runs_out_of_memory_above_a_batch(folder: Path, scripted: Backend) -> None:
    """A batch above the limit fails as out of memory, the limit itself does not."""
    engine = scripted.load(script(folder, fail={"kind": "out_of_memory", "above_batch": 4}))
    with pytest.raises(ScriptedOutOfMemory) as caught:
        engine.lm(8).generate_until([request(0)])
    assert engine.is_out_of_memory(caught.value)
    assert engine.lm(4).generate_until([request(0)]) == ["0"]


@pytest.mark.parametrize(
    ("kind", "error"), [("error", RuntimeError), ("interrupt", KeyboardInterrupt)]
)
def test_fails_after_so_many_requests(
    folder: Path, scripted: Backend, kind: str, error: type[BaseException]
) -> None:
    """The engine answers N requests in all and fails at the next."""
    engine = scripted.load(script(folder, fail={"kind": kind, "after": 3}))
    engine.lm(1).generate_until([request(0), request(1)])
    engine.lm(1).generate_until([request(2)])
    with pytest.raises(error):
        engine.lm(1).generate_until([request(3)])


def test_fails_while_loading(folder: Path, scripted: Backend) -> None:
    """Running out of memory at load is a refusal of that category."""
    with refused() as caught:
        scripted.load(script(folder, fail={"kind": "out_of_memory", "at": "load"}))
    assert caught.value.category is Category.OUT_OF_MEMORY


def test_logs_what_happened(folder: Path, scripted: Backend) -> None:
    """The log tells loads, batches and closing in order."""
    engine = scripted.load(script(folder, log="events.log"))
    engine.lm(2).generate_until([request(0)])
    engine.close()
    events = (folder / "events.log").read_text(encoding="utf-8").splitlines()
    assert events == ["loaded tiny native", "batch 2: 1 requests", "closed tiny native"]
    with pytest.raises(RuntimeError, match="closed"):
        engine.lm(2).generate_until([request(0)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "scripted.json cannot be read"),
        ("{", "scripted.json cannot be read"),
        ("[]", "not a JSON object"),
        ('{"taks": {}}', "unknown keys: taks"),
        ('{"unusable": "torn"}', "tiny: torn"),
    ],
)
def test_refuses_unusable_scripts(
    folder: Path, scripted: Backend, text: str | None, message: str
) -> None:
    """A script that is absent, torn, no object, misspelt or says so is refused."""
    spec = script(folder)
    (folder / "scripted.json").unlink()
    if text is not None:
        (folder / "scripted.json").write_text(text, encoding="utf-8")
    with refused(message) as caught:
        scripted.identify(spec)
    assert caught.value.category is Category.UNUSABLE_MODEL


def test_software_names_the_version_of_lm_eval(tmp_path: Path) -> None:
    """The versions that must agree include lm-eval's."""
    software = ScriptedBackend(cache_dir=tmp_path).software()
    assert software.backend == "scripted"
    assert set(software.versions) == {"scripted", "lm_eval"}
