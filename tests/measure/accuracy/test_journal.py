"""Finished chunks survive a crash, nothing is measured twice, and no text is written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.run import Accuracy
from pytest_quantreg.measure import Journal, PreparedTask, TaskLibrary, measure

from ...wording import refused

Prepare = Callable[..., PreparedTask]


@pytest.fixture
def run(heard: Any) -> Callable[..., Accuracy]:
    """Measures a few-shot task of 300 items (chunks of 128, 128 and 44)."""

    def measured(task: PreparedTask, engine: Any, journal: Journal, **options: Any) -> Accuracy:
        options = {"n": 300, "batch_size": 4, "fingerprint": "model", **options}
        return measure(task, engine, journal=journal, progress=heard, **options)

    return measured


def test_crash_resumes_and_gives_the_same(
    prepared: Prepare, run: Any, scripted: Any, heard: Any, tmp_path: Path
) -> None:
    """After an interruption in the second chunk only the rest is asked, with the same result."""
    task = prepared("write")
    whole = run(task, scripted(), Journal(None))
    broken, rest = scripted(dies_at=2), scripted()
    with pytest.raises(KeyboardInterrupt):
        run(task, broken, Journal(tmp_path))
    resumed = run(task, rest, Journal(tmp_path))
    assert (len(broken.asked), len(rest.asked)) == (128, 172)
    assert resumed.resumed_items == 128
    assert resumed.items == whole.items
    assert resumed.values == whole.values
    assert heard.said == ["write: resumes an interrupted run"]
    assert [done for done, _, _ in heard.updates[-3:]] == [128, 256, 300]


def test_perplexity_resumes_bit_for_bit(
    prepared: Prepare, run: Any, scripted: Any, tmp_path: Path
) -> None:
    """Log-likelihoods and weights read back from a file are the ones written."""
    task = prepared("read")
    whole = run(task, scripted(), Journal(None), n=150)
    with pytest.raises(KeyboardInterrupt):
        run(task, scripted(dies_at=2), Journal(tmp_path), n=150)
    resumed = run(task, scripted(), Journal(tmp_path), n=150)
    assert resumed.resumed_items == 128
    assert (resumed.items, resumed.values) == (whole.items, whole.values)


def test_second_call_of_a_session_measures_nothing(
    prepared: Prepare, run: Any, scripted: Any
) -> None:
    """What the session has measured is remembered, whole chunks also for other limits."""
    task, journal, first, second = prepared("write"), Journal(None), scripted(), scripted()
    whole = run(task, first, journal)
    again = run(task, second, journal)
    assert second.batch_sizes == []
    assert (again, again.resumed_items) == (whole, 0)
    run(task, second, journal, n=256)
    assert second.calls == 0
    run(task, second, journal, n=200)
    assert len(second.asked) == 200 - 128


@pytest.mark.parametrize(
    "change", [{"fingerprint": "another"}, {"batch_size": 2}], ids=["model", "batch"]
)
def test_other_models_and_batch_sizes_share_nothing(
    change: dict[str, Any], prepared: Prepare, run: Any, scripted: Any, tmp_path: Path
) -> None:
    """A chunk serves only the same fingerprint at the same batch size."""
    task, engine = prepared("write"), scripted()
    run(task, scripted(), Journal(tmp_path))
    measured = run(task, engine, Journal(tmp_path), **change)
    assert len(engine.asked) == 300
    assert measured.resumed_items == 0


def test_other_protocols_share_nothing(
    prepared: Prepare, run: Any, scripted: Any, tmp_path: Path
) -> None:
    """The same items sampled by other generation arguments are measured anew."""
    run(prepared("write"), scripted(), Journal(tmp_path))
    engine = scripted()
    sampled = {"do_sample": True, "temperature": 0.7}
    run(prepared("write", gen_kwargs=sampled), engine, Journal(tmp_path))
    assert len(engine.asked) == 300


def test_changed_task_files_share_nothing(
    prepared: Prepare, run: Any, scripted: Any, task_folder: Path, tmp_path: Path
) -> None:
    """The same prompts under another filter are measured anew, and score otherwise."""
    folder = Path(shutil.copytree(task_folder, tmp_path / "tasks"))
    journal, engine = tmp_path / "journal", scripted()
    own = {"include_paths": (str(folder),)}
    first = run(prepared("write", **own), scripted(), Journal(journal))
    text = (folder / "write.yaml").read_text("utf-8")
    (folder / "write.yaml").write_text(text.replace("^(secret[0-9])$", "^(secret[01])$"), "utf-8")
    changed = prepared("write", library=TaskLibrary(print), **own)
    second = run(changed, engine, Journal(journal))
    assert second.items.digests == first.items.digests
    assert len(engine.asked) == 300
    assert second.items.scores != first.items.scores


def _cut(path: Path) -> None:
    path.write_text(path.read_text("utf-8")[:-40], "utf-8")


def _alter(path: Path) -> None:
    held = json.loads(path.read_text("utf-8"))
    values = held["body"]["passes"][0]["exact_match,strict"]
    values[0] = 1.0 - values[0]
    path.write_text(json.dumps(held), "utf-8")


def _swap(path: Path) -> None:
    other = next(file for file in path.parent.glob("*.json") if file != path)
    path.write_text(other.read_text("utf-8"), "utf-8")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    "damage",
    [
        *(_cut, _alter, _swap, _pipe, _endless),
        lambda path: path.write_bytes(b"\xff"),
        lambda path: path.write_text("[" * 100_000 + "]" * 100_000, "utf-8"),
        lambda path: os.truncate(path, 100 << 30),
    ],
)
def test_damaged_chunks_are_measured_again(
    damage: Callable[[Path], Any], prepared: Prepare, run: Any, scripted: Any, tmp_path: Path
) -> None:
    """A torn, altered or exchanged file is never trusted."""
    task, engine = prepared("write"), scripted()
    whole = run(task, scripted(), Journal(tmp_path))
    damaged = max(tmp_path.glob("*.json"), key=lambda path: path.stat().st_size)
    damage(damaged)
    resumed = run(task, engine, Journal(tmp_path))
    assert len(engine.asked) == 128
    assert resumed.items == whole.items


@pytest.mark.parametrize("name", ["choose", "write", "read", "translate"])
def test_no_text_in_the_files(
    name: str, prepared: Prepare, run: Any, scripted: Any, tmp_path: Path
) -> None:
    """Neither prompts nor answers nor references reach the disk."""
    run(prepared(name), scripted(), Journal(tmp_path), n=150)
    written = "".join(path.read_text("utf-8") for path in tmp_path.glob("*"))
    assert not any(word in written for word in ("private", "secret", "hidden", "question"))
    assert bool(written) == (name != "translate")


def test_scores_of_text_stay_in_memory(
    prepared: Prepare, run: Any, scripted: Any, tmp_path: Path
) -> None:
    """chrf, whose items are texts, is remembered in the session and not resumed."""
    task, journal, engine = prepared("translate"), Journal(tmp_path), scripted()
    first = run(task, engine, journal, n=150)
    assert run(task, engine, journal, n=150) == first
    assert engine.calls == 2
    assert first.values["chrf,none"] > 0
    assert first.items.scores == {}


def test_clean_end_leaves_nothing(
    prepared: Prepare, run: Any, scripted: Any, tmp_path: Path
) -> None:
    """discard removes what the session wrote and what is old, and nobody else's files."""
    folder, journal = tmp_path / "journal", Journal(tmp_path / "journal")
    run(prepared("write"), scripted(), journal)
    other, old = folder / f"{'a' * 64}.json", folder / f"{'b' * 64}.json"
    torn, theirs = folder / "quantreg-x1_y.part", folder / "notes.json"
    for path in (other, old, torn, theirs):
        path.write_text("{}", "utf-8")
    for path in (old, torn, theirs):
        os.utime(path, (0, 0))
    journal.discard()
    assert sorted(folder.iterdir()) == [other, theirs]
    other.unlink()
    theirs.unlink()
    journal.discard()
    assert not folder.exists()
    journal.discard()


def test_unwritable_folder_is_said_once(
    prepared: Prepare, run: Any, scripted: Any, heard: Any, tmp_path: Path
) -> None:
    """Without a place to write the measurement goes on and remembers in memory."""
    (tmp_path / "file").write_text("", "utf-8")
    journal, engine = Journal(tmp_path / "file" / "journal"), scripted()
    run(prepared("write"), engine, journal)
    run(prepared("write"), engine, journal)
    assert engine.calls == 3
    assert len(heard.said) == 1
    assert "will start over" in heard.said[0]


def test_memory_halves_the_batch(
    prepared: Prepare, run: Any, scripted: Any, heard: Any, tmp_path: Path
) -> None:
    """Out of memory goes on with half the batch, says so, and is not tried in vain twice."""
    task, engine, journal = prepared("write"), scripted(room=2), Journal(tmp_path)
    measured = run(task, engine, journal, batch_size=8)
    assert (measured.batch_size, engine.batch_sizes) == (2, [8, 4, 2])
    assert heard.said == [
        "write: out of memory, goes on with batch size 4",
        "write: out of memory, goes on with batch size 2",
    ]
    assert len(measured.items) == 300
    assert run(task, engine, journal, batch_size=8) == measured
    assert engine.batch_sizes == [8, 4, 2]


def test_memory_short_in_the_middle_resumes(
    prepared: Prepare, run: Any, scripted: Any, tmp_path: Path
) -> None:
    """A run that shrank and crashed resumes each chunk at the size it had fitted in."""
    task = prepared("write")
    with pytest.raises(KeyboardInterrupt):
        run(task, scripted(room=4, dies_at=4), Journal(tmp_path), batch_size=8)
    rest = scripted(room=4)
    resumed = run(task, rest, Journal(tmp_path), batch_size=8)
    assert resumed.batch_size == 4
    assert resumed.resumed_items == 256
    assert len(rest.asked) == 44


def test_no_memory_at_all_is_refused(
    prepared: Prepare, run: Any, scripted: Any, memory: Journal
) -> None:
    """At batch size 1 there is nothing left to try."""
    with refused("even with batch size 1") as caught:
        run(prepared("write"), scripted(room=0), memory, batch_size=2)
    assert caught.value.category is Category.OUT_OF_MEMORY


def test_cut_prompts_are_told_also_after_resuming(
    prepared: Prepare, run: Any, scripted: Any, heard: Any, tmp_path: Path
) -> None:
    """That prompts did not fit is a note of the measurement, also of one read from files."""
    task = prepared("write")
    assert run(task, scripted(), Journal(None)).notes == ()
    engine, silent = scripted(), scripted()
    engine.cuts = True
    notes = run(task, engine, Journal(tmp_path)).notes
    assert notes == ("write: prompts longer than the model's context were cut from the left",)
    again = run(task, silent, Journal(tmp_path))
    assert (again.notes, again.resumed_items, silent.asked) == (notes, 300, [])
