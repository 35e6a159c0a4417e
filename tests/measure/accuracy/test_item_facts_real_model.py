"""The example model through the real engine: its tokens, cut answers and sampled repeats."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends import find
from pytest_quantreg.core.engine import Engine
from pytest_quantreg.core.records.run import Accuracy, ModelSpec
from pytest_quantreg.measure import Journal, PreparedTask, measure

EXAMPLES = Path(__file__).parents[3] / "examples"
N = 40
TASKS = (str(EXAMPLES / "tasks"),)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Loaded once for the tests of this file."""
    backend = find("transformers", cache_dir=tmp_path_factory.mktemp("cache"))
    folder = EXAMPLES / "tiny-llama"
    loaded = backend.load(ModelSpec(str(folder), folder.name, "native", backend.name))
    yield loaded
    loaded.close()


@pytest.fixture
def run(engine: Engine, heard: Any) -> Callable[..., Accuracy]:
    """Measures the first n items."""

    def measured(task: PreparedTask, n: int, rerun: int = 0) -> Accuracy:
        return measure(
            task,
            engine,
            n=n,
            batch_size=16,
            fingerprint="tiny",
            journal=Journal(None),
            progress=heard,
            rerun=rerun,
        )

    return measured


def test_tokens_are_those_that_were_scored(prepared: Any, run: Any, engine: Engine) -> None:
    """The fact counts the positions that lm-eval's rolling windows predict."""
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    task = prepared("stories", include_paths=TASKS)
    ours = run(task, 12)
    lm = engine.lm(16)
    scored = []
    for item in task.requests[:12]:
        windows = get_rolling_token_windows(
            token_list=lm.tok_encode(item[0].args[0]),
            prefix_token=lm.prefix_token_id,
            max_seq_len=lm.max_length,
            context_len=1,
        )
        scored.append(sum(len(make_disjoint_window(window)[1]) for window in windows))
    assert ours.items.facts == {"tokens": tuple(map(float, scored))}


@pytest.mark.parametrize(
    "limit", [1, *(pytest.param(limit, marks=pytest.mark.slow) for limit in (2, 3))]
)
def test_cut_answers_are_those_that_needed_more_room(
    limit: int, prepared: Any, run: Any, engine: Engine
) -> None:
    """Greedy answers that end within 8 tokens are cut at a limit below their own length."""

    lm = engine.lm(16)
    whole = prepared("sum", include_paths=TASKS, gen_kwargs={"max_gen_toks": 8})
    short = prepared("sum", include_paths=TASKS, gen_kwargs={"max_gen_toks": limit})
    by_doc = dict(zip(whole.doc_ids, whole.requests, strict=True))
    ours = run(short, N)
    asked = [by_doc[at][0] for at in ours.items.doc_ids]
    full = lm.generate_until(asked)
    assert not any(lm.cut_answers)
    # One token more than the text has: the line break that ends it.
    needed = [len(lm.tok_encode(text, add_special_tokens=False)) + 1 for text in full]
    expected = tuple(float(tokens > limit) for tokens in needed)
    assert ours.items.facts["truncated"] == expected
    assert ours.items.facts["empty"] == (0.0,) * N
    if limit == 2:
        assert 0 < sum(expected) < N


@pytest.mark.parametrize(
    ("rows", "cut"),
    [
        ([[5, 6, 7], [5, 6, 1]], [True, False]),
        ([[5, 1, 2], [5, 6, 7]], [False, True]),
        ([[5, 9, 5], [5, 6, 7]], [False, True]),
        ([[5, 6], [6, 7]], [False, False]),
        ([], []),
    ],
    ids=["ended at the last", "ended and padded", "stopped and went on", "all early", "none"],
)
def test_a_row_is_cut_if_nothing_ended_it(rows: list[list[int]], cut: list[bool]) -> None:
    """An end token or a stop text anywhere in it means that the limit did not."""
    from pytest_quantreg.backends.truncation import find_cut_rows

    def decode(row: list[int]) -> str:
        return "".join("\n" if token == 9 else chr(97 + token) for token in row)

    assert find_cut_rows(rows, 3, {1}, ["\n", ""], decode) == cut


@pytest.mark.slow
def test_repeats_average_sampled_answers(prepared: Any, run: Any) -> None:
    """An item's score is the mean over k answers; other answers come in a rerun."""
    sampling = {"do_sample": True, "temperature": 1.5}
    task = prepared("sum", include_paths=TASKS, repeats=3, gen_kwargs=sampling)
    first, same, other = (run(task, 24, rerun) for rerun in (0, 0, 1))
    scores = first.items.scores["exact_match,none"]
    assert {round(3 * score, 9) for score in scores} <= {0.0, 1.0, 2.0, 3.0}
    assert set(scores) & {1 / 3, 2 / 3}
    assert [metric.kind for metric in first.protocol.metrics] == ["mean"]
    assert first.values["exact_match,none"] == pytest.approx(sum(scores) / 24)
    assert same.items == first.items
    assert other.items.digests == first.items.digests
    assert other.items.scores != first.items.scores
