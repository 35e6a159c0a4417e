"""Which schema versions are read: this one strictly, newer minors leniently, older upgraded."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pytest_quantreg.baselines import Store
from pytest_quantreg.baselines.sealed_document import Document, SealedDocument, Step, Version
from pytest_quantreg.baselines.versions import RUN
from pytest_quantreg.core.errors import Category
from pytest_quantreg.report.words import words_of

from ..wording import corrupt, refused, wrong_use
from .store_samples import KEY, make_run, meta_path, reseal, saved


def _document(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def test_the_schema_is_a_schema() -> None:
    """The shipped file is valid draft 2020-12 and every object in it is closed or typed."""
    schema = json.loads(RUN.schema.read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize("version", ["2.0", "2.7", "11.0"])
def test_a_newer_major_version_is_refused(tmp_path: Path, version: str) -> None:
    """It says which version, which is read, and how to update; also when its digest is odd."""
    store = saved(tmp_path)
    path = meta_path(store)
    path.write_text(json.dumps({**_document(path), "schema_version": version}))
    with refused(f"has schema {version}; this .* reads up to 1.x") as caught:
        store.load(KEY)
    assert caught.value.category is Category.BASELINE_UNREADABLE
    assert "pip install --upgrade pytest-quantreg" in str(words_of(caught.value.problem))


@pytest.mark.parametrize("version", ["1.9", "2.0"])
def test_what_a_newer_version_wrote_is_not_written_again(tmp_path: Path, version: str) -> None:
    """Its fields would be lost: recording says so before a model loads, and changes nothing."""
    store = saved(tmp_path)
    path = meta_path(store)
    document = {**_document(path), "schema_version": version, "later": 1}
    reseal(path, document)
    before = path.read_bytes()
    writes: list[Callable[[], None]] = [
        lambda: store.check_writable(KEY),
        lambda: store.save(KEY, make_run()),
    ]
    for write in writes:
        with wrong_use(f"has schema {version}, and this .* writes 1.2") as caught:
            write()
        assert "pip install --upgrade pytest-quantreg" in str(words_of(caught.value.problem))
    assert path.read_bytes() == before


def test_unknown_fields_of_a_newer_minor_version_are_kept_out_of_the_way(tmp_path: Path) -> None:
    """Fields that a later 1.x adds, at any depth, do not stop this version from reading."""
    store = saved(tmp_path)
    path = meta_path(store)
    document = _document(path)
    document["schema_version"] = "1.7"
    document["speed"] = {"rounds": [1, 2]}
    document["provenance"]["model"]["license"] = "mit"
    document["protocol"]["metrics"][0]["unit"] = "share"
    document["key"]["settings"]["top"] = 1
    reseal(path, document)
    assert store.load(KEY) == make_run()


@pytest.mark.parametrize("field", ["speed", "provenance.x", "protocol.x", "items.x"])
def test_unknown_fields_of_this_version_are_refused(tmp_path: Path, field: str) -> None:
    """Version 1.0 knows all its fields: another one means that somebody else wrote it."""
    store = saved(tmp_path)
    path = meta_path(store)
    document = _document(path)
    *parents, name = field.split(".")
    place = document
    for parent in parents:
        place = place[parent]
    place[name] = 1
    reseal(path, document)
    with refused("breaks the schema"):
        store.load(KEY)


def test_a_newer_minor_version_must_still_be_sound(tmp_path: Path) -> None:
    """Leniency is for unknown fields only: a known one of a wrong type is refused."""
    store = saved(tmp_path)
    path = meta_path(store)
    document = {**_document(path), "schema_version": "1.7", "chance": "low"}
    reseal(path, document)
    with refused("chance"):
        store.load(KEY)


@pytest.mark.parametrize("version", [None, 1, 1.0, "1", "1.0.0", "v1.0", "0.9", "01.0", "1.00", ""])
def test_odd_versions_are_no_baselines(tmp_path: Path, version: object) -> None:
    """What is no MAJOR.MINOR is not guessed at."""
    store = saved(tmp_path)
    path = meta_path(store)
    reseal(path, {**_document(path), "schema_version": version})
    with refused("schema_version"):
        store.load(KEY)


def _renamed(old: str, new: str, version: str) -> Callable[[Document], Document]:
    def step(document: Document) -> Document:
        document[new] = document.pop(old)
        return {**document, "schema_version": version}

    return step


def _upgrade(document: Document, current: Version, steps: Mapping[Version, Step]) -> Document:
    return SealedDocument(current, RUN.schema, steps).upgrade(document)


def test_older_documents_go_up_step_by_step() -> None:
    """Three synthetic versions: each step runs once, in order, and changes only a copy."""
    steps = {
        (1, 0): _renamed("a", "b", "1.1"),
        (1, 1): _renamed("b", "c", "2.0"),
        (2, 0): _renamed("c", "d", "3.2"),
    }
    old: Document = {"schema_version": "1.0", "a": 1}
    kept = copy.deepcopy(old)
    assert _upgrade(old, current=(3, 2), steps=steps) == {"schema_version": "3.2", "d": 1}
    assert old == kept
    middle: Document = {"schema_version": "2.0", "c": 1}
    assert _upgrade(middle, current=(2, 0), steps=steps) == middle
    assert _upgrade(middle, current=(3, 2), steps=steps)["d"] == 1
    newer: Document = {"schema_version": "3.9", "d": 1}
    assert _upgrade(newer, current=(3, 2), steps=steps) == newer


def test_a_gap_between_the_steps_is_refused() -> None:
    """A version from which nothing leads on is named, never read as if it were current."""
    with corrupt(r"schema 1\.0, which is no longer read"):
        _upgrade({"schema_version": "1.0"}, current=(3, 0), steps={})


def test_a_step_that_leads_nowhere_is_a_bug_not_a_loop() -> None:
    """A step that forgets to raise the version ends at once."""
    with pytest.raises(RuntimeError, match="leads nowhere"):
        _upgrade({"schema_version": "1.0"}, current=(1, 1), steps={(1, 0): dict})


def test_old_files_are_upgraded_when_they_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stored file of an older version is read through its step, after its digest held."""
    store = saved(tmp_path)
    path = meta_path(store)
    old = _document(path)
    old["guess"] = old.pop("chance")
    old["schema_version"] = "1.0"
    reseal(path, old)

    def step(document: Document) -> Document:
        document["chance"] = document.pop("guess")
        return {**document, "schema_version": "1.1"}

    with refused("breaks the schema"):
        store.load(KEY)
    older = replace(RUN, current=(1, 1), steps={(1, 0): step})
    monkeypatch.setattr(Store, "codec", replace(Store.codec, kind=older))
    assert store.load(KEY) == make_run()
