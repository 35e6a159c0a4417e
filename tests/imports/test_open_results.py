"""Paths that people name: folders, single files, and what is none of what is known."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.records.evaluation import Evaluation
from pytest_quantreg.core.records.timings import Timings
from pytest_quantreg.imports import foreign_files, open_results
from pytest_quantreg.imports.open_results import open_path

from ..wording import refused, says

Write = Callable[..., Path]
Row = Callable[..., dict[str, Any]]
REPOSITORY = Path(__file__).parents[2]


def evaluation(path: Path) -> Evaluation:
    """What is no timing."""
    imported = open_path(path)
    assert isinstance(imported, Evaluation)
    return imported


def test_several_models_in_one_folder_are_named(data: Path) -> None:
    """A folder above the models is refused with their names, not mixed."""
    with refused(r"4 models.*unsloth") as raised:
        open_path(data / "lm-eval/qwen3.6-27b")
    assert "one of them" in says(raised.value)


def test_the_newest_of_one_task_counts_and_is_told(
    copied: Callable[[str], Path], edited: Callable[[Path, Callable[[Any], Any]], None]
) -> None:
    """Two evaluations of a task in one folder: the later one, and a note."""
    folder = copied("lm-eval/same-model-twice")
    old, new = sorted(folder.glob("results_*.json"))
    imported = evaluation(folder)
    assert imported.notes == (f"{folder.name}: asdiv was evaluated 2 times, and the newest counts",)
    edited(old, lambda document: document.update(date=9e9, model_name="meta-llama/other"))
    edited(new, lambda document: document.update(model_name="meta-llama/other"))
    assert evaluation(folder).results["asdiv"].date == 9e9


def test_a_single_results_file_finds_its_own_log(twice: list[Path]) -> None:
    """Of several logs beside it a results file takes the one of its own time."""
    imported = evaluation(twice[1])
    assert imported.label == twice[1].stem
    assert imported.results["asdiv"].accuracy is not None
    assert imported.notes == ()


def test_a_single_log_finds_its_results(twice: list[Path]) -> None:
    """A log named by itself is read with what the results beside it know."""
    log = twice[0].with_name(twice[0].name.replace("results_", "samples_asdiv_") + "l")
    result = evaluation(log).results["asdiv"]
    assert result.known["protocol.num_fewshot"] == 8
    assert result.accuracy is not None


def test_a_log_alone_knows_little_and_says_so(log_file: Write, row: Row) -> None:
    """Without results there are items and nothing about how they were asked."""
    result = evaluation(log_file([row(doc) for doc in range(10)])).results["t"]
    assert result.known == {"protocol.task": "t"}
    assert "says little" in result.notes[0]
    assert result.aggregates[0].value == 0.8


def test_a_stored_run_in_its_store_and_taken_out(tmp_path: Path) -> None:
    """A run of ours is read by its folder, by its file, and where both files were moved to."""
    store = REPOSITORY / "baselines/tiny-llama/bf16/transformers"
    whole = evaluation(store)
    assert whole.scheme == "bf16"
    assert "recall" in whole.tasks
    for name in ("recall.0shot.json", "recall.0shot.items.jsonl"):
        (tmp_path / name).write_bytes((store / name).read_bytes())
    moved = evaluation(tmp_path / "recall.0shot.json")
    assert moved.results["recall"] == whole.results["recall"]


def test_a_stored_run_that_was_changed_is_refused(tmp_path: Path) -> None:
    """One digit in the items of a run is seen by its digest."""
    store = REPOSITORY / "baselines/tiny-llama/bf16/transformers"
    for name in ("recall.0shot.json", "recall.0shot.items.jsonl"):
        (tmp_path / name).write_bytes((store / name).read_bytes())
    items = tmp_path / "recall.0shot.items.jsonl"
    items.write_bytes(items.read_bytes().replace(b",1]", b",0]", 1))
    with refused("does not hold the 1,500 items"):
        open_path(tmp_path)


def test_files_of_several_kinds_are_refused(results_file: Write, data: Path) -> None:
    """Scores and timings in one folder are two questions."""
    path = results_file()
    timing = next((data / "vllm-bench/bf16").glob("*.json"))
    (path.parent / timing.name).write_bytes(timing.read_bytes())
    with refused("several kinds"):
        open_path(path.parent)


def test_other_json_beside_results_is_told(results_file: Write) -> None:
    """A config.json in the folder is not read, and not hidden either."""
    path = results_file()
    (path.parent / "config.json").write_text("{}")
    (note,) = evaluation(path.parent).notes
    assert "1 JSON file is no results and not read, such as config.json" in note


def test_other_json_beside_timings_is_told(copied: Callable[[str], Path]) -> None:
    """A repeat that was emptied is missed, not silently one fewer."""
    folder = copied("vllm-bench/bf16")
    next(folder.glob("*.json")).write_text("null")
    opened = open_path(folder)
    assert isinstance(opened, Timings)
    assert "1 JSON file is no results" in opened.notes[0]


def test_results_that_lost_their_shape_are_not_passed_over(results_file: Write) -> None:
    """A file named results that is none is a refusal, not other JSON."""
    path = results_file()
    (path.parent / "results_2.json").write_text('{"results": {}}')
    with refused(r"results_2\.json is none of"):
        open_path(path.parent)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b'{"results": {"t": {"acc,none": NaN}}, "versions": {}}', "NaN"),
        (b'{"results": {"t": {"acc,none": Infinity}}, "versions": {}}', "Infinity"),
        (b'{"results": {"t": {"acc,none": 1e999}}, "versions": {}}', "1e999"),
        (b'{"results": {}, "results": {}, "versions": {}}', "twice"),
        (b'{"results": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "nested too deeply"),
        (b'{"results": ' + b"[" * 500 + b"]" * 500 + b', "versions": {}}', "nested too deeply"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ('{"results": {}}'.encode("utf-16"), "UTF-16"),
        (b"\x00\x01\x02PK", "binary"),
        (b"\xff\xfa\x80abc", "not UTF-8"),
        (b'{"results": {"t": {"acc,none": 0.5', "cut off"),
        (b"[1, 2]", "is none of"),
        (b'"text"', "is none of"),
        (b"{" + b'"a": 1, ' * 3 + b"}", "twice|not valid"),
        (b"9" * 5_000, "usable|none of"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    ],
    ids=lambda value: repr(value)[:20],
)
@pytest.mark.parametrize("name", ["results_x.json", "samples_t.jsonl"])
def test_damaged_files_are_one_clear_refusal(
    tmp_path: Path, content: bytes, said: str, name: str
) -> None:
    """Whatever is wrong with the bytes, the file is named and nothing is read of it."""
    path = tmp_path / name
    path.write_bytes(content)
    if name.endswith("l"):
        said = f"{said}|no object|no doc_id|list of rows"
    for where in (path, tmp_path):
        with refused(said) as raised:
            open_path(where)
        assert name in says(raised.value)
        assert "Error" not in says(raised.value)


def test_a_damaged_row_is_named(log_file: Write, row: Row) -> None:
    """The line of a log that is no JSON is told by its number."""
    path = log_file([row(0), row(1)])
    path.write_text(path.read_text() + '{"doc_id": 2, "acc"')
    with refused("line 3"):
        open_path(path)


def test_files_beyond_their_size_are_refused(
    monkeypatch: pytest.MonkeyPatch, results_file: Write, log_file: Write, row: Row
) -> None:
    """A file or a line larger than any real one is not read into memory."""
    path = results_file()
    monkeypatch.setattr(foreign_files, "MOST_BYTES", 100)
    with refused("at most 100"):
        open_path(path)
    monkeypatch.setattr(foreign_files, "MOST_LINE", 50)
    path.unlink()
    with refused("more than 50 bytes"):
        open_path(log_file([row(0)], "samples_u_alone.jsonl"))


def test_folders_beyond_their_size_are_refused(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    """A home directory is no folder of results."""
    monkeypatch.setattr(open_results, "MOST_FILES", 3)
    with refused("more than 3"):
        open_path(data)


@pytest.mark.parametrize("name", ["results_x.json", "samples_t.jsonl"])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    """A pipe, a link to nothing and a folder in place of a file are not waited for."""
    path = tmp_path / name
    os.mkfifo(path)
    with refused("not a file"):
        open_path(path)
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with refused(r"symbolic link to nothing|does not exist"):
        open_path(path)


def test_a_file_without_permission_is_refused(
    monkeypatch: pytest.MonkeyPatch, results_file: Write, log_file: Write, row: Row
) -> None:
    """What may not be read is told so (the system's answer is imitated: root may read all)."""
    paths = [results_file(), log_file([row(0)])]

    def denied(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    for path in paths:
        with refused(r"(?i)permission"):
            open_path(path)


def test_nothing_there(tmp_path: Path) -> None:
    """A path that is not there, and a folder with nothing in it."""
    with refused("does not exist"):
        open_path(tmp_path / "nowhere")
    with refused("holds no results"):
        open_path(tmp_path)


def test_timings_are_timings(data: Path) -> None:
    """A folder of vllm bench files is read as repeats by workload."""
    imported = open_path(data / "vllm-bench/nvfp4")
    assert isinstance(imported, Timings)
    assert len(imported.repeats) == 12
    assert imported.workloads[1] == "1024+128 tokens, 4 in flight"


def test_the_items_of_a_run_point_at_the_run(tmp_path: Path) -> None:
    """Naming the items instead of the run says which file to name."""
    path = tmp_path / "x.items.jsonl"
    path.write_text(json.dumps([0, "ab", 1]))
    with refused(r"name the \.json beside it"):
        open_path(path)


def test_a_store_is_read_without_what_lies_aside(tmp_path: Path) -> None:
    """Accepted runs and speed below an engine's folder are read only where they are named."""
    store = REPOSITORY / "baselines"
    tree = Path(shutil.copytree(store, tmp_path / "store"))
    engine = tree / "tiny-llama/bf16/transformers"
    accepted = Path(shutil.copytree(store / "tiny-llama/bf16/transformers", tmp_path / "x"))
    (engine / "accepted").mkdir()
    accepted.rename(engine / "accepted/0001")
    (engine / "accepted/history.jsonl").write_text("{}\n")
    assert evaluation(tree).tasks == evaluation(engine).tasks
    assert evaluation(engine / "accepted/0001").results == evaluation(engine).results
    shutil.copytree(engine / "accepted/0001", engine / "accepted/0002")
    with refused("two runs of"):
        open_path(engine / "accepted")
