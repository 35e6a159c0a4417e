"""Rows are read many at a time, and what that passes over is what reading each would refuse."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantreg.baselines import Store
from pytest_quantreg.baselines.column_reader import CHUNK, _parse_flat, _parse_rows, columns_of
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.strict_json import CorruptFile
from pytest_quantreg.report.words import words_of

from ..wording import corrupt, refused
from .store_samples import KEY, items_path, make_items, make_run, meta_path, reseal, saved

ROWS = b'[3,"aa00aa00aa00aa00",1,0.5]\n[1,"bb11bb11bb11bb11",0,-2e-3]\n[2,"cc",1,7]\n'
MUTATIONS = 6000


def _same(chunk: bytes, width: int) -> bool:
    """Whether both ways gave values; where the fast one does, the other must give the same."""
    flat = _parse_flat(chunk, width)
    try:
        values = _parse_rows(chunk, 0, width)
    except CorruptFile:
        assert flat is None
        return False
    assert flat is None or repr(flat) == repr(values)
    return flat is not None


def test_rows_as_they_are_written_are_read_at_once() -> None:
    """The fast way is taken, and gives what the other does."""
    assert _same(ROWS, 4)


@pytest.mark.parametrize(
    "chunk",
    [
        b'[3,"aa",1,0,9]\n["bb",1,0]\n',
        b'[3,"aa",1]\n[0,7,"bb",1,0]\n',
        b'[3,"aa",1,0,7,"bb",1,0]\n\n',
        b'[3,"aa",1,0],[7,"bb",1,0]\n',
        b'[3,"aa",1,0]\n[7,"bb",1,0]]\n',
        b'[3,"a,a",1]\n[7,"bb",1,0]\n',
        b'[3,"a]\n[a",1,0]\n',
        b'[3,"aa",{"x":1]\n["y":2},0]\n',
        b'[3,"aa",[1],0]\n[7,"bb",[1,2]]\n',
        b'[3,"aa",,0]\n[7,"bb",1,0]\n',
        b'[,"aa",1,0]\n[7,"bb",1,0]\n',
        b'[3,"aa",1,0,]\n[7,"bb",1]\n',
        b"[]\n[]\n",
        b"[",
        b"]\n",
        b"\n",
        b"[]\n",
        b"]\n[\n",
        b'{3,"aa",1,0}\n',
    ],
)
def test_lines_that_are_no_rows_are_never_read_as_rows(chunk: bytes) -> None:
    """Values that only fit together across lines are refused line by line."""
    assert not _same(chunk, 4)


@pytest.mark.parametrize(
    "chunk",
    [
        b'[3, "aa", 1, 0]\n[7, "bb", 1, 0]\n',
        b' [3,"aa",1,0] \n[7,"bb",1,0]\n',
        b'[3,"\\u0061a",1,0]\n[7,"b,b",1,0]\n',
        b'[3,"a[a]",null,true]\n[7,"bb",{},[]]\n',
    ],
)
def test_rows_that_others_wrote_are_rows_too(chunk: bytes) -> None:
    """Blanks, escapes, brackets and other values are what the slower way says they are."""
    _same(chunk, 4)
    assert len(_parse_rows(chunk, 0, 4)) == 8


def test_mutated_rows_are_read_alike_or_left_to_the_slower_way() -> None:
    """6,000 rows with signs put in, taken out or doubled: never other values."""
    rng, fast = random.Random(20260103), 0
    for _ in range(MUTATIONS):
        data = bytearray(ROWS)
        for _ in range(rng.choice((1, 1, 2, 3))):
            at = rng.randrange(len(data))
            junk = rng.choice(
                [b",", b"[", b"]", b"\n", b'"', b"{", b"}", b":", b" ", b"1", b"]\n["]
            )
            data[at : at + rng.choice((0, 0, 1, 2))] = junk
        fast += _same(bytes(data), 4)
    assert MUTATIONS * 0.02 < fast < MUTATIONS * 0.5


def test_chunks_join_to_whole_columns() -> None:
    """Rows beyond one chunk, a column that nobody asks for, and values of every kind."""
    n = CHUNK // 10
    lines = [f'[{n - at},"{at:016x}",{at % 2},null,{at / 7},{at - 9}]\n' for at in range(n)]
    names = ("doc_id", "digest", "score:a", "new:b", "score:c", "score:d")
    columns = columns_of("".join(lines).encode(), names, [*names[:3], *names[4:]])
    assert columns["doc_id"] == tuple(range(n, 0, -1))
    assert columns["digest"] == tuple(f"{at:016x}" for at in range(n))
    assert columns["score:a"] == tuple(float(at % 2) for at in range(n))
    assert columns["score:c"] == tuple(at / 7 for at in range(n))
    assert columns["score:d"] == tuple(float(at - 9) for at in range(n))
    assert "new:b" not in columns


def _refused(store: Store, rows: list[bytes]) -> str:
    """Why rows under a fitting sha256 are refused."""
    data, path = b"\n".join(rows) + b"\n", meta_path(store)
    document = json.loads(path.read_text())
    items_path(store).write_bytes(data)
    document["items"] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    reseal(path, document)
    with pytest.raises(Refusal) as caught:
        store.load(KEY)
    assert caught.value.category is Category.BASELINE_UNREADABLE
    return words_of(caught.value.problem).what


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ((b"0", b"0"), "same doc_id twice"),
        ((b"-1",), "no whole number from 0"),
        ((b"true",), "no whole number from 0"),
        ((b"3.0",), "no whole number from 0"),
        ((b"1e3",), "no whole number from 0"),
        ((b'"7"',), "no whole number from 0"),
        ((b"null",), "no whole number from 0"),
        ((b"9223372036854775808",), "doc_id that is too large"),
        ((b"9" * 400,), "a whole number of 400 digits, too large to use"),
    ],
)
def test_odd_numbers_of_items_are_refused(
    tmp_path: Path, ids: tuple[bytes, ...], says: str
) -> None:
    """Twice, negative, true, with a point, as text, none, or beyond 63 bits."""
    store = saved(tmp_path)
    rows = items_path(store).read_bytes().splitlines()
    for at, doc_id in enumerate(ids):
        rows[at] = b"[" + doc_id + rows[at][rows[at].index(b",") :]
    assert says in _refused(store, rows)


def test_a_digest_of_another_length_is_refused(tmp_path: Path) -> None:
    """In the middle of a chunk, and where whole chunks have another length than others."""
    store = saved(tmp_path)
    rows = items_path(store).read_bytes().splitlines()
    at = rows[5].index(b'"') + 1
    rows[5] = rows[5][:at] + b"00" + rows[5][at:]
    assert "all equally long" in _refused(store, rows)
    line = '[{},"{}"]\n'
    first = "".join(line.format(at, "a" * 16) for at in range(CHUNK // 16))
    rest = "".join(line.format(at, "a" * 18) for at in range(CHUNK // 16))
    with corrupt("all equally long"):
        columns_of((first + rest).encode(), ("doc_id", "digest"), ("doc_id", "digest"))


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ((0, 0), "same doc_id twice"),
        ((0, -1), "no whole number"),
        ((0, True), "no whole number"),
        ((0, 1.0), "no whole number"),
        ((0, 2**63), "too large"),
    ],
)
def test_odd_numbers_of_items_are_never_stored(
    tmp_path: Path, ids: tuple[int, ...], says: str
) -> None:
    """What would be refused when read is refused when written."""
    items = replace(make_items(2), doc_ids=ids)
    store = Store(tmp_path / "baselines")
    with refused(says):
        store.save(KEY, make_run(items))
    assert not store.exists(KEY)
