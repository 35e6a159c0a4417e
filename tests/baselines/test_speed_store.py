"""Speed baselines come back as they were stored, in one readable file per workload and device."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pytest_quantreg.baselines import SpeedKey, SpeedStore, Store
from pytest_quantreg.baselines.speed_document import as_stored, encode_speed
from pytest_quantreg.baselines.speed_rows import rounded
from pytest_quantreg.baselines.speed_validation import moment
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.records.run import Json
from pytest_quantreg.core.records.speed import (
    ASYNCHRONOUS,
    DeviceState,
    Footprint,
    ModelSpeed,
    Request,
    Round,
    Series,
    Workload,
)
from pytest_quantreg.core.records.speed_run import SpeedRun, SpeedSession, sessions_of
from pytest_quantreg.report.words import words_of

from ..wording import refused
from .speed_samples import GPU, KEY, make_rounds, make_session, make_speed, saved_speed, speed_path
from .store_samples import KEY as TASK_KEY
from .store_samples import make_run

GAP = st.floats(2e-6, 1e4)
SIZE = st.none() | st.integers(0, 2**50)
FIGURE = st.none() | st.floats(-1e6, 1e12)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20)
STATES = st.builds(
    DeviceState,
    *(FIGURE, FIGURE, FIGURE, FIGURE, FIGURE),
    st.none() | TEXT,
    st.none() | st.integers(1, 512),
    FIGURE,
)
ARGS: st.SearchStrategy[Mapping[str, Json]] = st.dictionaries(
    TEXT.filter(bool), st.none() | st.booleans() | st.integers() | TEXT | st.lists(TEXT), max_size=3
)
FOOTPRINTS = st.builds(
    Footprint,
    st.dictionaries(st.sampled_from(["bfloat16", "int8", "é"]), st.integers(0, 2**50)),
    SIZE,
    SIZE,
    st.sampled_from(["allocator", "resident"]),
    SIZE,
    SIZE,
    SIZE,
    SIZE,
)


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    """Any workload of few requests; without a rate, no more at once than there are."""
    requests, rate = draw(st.integers(1, 4)), draw(st.none() | st.floats(1e-3, 1e3))
    return Workload(
        draw(st.sampled_from(["synchronous", "asynchronous"])),
        draw(st.integers(1, requests if rate is None else 512)),
        draw(st.integers(1, 9999)),
        draw(st.integers(1, 9999)),
        draw(st.integers(1, 50)),
        draw(st.integers(0, 5)),
        requests,
        rate,
    )


@st.composite
def runs(draw: st.DrawFn) -> SpeedRun:
    """Any run of `KEY`'s model under any workload, with times as a clock gives them."""
    workload = draw(workloads())

    def request() -> Request:
        arrived = draw(st.just(0.0) | GAP)
        first = arrived + draw(GAP)
        return Request(arrived, first, first + draw(st.just(0.0) | GAP), workload.output_tokens)

    def one_round() -> Round:
        return Round(tuple(request() for _ in range(workload.requests)), draw(st.integers(0, 9)))

    def session() -> SpeedSession:
        return SpeedSession(
            "2026-01-02T03:04:05.25+02:00",
            tuple(one_round() for _ in range(draw(st.integers(1, 3)))),
            draw(st.none() | st.just("0123abc-dirty")),
            draw(FOOTPRINTS),
            tuple(draw(st.lists(GAP, max_size=3))),
            tuple(draw(st.lists(STATES, max_size=2))),
            draw(st.none() | st.floats(1, 1e15)),
            draw(st.integers(0, 9)),
            draw(ARGS),
        )

    run = make_speed(*(session() for _ in range(draw(st.integers(1, 3)))), workload=workload)
    # No clock gives the same times twice, and a file that holds them is refused.
    assume(len({session.rounds for session in as_stored(run).sessions}) == len(run.sessions))
    return run


@given(run=runs())
@settings(
    max_examples=80, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
def test_every_run_comes_back_to_the_microsecond(
    tmp_path_factory: pytest.TempPathFactory, run: SpeedRun
) -> None:
    """Times come back within half a microsecond, all else equal; saved again, the same bytes."""
    store, key = SpeedStore(tmp_path_factory.mktemp("store") / "baselines"), SpeedKey.of(run)
    store.save(key, run)
    loaded = store.load(key)
    assert loaded == as_stored(run)
    assert replace(loaded, sessions=()) == replace(run, sessions=())
    for before, after in zip(run.sessions, loaded.sessions, strict=True):
        rest = [replace(session, rounds=(), load_seconds=()) for session in (before, after)]
        assert rest[0] == rest[1]
        for old, new in zip(before.rounds, after.rounds, strict=True):
            assert math.isclose(old.seconds, new.seconds, rel_tol=1e-12, abs_tol=0.51e-6)
    assert encode_speed(key, loaded) == encode_speed(key, run)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
@settings(derandomize=True, deadline=None)
def test_rounded_times_keep_their_order(first: float, second: float) -> None:
    """Never out of order, to the microsecond, and to six digits where times are tiny."""
    low, high = sorted((first, second))
    assert rounded(low) <= rounded(high)
    assert rounded(rounded(low)) == rounded(low)
    assert abs(rounded(low) - low) <= min(0.5e-6, 0.5e-5 * low) * (1 + 1e-6) + 1e-16 * low
    assert (rounded(low) > 0) == (low > 0)


def test_the_file_reads_from_the_top(tmp_path: Path) -> None:
    """Fixed order, one line for each round and each state, times as short as they are."""
    store = saved_speed(tmp_path)
    folder = "baselines/org--tiny/bf16/transformers/speed/NVIDIA_H100_80GB_HBM3"
    assert store.path(KEY) == f"{folder}/batch-1.128+64.json"
    files = [
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    ]
    assert files == [store.path(KEY)]
    text = speed_path(store).read_text()
    assert list(json.loads(text)) == [
        "schema_version",
        "key",
        "repeated",
        "model",
        "effective",
        "software",
        "machine",
        "sessions",
        "digest",
    ]
    lines = [line.strip().rstrip(",") for line in text.splitlines()]
    at = lines.index('"rounds": [')
    assert lines[at + 1 : at + 5] == [
        '{"block":0,"requests":[[0,0.021,0.734]]}',
        '{"block":0,"requests":[[0,0.022001,0.735001]]}',
        '{"block":0,"requests":[[0,0.023002,0.736002]]}',
        "]",
    ]
    assert sum(line.startswith('{"clock_mhz":1980.0,') for line in lines) == 2


def test_a_new_session_is_an_addition_to_the_file(tmp_path: Path) -> None:
    """A reviewer's diff of a second session is that session, a comma and the digest."""
    store = saved_speed(tmp_path)
    before = speed_path(store).read_text()
    later = make_session(make_rounds(4, pace=0.012), recorded_at="2026-02-02T03:04:05Z")
    store.add(KEY, make_speed(later))
    after = speed_path(store).read_text()
    kept, rest = before.split("\n  ],\n")
    assert after.startswith(f'{kept},\n    {{\n      "recorded_at": "2026-02-02T03:04:05Z"')
    assert after.split("\n  ],\n")[1].count("\n") == rest.count("\n") == 2


def test_sessions_add_up(tmp_path: Path) -> None:
    """Added sessions stand behind the stored ones; the rest is as the newest had it."""
    store = SpeedStore(tmp_path)
    first, second = make_session(), make_session(make_rounds(5), recorded_at="2026-02-02T00:00:00Z")
    assert store.add(KEY, make_speed(first)) == make_speed(first)
    newer = make_speed(second, workload=Workload(rounds=5, warmup=1))
    newer = replace(newer, machine=replace(newer.machine, driver="580.1"))
    assert store.add(KEY, newer) == store.load(KEY)
    stored = store.load(KEY)
    assert stored == replace(newer, sessions=(first, second))
    assert [len(rates) for rates in stored.throughputs()] == [3, 5]
    assert stored.throughputs()[0][0] == pytest.approx(64 / 0.734)
    store.save(KEY, newer)
    assert store.load(KEY) == newer


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": {"weights_digest": "f" * 64}}, "base.weights_digest"),
        ({"model": {"vocab_size": 2}}, "model.vocab_size: baseline 1024, now 2 "),
        ({"machine": {"kind": "rocm"}}, "machine.kind"),
        ({"software": {"versions": {"transformers": "5.17.0"}}}, "torch version"),
        ({"effective": {"kernel": "marlin"}}, "effective.kernel: baseline torch, now marlin"),
    ],
)
def test_sessions_of_something_else_are_not_added(
    tmp_path: Path, changes: dict[str, dict[str, object]], says: str
) -> None:
    """Other weights, another device, software or kernel: refused, and what was stored stays."""
    store = saved_speed(tmp_path)
    other = make_speed()
    for name, parts in changes.items():
        other = replace(other, **{name: replace(getattr(other, name), **parts)})
    with refused(says) as caught:
        store.add(KEY, other)
    assert caught.value.category is Category.NOT_COMPARABLE
    assert (
        words_of(caught.value.problem).help[-1]
        == "record the baseline again: pytest --quant-update=all"
    )
    assert store.load(KEY) == make_speed()


def test_each_session_keeps_its_own_warm_up_and_arguments(tmp_path: Path) -> None:
    """A later recording with other figures changes nothing of what was noted before."""
    store = saved_speed(tmp_path)
    later = replace(make_session(make_rounds(4)), warmup=5, args={})
    store.add(KEY, make_speed(later, workload=Workload(rounds=4, warmup=5)))
    first, second = store.load(KEY).sessions
    assert (first.warmup, first.args) == (2, {"dtype": "bfloat16", "nested": {"one": [1, None]}})
    assert (second.warmup, second.args) == (5, {})
    assert [(state.threads, state.load_average) for state in second.states] == [(8, 1.25)] * 2


@pytest.mark.parametrize(
    ("recorded_at", "utc"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05.25+02:00", "2026-01-02T01:04:05+00:00"),
        ("2026-01-01T23:00:00-02:00", "2026-01-02T01:00:00+00:00"),
    ],
)
def test_the_time_of_a_session(recorded_at: str, utc: str) -> None:
    """Every form that the schema allows is one moment, whatever Python reads by itself."""
    assert moment(recorded_at).astimezone(timezone.utc).isoformat() == utc


def test_the_same_rounds_are_not_added_twice(tmp_path: Path) -> None:
    """A session that is stored already is refused: it would count as another day."""
    store = saved_speed(tmp_path)
    again = make_speed(make_session(recorded_at="2026-02-02T00:00:00Z"))
    with refused("holds the same rounds twice, as two sessions") as caught:
        store.add(KEY, again)
    assert words_of(caught.value.problem).help == ("no stored baseline was changed",)
    assert store.load(KEY) == make_speed()


def test_nothing_is_added_to_what_cannot_be_read(tmp_path: Path) -> None:
    """A damaged file is refused, not replaced by one session; recording anew replaces it."""
    store = saved_speed(tmp_path)
    speed_path(store).write_text("{}")
    with pytest.raises(Refusal) as caught:
        store.add(KEY, make_speed())
    assert caught.value.category is Category.BASELINE_UNREADABLE
    assert speed_path(store).read_text() == "{}"
    store.save(KEY, make_speed())
    assert store.load(KEY) == make_speed()


def test_a_session_is_cut_from_what_was_measured() -> None:
    """Each workload of one measurement becomes a session with the model's own figures."""
    first, other = Workload(warmup=2), Workload(batch_size=8, requests=8, warmup=3)
    session = make_session()
    speed = ModelSpeed(
        (Series(first, session.rounds), Series(other, make_rounds(2, requests=8))),
        session.footprint,
        session.load_seconds,
        session.bandwidth,
        session.states,
    )
    sessions = sessions_of(
        speed, recorded_at=session.recorded_at, git_commit="0123abc", args=session.args
    )
    assert [workload for workload, _ in sessions] == [first, other]
    assert sessions[0][1] == session
    assert sessions[1][1] == replace(session, rounds=make_rounds(2, requests=8), warmup=3)
    bare = sessions_of(speed, recorded_at=session.recorded_at)
    assert (bare[0][1].git_commit, bare[0][1].args) == (None, {})


def test_an_absent_baseline_names_file_neighbours_devices_and_command(tmp_path: Path) -> None:
    """What is missing, what else was recorded there, on which other devices, and the way out."""
    store = saved_speed(tmp_path)
    for name, count in (("NVIDIA A40", 1), ("NVIDIA A40", 2)):
        run = make_speed()
        run = replace(run, machine=replace(run.machine, accelerator=name, count=count))
        store.save(SpeedKey.of(run), run)
    missing = replace(KEY, accelerator="AMD Instinct MI300X")
    with pytest.raises(Refusal) as caught:
        store.load(missing)
    assert caught.value.category is Category.BASELINE_ABSENT
    folder = "baselines/org--tiny/bf16/transformers/speed"
    assert str(words_of(caught.value.problem)).splitlines() == [
        "no speed baseline of batch 1 (128+64 tokens) of org/tiny at bf16 on transformers, "
        "AMD Instinct MI300X",
        f"  {folder}/AMD_Instinct_MI300X/batch-1.128+64.json does not exist",
        "  there is one of 2 x NVIDIA A40, which has a speed of its own",
        "  there is one of NVIDIA A40, which has a speed of its own",
        f"  there is one of {GPU}, which has a speed of its own",
        "  record it: pytest --quant-update",
    ]
    with refused(r"there is .*HBM3/batch-1\.128\+64\.json"):
        store.load(replace(KEY, workload=Workload(batch_size=2, requests=2)))
    assert not store.exists(missing)
    assert store.exists(KEY)


def test_other_accelerators_of_the_same_workload_are_found(tmp_path: Path) -> None:
    """Only where this very workload is stored; strange folders and files are none."""
    assert SpeedStore(tmp_path / "none").accelerators(KEY) == []
    store = saved_speed(tmp_path)
    assert store.accelerators(KEY) == []
    assert store.accelerators(replace(KEY, accelerator="cpu")) == [GPU]
    assert store.accelerators(replace(KEY, count=2)) == [GPU]
    assert (
        store.accelerators(replace(KEY, accelerator="cpu", workload=Workload(prompt_tokens=1)))
        == []
    )
    for name in ("not ours", "x@1", "@2", "x@02"):
        stranger = speed_path(store).parents[1] / name
        stranger.mkdir()
        (stranger / speed_path(store).name).write_text("{}")
    assert store.accelerators(replace(KEY, accelerator="cpu")) == [GPU]


def test_accuracy_and_speed_lie_side_by_side(tmp_path: Path) -> None:
    """Models with either are found; the list of accuracy baselines does not trip over speed."""
    speed = saved_speed(tmp_path)
    store = Store(speed.root)
    assert store.find_models() == ["org/tiny"]
    assert store.keys() == []
    with pytest.raises(Refusal) as caught:
        store.load(TASK_KEY)
    assert caught.value.category is Category.BASELINE_ABSENT
    store.save(TASK_KEY, make_run())
    assert store.keys() == [TASK_KEY]
    assert store.load(TASK_KEY) == make_run()
    assert speed.load(KEY) == make_speed()
    other = make_speed()
    other = replace(other, model=replace(other.model, name="org/other"))
    speed.save(SpeedKey.of(other), other)
    (store.root / "org--empty" / "bf16" / "vllm" / "speed" / "cpu").mkdir(parents=True)
    (store.root / "org--file" / "bf16" / "vllm").mkdir(parents=True)
    (store.root / "org--file" / "bf16" / "vllm" / "speed").write_text("")
    speed_path(speed).write_text("damaged")
    assert store.find_models() == ["org/other", "org/tiny"]


def test_a_workload_asked_for_more_often_is_the_same_baseline(tmp_path: Path) -> None:
    """Rounds and warm-up are no part of the key; each other field is."""
    store = saved_speed(tmp_path)
    again = SpeedKey(**{**KEY.__dict__, "workload": Workload(rounds=99, warmup=0)})
    assert again == KEY
    assert store.load(again) == make_speed()
    for change in (
        {"deployment": ASYNCHRONOUS},
        {"batch_size": 2, "requests": 2},
        {"prompt_tokens": 1},
        {"output_tokens": 1},
        {"requests": 2},
        {"request_rate": 8.0},
    ):
        assert not store.exists(replace(KEY, workload=replace(KEY.workload, **change)))
