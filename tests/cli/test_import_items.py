"""`quantreg import` of evaluations with items: the stored runs say what their files say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .conftest import Run, flat

DATA = Path(__file__).parents[2] / "tests/data"


def test_import_writes_runs_that_compare(quantreg: Run, tmp_path: Path) -> None:
    """Two imported evaluations compare as stored runs do; what was kept is listed."""
    files = sorted((DATA / "lm-eval/same-model-twice").glob("results_*.json"))
    for name, file in zip(("one", "two"), files, strict=True):
        status, page = quantreg("import", file, "--out", tmp_path / name, "--scheme", "bf16")
        assert status == 0
        assert f"imported: asdiv, 50 items, {name}/meta-llama--" in page
    status, page = quantreg("compare", tmp_path / "one", tmp_path / "two")
    assert status == 0
    assert re.search(r"asdiv .* 50 +0 +0", page)
    status, page = quantreg("compare", tmp_path / "one", files[1])
    assert status == 0
    assert "not compared:" not in flat(page)


@pytest.mark.parametrize("gate", [(), ("--min-retention", ".9")])
def test_imported_runs_say_what_their_files_say(
    quantreg: Run, tmp_path: Path, gate: tuple[str, ...]
) -> None:
    """Real files: figures, verdicts and refusals are the same before and after an import."""
    twice = sorted((DATA / "lm-eval/same-model-twice").glob("results_*.json"))
    mismatch = DATA / "lm-eval/protocol-mismatch"
    for place, pair in enumerate((twice, (mismatch / "nothink", mismatch / "qwen_until"))):
        stores = [tmp_path / f"{place} {side}" for side in ("base", "quant")]
        for store, path in zip(stores, pair, strict=True):
            assert quantreg("import", path, "--out", store)[0] == 0
        before, after = (
            quantreg("compare", *sides, *gate, "--format", "json") for sides in (pair, stores)
        )
        assert before[0] == after[0]
        outcomes = [json.loads(page)["outcomes"] for _, page in (before, after)]
        told = {"context", "scheme", "headline", "details", "notes"}
        for ours, theirs in zip(*outcomes, strict=True):
            assert {k: v for k, v in ours.items() if k not in told} == {
                k: v for k, v in theirs.items() if k not in told
            }


def test_a_scheme_of_the_projects_own(
    quantreg: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that pyproject.toml defines is a scheme here as everywhere, and a typo is none."""
    monkeypatch.chdir(tmp_path)
    own = '[tool.quantreg.schemes.mine]\nlike = "w8a8-int8"\n'
    (tmp_path / "pyproject.toml").write_text(own, "utf-8")
    files = sorted((DATA / "lm-eval/same-model-twice").glob("results_*.json"))
    assert quantreg("import", files[0], "--out", "base", "--scheme", "bf16")[0] == 0
    status, page = quantreg("import", files[1], "--out", "quant", "--scheme", "mine")
    assert (status, " at mine on " in page) == (0, True)
    status, page = quantreg("import", files[1], "--out", "other", "--scheme", "mien")
    assert (status, "unknown scheme 'mien'" in page) == (2, True)
    assert quantreg("compare", "base", "quant", "--min-retention", ".8", "--allow-rerun")[0] == 0
