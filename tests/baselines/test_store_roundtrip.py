"""What goes into the store comes out equal, in files that a reviewer can read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_quantreg.baselines import BaselineKey, RunSettings, Store
from pytest_quantreg.baselines.document import encode_run
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.run import AccuracyRequest, Items, Json, Metric, Run
from pytest_quantreg.core.strict_json import LARGEST
from pytest_quantreg.report.words import words_of

from ..wording import refused
from .store_samples import (
    KEY,
    METRICS,
    items_path,
    make_items,
    make_run,
    meta_path,
    saved,
    with_protocol,
)

FINITE = st.floats(-LARGEST, LARGEST)
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=20
)
PLAIN: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Any run that fits `KEY`."""
    n = draw(st.integers(1, 12))
    ids = draw(st.lists(st.integers(0, 10**9), min_size=n, max_size=n, unique=True))
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    kinds = [draw(st.sampled_from(["binary", "mean", "perplexity"])) for _ in names]
    metrics = [
        Metric(name, draw(st.booleans()), kind) for name, kind in zip(names, kinds, strict=True)
    ]
    value = {"binary": st.sampled_from([0.0, 1.0]), "mean": FINITE, "perplexity": FINITE}

    def column(of: st.SearchStrategy[float]) -> tuple[float, ...]:
        return tuple(draw(st.lists(of, min_size=n, max_size=n)))

    share, count = st.floats(0, 1), st.integers(0, 10**9).map(float)
    kinds_of_facts = {"empty": share, "truncated": share, "tokens": count, "cluster": count}
    column_of = {
        name: st.lists(of, min_size=n, max_size=n).map(tuple) for name, of in kinds_of_facts.items()
    }
    again = {m.name: m.kind for m in metrics if m.kind in ("binary", "mean")}
    weighed = [m.name for m in metrics if m.kind == "perplexity" and draw(st.booleans())]
    # The store refuses a column of weights that are all 0.
    weights = st.lists(st.floats(0, 1e9), min_size=n, max_size=n).filter(any)
    items = Items(
        tuple(ids),
        tuple(
            draw(st.lists(st.from_regex("[0-9a-f]{64}", fullmatch=True), min_size=n, max_size=n))
        ),
        {metric.name: column(value[metric.kind]) for metric in metrics},
        {name: tuple(draw(weights)) for name in weighed},
        draw(st.fixed_dictionaries({}, optional={name: column_of[name] for name in column_of})),
        tuple(
            {name: column(value[kind]) for name, kind in again.items()}
            for _ in range(draw(st.integers(0, 3)) if again else 0)
        ),
    )
    run = with_protocol(
        make_run(items),
        metrics=tuple(metrics),
        gen_kwargs=draw(st.dictionaries(NAMES, PLAIN, max_size=3)),
        task_version=draw(NAMES),
    )
    accuracy = replace(
        run.accuracy,
        values={name: draw(FINITE) for name in names},
        chance=draw(st.floats(0, 1)),
        batch_size=draw(st.integers(1, 4096)),
        resumed_items=draw(st.integers(0, n)),
    )
    shapes = draw(st.dictionaries(NAMES, st.integers(0, 10**12), max_size=4))
    model = replace(run.provenance.model, shapes=shapes, revision=draw(st.none() | NAMES))
    return Run(replace(run.provenance, model=model), accuracy)


@given(run=runs())
@settings(
    max_examples=80, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
def test_every_run_comes_back_equal(tmp_path_factory: pytest.TempPathFactory, run: Run) -> None:
    """Save and load give the same run to the last bit, and the same bytes when saved again."""
    store = Store(tmp_path_factory.mktemp("store") / "baselines")
    store.save(KEY, run)
    loaded = store.load(KEY)
    assert loaded == run
    for name, column in run.accuracy.items.scores.items():
        assert repr(loaded.accuracy.items.scores[name]) == repr(column)  # -0.0 too
    assert encode_run(KEY, loaded) == encode_run(KEY, run)


@given(gen_kwargs=st.dictionaries(NAMES, PLAIN, max_size=3), template=st.none() | NAMES)
@settings(max_examples=40, derandomize=True, deadline=None)
def test_every_setting_comes_back_with_the_key(
    tmp_path_factory: pytest.TempPathFactory,
    gen_kwargs: dict[str, Json],
    template: str | None,
) -> None:
    """A baseline with settings is found under them, and listed with them."""
    request = AccuracyRequest("recall", apply_chat_template=template, gen_kwargs=gen_kwargs)
    key = replace(KEY, settings=RunSettings.of(request))
    store = Store(tmp_path_factory.mktemp("store") / "baselines")
    store.save(key, make_run())
    assert store.load(key) == make_run()
    assert store.keys() == [key]
    assert store.exists(KEY) == (key == KEY)


def test_the_files_lie_where_the_layout_says(tmp_path: Path) -> None:
    """One meta file and its items per baseline, and nothing else."""
    store = saved(tmp_path)
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
    folder = "baselines/org--tiny/bf16/transformers"
    assert files == [f"{folder}/recall.3shot.items.jsonl", f"{folder}/recall.3shot.json"]
    assert store.path(KEY) == f"{folder}/recall.3shot.json"


def test_rows_are_compact(tmp_path: Path) -> None:
    """One array per line, 0/1 as whole numbers, other floats as short as they can be."""
    items = Items(
        (5, 2),
        ("00112233aabbccdd", "ffeeddccbbaa9988"),
        {
            "acc,none": (1.0, 0.0),
            "f1,none": (0.1, 1e-7),
            "word_perplexity,none": (-12.25, -0.1 - 0.2),
        },
        {"word_perplexity,none": (7.0, 3.0)},
    )
    store = saved(tmp_path, make_run(items))
    assert items_path(store).read_text() == (
        '[5,"00112233aabbccdd",1,0.1,-12.25,7]\n'
        '[2,"ffeeddccbbaa9988",0,1e-07,-0.30000000000000004,3]\n'
    )


def test_the_meta_file_reads_from_the_top(tmp_path: Path) -> None:
    """Fixed order, two spaces of indent, settings only where given, at most 4 KiB."""
    text = meta_path(saved(tmp_path)).read_text()
    document = json.loads(text)
    assert list(document) == [
        "schema_version",
        "key",
        "provenance",
        "protocol",
        "values",
        "chance",
        "batch_size",
        "resumed_items",
        "items",
        "digest",
    ]
    assert text == json.dumps(document, indent=2) + "\n"
    assert document["key"]["settings"] == {}
    assert list(document["values"]) == [metric.name for metric in METRICS]
    assert len(text) < 4096


def test_recording_again_changes_only_what_changed(tmp_path: Path) -> None:
    """A reviewer's diff of a new time is the time and the digest, two lines."""
    store = saved(tmp_path)
    before = meta_path(store).read_text().splitlines()
    rows = items_path(store).read_bytes()
    store.save(KEY, make_run(recorded_at="2026-02-02T03:04:05Z"))
    after = meta_path(store).read_text().splitlines()
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert ["recorded_at" in changed[0], "digest" in changed[1], len(changed)] == [True, True, 2]
    assert items_path(store).read_bytes() == rows


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("metric", [metric.name for metric in METRICS])
def test_scores_that_are_no_numbers_are_not_stored(tmp_path: Path, metric: str, bad: float) -> None:
    """NaN and Infinity are refused with metric and item; what was stored stays."""
    store = saved(tmp_path)
    items = make_items()
    spoilt = (*items.scores[metric][:-1], bad)
    run = make_run(replace(items, scores={**items.scores, metric: spoilt}))
    with refused("is no finite number") as caught:
        store.save(KEY, run)
    assert caught.value.category is Category.NOT_COMPARABLE
    assert f"{metric} = {bad} for doc {items.doc_ids[-1]}" in str(words_of(caught.value.problem))
    assert store.load(KEY) == make_run()


def _without(items: Items, metric: str) -> Items:
    return replace(items, scores={n: c for n, c in items.scores.items() if n != metric})


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (make_run(make_items(0)), "holds no items"),
        (make_run(_without(make_items(), "acc,none")), "one score for each"),
        (make_run(replace(make_items(), doc_ids=(1,) * 40)), "same doc_id twice"),
        (make_run(replace(make_items(), doc_ids=(-1, *range(39)))), "whole number from 0"),
        (make_run(replace(make_items(), digests=("xyz",) * 40)), "16 to 64 hex digits"),
        (make_run(replace(make_items(), digests=("ab" * 8,) * 39)), "unequal length"),
        (make_run(replace(make_items(), weights={"acc,none": (1.0,) * 40})), "takes none"),
        (
            make_run(replace(make_items(), weights={"word_perplexity,none": (-1.0,) * 40})),
            "negative weight",
        ),
        (with_protocol(make_run(), total_items=39), "40 items of a task that has 39"),
        (with_protocol(make_run(), num_fewshot=5), "few-shot count is 5, filed under 3"),
        (with_protocol(make_run(), task="other"), "task is 'other'"),
        (with_protocol(make_run(), seed=1), "seed is 1"),
        (with_protocol(make_run(), config_digest="short"), "breaks the schema"),
        (with_protocol(make_run(), gen_kwargs={"x": float("nan")}), "not JSON compliant"),
        (with_protocol(make_run(), gen_kwargs={"x": "\ud800"}), "not valid Unicode"),
        (with_protocol(make_run(), gen_kwargs={"x": "y" * 1100000}), "bytes beside its items"),
        (make_run(recorded_at="yesterday"), "recorded_at"),
    ],
)
def test_unsound_runs_are_not_stored(tmp_path: Path, run: Run, says: str) -> None:
    """A measurement that could not be loaded again is refused before a file is touched."""
    store = Store(tmp_path / "baselines")
    with refused(says) as caught:
        store.save(KEY, run)
    empty = len(run.accuracy.items) == 0
    assert caught.value.category is (
        Category.NOTHING_MEASURED if empty else Category.NOT_COMPARABLE
    )
    assert not store.root.exists()


def test_a_binary_score_is_zero_or_one(tmp_path: Path) -> None:
    """A half point of a binary metric names metric, item and rule."""
    items = make_items()
    half = {**items.scores, "acc,none": (0.5, *items.scores["acc,none"][1:])}
    with refused(r"acc,none = 0\.5 for doc 3, which must be 0 or 1"):
        Store(tmp_path).save(KEY, make_run(replace(items, scores=half)))


def test_a_key_says_what_it_is() -> None:
    """Messages name task, few-shot, settings, model, scheme and engine."""
    key = BaselineKey("org/m", "bf16", "vllm", "t", 5, RunSettings(repeats=3))
    assert str(key) == 't (5-shot, {"repeats": 3}) of org/m at bf16 on vllm'


def test_an_aggregate_has_a_value_and_no_scores(tmp_path: Path) -> None:
    """A metric over all items (F1, BLEU) is stored by its value; a column of scores is unsound."""
    run = make_run()
    metrics = (*METRICS, Metric("mcc,none", True, "aggregate"))
    accuracy = replace(
        with_protocol(run, metrics=metrics).accuracy,
        values={**run.accuracy.values, "mcc,none": 0.31},
    )
    mixed = replace(run, accuracy=accuracy)
    assert saved(tmp_path, mixed).load(KEY) == mixed
    scores = {**accuracy.items.scores, "mcc,none": accuracy.items.scores["f1,none"]}
    items = replace(accuracy.items, scores=scores)
    unsound = replace(mixed, accuracy=replace(accuracy, items=items))
    with refused("one score for each of its metrics"):
        saved(tmp_path / "other", unsound)
