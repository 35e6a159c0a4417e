"""What is in the store: which models, which keys, and what is said when one is absent."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantreg.baselines import BaselineKey, Store
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.report.words import words_of

from ..wording import refused
from .store_samples import KEY, make_run, meta_path, saved, with_protocol


def _save_as(store: Store, name: str, task: str = "recall") -> BaselineKey:
    key = replace(KEY, model=name, task=task)
    run = with_protocol(make_run(), task=task)
    model = replace(run.provenance.model, name=name)
    store.save(key, replace(run, provenance=replace(run.provenance, model=model)))
    return key


def test_models_are_found_by_their_folders(tmp_path: Path) -> None:
    """Sorted names of all models with a baseline; other folders and files are no models."""
    store = Store(tmp_path / "baselines")
    assert store.find_models() == []
    store.root.mkdir()
    assert store.find_models() == []
    for name in ("org/b", "a--c", "ünï"):
        _save_as(store, name)
    (store.root / "README.md").write_text("ours")
    (store.root / "empty" / "bf16" / "vllm").mkdir(parents=True)
    stranger = store.root / "not ours" / "x" / "y"
    stranger.mkdir(parents=True)
    (stranger / "z.json").write_text("{}")
    assert store.find_models() == ["a--c", "org/b", "ünï"]
    assert store.find_models(KEY.engine) == ["a--c", "org/b", "ünï"]
    assert store.find_models("lm-eval-hf") == []


def test_finding_models_reads_no_file(tmp_path: Path) -> None:
    """The names come from folders, so a damaged file does not hide a model."""
    store = saved(tmp_path)
    meta_path(store).write_text("damaged")
    assert store.find_models() == ["org/tiny"]
    assert store.exists(KEY)
    with refused("not valid JSON"):
        store.keys()


def test_keys_are_listed(tmp_path: Path) -> None:
    """All baselines by path, each under the key it is found with."""
    store = Store(tmp_path)
    stored = [_save_as(store, name, task) for name in ("m", "n") for task in ("t.1", "u/v")]
    assert store.keys() == stored
    assert all(store.exists(key) for key in stored)


def test_a_store_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """It is not taken for an empty store."""
    (tmp_path / "baselines").write_text("")
    with refused("baselines cannot be listed"):
        Store(tmp_path / "baselines").find_models()


def test_an_absent_baseline_names_file_neighbours_and_command(tmp_path: Path) -> None:
    """What is missing, what there is of the task instead, and how to record it."""
    store = saved(tmp_path)
    assert not store.exists(replace(KEY, num_fewshot=0))
    with pytest.raises(Refusal) as caught:
        store.load(replace(KEY, num_fewshot=0))
    assert caught.value.category is Category.BASELINE_ABSENT
    assert str(words_of(caught.value.problem)).splitlines() == [
        "no baseline of recall (0-shot) of org/tiny at bf16 on transformers",
        "  baselines/org--tiny/bf16/transformers/recall.0shot.json does not exist",
        "  there is baselines/org--tiny/bf16/transformers/recall.3shot.json",
        "  record it: pytest --quant-update",
    ]


def test_an_empty_or_missing_store_has_no_baseline(tmp_path: Path) -> None:
    """Absent, not unreadable; also when only items were left of it."""
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(Refusal) as caught:
            Store(root).load(KEY)
        assert caught.value.category is Category.BASELINE_ABSENT
    store = saved(tmp_path)
    meta_path(store).unlink()
    with pytest.raises(Refusal) as caught:
        store.load(KEY)
    assert caught.value.category is Category.BASELINE_ABSENT


def test_the_needed_baseline_is_read_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among many damaged baselines the one that is asked for loads from its two files."""
    store = saved(tmp_path)
    folder = meta_path(store).parent
    for at in range(50):
        (folder / f"other{at}.0shot.json").write_text("damaged")
    opened: list[str] = []
    real = os.open

    def watched(path: Path, *args: int) -> int:
        opened.append(Path(path).name)
        return real(path, *args)

    monkeypatch.setattr(os, "open", watched)
    assert store.load(KEY) == make_run()
    assert opened == ["recall.3shot.json", "recall.3shot.items.jsonl"]
