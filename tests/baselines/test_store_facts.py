"""What is noted of items beside their scores, and the scores of further runs, in the store."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.baselines import Store
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.run import Columns, Items, Run

from ..wording import refused
from .store_samples import KEY, items_path, make_items, make_run, meta_path, reseal, saved

N = 40
FACTS: Columns = {
    "tokens": tuple(float(at) for at in range(N)),
    "empty": (0.25,) * N,
    "truncated": (0.0,) * (N - 1) + (1.0,),
    "cluster": tuple(float(at // 2) for at in range(N)),
}
AGAIN: Columns = {"acc,none": (1.0,) * N, "f1,none": (0.125,) * N}


def _noted(**changes: Any) -> Items:
    return replace(make_items(N), **{"facts": FACTS, "reruns": (AGAIN, AGAIN), **changes})


def test_facts_and_reruns_come_back(tmp_path: Path) -> None:
    """They are columns behind the scores and weights, named so that a reviewer sees them."""
    run = make_run(_noted())
    store = saved(tmp_path, run)
    assert store.load(KEY) == run
    document = json.loads(meta_path(store).read_text())
    assert document["schema_version"] == "1.2"
    assert document["items"]["columns"][5:] == [
        "weight:word_perplexity,none",
        "fact:cluster",
        "fact:empty",
        "fact:tokens",
        "fact:truncated",
        "rerun2:acc,none",
        "rerun2:f1,none",
        "rerun3:acc,none",
        "rerun3:f1,none",
    ]
    assert items_path(store).read_text().splitlines()[1].endswith(",0,0.25,1,0,1,0.125,1,0.125]")


def test_the_first_items_keep_theirs() -> None:
    """A smaller limit cuts facts and reruns with the scores."""
    few = _noted().first(3)
    assert {name: column[:3] for name, column in FACTS.items()} == few.facts
    assert [len(column) for rerun in few.reruns for column in rerun.values()] == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"facts": {"empty": (1.5,) * N}}, r"empty = 1.5 for doc 3, which must be from 0 to 1"),
        ({"facts": {"truncated": (-0.5,) * N}}, "from 0 to 1"),
        ({"facts": {"tokens": (1.5,) * N}}, r"tokens = 1.5 .* a whole number from 0"),
        ({"facts": {"cluster": (-1.0,) * N}}, "a whole number from 0"),
        ({"facts": {"tokens": (float("nan"),) * N}}, "no finite number"),
        ({"facts": {"tokens": (1.0,) * 3}}, "unequal length"),
        ({"facts": {"mood": (1.0,) * N}}, "notes 'mood'"),
        ({"reruns": ({"acc,none": (1.0,) * N},)}, "each of its metrics in each rerun"),
        ({"reruns": ({},)}, "each of its metrics in each rerun"),
        ({"reruns": ({**AGAIN, "acc,none": (0.5,) * N},)}, "must be 0 or 1"),
        ({"reruns": ({**AGAIN, "f1,none": (float("inf"),) * N},)}, "no finite number"),
        ({"reruns": ({**AGAIN, "f1,none": (0.5,) * 3},)}, "unequal length"),
        ({"reruns": ({**AGAIN, "x,none": (0.5,) * N},)}, "each of its metrics in each rerun"),
    ],
)
def test_unsound_facts_and_reruns_are_not_stored(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    """Whatever could not be loaded again is refused before a file is touched."""
    store = Store(tmp_path / "baselines")
    with refused(says) as caught:
        store.save(KEY, make_run(_noted(**changes)))
    assert caught.value.category is Category.NOT_COMPARABLE
    assert not store.root.exists()


def _rewritten(store: Store, columns: list[str], extra: list[Any] | None = None) -> None:
    """The meta file with other column names, and values ``extra`` at the end of each row."""
    document = json.loads(meta_path(store).read_text())
    document["items"]["columns"] = columns
    if extra is not None:
        rows = [json.loads(line) + extra for line in items_path(store).read_text().splitlines()]
        text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
        items_path(store).write_text(text)
        document["items"]["bytes"] = len(text)
        document["items"]["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    reseal(meta_path(store), document)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("fact:empty", "fact:mood", "breaks the schema"),
        ("rerun2:acc,none", "rerun1:acc,none", "breaks the schema"),
        ("rerun3:acc,none", "rerun4:acc,none", "do not fit its metrics"),
        ("rerun3:f1,none", "rerun3:word_perplexity,none", "do not fit its metrics"),
        ("fact:empty", "weight:acc,none", "do not fit its metrics"),
    ],
)
def test_wrong_columns_are_damage(tmp_path: Path, old: str, new: str, says: str) -> None:
    """Columns that this version would not have written are refused, never guessed at."""
    store = saved(tmp_path, make_run(_noted()))
    columns = json.loads(meta_path(store).read_text())["items"]["columns"]
    _rewritten(store, [new if name == old else name for name in columns])
    with refused(says) as caught:
        store.load(KEY)
    assert caught.value.category is Category.BASELINE_UNREADABLE


def test_a_rerun_that_is_cut_off_is_damage(tmp_path: Path) -> None:
    """Half of a rerun's columns make no rerun."""
    store = saved(tmp_path, make_run(_noted(reruns=())))
    columns = json.loads(meta_path(store).read_text())["items"]["columns"]
    _rewritten(store, [*columns, "rerun2:acc,none"], [1])
    with refused("do not fit its metrics"):
        store.load(KEY)


def test_columns_of_a_newer_minor_version_are_passed_over(tmp_path: Path) -> None:
    """What a later version notes of items does not lock its baselines away from this one."""
    run = make_run(_noted())
    store = saved(tmp_path, run)
    columns = json.loads(meta_path(store).read_text())["items"]["columns"]
    _rewritten(store, [*columns, "fact:mood", "trace:acc,none"], [0.5, "text"])
    with refused("breaks the schema"):
        store.load(KEY)
    document = {**json.loads(meta_path(store).read_text()), "schema_version": "1.3"}
    reseal(meta_path(store), document)
    assert store.load(KEY) == run


def _as_1_0(store: Store) -> None:
    document = {**json.loads(meta_path(store).read_text()), "schema_version": "1.0"}
    reseal(meta_path(store), document)


def test_a_baseline_of_version_1_0_is_read(tmp_path: Path) -> None:
    """Baselines recorded before facts and reruns work as they are, without any."""
    run: Run = make_run()
    store = saved(tmp_path, run)
    _as_1_0(store)
    loaded = store.load(KEY)
    assert loaded == run
    assert (loaded.accuracy.items.facts, loaded.accuracy.items.reruns) == ({}, ())


def test_recorded_baselines_of_version_1_0_are_read() -> None:
    """The project's own recorded baselines load, whichever version wrote them."""
    store = Store(Path(__file__).parents[2] / "baselines")
    keys = store.keys()
    assert keys
    for key in keys:
        assert len(store.load(key).accuracy.items) > 0
