"""The one order of a task's items, their digests, and what chance would score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantreg.measure import PreparedTask
from pytest_quantreg.measure.accuracy.chance import Answer, answer_of, chance_of
from pytest_quantreg.measure.accuracy.digests import item_digest, permutation, plain

Digests = st.lists(st.sampled_from("abcdefgh"), max_size=40)


@given(Digests, st.randoms(use_true_random=False))
def test_order_of_the_file_does_not_matter(names: list[str], rng: Any) -> None:
    """Items come in the same order of digests however the file is sorted."""
    shuffled = list(names)
    rng.shuffle(shuffled)
    ours = [names[i] for i in permutation(names, "task", 1)]
    assert ours == [shuffled[i] for i in permutation(shuffled, "task", 1)]


@given(Digests)
def test_every_item_comes_once(names: list[str]) -> None:
    """The order is a permutation, with equal items too."""
    assert sorted(permutation(names, "task", 1)) == list(range(len(names)))


def test_seed_and_task_choose_the_order() -> None:
    """Another seed or another task orders the same items differently."""
    names = [str(i) for i in range(50)]
    orders = {tuple(permutation(names, task, seed)) for task in "ab" for seed in (1, 2)}
    assert len(orders) == 4


def test_two_preparations_agree(prepared: Callable[..., PreparedTask]) -> None:
    """A task prepared twice has the same protocol, digests and order."""
    first, again = prepared("write"), prepared("write")
    assert first.protocol == again.protocol
    assert first.digests == again.digests
    assert first.protocol_digest == again.protocol_digest
    assert len(set(first.digests)) == len(first) == 300


def test_seed_moves_items_and_not_prompts(prepared: Callable[..., PreparedTask]) -> None:
    """Another seed measures other items first, with the same few-shot prompts."""
    first, other = prepared("write"), prepared("write", seed=2)
    assert first.digests != other.digests
    assert set(first.digests) == set(other.digests)


def _request(*args: Any) -> Any:
    return SimpleNamespace(request_type="loglikelihood", args=args)


def test_digest_covers_every_request_and_the_target() -> None:
    """Any argument of any request, the document and the target change the digest."""
    two = [_request("q", " a"), _request("q", " b")]
    variants = [
        item_digest(two, {"id": 1}, 0),
        item_digest([two[0], _request("q", " c")], {"id": 1}, 0),
        item_digest(two, {"id": 1}, 1),
        item_digest(two, {"id": 2}, 0),
        item_digest(two[:1], {"id": 1}, 0),
    ]
    assert len(set(variants)) == 5
    assert all(len(digest) == 20 for digest in variants)


def test_plain_values_hold_no_addresses() -> None:
    """Numpy values, sets, bytes and objects become the same JSON in every process."""

    @dataclass
    class Shown:
        field: Any

    value = {"a": np.int64(3), "b": {2, 1}, "c": b"x", "d": (np.array([1.5]), len), "e": Shown(1)}
    assert plain(value) == plain({**value, "e": Shown(1)})
    assert plain(value)["a"] == 3
    assert plain(value)["b"] == [1, 2]
    assert "0x" not in repr(plain([value, object(), lambda: 1]))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([Answer(4, frozenset({0}))] * 2 + [Answer(4, frozenset({1}))] * 2, 0.5),
        ([Answer(2, frozenset({i % 2})) for i in range(10)], 0.5),
        ([Answer(4, frozenset({i % 4})) for i in range(8)], 0.25),
        ([Answer(4, frozenset({0, 1})), Answer(4, frozenset({2, 3}))], 0.5),
        ([Answer(0, frozenset({"yes"}))] * 3 + [Answer(0, frozenset({"no"}))], 0.75),
        ([Answer(0, frozenset({str(i)})) for i in range(5)], 0.0),
        ([Answer(0, frozenset())] * 3, 0.0),
        ([], 0.0),
    ],
)
def test_chance(answers: list[Answer], expected: float) -> None:
    """Chance is the larger of drawing a choice and always giving the commonest answer."""
    assert chance_of(answers) == pytest.approx(expected)


def test_gold_labels_as_lm_eval_reads_them() -> None:
    """Labels may be numbers, texts of choices or lists; long texts make no answer."""
    requests = [_request("q", " red"), _request("q", " blue")]
    assert answer_of("multiple_choice", requests, "blue", 2) == Answer(2, frozenset({1}))
    assert answer_of("multiple_choice", requests, [0, 1], 2) == Answer(2, frozenset({0, 1}))
    assert answer_of("multiple_choice", requests, 7, 2) == Answer(2, frozenset())
    assert answer_of("generate_until", [], "4" * 65, 0) == Answer(0, frozenset())
    assert answer_of("generate_until", [], " 4 ", 0) == Answer(0, frozenset({"4"}))


def test_chance_of_the_first_items(prepared: Callable[..., PreparedTask]) -> None:
    """A task with a common first choice has that share as chance, on the items measured."""
    task = prepared("choose")
    golds = [doc["gold"] for doc in (item[0].doc for item in task.requests)]
    assert task.chance_of(600) == max(golds.count(i) for i in range(4)) / 600
    assert task.chance_of(600) > 0.3
    assert task.chance_of(50) == max(golds[:50].count(i) for i in range(4)) / 50


def test_code_beside_a_tasks_function_is_part_of_it(tmp_path: Path) -> None:
    """A rule that the scoring imports changes the digest, also behind partial and a cache."""
    (tmp_path / "rules.py").write_text("LIMIT = 1\n", "utf-8")
    (tmp_path / "scoring.py").write_text("def score(x):\n    return x\n", "utf-8")
    place = spec_from_file_location("scoring", tmp_path / "scoring.py")
    assert place is not None
    assert place.loader is not None
    module = module_from_spec(place)
    place.loader.exec_module(module)
    ways = [module.score, partial(module.score, 1), lru_cache(module.score)]
    before = [plain(way) for way in ways]
    assert before == [plain(way) for way in ways]
    (tmp_path / "rules.py").write_text("LIMIT = 2\n", "utf-8")
    assert all(plain(way) != was for way, was in zip(ways, before, strict=True))
