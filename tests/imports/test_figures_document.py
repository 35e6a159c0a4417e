"""Totals and timings as files of our own: what they hold, where they lie, what is refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.errors import QuantregError, Refusal
from pytest_quantreg.core.records.evaluation import Evaluation, Result
from pytest_quantreg.core.records.timings import Timings
from pytest_quantreg.core.strict_json import digest_of
from pytest_quantreg.imports.figures_document import task_document, timings_document
from pytest_quantreg.imports.figures_store import FiguresStore
from pytest_quantreg.imports.open_results import open_path

from ..wording import refused, says, suspicions_of, wrong_use

Edit = Callable[[dict[str, Any]], Any]

LEFT = {"accuracy", "run", "unaveraged", "words", "written"}
"""Fields of a result that a document does not hold, or holds as a part of the config."""

TIMED = {"model", "scheme", "program", "repeats"}
"""What a document of timings holds."""


@pytest.fixture
def evaluation(data: Path) -> Evaluation:
    """A real evaluation without items."""
    opened = open_path(data / "lm-eval/qwen3.6-27b/bf16/gsm8k")
    assert isinstance(opened, Evaluation)
    return opened


@pytest.fixture
def timings(data: Path) -> Timings:
    """Real timings."""
    opened = open_path(data / "vllm-bench/bf16")
    assert isinstance(opened, Timings)
    return opened


@pytest.fixture
def store(tmp_path: Path) -> FiguresStore:
    """An empty store."""
    return FiguresStore(tmp_path / "store")


@pytest.fixture
def kept(store: FiguresStore, evaluation: Evaluation) -> Path:
    """The file of the imported evaluation."""
    where, _ = store.keep(
        task_document(
            evaluation,
            evaluation.results["gsm8k"],
            "bf16",
            suspicions_of(evaluation.results["gsm8k"]),
        )
    )
    return store.root.parent / where


def resealed(path: Path, edit: Edit) -> None:
    """Changes a document as somebody would who knows of the digest."""
    document = json.loads(path.read_text("utf-8"))
    edit(document)
    path.write_text(json.dumps({**document, "digest": digest_of(document)}), "utf-8")


def test_totals_come_back(kept: Path, evaluation: Evaluation) -> None:
    """Everything that decides a comparison is read back, under the scheme that was named."""
    opened = open_path(kept)
    assert isinstance(opened, Evaluation)
    ours, theirs = opened.results["gsm8k"], evaluation.results["gsm8k"]
    assert (opened.model, opened.engine, opened.scheme) == (
        evaluation.model,
        evaluation.engine,
        "bf16",
    )
    assert opened.weights == evaluation.weights
    assert ours.aggregates == theirs.aggregates
    assert ours.known == theirs.known
    assert ours.config.keys() == theirs.config.keys()
    assert suspicions_of(ours) == suspicions_of(theirs)
    for name in ("parts", "total", "chance", "notes", "date", "cache"):
        assert getattr(ours, name) == getattr(theirs, name), name


def test_every_field_is_kept_or_left_on_purpose(kept: Path) -> None:
    """A result that gets another field is looked at again: nothing is dropped by accident."""
    assert json.loads(kept.read_text("utf-8")).keys() & LEFT == set()
    held = json.loads(kept.read_text("utf-8")).keys() | LEFT
    assert {item.name for item in fields(Result)} <= held
    assert {item.name for item in fields(Evaluation)} - held == {"label", "results", "unmeasured"}
    assert {item.name for item in fields(Timings)} - TIMED == {"label", "notes"}


def test_timings_come_back(store: FiguresStore, timings: Timings) -> None:
    """Every repeat with every figure."""
    where, _ = store.keep(timings_document(timings, "bf16"))
    opened = open_path(store.root.parent / where)
    assert isinstance(opened, Timings)
    assert opened.repeats == timings.repeats
    assert (opened.model, opened.program, opened.scheme) == (
        timings.model,
        timings.program,
        "bf16",
    )


def test_a_suspicion_stays(results_file: Callable[..., Path], store: FiguresStore) -> None:
    """What no gate would judge is not made sound by importing it."""
    merged = results_file("results.json", **{"n-samples": {}})
    opened = open_path(merged)
    assert isinstance(opened, Evaluation)
    where, _ = store.keep(
        task_document(opened, opened.results["t"], "bf16", suspicions_of(opened.results["t"]))
    )
    again = open_path(store.root.parent / where)
    assert isinstance(again, Evaluation)
    assert "does not say how many items" in suspicions_of(again.results["t"])[""]


def test_no_text_that_somebody_wrote_is_kept(
    results_file: Callable[..., Path], store: FiguresStore
) -> None:
    """Templates, descriptions and paths leave a digest at most."""
    secret = "tell nobody of this"
    path = results_file(
        "results.json",
        system_instruction=secret,
        config={
            "model": "vllm",
            "model_args": {"pretrained": "/home/someone/m", "peft": "/home/someone/a"},
        },
        configs={
            "t": {
                "task": "t",
                "output_type": "generate_until",
                "doc_to_text": secret,
                "description": f"{secret}: {{{{x}}}}",
                "generation_kwargs": {"until": ["/home/someone/stop"]},
            }
        },
    )
    opened = open_path(path)
    assert isinstance(opened, Evaluation)
    where, _ = store.keep(
        task_document(opened, opened.results["t"], "bf16", suspicions_of(opened.results["t"]))
    )
    text = (store.root.parent / where).read_text("utf-8")
    assert secret not in text
    assert "someone" not in text


def test_the_same_figures_are_there_already(store: FiguresStore, timings: Timings) -> None:
    """A second import changes nothing; other figures in their place are refused."""
    document = timings_document(timings, "bf16")
    assert store.keep(document)[1] is False
    assert store.keep(document)[1] is True
    other = Timings("x", timings.model, timings.program, timings.repeats[:1])
    before = [path.read_bytes() for path in store.root.rglob("*.json")]
    with wrong_use(r"timings\.json holds other figures"):
        store.keep(timings_document(other, "bf16"))
    assert [path.read_bytes() for path in store.root.rglob("*.json")] == before


def test_figures_that_cannot_be_read_are_not_overwritten(
    kept: Path, store: FiguresStore, evaluation: Evaluation
) -> None:
    """A damaged file in their place may be all there is of another import."""
    kept.write_text("{", "utf-8")
    with wrong_use(r"gsm8k\.json is not valid JSON.*\n.*delete it and import"):
        store.keep(
            task_document(
                evaluation,
                evaluation.results["gsm8k"],
                "bf16",
                suspicions_of(evaluation.results["gsm8k"]),
            )
        )
    assert kept.read_text("utf-8") == "{"


def test_nothing_leads_out_of_the_store(
    store: FiguresStore, timings: Timings, tmp_path: Path
) -> None:
    """A link in the place of a folder is not followed to another one."""
    outside = tmp_path / "outside"
    outside.mkdir()
    store.root.mkdir()
    (store.root / "eval-model").symlink_to(outside)
    with wrong_use("leads out of the store"):
        store.keep(timings_document(timings, "bf16"))
    assert not list(outside.iterdir())


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda document: document.update(schema_version="2.0"), "update it"),
        (lambda document: document.update(schema_version="one"), "no schema_version"),
        (lambda document: document.update(figures_of="speed"), "is not one of"),
        (lambda document: document.update(extra=1), "extra"),
        (lambda document: document.pop("known"), "known"),
        (lambda document: document.update(aggregates=[]), "aggregates"),
        (lambda document: document["aggregates"][0].update(value="high"), "value"),
        (lambda document: document["aggregates"][0].update(stderr=-1), "stderr"),
        (lambda document: document["aggregates"][0].update(n=True), "aggregates"),
        (lambda document: document.update(weights=[]), "weights"),
        (lambda document: document.update(suspicions={"": 1}), "suspicions"),
    ],
)
def test_what_breaks_the_schema(kept: Path, edit: Edit, said: str) -> None:
    """A document that is no such thing is refused with the place, digest or not."""
    resealed(kept, edit)
    with pytest.raises(Refusal) as caught:
        open_path(kept)
    assert said in says(caught.value)


def test_a_newer_minor_version_is_read(kept: Path) -> None:
    """Fields that this version has no name for are passed over."""
    resealed(kept, lambda document: document.update(schema_version="1.7", later={"a": 1}))
    opened = open_path(kept)
    assert isinstance(opened, Evaluation)
    assert opened.results["gsm8k"].aggregates


def test_damage_is_never_read_as_something_else(kept: Path) -> None:
    """Of 300 files with a changed byte none is read but as what it was."""
    sound, draw = kept.read_bytes(), random.Random(6)
    whole = open_path(kept)
    for _ in range(300):
        place = draw.randrange(len(sound))
        kept.write_bytes(sound[:place] + bytes([draw.randrange(256)]) + sound[place + 1 :])
        try:
            opened = open_path(kept)
        except QuantregError:
            continue
        assert opened == whole


def test_two_results_of_one_task(kept: Path) -> None:
    """Totals of one task in two places are refused, as two runs are."""
    twin = kept.with_name("twin.json")
    twin.write_bytes(kept.read_bytes())
    with refused("two runs of gsm8k"):
        open_path(kept.parent)


def test_two_imports_of_timings(store: FiguresStore, timings: Timings) -> None:
    """Which of two imports is meant is for the user to say."""
    for program in ("vllm bench serve", "GuideLLM"):
        store.keep(timings_document(Timings("x", "m", program, timings.repeats), "bf16"))
    with refused("2 imports of timings"):
        open_path(store.root / "m")
