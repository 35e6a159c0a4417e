"""Writers of speeds that are killed, refused or many: no session is lost or half-written."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_quantreg.baselines import SpeedKey, SpeedStore, atomic_files
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.records.speed_run import SpeedRun, SpeedSession
from pytest_quantreg.core.settings import Settings, Update
from pytest_quantreg.gating.speed.stored_baselines import SpeedBaselines
from pytest_quantreg.report.words import words_of

from ..wording import refused, wrong_use
from . import test_store_writing as writing
from .speed_samples import KEY, make_rounds, make_session, make_speed, saved_speed, speed_path

PROJECT = Path(__file__).parents[2]
OLD = make_speed()
NEW = make_speed(make_session(make_rounds(5, pace=0.02), recorded_at="2026-02-02T02:02:02Z"))

kill_at = writing.kill_at


def _load(store: SpeedStore) -> SpeedRun | None:
    try:
        return store.load(KEY)
    except Refusal as refusal:
        if refusal.category is Category.BASELINE_ABSENT:
            return None
        raise


@pytest.mark.parametrize("way", ["save", "add"])
@pytest.mark.parametrize("first", [True, False], ids=["first session", "a later one"])
def test_a_kill_before_any_system_call_leaves_old_or_new(
    tmp_path: Path, kill_at: Callable[[int | None], list[str]], way: str, first: bool
) -> None:
    """At every step of a writer the run before it or after it is read, and the next one heals."""
    before = None if first else OLD
    after = OLD.continued(NEW) if way == "add" and not first else NEW

    def prepared(name: str) -> SpeedStore:
        kill_at(None)
        root = tmp_path / name
        return SpeedStore(root / "baselines") if first else saved_speed(root, OLD)

    counted = prepared("counted")
    calls = kill_at(None)
    getattr(counted, way)(KEY, NEW)
    steps = len(calls)
    assert calls.count("replace") == 1
    states = []
    for step in range(steps):
        store = prepared(str(step))
        kill_at(step)
        with pytest.raises(writing.Killed):
            getattr(store, way)(KEY, NEW)
        kill_at(None)
        states.append(_load(store))
        store.save(KEY, NEW)
        assert store.load(KEY) == NEW
        assert [path.name for path in speed_path(store).parent.iterdir()] == [f"{KEY.stem}.json"]
    assert states == sorted(states, key=lambda state: state == after)
    assert (states[0], states[-1]) == (before, after)
    assert all(state in (before, after) for state in states)


@pytest.mark.parametrize("way", ["save", "add"])
def test_a_file_is_replaced_and_never_written_into(tmp_path: Path, way: str) -> None:
    """Who has the old file open reads it to its end: at no moment does half a file lie there."""
    store = saved_speed(tmp_path, OLD)
    whole = speed_path(store).read_bytes()
    with speed_path(store).open("rb") as reader:
        getattr(store, way)(KEY, NEW)
        assert reader.read() == whole
    assert speed_path(store).read_bytes() != whole


def add_often(root: str, worker: str, times: int = 6) -> None:
    """What each of several writers does: sessions of its own, added one by one."""
    for at in range(times):
        when = f"2026-01-0{worker}T00:00:0{at}Z"
        rounds = make_rounds(pace=0.01 * int(worker) + 0.001 * at)
        SpeedStore(Path(root)).add(KEY, make_speed(make_session(rounds, recorded_at=when)))


def test_sessions_added_at_once_are_all_there(tmp_path: Path) -> None:
    """Three processes add six sessions each to one file; every read in between is whole."""
    code = (
        "import sys; from tests.baselines.test_speed_writing import add_often;"
        "add_often(*sys.argv[1:])"
    )
    root = tmp_path / "baselines"
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(root), str(at)], cwd=PROJECT)
        for at in range(1, 4)
    ]
    store, most = SpeedStore(root), 0
    while any(writer.poll() is None for writer in writers):
        seen = len(loaded.sessions) if (loaded := _load(store)) else 0
        assert seen >= most
        most = seen
    assert [writer.wait() for writer in writers] == [0] * 3
    times = [session.recorded_at for session in store.load(KEY).sessions]
    assert len(times) == len(set(times)) == 18
    for worker in "123":
        own = [when for when in times if f"-0{worker}T" in when]
        assert own == sorted(own)
    assert [path.name for path in speed_path(store).parent.iterdir()] == [f"{KEY.stem}.json"]


def test_a_full_disk_leaves_the_old_baseline(tmp_path: Path) -> None:
    """A write that the system cuts off is wrong use, says why, and leaves no litter."""
    store = saved_speed(tmp_path, OLD)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        for attempt in (store.save, store.add):
            with wrong_use("File too large") as caught:
                attempt(KEY, NEW)
            assert "no stored baseline was changed" in str(words_of(caught.value.problem))
            assert str(tmp_path) not in str(words_of(caught.value.problem))
        with wrong_use("File too large"):
            store.check_writable(KEY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.load(KEY) == OLD
    assert len(list(speed_path(store).parent.iterdir())) == 1


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_error_in_the_middle_leaves_the_old_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """No space at any step before the replacement: the old run, no litter, one line."""
    store = saved_speed(tmp_path, OLD)

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with wrong_use("No space left on device"):
            store.add(KEY, NEW)
    assert store.load(KEY) == OLD
    assert len(list(speed_path(store).parent.iterdir())) == 1


def test_no_write_permission_is_told_before_anything_is_measured(
    open_path: Path, become_nobody: Callable[[], None]
) -> None:
    """A read-only store is wrong use, for check, save and add; reading it still works."""
    store = saved_speed(open_path, OLD)
    become_nobody()
    attempts: list[Callable[[], object]] = [
        lambda: store.check_writable(KEY),
        lambda: store.save(KEY, NEW),
        lambda: store.add(KEY, NEW),
    ]
    for attempt in attempts:
        with wrong_use(r"cannot write baselines.*Permission denied") as caught:
            attempt()
        assert "--quant-baselines DIR" in str(words_of(caught.value.problem))
    assert store.load(KEY) == OLD


@pytest.mark.parametrize("place", ["speed", "speed/NVIDIA_H100_80GB_HBM3"])
def test_a_file_where_a_folder_should_be(tmp_path: Path, place: str) -> None:
    """It is named before anything is measured, refused on writing and on reading, and kept."""
    store = SpeedStore(tmp_path / "baselines")
    path = store.root.joinpath(*KEY.engine_folder, place)
    path.parent.mkdir(parents=True)
    path.write_text("in the way")
    says = r"cannot write baselines.*: there is a file where a folder should be"
    with wrong_use(says):
        store.check_writable(KEY)
    with wrong_use(says):
        store.save(KEY, NEW)
    with refused("below a file where a folder should be"):
        store.load(KEY)
    assert path.read_text() == "in the way"


def test_a_folder_where_the_file_should_be_is_not_removed(tmp_path: Path) -> None:
    """Recording again does not delete a folder in its way, it says so."""
    store = saved_speed(tmp_path, OLD)
    speed_path(store).unlink()
    speed_path(store).mkdir()
    with wrong_use("is a folder"):
        store.save(KEY, NEW)
    assert speed_path(store).is_dir()


def test_a_linked_folder_is_not_written_through(tmp_path: Path) -> None:
    """Nothing is ever read or written outside the store."""
    store, away = SpeedStore(tmp_path / "baselines"), tmp_path / "away"
    engine = store.root.joinpath(*KEY.engine_folder)
    away.mkdir()
    engine.mkdir(parents=True)
    (engine / "speed").symlink_to(away)
    attempts: list[Callable[[], object]] = [
        lambda: store.check_writable(KEY),
        lambda: store.save(KEY, NEW),
        lambda: store.add(KEY, NEW),
    ]
    for attempt in attempts:
        with wrong_use("leads out of the store"):
            attempt()
    with refused("leads out of the store"):
        store.load(KEY)
    assert not list(away.iterdir())


def test_a_writer_that_hangs_is_not_waited_for_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process holds the lock an addition waits, then says so."""
    store = saved_speed(tmp_path, OLD)
    monkeypatch.setattr(atomic_files, "LOCK_PATIENCE", 0.05)
    with (
        atomic_files.locked(speed_path(store).parent),
        wrong_use("another process has been writing there"),
    ):
        store.add(KEY, NEW)
    assert store.add(KEY, NEW) == OLD.continued(NEW)


def test_another_baseline_is_never_overwritten(tmp_path: Path) -> None:
    """Where two keys meet in one file, as on case-blind file systems, the writer stops."""
    store = saved_speed(tmp_path, OLD)
    upper = replace(NEW, model=replace(NEW.model, name="org/TINY"))
    (store.root / "org--TINY").symlink_to(store.root / "org--tiny")
    with wrong_use("already holds the baseline of batch 1"):
        store.save(SpeedKey.of(upper), upper)
    with refused("holds the baseline of batch 1"):
        store.add(SpeedKey.of(upper), upper)
    assert store.load(KEY) == OLD


def test_fewer_sessions_that_ended_last_replaced_more(tmp_path: Path) -> None:
    """=all goes on until it has as many sessions as another process stored meanwhile."""

    def on(month: int) -> list[SpeedSession]:
        return [
            make_session(
                make_rounds(5, pace=0.01 * month + 0.001 * day),
                recorded_at=f"2026-0{month}-0{day}T00:00:00Z",
            )
            for day in (1, 2, 3)
        ]

    three, new = on(1), on(2)
    store = saved_speed(tmp_path)
    asked = SimpleNamespace(baselines=store.root, update=Update.ALL, repeats=1)
    stored = SpeedBaselines(cast(Settings, asked))
    assert stored.missing(KEY) == 1
    store.save(KEY, make_speed(*three))
    for rounds in new:
        assert stored.missing(KEY) > 0
        assert store.load(KEY) == make_speed(*three)
        stored.keep(KEY, make_speed(rounds))
    assert stored.missing(KEY) == 0
    assert store.load(KEY) == make_speed(*new)
