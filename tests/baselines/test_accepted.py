"""Accepted runs: the latest is the reference, history only grows, nothing half-done counts."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.baselines import AcceptedRuns, BaselineKey, Store
from pytest_quantreg.baselines import accepted as module
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.records.acceptance import Acceptance, AcceptedTask, first_with
from pytest_quantreg.core.records.run import Run
from pytest_quantreg.core.strict_json import digest_of

from ..wording import refused, wrong_use
from .store_samples import KEY, make_items, make_run

INT8 = replace(KEY, scheme="w8a8-int8")
OTHER = replace(INT8, task="sum")


def run_of(key: BaselineKey, *, salt: str = "") -> Run:
    """A run at the scheme and of the task of ``key``."""
    run = make_run(make_items(salt=salt))
    protocol = replace(run.accuracy.protocol, task=key.task)
    return replace(
        run,
        provenance=replace(run.provenance, claimed=key.scheme),
        accuracy=replace(run.accuracy, protocol=protocol),
    )


def said(*keys: BaselineKey, why: str = "release", undecided: tuple[str, ...] = ()) -> Acceptance:
    """What is put down of an acceptance, before it has a number."""
    values = {"acc,none": 0.5}
    return Acceptance(
        0,
        "2026-01-02T03:04:05Z",
        "a" * 40,
        why,
        "1" * 64,
        None,
        tuple(
            AcceptedTask(key.stem, key.task, 40, values, {"acc,none": 0.6}, 0.98) for key in keys
        ),
        undecided,
    )


@pytest.fixture
def store(tmp_path: Path) -> AcceptedRuns:
    """An empty store."""
    return AcceptedRuns(tmp_path / "baselines")


def history_file(store: AcceptedRuns) -> Path:
    """Where the history of INT8 lies."""
    return store.root / "org--tiny" / "w8a8-int8" / "transformers" / "accepted" / "history.jsonl"


def test_nothing_is_accepted_at_first(store: AcceptedRuns) -> None:
    """An empty store has no history and no reference, and asking makes no folder."""
    assert store.history(INT8) == ()
    assert store.load(INT8) is None
    assert not store.root.exists()


def test_an_accepted_run_is_the_reference(store: AcceptedRuns) -> None:
    """It comes back whole, with when, commit and why it was accepted."""
    run = run_of(INT8)
    made = store.accept({INT8: run}, said(INT8))
    accepted = store.load(INT8)
    assert accepted == (run, made)
    assert (made.number, made.why, made.git_commit, made.forced) == (1, "release", "a" * 40, False)


def test_the_latest_of_each_task_counts(store: AcceptedRuns) -> None:
    """A later acceptance of one task leaves the other's reference as it is."""
    store.accept({INT8: run_of(INT8), OTHER: run_of(OTHER)}, said(INT8, OTHER))
    newer = run_of(INT8, salt="b")
    store.accept({INT8: newer}, said(INT8, why="again", undecided=("min_retention(0.98)",)))
    accepted, other = store.load(INT8), store.load(OTHER)
    assert accepted is not None
    assert other is not None
    assert (accepted[0], accepted[1].number, accepted[1].forced) == (newer, 2, True)
    assert (other[0], other[1].number) == (run_of(OTHER), 1)
    first = first_with(store.history(INT8), INT8.stem)
    assert first is not None
    assert first.number == 1


def test_what_nothing_refers_to_is_dropped(store: AcceptedRuns) -> None:
    """Runs that were replaced for all of their tasks are deleted; their lines stay."""
    for why in ("a", "b", "c"):
        store.accept({INT8: run_of(INT8, salt=why)}, said(INT8, why=why))
    folder = history_file(store).parent
    assert sorted(path.name for path in folder.iterdir()) == ["0003", "history.jsonl"]
    assert [acceptance.why for acceptance in store.history(INT8)] == ["a", "b", "c"]


def test_a_folder_named_by_a_year_was_dropped(store: AcceptedRuns) -> None:
    """Only folders with the number of an acceptance are deleted."""
    year = history_file(store).parent / "2024"
    year.mkdir(parents=True)
    store.accept({INT8: run_of(INT8)}, said(INT8))
    assert year.is_dir()


def test_baselines_beside_are_untouched(store: AcceptedRuns) -> None:
    """Accepted runs are no baselines: neither listed as such nor in their way."""
    Store(store.root).save(KEY, make_run())
    store.accept({INT8: run_of(INT8)}, said(INT8))
    assert Store(store.root).keys() == [KEY]
    assert not Store(store.root).exists(INT8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:-20], "breaks off in its last line"),
        (lambda text: b"", "history.jsonl is empty"),
        (lambda text: text.replace(b"release", b"relaxed", 1), "line 1: it was changed after"),
        (lambda text: b"".join(text.splitlines(keepends=True)[::-1]), "line 1 does not follow"),
        (lambda text: text.split(b"\n", 1)[1], "line 1 does not follow"),
        (lambda text: text + text, "line 3 does not follow"),
        (lambda text: text.replace(b'"why"', b'"who"', 1), "is damaged in line 1"),
        (lambda text: text.replace(b"1.0", b"2.0", 1), "reads up to 1.x"),
        (lambda text: b"\xff" + text, "is not UTF-8"),
        (lambda text: text.replace(b"0.5", b"NaN", 1), "no finite number"),
        (lambda text: b"[]\n" + text, "is not a JSON object"),
    ],
)
def test_a_changed_history_is_refused(store: AcceptedRuns, change: Any, words: str) -> None:
    """Lines are only added: whatever else was done to them is told, and nothing is judged."""
    for _ in range(2):
        store.accept({INT8: run_of(INT8)}, said(INT8))
    path = history_file(store)
    before = path.read_bytes()
    path.write_bytes(change(before))
    with refused(words) as raised:
        store.load(INT8)
    assert raised.value.category is Category.BASELINE_UNREADABLE
    changed = path.read_bytes()
    with pytest.raises(Refusal):
        store.accept({INT8: run_of(INT8)}, said(INT8))
    assert path.read_bytes() == changed


def test_another_run_in_its_place_is_refused(store: AcceptedRuns) -> None:
    """A sound run that is not the accepted one, or none at all, is no reference."""
    store.accept({INT8: run_of(INT8)}, said(INT8))
    elsewhere = AcceptedRuns(store.root.parent / "elsewhere")
    elsewhere.accept({INT8: run_of(INT8, salt="other")}, said(INT8))
    folder = history_file(store).parent / "0001"
    shutil.rmtree(folder)
    with refused("is not the run that was accepted as number 1"):
        store.load(INT8)
    shutil.copytree(history_file(elsewhere).parent / "0001", folder)
    with refused("is not the run that was accepted as number 1"):
        store.load(INT8)


def test_a_damaged_run_is_refused(store: AcceptedRuns) -> None:
    """What lies in the place of an accepted run and is no run at all is named, and refused."""
    store.accept({INT8: run_of(INT8)}, said(INT8))
    path = next((history_file(store).parent / "0001").glob("*.json"))
    path.write_bytes(b"[" * 100_000)
    with refused("is nested too deeply") as raised:
        store.load(INT8)
    assert raised.value.category is Category.BASELINE_UNREADABLE


def test_line_ends_may_be_converted(store: AcceptedRuns) -> None:
    """A checkout with other line ends holds the same history."""
    for _ in range(2):
        store.accept({INT8: run_of(INT8)}, said(INT8))
    path = history_file(store)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(store.history(INT8)) == 2


def test_killed_before_its_line_nothing_is_accepted(
    store: AcceptedRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runs are there and do not count; the next acceptance takes their place."""
    store.accept({INT8: run_of(INT8)}, said(INT8))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "replace_durably", killed)
        with pytest.raises(KeyboardInterrupt):
            store.accept({OTHER: run_of(OTHER)}, said(OTHER))
    accepted = store.load(INT8)
    assert accepted is not None
    assert accepted[1].number == 1
    assert store.load(OTHER) is None
    store.accept({INT8: run_of(INT8, salt="b")}, said(INT8, why="b"))
    folder = history_file(store).parent
    assert sorted(path.name for path in folder.iterdir()) == ["0002", "history.jsonl"]
    assert [path.stem for path in (folder / "0002").glob("*.json")] == [INT8.stem]


def _accept(root: str, number: int) -> None:
    AcceptedRuns(Path(root)).accept({INT8: run_of(INT8)}, said(INT8, why=str(number)))


def test_two_processes_lose_none(store: AcceptedRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    """Acceptances at once become one line each, in one chain."""
    # They import this module by its name, and get the path of this process.
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    context = multiprocessing.get_context("spawn")
    made = [context.Process(target=_accept, args=(str(store.root), n)) for n in range(4)]
    for process in made:
        process.start()
    for process in made:
        process.join()
    assert [process.exitcode for process in made] == [0] * 4
    history = store.history(INT8)
    assert sorted(acceptance.why for acceptance in history) == ["0", "1", "2", "3"]
    assert [acceptance.number for acceptance in history] == [1, 2, 3, 4]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """One clear error, and nothing accepted."""
    (tmp_path / "baselines").write_text("a file")
    store = AcceptedRuns(tmp_path / "baselines")
    with wrong_use("cannot write"):
        store.accept({INT8: run_of(INT8)}, said(INT8))
    with wrong_use("cannot write"):
        store.check_writable(INT8)


def test_fields_of_a_newer_minor_version_are_passed_over(store: AcceptedRuns) -> None:
    """A line that a later version wrote is read as far as it is known."""
    store.accept({INT8: run_of(INT8)}, said(INT8))
    path = history_file(store)
    line = json.loads(path.read_bytes())
    newer = {**line, "schema_version": "1.7", "signed_by": "x"}
    path.write_text(json.dumps({**newer, "digest": digest_of(newer)}) + "\n")
    assert [acceptance.number for acceptance in store.history(INT8)] == [1]
