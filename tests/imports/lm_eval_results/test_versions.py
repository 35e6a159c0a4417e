"""Output of every release of lm-eval from 0.4.0 to 0.4.13, asked the same questions."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from pytest_quantreg.core.comparison.comparability import Level
from pytest_quantreg.core.comparison.partial_comparability import differences
from pytest_quantreg.core.records.evaluation import Evaluation
from pytest_quantreg.imports.open_results import open_path
from pytest_quantreg.imports.to_runs import store_result

from ...wording import suspicions_of

VERSIONS = Path(__file__).parents[2] / "data/lm-eval/versions"
NAMES = sorted(
    (path.name for path in VERSIONS.iterdir() if path.is_dir()),
    key=lambda name: [int(part) for part in name.split(".")],
)


def read(version: str) -> Evaluation:
    """What one release wrote."""
    opened = open_path(VERSIONS / version)
    assert isinstance(opened, Evaluation)
    return opened


def test_all_are_here() -> None:
    """Every release there was (there is no 0.4.6)."""
    patches = {int(name.split(".")[2]) for name in NAMES}
    assert patches == set(range(14)) - {6}


@pytest.mark.parametrize("version", NAMES)
def test_scores(version: str) -> None:
    """Both tasks with every item, under each metric and filter, and the file's own totals."""
    imported = read(version)
    assert (imported.model, imported.engine) == ("tiny-llama", "lm-eval-hf")
    assert imported.results.keys() == {"pick", "sum"}
    path = next(VERSIONS.joinpath(version).rglob("results*.json"))
    totals = json.loads(path.read_text("utf-8"))["results"]
    names = {"pick": {"acc,none", "acc_norm,none"}}
    names["sum"] = {"exact_match,strict", "exact_match,loose"}
    for task, result in imported.results.items():
        assert result.accuracy is not None
        assert result.accuracy.items.doc_ids == tuple(range(6))
        assert {aggregate.metric.name for aggregate in result.aggregates} == names[task]
        for aggregate in result.aggregates:
            assert aggregate.value == pytest.approx(totals[task][aggregate.metric.name])
            assert aggregate.n == 6


@pytest.mark.parametrize("version", NAMES)
def test_runs(version: str, tmp_path: Path) -> None:
    """Both become runs, also where the file does not say when it was evaluated."""
    imported, store = read(version), tmp_path / "store"
    for result in imported.results.values():
        where, there = store_result(store, imported, result, "bf16", suspicions_of(result))
        assert not there
        assert store_result(store, imported, result, "bf16", suspicions_of(result)) == (where, True)
    again = open_path(store)
    assert isinstance(again, Evaluation)
    for task, result in imported.results.items():
        assert not differences(result, again.results[task])
        assert again.results[task].accuracy == result.accuracy


@pytest.mark.parametrize(("before", "after"), list(pairwise(NAMES)))
def test_neighbours_compare(before: str, after: str) -> None:
    """The same questions are the same in the words of the next release."""
    ours, theirs = read(before).results, read(after).results
    for task in ("pick", "sum"):
        differing = differences(ours[task], theirs[task])
        assert all(difference.level is not Level.REFUSE for difference in differing), differing
