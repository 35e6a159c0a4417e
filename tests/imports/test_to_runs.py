"""Imported runs in our own format: whole, comparable again, and with nothing private in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.baselines import Store
from pytest_quantreg.core.comparison.alignment import first_items
from pytest_quantreg.core.records.evaluation import Evaluation
from pytest_quantreg.imports.open_results import open_path
from pytest_quantreg.imports.to_runs import key_of, run_of, store_result

from ..wording import refused, suspicions_of, wrong_use


def evaluation(path: Path) -> Evaluation:
    """What is no timing."""
    imported = open_path(path)
    assert isinstance(imported, Evaluation)
    return imported


def stored(store: Path, path: Path, scheme: str = "w4a4-nvfp4") -> list[Path]:
    """Imports every task of a path; returns all files written."""
    imported = evaluation(path)
    for result in imported.results.values():
        store_result(store, imported, result, scheme, suspicions_of(result))
    return sorted(path for path in store.rglob("*") if path.is_file())


def test_what_is_stored_is_read_back_equal(tmp_path: Path, twice: list[Path]) -> None:
    """Through the schema and the digests the same run comes back."""
    imported = evaluation(twice[0])
    run = run_of(imported, imported.results["asdiv"], "bf16")
    store_result(
        tmp_path / "store",
        imported,
        imported.results["asdiv"],
        "bf16",
        suspicions_of(imported.results["asdiv"]),
    )
    assert Store(tmp_path / "store").load(key_of(run)) == run
    assert run.provenance.recorded_at == "2024-08-21T03:39:56Z"
    assert run.provenance.software.backend == "lm-eval-hf"
    assert run.provenance.effective.mode == "unverified"


def test_nothing_private_is_kept(tmp_path: Path, data: Path) -> None:
    """No prompt, answer, path, user or machine name of the real files is in what is stored."""
    source = data / "lm-eval/protocol-mismatch/nothink"
    log = next(source.rglob("*.jsonl"))
    rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    document = json.loads(next(source.rglob("results_*.json")).read_text("utf-8"))
    files = stored(tmp_path / "store", source)
    assert len(files) == 3
    text = "".join(path.read_text("utf-8") for path in files)
    words = [word for row in rows for word in (row["doc"]["question"], row["target"])]
    words += [row["resps"][0][0][:40] for row in rows]
    words += [str(document["system_instruction"]), "/home/"]
    words += ["stefan", "venv", "hostname", "Janet", "PyTorch version", "cache/"]
    for word in words:
        assert word not in text
    assert document["pretty_env_info"][:200] not in text


def test_paths_in_model_names_are_not_kept(
    tmp_path: Path, copied: Callable[[str], Path], edited: Callable[[Path, Any], None]
) -> None:
    """A model evaluated from a home directory is stored under its folder's own name."""
    folder = copied("lm-eval/same-model-twice")
    path = min(folder.glob("results_*.json"))

    def moved(document: dict[str, Any]) -> None:
        document["config"]["model_args"] = "pretrained=/home/jo/secret/llama-8b"
        document["model_name"] = "/home/jo/secret/llama-8b"

    edited(path, moved)
    files = stored(tmp_path / "store", path)
    shown = "".join(f"{path} {path.read_text()}" for path in files).replace(str(tmp_path), "")
    assert "llama-8b" in shown
    assert "jo" not in shown.replace("json", "")
    assert "secret" not in shown


def test_importing_again_changes_nothing(tmp_path: Path, twice: list[Path]) -> None:
    """The same evaluation is present, another in its place is refused."""
    imported = evaluation(twice[0])
    store = tmp_path / "store"
    result = imported.results["asdiv"]
    assert store_result(store, imported, result, "bf16", suspicions_of(result))[1] is False
    assert store_result(store, imported, result, "bf16", suspicions_of(result))[1] is True


def test_another_run_in_its_place_is_not_overwritten(
    tmp_path: Path, copied: Callable[[str], Path]
) -> None:
    """A run with other scores under the same key is refused with the way out."""
    folder = copied("lm-eval/protocol-mismatch/nothink")
    stored(tmp_path / "store", folder)
    log = next(folder.rglob("*.jsonl"))
    changed = log.read_text("utf-8").replace('"exact_match": 0.0', '"exact_match": 1.0', 1)
    results = next(folder.rglob("results_*.json"))
    log.write_text(changed, "utf-8")
    results.write_text(results.read_text("utf-8").replace("0.75", "0.875"), "utf-8")
    with wrong_use("another run of gsm8k"):
        stored(tmp_path / "store", folder)


def test_totals_alone_make_no_run(data: Path) -> None:
    """Without items there is nothing that a stored run could hold."""
    imported = evaluation(data / "lm-eval/qwen3.6-27b/bf16/gsm8k")
    with refused("totals alone make no run"):
        run_of(imported, imported.results["gsm8k"], "bf16")


def test_what_was_asked_differently_lies_side_by_side(tmp_path: Path, data: Path) -> None:
    """The same task under two system instructions is two runs, none overwritten."""
    store = tmp_path / "store"
    for arm in ("nothink", "qwen_until"):
        stored(store, data / "lm-eval/protocol-mismatch" / arm)
    assert len(list(store.glob("*/*/*/gsm8k*.json"))) == 2


def test_a_path_as_version_is_not_kept(tmp_path: Path, results_file: Callable[..., Path]) -> None:
    """What is no short word is unknown, and still compares with what says nothing."""
    path = results_file("one/results.json", versions={"t": "/home/somebody/v1"})
    rows = [
        {"doc_id": doc, "doc": {}, "target": "A", "arguments": [[str(doc), "A"]], "acc": score}
        for doc, score in enumerate([1.0] * 80 + [0.0] * 20)
    ]
    log = "".join(json.dumps(row) + "\n" for row in rows)
    path.with_name("samples_t.jsonl").write_text(log, "utf-8")
    files = stored(tmp_path / "store", path.parent, "bf16")
    assert len(files) == 3
    assert all("somebody" not in path.read_text("utf-8") for path in files)


def test_an_import_replaced_one_that_began_with_it(
    tmp_path: Path, twice: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two imports under one name the later is refused, also where both began with nothing."""
    imported = evaluation(twice[0])
    result = imported.results["asdiv"]
    assert result.accuracy is not None
    fewer = replace(result, accuracy=first_items(result.accuracy, 5))
    save = Store.save

    def after_another(self: Store, *args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(Store, "save", save)
        store_result(self.root, imported, result, "bf16", suspicions_of(result))
        self.save(*args, **kwargs)

    monkeypatch.setattr(Store, "save", after_another)
    with wrong_use("holds another run of asdiv"):
        store_result(tmp_path, imported, fewer, "bf16", suspicions_of(fewer))
