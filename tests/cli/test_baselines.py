"""`quantreg baselines`: what a store holds, and that only what is named is deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from pytest_quantreg.baselines import AcceptedRuns, Store
from pytest_quantreg.cli import main
from pytest_quantreg.core.records.acceptance import Acceptance, AcceptedTask

from ..baselines.speed_samples import saved_speed
from ..baselines.store_samples import KEY, make_run

INT8 = replace(KEY, scheme="w8a8-int8")
OTHER = replace(KEY, num_fewshot=0)
Quantreg: TypeAlias = "Callable[..., tuple[int, str, str]]"


@pytest.fixture
def quantreg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Quantreg:
    """Runs the command beside a store with two baselines and an accepted run."""
    monkeypatch.chdir(tmp_path)
    store, run = Store(tmp_path / "baselines"), make_run()
    store.save(KEY, run)
    protocol = replace(run.accuracy.protocol, num_fewshot=0)
    store.save(OTHER, replace(run, accuracy=replace(run.accuracy, protocol=protocol)))
    scores = {"acc,none": 0.5}
    task = AcceptedTask(INT8.stem, INT8.task, 40, scores, scores, 0.98)
    said = Acceptance(0, "2026-01-02T03:04:05Z", None, "release 1.4", "1" * 64, None, (task,))
    claimed = replace(run, provenance=replace(run.provenance, claimed=INT8.scheme))
    AcceptedRuns(store.root).accept({INT8: claimed}, said)

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(["baselines", *words])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def name_of(text: str, part: str) -> str:
    """The name in the line of the list that holds ``part``."""
    return next(line.split()[0] for line in text.splitlines() if part in line)


def test_the_list(quantreg: Quantreg) -> None:
    """Each baseline with date, items and size, then the history of accepted runs."""
    status, text, _ = quantreg()
    assert status == 0
    lines = text.splitlines()
    assert [" ".join(line.split()[2:4]) for line in lines[:2]] == ["40 items", "40 items"]
    assert lines[2].startswith("2 baselines, ")
    assert lines[3] == f"accepted runs of {'/'.join(INT8.folder)}"
    assert lines[4] == f"  1  2026-01-02  {INT8.task}: release 1.4"
    assert len(lines) == 5


def test_only_what_is_named_goes(quantreg: Quantreg) -> None:
    """The named baseline is gone with its items; the other and what was accepted stay."""
    name = name_of(quantreg()[1], "0shot")
    status, text, _ = quantreg("--delete", name)
    assert status == 0
    assert text == f"deleted baselines/{name}.json\ndeleted baselines/{name}.items.jsonl\n"
    store = Store(Path("baselines"))
    assert store.keys() == [KEY]
    assert len(store.load(KEY).accuracy.items) == 40
    assert AcceptedRuns(store.root).load(INT8) is not None


@pytest.mark.parametrize("kind", ["gone", "cut", "changed"])
def test_damaged_items_are_told(kind: str, quantreg: Quantreg) -> None:
    """A baseline without the rows that were recorded is no baseline, whatever its head says."""
    rows = Path("baselines").joinpath(*KEY.folder, f"{KEY.stem}.items.jsonl")
    data = rows.read_bytes()
    changed = data.replace(b"1", b"0", 1)
    rows.write_bytes({"gone": b"", "cut": data[:-10], "changed": changed}[kind])
    if kind == "gone":
        rows.unlink()
    status, text, _ = quantreg()
    assert status == 2
    assert f"{KEY.stem}" in text
    assert text.count("DAMAGED: it ") == 1
    assert "40 items that were recorded" in text


@pytest.mark.parametrize("name", ["nothing", "../outside", "org--tiny", ""])
def test_unknown_names_delete_nothing(name: str, quantreg: Quantreg) -> None:
    """One wrong name, and nothing is deleted; no name leads out of the store."""
    Path("outside.json").write_text("{}")
    known = name_of(quantreg()[1], "0shot")
    status, text, error = quantreg("--delete", known, name)
    assert (status, text) == (2, "")
    assert "baselines/ holds no baseline" in error
    assert len(Store(Path("baselines")).keys()) == 2
    assert Path("outside.json").exists()


def test_a_damaged_one_is_told_and_can_go(quantreg: Quantreg) -> None:
    """What cannot be read is listed as such with exit status 2, and deleted like the rest."""
    name = name_of(quantreg()[1], "0shot")
    Path(f"baselines/{name}.json").write_text("{")
    status, text, _ = quantreg()
    assert status == 2
    assert f"{name}  DAMAGED: it is not valid JSON" in " ".join(text.split(" ")).replace(
        "   ", "  "
    )
    assert quantreg("--delete", name)[0] == 0
    assert quantreg()[0] == 0


@pytest.mark.parametrize("name", ["app/data/users/names", "app/data/users/speed/mine/x"])
def test_a_file_of_the_project_was_deleted_as_a_baseline(name: str, quantreg: Quantreg) -> None:
    """--baselines may be any folder: only what is named as baselines are is deleted."""
    path = Path(f"{name}.json")
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    status, text, error = quantreg("--baselines", ".", "--delete", name)
    assert (status, text) == (2, "")
    assert f"{name}: not the name of a baseline" in error
    assert path.exists()


@pytest.mark.parametrize("typed", ["baselines/{}.json", "{}.json", "{}.items.jsonl"])
def test_a_file_may_be_named_as_well(typed: str, quantreg: Quantreg) -> None:
    """Messages and ls show files; who pastes one means the baseline."""
    name = name_of(quantreg()[1], "0shot")
    status, text, _ = quantreg("--delete", typed.format(name))
    assert (status, text.count("deleted ")) == (0, 2)
    assert Store(Path("baselines")).keys() == [KEY]


def test_baselines_of_speed(quantreg: Quantreg) -> None:
    """They are listed with their sessions, and deleted like the others; a damaged one is told."""
    saved_speed(Path())
    status, text, _ = quantreg()
    assert status == 0
    assert text.splitlines()[3].startswith("3 baselines, ")
    [line] = [line for line in text.splitlines() if "/speed/" in line]
    assert line.split()[1:4] == ["2026-01-02", "1", "session"]
    name = line.split()[0]
    Path(f"baselines/{name}.json").write_text("{")
    assert quantreg()[0] == 2
    assert "DAMAGED: it is not valid JSON" in quantreg()[1]
    assert quantreg("--delete", name)[1] == f"deleted baselines/{name}.json\n"
    assert "/speed/" not in quantreg()[1]


def test_a_damaged_history_hides_no_baseline(quantreg: Quantreg) -> None:
    """The rest is listed all the same, and what is wrong stands where the history would."""
    [path] = Path("baselines").rglob("history.jsonl")
    path.write_text(path.read_text("utf-8").replace("release 1.4", "release 1.5"), "utf-8")
    status, text, _ = quantreg()
    assert status == 2
    assert text.splitlines()[2].startswith("2 baselines, ")
    assert "  DAMAGED: baselines/org--tiny/" in text
    assert "it was changed after it was written" in text
    assert quantreg("--delete", name_of(text, "0shot"))[0] == 0


def test_no_store(quantreg: Quantreg) -> None:
    """A folder that is not there is one line; an empty one is called empty."""
    status, _, error = quantreg("--baselines", "none")
    assert status == 2
    assert "none: no such folder" in error
    Path("empty").mkdir()
    assert quantreg("--baselines", "empty") == (0, "empty/ is empty\n", "")
