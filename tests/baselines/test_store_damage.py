"""Whatever happens to stored files, a load gives the very same run or one clear refusal."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.baselines import Store
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.records.run import Run
from pytest_quantreg.report.words import words_of

from ..wording import refused
from .store_samples import KEY, items_path, make_run, meta_path, reseal, saved

MUTATIONS = 2000
SEALED_MUTATIONS = 800


def _refused(store: Store) -> Refusal:
    with pytest.raises(Refusal) as caught:
        store.load(KEY)
    assert caught.value.category is Category.BASELINE_UNREADABLE
    return caught.value


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def _outside(path: Path) -> None:
    away = path.parents[4] / f"away-{path.name}"
    shutil.move(path, away)
    path.symlink_to(away)


def _write(data: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(data)

    return write


def _edit(old: bytes, new: bytes) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        assert old in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(old, new, 1))

    return edit


META_DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut in half": (_cut, r"not valid JSON at line \d+: .*cut off"),
    "empty": (_write(b""), "is empty"),
    "binary": (_write(bytes(range(256))), "binary file"),
    "latin-1": (_edit(b"x86_64", b"x86\xe9"), "not UTF-8"),
    "utf-16": (_write('{"schema_version": "1.0"}'.encode("utf-16")), "UTF-16 text"),
    "with a BOM": (_edit(b"{", b"\xef\xbb\xbf{"), "BOM"),
    "nested deeply": (_write(b"[" * 200_000), "nested too deeply"),
    "nested deeply in a field": (
        _edit(b'"gen_kwargs": {}', b'"gen_kwargs": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000),
        "nested too deeply|digest does not fit",
    ),
    "duplicate names": (_edit(b'"chance":', b'"chance": 0.1, "chance":'), "'chance' twice"),
    "NaN": (_edit(b'"chance": 0.25', b'"chance": NaN'), "NaN, which is no finite"),
    "-Infinity": (_edit(b'"chance": 0.25', b'"chance": -Infinity'), "-Infinity"),
    "a number too large": (_edit(b'"chance": 0.25', b'"chance": 1e999'), "1e999"),
    "a number too long": (
        _edit(b'"chance": 0.25', b'"chance": ' + b"9" * 9999),
        "not usable|digest",
    ),
    "a lone surrogate": (_edit(b"x86_64", b"\\ud800"), "not valid Unicode"),
    "huge": (_write(b" " * 1_100_000), "1,100,000 bytes where at most"),
    "a list": (_write(b"[]"), "not a JSON object"),
    "another object": (_write(b"{}"), "schema_version"),
    "edited by hand": (
        _edit(b'"chance": 0.25', b'"chance": 0.30'),
        "changed after it was recorded",
    ),
    "a merge conflict": (_edit(b'  "chance"', b'<<<<<<< HEAD\n  "chance"'), "merge conflict"),
    "an LFS pointer": (_write(b"version https://git-lfs.github.com/spec/v1\n"), "Git LFS"),
    "a folder": (_folder, "is a folder"),
    "a pipe": (_pipe, "device or pipe"),
    "a link to nothing": (_dangling, "link to nothing"),
    "a link out of the store": (_outside, "leads out of the store"),
}
ITEM_DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut in half": (_cut, "does not hold the 40 items"),
    "empty": (_write(b""), "does not hold the 40 items"),
    "gone": (Path.unlink, "is missing"),
    "one score changed": (_edit(b",1,", b",0,"), "does not hold the 40 items"),
    "huge": (_write(b"x" * 10_000), "10,000 bytes where at most"),
    "a folder": (_folder, "is a folder"),
    "a pipe": (_pipe, "device or pipe"),
    "a link to nothing": (_dangling, "link to nothing"),
    "a link out of the store": (_outside, "leads out of the store"),
}


@pytest.mark.parametrize("name", META_DAMAGE)
def test_a_damaged_meta_file_is_refused(tmp_path: Path, name: str) -> None:
    """The message names the file below the store's parent, what is wrong and the way out."""
    store = saved(tmp_path)
    damage, says = META_DAMAGE[name]
    damage(meta_path(store))
    words = words_of(_refused(store).problem)
    assert words.what.startswith(f"{store.path(KEY)} ")
    assert re.search(says, words.what)
    assert str(tmp_path) not in str(words)
    assert "git checkout -- 'baselines/org--tiny/bf16/transformers/recall.3shot.*'" in str(words)
    assert "--quant-update=all" in str(words)


@pytest.mark.parametrize("name", ITEM_DAMAGE)
def test_damaged_items_are_refused(tmp_path: Path, name: str) -> None:
    """Rows that are not the recorded ones are refused under the name of their own file."""
    store = saved(tmp_path)
    damage, says = ITEM_DAMAGE[name]
    damage(items_path(store))
    words = words_of(_refused(store).problem)
    assert words.what.startswith(store.path(KEY).replace(".json", ".items.jsonl"))
    assert re.search(says, words.what)


@pytest.mark.parametrize("name", sorted({*META_DAMAGE, *ITEM_DAMAGE}))
def test_every_damage_is_healed_by_recording_again(tmp_path: Path, name: str) -> None:
    """``--quant-update=all`` is a way out that works, except for folders in the way."""
    for damages, path_of in ((META_DAMAGE, meta_path), (ITEM_DAMAGE, items_path)):
        if name not in damages or name == "a folder":
            continue
        store = saved(tmp_path / path_of.__name__)
        damages[name][0](path_of(store))
        store.save(KEY, make_run(recorded_at="2026-03-03T03:03:03Z"))
        assert store.load(KEY) == make_run(recorded_at="2026-03-03T03:03:03Z")


def test_a_damaged_baseline_never_falls_back_to_another(tmp_path: Path) -> None:
    """Neither older files beside it nor other keys stand in for an unreadable one."""
    store = saved(tmp_path)
    shutil.copy(meta_path(store), meta_path(store).with_name("recall.0shot.json"))
    shutil.copy(items_path(store), items_path(store).with_name("recall.0shot.items.jsonl"))
    _cut(meta_path(store))
    assert "not valid JSON" in words_of(_refused(store).problem).what


def test_a_baseline_under_another_name_is_refused(tmp_path: Path) -> None:
    """Files copied or renamed to another key still say whose they are."""
    store = saved(tmp_path)
    other = store.root / "org--other"
    shutil.copytree(store.root / "org--tiny", other)
    with refused(r"holds the baseline of recall .* org/tiny .*, not of"):
        store.load(replace(KEY, model="org/other"))


def test_a_model_folder_that_leads_away_is_refused(tmp_path: Path) -> None:
    """A linked folder is not followed out of the store, for reading, listing or writing."""
    store = saved(tmp_path)
    shutil.move(store.root / "org--tiny", tmp_path / "away")
    (store.root / "org--tiny").symlink_to(tmp_path / "away")
    assert "leads out of the store" in words_of(_refused(store).problem).what
    with refused("leads out of the store"):
        store.find_models()


def test_a_link_inside_the_store_and_a_linked_store_are_fine(tmp_path: Path) -> None:
    """Only links that lead out are refused."""
    store = saved(tmp_path)
    store.root.rename(tmp_path / "real")
    store.root.symlink_to(tmp_path / "real")
    inner = tmp_path / "real" / "elsewhere"
    (tmp_path / "real" / "org--tiny").rename(inner)
    (tmp_path / "real" / "org--tiny").symlink_to(inner)
    assert store.load(KEY) == make_run()


def test_converted_line_ends_are_still_the_same_baseline(tmp_path: Path) -> None:
    """A checkout that turns every line end into CRLF loads; one that turns some does not."""
    store = saved(tmp_path)
    for path in (meta_path(store), items_path(store)):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert store.load(KEY) == make_run()
    items_path(store).write_bytes(items_path(store).read_bytes().replace(b"\r\n", b"\n", 1))
    _refused(store)


def test_no_permission_is_refused(open_path: Path, become_nobody: Callable[[], None]) -> None:
    """A file that may not be read says so."""
    store = saved(open_path)
    meta_path(store).chmod(0)
    become_nobody()
    assert "no permission" in words_of(_refused(store).problem).what


def _mutated(data: bytes, rng: random.Random) -> bytes:
    at, other = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    junk = rng.choice([rng.randbytes(rng.randint(1, 8)), b"0", b"1", b"\n", b" ", b"NaN", b"}"])
    lines = data.split(b"\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(8):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + data[other:]
        case 2:
            return data[:at] + junk + data[at:]
        case 3:
            return data[:at] + junk + data[at + len(junk) :]
        case 4:
            return data[:other] + data[at:]
        case 5:
            lines[first], lines[second] = lines[second], lines[first]
            return b"\n".join(lines)
        case 6:
            digit = rng.choice(b"0123456789").to_bytes(1, "big")
            spots = [spot for spot, byte in enumerate(data) if byte in b"0123456789"]
            spot = rng.choice(spots)
            return data[:spot] + digit + data[spot + 1 :]
        case _:
            flipped = bytearray(data)
            flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            return bytes(flipped)


def _outcome(store: Store) -> Run | None:
    try:
        return store.load(KEY)
    except Refusal:
        return None


def test_mutated_files_give_the_same_run_or_a_refusal(tmp_path: Path) -> None:
    """2,000 random mutations: never another exception, never another run."""
    store, run = saved(tmp_path), make_run()
    rng = random.Random(20260102)
    whole = {path: path.read_bytes() for path in (meta_path(store), items_path(store))}
    refused = 0
    for _ in range(MUTATIONS):
        path = rng.choice(list(whole))
        path.write_bytes(_mutated(whole[path], rng))
        loaded = _outcome(store)
        assert loaded is None or loaded == run
        refused += loaded is None
        path.write_bytes(whole[path])
    # Mutations that change nothing (a digit by itself, two equal lines) load.
    assert MUTATIONS * 0.8 < refused < MUTATIONS


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    paths = [at] if at else []
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            paths += _places(inner, (*at, name))
    return paths


def test_sealed_documents_of_any_content_never_crash(tmp_path: Path) -> None:
    """800 documents with a wrong field each but a fitting digest: a run or a refusal."""
    store = saved(tmp_path)
    path, rng = meta_path(store), random.Random(7)
    original = path.read_text()
    odd: list[Any] = [
        None,
        True,
        0,
        -1,
        1.5,
        10**30,
        10**400,
        -(10**400),
        "",
        "x",
        "\0",
        "é" * 600,
        [],
        ["x"],
        {},
        {"x": 1},
    ]
    odd += ["../../etc", "org/other", [1, [2]], "2026-01-02T03:04:05Z", 1e300, "score:x"]
    refused = 0
    for _ in range(SEALED_MUTATIONS):
        document = json.loads(original)
        *parents, last = rng.choice([at for at in _places(document) if at != ("digest",)])
        place = document
        for parent in parents:
            place = place[parent]
        if rng.random() < 0.2 and isinstance(place, dict):
            del place[last]
        else:
            place[last] = rng.choice(odd)
        reseal(path, document)
        refused += _outcome(store) is None
    assert SEALED_MUTATIONS * 0.5 < refused < SEALED_MUTATIONS


def test_sealed_rows_of_any_content_never_crash(tmp_path: Path) -> None:
    """Wrong rows under a fitting sha256 are refused with the number of the line."""
    store = saved(tmp_path)
    path, document = meta_path(store), json.loads(meta_path(store).read_text())
    lines = items_path(store).read_bytes().splitlines()
    cases: dict[bytes, str] = {
        b"": "line 3",
        b"[": "line 3",
        b"{}": "line 3: it is no row of 6 values",
        b"[1,2]": "line 3: it is no row of 6 values",
        b"[],[]": "line 3",
        lines[2] + b"," + lines[2]: "line 3",
        b'[99,"aa00aa00aa00aa00",NaN,0,0,1]': "line 3: it holds NaN",
        b'[99,"aa00aa00aa00aa00",1e999,0,0,1]': "line 3: it holds 1e999",
        b'[99,"aa00aa00aa00aa00",2,0,0,1]': "acc,none = 2.0 for doc 99",
        b'[99,"aa00aa00aa00aa00",true,0,0,1]': "no number",
        b'[99,"aa00aa00aa00aa00",null,0,0,1]': "no number",
        b'[99,"aa00aa00aa00aa00",1,' + b"9" * 400 + b",0,1]": "too large",
        b'[99,"AA00AA00AA00AA00",1,0,0,1]': "hex digits",
        b'[99,"aa00",1,0,0,1]': "hex digits",
        b"[99,7,1,0,0,1]": "no text",
        b'[3.0,"aa00aa00aa00aa00",1,0,0,1]': "whole number",
        b'[3,"aa00aa00aa00aa00",1,0,0,1]': "same doc_id twice",
        b"[" * 99_999: "line 3: it is nested too deeply",
    }
    for row, says in cases.items():
        data = b"\n".join([*lines[:2], row, *lines[3:]]) + b"\n"
        items_path(store).write_bytes(data)
        document["items"] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        reseal(path, document)
        assert says in words_of(_refused(store).problem).what


HUGE = "9" * 400


@pytest.mark.parametrize(
    ("name", "score"),
    [("f1,none", HUGE), ("f1,none", f"-{HUGE}"), ("f1,none", "1e308"), ("f1,none", "true")],
)
def test_a_score_of_400_digits_was_a_traceback(tmp_path: Path, name: str, score: str) -> None:
    """A score that no float holds, or whose sums overflow, or that is no number, is damage."""
    store = saved(tmp_path)
    document = json.loads(meta_path(store).read_text())
    rows = [json.loads(line) for line in items_path(store).read_text().splitlines()]
    at = document["items"]["columns"].index(f"score:{name}")
    for row in rows[:2]:
        row[at] = "HERE"
    text = "".join(f"{json.dumps(row, separators=(',', ':'))}\n" for row in rows)
    text = text.replace('"HERE"', score)
    items_path(store).write_text(text)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    document["items"] |= {"bytes": len(text), "sha256": sha256}
    reseal(meta_path(store), document)
    assert len(str(_refused(store))) < 500


@pytest.mark.parametrize("number", [10**400, 10**300], ids=["400", "300"])
@pytest.mark.parametrize("field", ["total_items", "batch_size", "num_fewshot", "values", "count"])
def test_a_number_of_400_digits_in_the_meta_file(tmp_path: Path, field: str, number: int) -> None:
    """Counts beyond 2^53 break the schema; what no float holds is no number at all."""
    store = saved(tmp_path)
    document = json.loads(meta_path(store).read_text())
    if field == "values":
        document["values"]["f1,none"] = number
    elif field == "batch_size":
        document["batch_size"] = number
    elif field == "count":
        document["items"]["count"] = number
    else:
        document["protocol"][field] = number
    reseal(meta_path(store), document)
    if field == "values" and number == 10**300:
        assert store.load(KEY).accuracy.values["f1,none"] == 1e300
    else:
        assert len(str(_refused(store))) < 500


def test_weights_that_are_all_0_are_damage(tmp_path: Path) -> None:
    """A perplexity per word of no words divided by 0."""
    items = make_run().accuracy.items
    name = "word_perplexity,none"
    run = replace(
        make_run(),
        accuracy=replace(
            make_run().accuracy, items=replace(items, weights={name: (0.0,) * len(items)})
        ),
    )
    with refused("no weight above 0"):
        saved(tmp_path, run)
