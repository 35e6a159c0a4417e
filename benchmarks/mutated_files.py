"""Damages stored files at random and reads them: whole as it was, or refused; nothing else.

    python benchmarks/mutated_files.py [--n 10000] [--seed 1]

Takes a copy of a real baseline (its meta file and its rows), of an acceptance history and of the
accepted run it names, and damages one of them at a time: bytes changed, removed, doubled, the end
cut off, other encodings, values replaced by odd ones. A reader that answers with another value than
was stored has passed damage in silence; one that raises anything but a refusal has crashed. Ends 1
if either happened.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_quantreg.baselines import AcceptedRuns, BaselineKey, Store
from pytest_quantreg.core.errors import QuantregError
from pytest_quantreg.core.records.acceptance import Acceptance, AcceptedTask
from pytest_quantreg.core.records.run import Run

SOURCE = Path(__file__).parents[1] / "baselines"
KEY = BaselineKey("tiny-llama", "bf16", "transformers", "sum", 0)
INT8 = replace(KEY, scheme="w8a8-int8")
ODD: tuple[Any, ...] = (None, True, -1, 1e308, 2**70, "", "NaN", "x" * 300, [], {}, [[]], {"a": 1})


def bytes_changed(data: bytes, rng: random.Random) -> bytes:
    """A few bytes replaced, removed or doubled."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(max(len(changed), 1)), rng.randint(1, 60)
        kind = rng.randrange(3)
        if kind == 0 and changed:
            changed[at] = rng.randrange(256)
        elif kind == 1:
            del changed[at : at + length]
        else:
            changed[at:at] = changed[at : at + length]
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    """The end, or the beginning, is missing."""
    at = rng.randrange(len(data))
    return data[:at] if rng.random() < 0.8 else data[at:]


def encoded_otherwise(data: bytes, rng: random.Random) -> bytes:
    """Another encoding, a byte order mark, zeros, a merge conflict, or binary."""
    text = data.decode()
    return rng.choice(
        (
            lambda: text.encode("utf-16"),
            lambda: b"\xef\xbb\xbf" + data,
            lambda: b"\0" * len(data),
            lambda: b"<<<<<<< ours\n" + data + b">>>>>>> theirs\n",
            lambda: rng.randbytes(len(data)),
            lambda: b"[" * 100_000,
            lambda: data * 2,
        )
    )()


def value_changed(data: bytes, rng: random.Random) -> bytes:
    """One value of the JSON replaced by an odd one, left out, renamed or given twice."""
    whole = data.startswith(b"{\n")
    lines = [data.decode()] if whole else data.decode().splitlines()
    line = rng.randrange(len(lines))
    document = json.loads(lines[line])
    all_places = list(_places(document))
    holder, key = rng.choice(all_places)
    kind = rng.randrange(4)
    if kind == 0 or isinstance(holder, list):
        holder[key] = rng.choice(ODD)
    elif kind == 1:
        del holder[key]
    elif kind == 2:
        holder["x"] = holder.pop(key)
    else:
        text = json.dumps(document)
        lines[line] = text.replace("{", '{"key": 1, "key": 2, ', 1)
        return ("\n".join(lines) + "\n").encode()
    lines[line] = json.dumps(document)
    return ("\n".join(lines) + "\n").encode()


def _places(value: Any) -> list[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    places = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], (dict, list)):
            places += _places(value[key])
    return places


KINDS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    bytes_changed,
    cut,
    encoded_otherwise,
    value_changed,
)


def outcome(read: Callable[[], Any], right: Any) -> str:
    """``refused``, ``unharmed`` (what was stored), ``PASSED`` or ``CRASHED``."""
    try:
        value = read()
    except QuantregError:
        return "refused"
    except Exception as error:
        print(f"crashed: {type(error).__name__}: {error}", file=sys.stderr)
        return "CRASHED"
    return "unharmed" if value == right else "PASSED"


def main() -> int:
    """Prints a row per file with what became of its damaged copies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    rng = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "baselines"
        shutil.copytree(SOURCE, root)
        store, accepted = Store(root), AcceptedRuns(root)
        run = store.load(KEY)
        for why in ("first", "second"):
            accepted.accept({INT8: _at(run, INT8.scheme)}, _acceptance(why))
        reads = _targets(root, store, accepted)
        rows = {name: Counter[str]() for name, _, _ in reads}
        for _ in range(chosen.n):
            name, path, read = rng.choice(reads)
            whole, right = path.read_bytes(), read()
            path.write_bytes(rng.choice(KINDS)(whole, rng))
            rows[name][outcome(read, right)] += 1
            path.write_bytes(whole)
    print(f"{chosen.n:,} damaged files")
    words = ("refused", "unharmed", "PASSED", "CRASHED")
    print(f"{'file':16}" + "".join(f"{word:>10}" for word in words))
    for name, row in rows.items():
        print(f"{name:16}" + "".join(f"{row[word]:>10,}" for word in words))
    return int(any(row["PASSED"] or row["CRASHED"] for row in rows.values()))


def _targets(
    root: Path, store: Store, accepted: AcceptedRuns
) -> list[tuple[str, Path, Callable[[], Any]]]:
    of_baseline = root / "tiny-llama" / "bf16" / "transformers"
    of_accepted = root / "tiny-llama" / "w8a8-int8" / "transformers" / "accepted"
    number = max(path for path in of_accepted.iterdir() if path.is_dir())
    return [
        ("baseline", of_baseline / "sum.0shot.json", lambda: store.load(KEY)),
        ("its rows", of_baseline / "sum.0shot.items.jsonl", lambda: store.load(KEY)),
        ("history", of_accepted / "history.jsonl", lambda: accepted.load(INT8)),
        ("accepted run", number / "sum.0shot.json", lambda: accepted.load(INT8)),
        ("its rows ", number / "sum.0shot.items.jsonl", lambda: accepted.load(INT8)),
    ]


def _at(run: Run, scheme: str) -> Run:
    return replace(run, provenance=replace(run.provenance, claimed=scheme))


def _acceptance(why: str) -> Acceptance:
    value = {"exact_match,none": 0.8}
    task = AcceptedTask(INT8.stem, INT8.task, 1500, value, value, 0.98)
    return Acceptance(0, "2026-01-01T00:00:00Z", None, why, "1" * 64, None, (task,))


if __name__ == "__main__":
    raise SystemExit(main())
