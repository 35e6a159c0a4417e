"""Writers that are killed, refused, disturbed or many: nothing stored is lost or mixed."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.baselines import BaselineKey, Changed, Store, atomic_files
from pytest_quantreg.baselines.document import encode_run
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.records.run import Run
from pytest_quantreg.report.words import words_of

from ..wording import refused, wrong_use
from .store_samples import KEY, items_path, make_items, make_run, meta_path, saved

PROJECT = Path(__file__).parents[2]
BENCHMARK = PROJECT / "benchmarks" / "kill_recording.py"
OLD = make_run()
NEW = make_run(make_items(60, salt="new"), recorded_at="2026-02-02T02:02:02Z")
CALLS = ("open", "fsync", "replace", "unlink", "mkdir")


class Killed(BaseException):
    """Ends a writer where it stands: no handler for errors sees it."""


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int | None], list[str]]]:
    """Counts the system calls of a writer, and ends it before the given one."""
    seen: list[str] = []
    limit: list[int | None] = [None]

    def counting(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if limit[0] is not None and len(seen) >= limit[0]:
                raise Killed
            seen.append(name)
            return real(*args, **kwargs)

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, counting(name))

    def arm(at: int | None) -> list[str]:
        seen.clear()
        limit[0] = at
        return seen

    yield arm
    limit[0] = None


def _load(store: Store) -> Run | None:
    try:
        return store.load(KEY)
    except Refusal as refusal:
        if refusal.category is Category.BASELINE_ABSENT:
            return None
        raise


@pytest.mark.parametrize("first", [True, False], ids=["first recording", "recorded again"])
def test_a_kill_before_any_system_call_leaves_old_or_new(
    tmp_path: Path, kill_at: Callable[[int | None], list[str]], first: bool
) -> None:
    """At every step of a save the load before it or after it is seen, and the next save heals."""
    counted = _prepared(tmp_path / "counted", first)
    calls = kill_at(None)
    counted.save(KEY, NEW)
    steps = len(calls)
    assert calls.count("replace") == 2
    states = []
    for step in range(steps):
        store = _prepared(tmp_path / str(step), first, arm=kill_at)
        kill_at(step)
        with pytest.raises(Killed):
            store.save(KEY, NEW)
        kill_at(None)
        states.append(_load(store))
        assert states[-1] in (None if first else OLD, NEW)
        _killed_again_then_saved(store, kill_at, states[-1])
    assert states == sorted(states, key=lambda state: state == NEW)
    assert states[-1] == NEW
    assert states[0] != NEW


def _prepared(
    root: Path, first: bool, arm: Callable[[int | None], list[str]] | None = None
) -> Store:
    if arm:
        arm(None)
    return Store(root / "baselines") if first else saved(root, OLD)


def _killed_again_then_saved(
    store: Store, kill_at: Callable[[int | None], list[str]], before: Run | None
) -> None:
    # A second writer that also dies must not remove what the first one committed.
    third = make_run(make_items(10, salt="third"))
    for step in (2, 5, 8):
        kill_at(step)
        with pytest.raises(Killed):
            store.save(KEY, third)
        kill_at(None)
        assert _load(store) in (before, third)
    store.save(KEY, third)
    assert store.load(KEY) == third
    left = sorted(path.name for path in meta_path(store).parent.iterdir())
    assert left == ["recall.3shot.items.jsonl", "recall.3shot.json"]


def test_items_of_a_finished_commit_are_found_under_their_pending_name(tmp_path: Path) -> None:
    """Killed between commit and rename: the new run is read beside the old rows."""
    store = saved(tmp_path, OLD)
    old_rows = items_path(store).read_bytes()
    store.save(KEY, NEW)
    digest = encode_run(KEY, NEW)[1][1]
    items_path(store).rename(f"{items_path(store)}.{digest[:16]}.new")
    assert store.load(KEY) == NEW
    items_path(store).write_bytes(old_rows)
    assert store.load(KEY) == NEW


def test_a_torn_pending_file_is_not_taken(tmp_path: Path) -> None:
    """Half-written rows under the right name are refused like any others."""
    store = saved(tmp_path, OLD)
    pending = Path(f"{items_path(store)}.{encode_run(KEY, OLD)[1][1][:16]}.new")
    items_path(store).rename(pending)
    pending.write_bytes(pending.read_bytes()[:-5])
    with refused(r"items\.jsonl is missing"):
        store.load(KEY)


def test_a_reader_that_is_overtaken_reads_the_new_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit between the reader's two files is noticed, and the pair is read again."""
    store = saved(tmp_path, OLD)
    real = Store.item_bytes
    overtaken: list[bool] = []

    def slow(self: Store, *args: Any) -> Any:
        if not overtaken:
            overtaken.append(True)
            self.save(KEY, NEW)
        return real(self, *args)

    monkeypatch.setattr(Store, "item_bytes", slow)
    assert store.load(KEY) == NEW
    assert overtaken


def record_often(root: str, worker: str, times: int = 12) -> None:
    """What each of several writers does: the common key, then one of its own."""
    store = Store(Path(root))
    own = replace(KEY, model=f"org/{worker}")
    for at in range(times):
        run = make_run(make_items(20 + at, salt=worker))
        store.save(KEY, run)
        model = replace(run.provenance.model, name=own.model)
        store.save(own, replace(run, provenance=replace(run.provenance, model=model)))


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    """Four processes on one key and on their own: every read in between is whole."""
    root = tmp_path / "baselines"
    code = (
        "import sys; from tests.baselines.test_store_writing import record_often;"
        "record_often(*sys.argv[1:])"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(root), str(at)], cwd=PROJECT)
        for at in range(4)
    ]
    store, whole = Store(root), 0
    while any(writer.poll() is None for writer in writers):
        whole += _load(store) is not None
    assert [writer.wait() for writer in writers] == [0] * 4
    assert whole > 0
    assert store.find_models() == ["org/0", "org/1", "org/2", "org/3", "org/tiny"]
    assert len(store.load(KEY).accuracy.items) == 31
    assert not [path for path in root.rglob("*") if path.suffix in (".new", ".tmp")]


def test_killed_processes_leave_whole_baselines() -> None:
    """The benchmark itself, with 12 real SIGKILLs: none lost, none half-written."""
    command = [sys.executable, str(BENCHMARK), "--n", "12", "--items", "200"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost or half-written  0" in done.stdout


def test_a_full_disk_leaves_the_old_baseline(tmp_path: Path) -> None:
    """A write that the system cuts off is wrong use, says why, and leaves no litter."""
    store = saved(tmp_path, OLD)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with wrong_use("File too large"):
            store.check_writable()
        with wrong_use("File too large") as caught:
            store.save(KEY, NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "no stored baseline was changed" in str(words_of(caught.value.problem))
    assert str(tmp_path) not in str(words_of(caught.value.problem))
    assert store.load(KEY) == OLD
    assert len(list(meta_path(store).parent.iterdir())) == 2
    assert [path.name for path in store.root.iterdir()] == ["org--tiny"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_error_in_the_middle_leaves_the_old_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """No space at any step before the commit: the old run, no litter, one line."""
    store = saved(tmp_path, OLD)

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with wrong_use("No space left on device"):
            store.save(KEY, NEW)
    assert store.load(KEY) == OLD
    assert len(list(meta_path(store).parent.iterdir())) == 2


def test_no_write_permission_is_told_before_anything_is_measured(
    open_path: Path, become_nobody: Callable[[], None]
) -> None:
    """A read-only store is wrong use, for check and save; reading it still works."""
    store = saved(open_path, OLD)
    become_nobody()
    attempts: list[Callable[[], None]] = [store.check_writable, lambda: store.save(KEY, NEW)]
    for attempt in attempts:
        with wrong_use(r"cannot write baselines.*Permission denied") as caught:
            attempt()
        assert "--quant-baselines DIR" in str(words_of(caught.value.problem))
    assert store.load(KEY) == OLD


def test_a_read_only_model_folder_is_found_by_its_key(
    open_path: Path, become_nobody: Callable[[], None]
) -> None:
    """The store may be writable where the one folder that is needed is not."""
    store = saved(open_path, OLD)
    store.root.chmod(0o777)
    become_nobody()
    if os.getuid() != 0:
        store.root.chmod(0o777)
    store.check_writable()
    with wrong_use("org--tiny/bf16/transformers: Permission denied"):
        store.check_writable(KEY)


@pytest.mark.parametrize(
    "place", ["", "org--tiny", "org--tiny/bf16", "org--tiny/bf16/transformers"]
)
def test_a_file_where_a_folder_should_be(tmp_path: Path, place: str) -> None:
    """It is named before anything is measured, refused on writing and on reading."""
    path = tmp_path / "baselines" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("in the way")
    store = Store(tmp_path / "baselines")
    says = r"cannot write baselines.*: there is a file where a folder should be"
    with wrong_use(says):
        store.check_writable(KEY)
    with wrong_use(says):
        store.save(KEY, NEW)
    with refused("below a file where a folder should be"):
        store.load(KEY)
    assert path.read_text() == "in the way"


def test_a_folder_where_a_file_should_be_is_not_removed(tmp_path: Path) -> None:
    """Recording again does not delete a folder in its way, it says so."""
    for path_of in (meta_path, items_path):
        store = saved(tmp_path / path_of.__name__, OLD)
        path_of(store).unlink()
        path_of(store).mkdir()
        with wrong_use("is a folder"):
            store.save(KEY, NEW)


def test_a_linked_folder_is_not_written_through(tmp_path: Path) -> None:
    """Nothing is ever written outside the store."""
    away = tmp_path / "away"
    away.mkdir()
    store = Store(tmp_path / "baselines")
    store.root.mkdir()
    (store.root / "org--tiny").symlink_to(away)
    attempts: list[Callable[[], None]] = [
        lambda: store.check_writable(KEY),
        lambda: store.save(KEY, NEW),
    ]
    for attempt in attempts:
        with wrong_use("leads out of the store"):
            attempt()
    assert not list(away.iterdir())


def test_a_writer_that_hangs_is_not_waited_for_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process holds the lock a save waits, then says so."""
    store = saved(tmp_path, OLD)
    monkeypatch.setattr(atomic_files, "LOCK_PATIENCE", 0.05)
    with (
        atomic_files.locked(meta_path(store).parent),
        wrong_use("another process has been writing there"),
    ):
        store.save(KEY, NEW)
    store.save(KEY, NEW)
    assert store.load(KEY) == NEW


def test_another_baseline_is_never_overwritten(tmp_path: Path) -> None:
    """Where two keys meet in one file, as on case-blind file systems, the save stops."""
    store = saved(tmp_path, OLD)
    upper = BaselineKey("org/TINY", "bf16", "transformers", "recall", 3)
    (store.root / "org--TINY").symlink_to(store.root / "org--tiny")
    model = replace(NEW.provenance.model, name="org/TINY")
    with wrong_use("already holds the baseline of recall"):
        store.save(upper, replace(NEW, provenance=replace(NEW.provenance, model=model)))
    assert store.load(KEY) == OLD


def test_file_modes_are_readable_and_kept(tmp_path: Path) -> None:
    """New files are 0644 within the umask; a mode that somebody set stays."""
    mask = os.umask(0o027)
    try:
        store = saved(tmp_path, OLD)
        paths = (meta_path(store), items_path(store))
        assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o640, 0o640]
        for path in paths:
            path.chmod(0o664)
        store.save(KEY, NEW)
        assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o664, 0o664]
    finally:
        os.umask(mask)


def test_check_writable_leaves_nothing(tmp_path: Path) -> None:
    """No folder is made, and old probes of killed processes go."""
    store = Store(tmp_path / "deep" / "baselines")
    store.check_writable(KEY)
    assert list(tmp_path.iterdir()) == []
    store.root.mkdir(parents=True)
    (store.root / ".quantreg-probe-old").write_text("")
    store.check_writable(KEY)
    assert list(store.root.iterdir()) == []


def test_what_another_process_stored_was_replaced_unseen(tmp_path: Path) -> None:
    """A caller that decided on an older state is told, and what is stored stays."""
    store = Store(tmp_path)
    seen = store.state(KEY)
    store.save(KEY, NEW, seen=seen)
    with pytest.raises(Changed):
        store.save(KEY, OLD, seen=seen)
    assert store.load(KEY) == NEW
    store.save(KEY, OLD, seen=store.state(KEY))
    assert store.load(KEY) == OLD
