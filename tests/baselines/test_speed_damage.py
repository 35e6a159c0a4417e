"""Whatever happens to a stored speed, a load gives the very same run or one clear refusal."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pytest_quantreg.baselines import SpeedKey, SpeedStore, Store
from pytest_quantreg.baselines.versions import RUN, SPEED
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.records.speed import Footprint, Request, Round, Workload
from pytest_quantreg.core.records.speed_run import SpeedRun
from pytest_quantreg.report.words import words_of

from ..wording import refused, wrong_use
from . import test_store_damage as damage
from .speed_samples import KEY, make_rounds, make_session, make_speed, saved_speed, speed_path
from .store_samples import KEY as TASK_KEY
from .store_samples import make_run, reseal

MUTATIONS = 1000
SEALED_MUTATIONS = 600
FILE_DAMAGE = {
    name: (hurt, says)
    for name, (hurt, says) in damage.META_DAMAGE.items()
    if name in ("cut in half", "empty", "binary", "with a BOM", "nested deeply", "a list")
    or name in ("another object", "an LFS pointer", "a folder", "a pipe", "a link to nothing")
}


def _replaced(old: str, new: str) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return edit


TEXT_DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "NaN": (_replaced("[0,0.021,", "[0,NaN,"), "NaN, which is no finite"),
    "Infinity": (_replaced("[0,0.021,", "[0,Infinity,"), "Infinity, which is no finite"),
    "a number too large": (_replaced("[0,0.021,", "[0,1e999,"), "1e999"),
    "edited by hand": (_replaced("[0,0.021,", "[0,0.022,"), "changed after it was recorded"),
    "duplicate names": (_replaced('"block":0', '"block":0,"block":0'), "'block' twice"),
    "a merge conflict": (
        _replaced('  "sessions"', '<<<<<<< HEAD\n  "sessions"'),
        "merge conflict",
    ),
    "huge": (damage._write(b" " * 9_000_000), "9,000,000 bytes where"),
}


def _refused(store: SpeedStore) -> Refusal:
    with pytest.raises(Refusal) as caught:
        store.load(KEY)
    assert caught.value.category is Category.BASELINE_UNREADABLE
    return caught.value


@pytest.mark.parametrize("name", [*FILE_DAMAGE, *TEXT_DAMAGE])
def test_a_damaged_file_is_refused_and_healed_by_recording(tmp_path: Path, name: str) -> None:
    """The message names the file, what is wrong and the two ways out, and the second works."""
    store = saved_speed(tmp_path)
    hurt, says = {**FILE_DAMAGE, **TEXT_DAMAGE}[name]
    hurt(speed_path(store))
    refusal = _refused(store)
    assert words_of(refusal.problem).what.startswith(f"{store.path(KEY)} ")
    assert re.search(says, words_of(refusal.problem).what)
    assert str(tmp_path) not in str(refusal)
    assert words_of(refusal.problem).help == (
        f"restore it with: git checkout -- {store.path(KEY)}",
        "or record it again: pytest --quant-update=all",
    )
    if name != "a folder":
        store.save(KEY, make_speed())
        assert store.load(KEY) == make_speed()


def _at(document: Any, *place: str | int) -> Any:
    for part in place:
        document = document[part]
    return document


REQUESTS = ("sessions", 0, "rounds", 1, "requests")


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ((*REQUESTS, 0), [0, 0.9, 0.7], r"times out of order: .*\(request 1 of round 2 of sess"),
        ((*REQUESTS, 0), [0.1, 0.1, 0.7], "times out of order: arrived 0.1, first_token 0.1"),
        ((*REQUESTS, 0), [-0.1, 0.1, 0.7], "breaks the schema: sessions.0.rounds.1.requests.0.0"),
        ((*REQUESTS, 0), [0, 0.1], "breaks the schema: sessions.0.rounds.1.requests.0"),
        ((*REQUESTS, 0), [0, 0.1, 0.2, 0.3], "breaks the schema"),
        ((*REQUESTS, 0, 1), "0.021", "breaks the schema"),
        ((*REQUESTS, 0, 1), True, "breaks the schema"),
        ((*REQUESTS, 0, 1), None, "breaks the schema"),
        ((*REQUESTS, 0, 1), 10**400, "a whole number of 401 digits, too large to use"),
        (REQUESTS, [], "breaks the schema"),
        (REQUESTS, [[0, 1, 2]] * 2, "2 requests in round 2 of session 1 of a workload that has 1"),
        (("sessions", 0, "rounds"), [], "breaks the schema"),
        (("sessions",), [], "breaks the schema"),
        (("sessions", 0, "load_seconds"), [0], "load_seconds = 0.0 in session 1, which must be"),
        (("sessions", 0, "recorded_at"), "yesterday", "breaks the schema: sessions.0.recorded_at"),
        (("sessions", 0, "bandwidth"), 0, "breaks the schema"),
        (("sessions", 0, "states", 0, "others"), "two", "breaks the schema"),
        (("sessions", 0, "footprint", "peak_of"), "guess", "breaks the schema"),
        (("sessions", 0, "host"), "somebody", "breaks the schema"),
        (("sessions", 0, "recorded_at"), "2026-02-30T01:02:03Z", "no time"),
        (("sessions", 0, "recorded_at"), "2026-01-01T25:00:00+02:00", "in session 1, no time"),
        (("sessions", 0, "warmup"), -1, "breaks the schema: sessions.0.warmup"),
        (("sessions", 0, "warmup"), 1.5, "breaks the schema: sessions.0.warmup"),
        (("sessions", 0, "args"), ["dtype"], "breaks the schema: sessions.0.args"),
        (("sessions", 0, "states", 0, "threads"), 0, "breaks the schema"),
        (("sessions", 0, "states", 0, "load_average"), "busy", "breaks the schema"),
        (("effective", "quantized_layers"), 29, "more quantized layers than there are"),
        (("key", "workload", "batch_size"), 0, "breaks the schema"),
        (("key", "workload", "batch_size"), 1.0, r"batch_size.*1\.0"),
        (("key", "workload", "batch_size"), 2, "requests=1: .* never has 2 at once"),
        (("key", "workload", "prompt_tokens"), 2, r"holds the baseline of batch 1 \(2\+64 tokens"),
        (("key", "accelerator"), "NVIDIA A40", "holds the baseline of .* NVIDIA A40, not of"),
        (("key", "model"), "/etc/passwd", "filed under a key that cannot be"),
        (("machine", "accelerator"), "NVIDIA A40", "contradicts its key: accelerator is 'NVIDIA"),
        (("software", "backend"), "vllm", "contradicts its key: engine is 'vllm'"),
        (("repeated", "rounds"), 0, "breaks the schema"),
        (("repeated", "warmup"), 10**9, "warmup=1000000000: "),
        (("schema_version",), "1.0.0", "no schema_version"),
        (("unknown",), 1, "breaks the schema"),
    ],
)
def test_a_sealed_file_that_contradicts_itself_is_refused(
    tmp_path: Path, place: tuple[str | int, ...], value: Any, says: str
) -> None:
    """A digest that fits does not make times out of order, or of wrong type, a baseline."""
    store = saved_speed(tmp_path)
    path = speed_path(store)
    document = json.loads(path.read_text())
    _at(document, *place[:-1])[place[-1]] = value
    reseal(path, document)
    assert re.search(says, words_of(_refused(store).problem).what)


@pytest.mark.parametrize("name", ["warmup", "args"])
def test_a_session_that_does_not_say_how_it_was_recorded(tmp_path: Path, name: str) -> None:
    """Without its warm-up or arguments nobody could tell what it compares with."""
    store = saved_speed(tmp_path)
    document = json.loads(speed_path(store).read_text())
    del document["sessions"][0][name]
    reseal(speed_path(store), document)
    assert "breaks the schema: sessions.0" in words_of(_refused(store).problem).what


def test_the_same_rounds_twice_are_damage(tmp_path: Path) -> None:
    """A session copied by hand, its date changed, is no second measurement."""
    store = saved_speed(tmp_path)
    document = json.loads(speed_path(store).read_text())
    copied = {**document["sessions"][0], "recorded_at": "2026-03-02T03:04:05Z"}
    document["sessions"].append(copied)
    reseal(speed_path(store), document)
    assert "holds the same rounds twice, as two sessions" in words_of(_refused(store).problem).what


@pytest.mark.parametrize("version", ["1.9", "2.0"])
def test_what_a_newer_version_wrote_is_not_written_again(tmp_path: Path, version: str) -> None:
    """Neither replaced nor continued: what it knows more would be lost."""
    store = saved_speed(tmp_path)
    path = speed_path(store)
    document = {**json.loads(path.read_text()), "schema_version": version, "later": 1}
    reseal(path, document)
    before = path.read_bytes()
    run = make_speed()
    for write in (
        lambda: store.check_writable(KEY),
        lambda: store.save(KEY, run),
        lambda: store.add(KEY, run),
    ):
        with wrong_use(f"has schema {version}, and this .* writes 1.0"):
            write()
    assert path.read_bytes() == before


def test_versions_are_read_as_those_of_accuracy_are(tmp_path: Path) -> None:
    """A newer major version is refused with the command; unknown fields of a newer minor pass."""
    store = saved_speed(tmp_path)
    path = speed_path(store)
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "schema_version": "2.0"}))
    refusal = _refused(store)
    assert "has schema 2.0; this pytest-quantreg reads up to 1.x" in words_of(refusal.problem).what
    assert "pip install --upgrade pytest-quantreg" in words_of(refusal.problem).help[0]
    document["schema_version"] = "1.7"
    document["note"] = "new"
    document["key"]["workload"]["speculative"] = 4
    document["repeated"]["cooldown"] = 1
    document["sessions"][0]["states"][0]["fan"] = 1
    document["sessions"][0]["rounds"][0]["energy"] = 12.5
    reseal(path, document)
    assert store.load(KEY) == make_speed()
    document["sessions"][0]["bandwidth"] = "fast"
    reseal(path, document)
    assert "bandwidth" in words_of(_refused(store).problem).what


def test_the_schemas_agree() -> None:
    """The schema is one, and what both kinds of files hold is the same in both."""
    speed, run = (json.loads(path.read_text()) for path in (SPEED.schema, RUN.schema))
    Draft202012Validator.check_schema(speed)
    ours, theirs = speed["$defs"], run["$defs"]
    for name in ("name", "sha256", "sha256_or_null", "name_or_null", "count", "model", "effective"):
        assert ours[name] == theirs[name]
    session, provenance = ours["session"]["properties"], theirs["provenance"]["properties"]
    for name in ("recorded_at", "git_commit"):
        assert session[name] == provenance[name]
    for name in ("software", "machine"):
        assert ours[name] == provenance[name]


def test_one_kind_of_baseline_is_not_taken_for_the_other(tmp_path: Path) -> None:
    """Files moved between speed and accuracy are refused on both sides."""
    speed = saved_speed(tmp_path)
    store = Store(speed.root)
    store.save(TASK_KEY, make_run())
    meta = store.root.parent / store.path(TASK_KEY)
    bytes_of = meta.read_bytes(), speed_path(speed).read_bytes()
    speed_path(speed).write_bytes(bytes_of[0])
    meta.write_bytes(bytes_of[1])
    assert "breaks the schema" in words_of(_refused(speed).problem).what
    with refused("breaks the schema"):
        store.load(TASK_KEY)


def _outcome(store: SpeedStore) -> SpeedRun | None:
    try:
        return store.load(KEY)
    except Refusal:
        return None


def test_mutated_files_give_the_same_run_or_a_refusal(tmp_path: Path) -> None:
    """1,000 random mutations: never another exception, never another run."""
    store, rng = saved_speed(tmp_path), random.Random(20260103)
    path = speed_path(store)
    whole, refused = path.read_bytes(), 0
    for _ in range(MUTATIONS):
        path.write_bytes(damage._mutated(whole, rng))
        loaded = _outcome(store)
        assert loaded is None or loaded == make_speed()
        refused += loaded is None
    assert MUTATIONS * 0.8 < refused < MUTATIONS


def test_sealed_documents_of_any_content_never_crash(tmp_path: Path) -> None:
    """600 documents with a wrong field each but a fitting digest: a run or a refusal."""
    store, rng = saved_speed(tmp_path), random.Random(11)
    path = speed_path(store)
    original, refused = path.read_text(), 0
    odd: list[Any] = [None, True, 0, -1, 1.5, 10**30, 10**400, "", "x", "\0", [], ["x"], {}]
    odd += [{"x": 1}, "../../etc", [1, [2]], 1e300, [[0, 1, 2]], [[2, 1, 0]], 1.0, 99]
    for _ in range(SEALED_MUTATIONS):
        document = json.loads(original)
        places = [at for at in damage._places(document) if at != ("digest",)]
        *parents, last = rng.choice(places)
        place = _at(document, *parents)
        if rng.random() < 0.2 and isinstance(place, dict):
            del place[last]
        else:
            place[last] = rng.choice(odd)
        reseal(path, document)
        refused += _outcome(store) is None
    assert SEALED_MUTATIONS * 0.5 < refused < SEALED_MUTATIONS


def _with_request(arrived: float, first: float, ended: float, tokens: int = 64) -> SpeedRun:
    rounds = (*make_rounds(2), Round((Request(arrived, first, ended, tokens),)))
    return make_speed(make_session(rounds))


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (replace(make_speed(), sessions=()), "holds no sessions"),
        (make_speed(make_session(())), "holds no rounds in session 1"),
        (make_speed(make_session(), make_session((Round(()),))), "holds 0 requests in round 1 of"),
        (_with_request(0.0, math.nan, 1.0), r"first_token = nan, .*\(request 1 of round 3 of sess"),
        (_with_request(0.0, 0.5, math.inf), "ended = inf, which is no finite number"),
        (_with_request(0.0, 0.5, 0.4), "times out of order"),
        (_with_request(0.5, 0.5, 0.6), "times out of order"),
        (_with_request(-0.1, 0.5, 0.6), "times out of order"),
        (_with_request(5.0, 5.0 + 1e-8, 6.0), "times out of order"),
        (_with_request(0.0, 0.5, 1e10), "breaks the schema"),
        (_with_request(0.0, 0.5, 0.6, tokens=63), "63 tokens of a workload that asks for 64"),
        (make_speed(replace(make_session(), load_seconds=(math.nan,))), "load_seconds = nan"),
        (make_speed(replace(make_session(), bandwidth=math.nan)), "not JSON compliant"),
        (make_speed(replace(make_session(), bandwidth=-1.0)), "bandwidth"),
        (make_speed(replace(make_session(), recorded_at="now")), "recorded_at"),
        (make_speed(replace(make_session(), git_commit="main")), "git_commit"),
        (make_speed(replace(make_session(), footprint=Footprint(weights=-1))), "weights"),
        (replace(make_speed(), scheme="fp16"), "scheme is 'fp16', filed under 'bf16'"),
        (make_speed(workload=Workload(prompt_tokens=1)), "workload's prompt_tokens is 1, filed"),
    ],
)
def test_unsound_speeds_are_not_stored(tmp_path: Path, run: SpeedRun, says: str) -> None:
    """A measurement that could not be loaded again is refused before a file is touched."""
    store = SpeedStore(tmp_path / "baselines")
    empty = "holds no" in says
    for attempt in (store.save, store.add):
        with refused(says) as caught:
            attempt(KEY, run)
        assert caught.value.category is (
            Category.NOTHING_MEASURED if empty else Category.NOT_COMPARABLE
        )
        assert words_of(caught.value.problem).help == ("no stored baseline was changed",)
    assert not store.root.exists()


def test_a_file_that_leads_out_of_the_store_is_refused(tmp_path: Path) -> None:
    """A linked file is not read; recording again puts a file in its place."""
    store = saved_speed(tmp_path)
    away = speed_path(store).rename(tmp_path / "away.json")
    speed_path(store).symlink_to(away)
    assert "leads out of the store" in words_of(_refused(store).problem).what
    kept = away.read_bytes()
    store.save(KEY, make_speed())
    assert store.load(KEY) == make_speed()
    assert not speed_path(store).is_symlink()
    assert away.read_bytes() == kept


def test_a_session_too_many_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that could not be read back for its size is not written; the old one stays."""
    from pytest_quantreg.baselines import speed_document

    store = saved_speed(tmp_path)
    monkeypatch.setattr(speed_document, "MAX_BYTES", speed_path(store).stat().st_size + 10)
    with refused(r"bytes with its 2 sessions"):
        store.add(KEY, make_speed(make_session(make_rounds(pace=0.012))))
    assert store.load(KEY) == make_speed()


def test_a_baseline_under_another_name_is_refused(tmp_path: Path) -> None:
    """Files copied to another device's folder still say whose they are."""
    store = saved_speed(tmp_path)
    other = replace(KEY, accelerator="NVIDIA A40")
    path = store.root.parent / store.path(other)
    path.parent.mkdir()
    path.write_bytes(speed_path(store).read_bytes())
    with refused(r"holds the baseline of .*HBM3, not of .* NVIDIA A40"):
        store.load(other)
    assert SpeedKey.of(store.load(KEY)) == KEY
