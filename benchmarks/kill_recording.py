"""Kills recordings by SIGKILL at random moments and counts baselines lost or half-written.

    python benchmarks/kill_recording.py [--n 200] [--items 1319] [--seed 1]

Each round starts a process that records one of two different runs of the same key again
and again, kills it after a random time, and loads what is stored: it must be one of the
two runs, whole. The delays spread over several commits, so kills meet every step; the
table says how many met the middle of one. Ends 1 if a single baseline was lost.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from made_runs import made_accuracy, made_run

from pytest_quantreg.baselines import BaselineKey, Store
from pytest_quantreg.core.errors import QuantregError
from pytest_quantreg.core.records.run import Items, Metric, Run

KEY = BaselineKey("org/model", "bf16", "transformers", "gsm8k", 5)


def make_run(n: int, name: str) -> Run:
    """A run of ``n`` items with two metrics; ``name`` makes it unlike any other."""
    digests = tuple(hashlib.sha256(f"{name}{at}".encode()).hexdigest() for at in range(n))
    scores = tuple(float(int(digest[0], 16) % 3 > 0) for digest in digests)
    metrics = [
        Metric(f"exact_match,{filter_}-match", True, "binary") for filter_ in ("strict", "flexible")
    ]
    items = Items(tuple(range(n)), digests, {metric.name: scores for metric in metrics})
    accuracy = made_accuracy(
        items,
        *metrics,
        task=KEY.task,
        num_fewshot=KEY.num_fewshot,
        gen_kwargs={"until": ["Question:"], "do_sample": False},
    )
    return made_run(accuracy, model=KEY.model, scheme=KEY.scheme)


def record_forever(store: Store, runs: list[Run]) -> None:
    """What the victims do."""
    while True:
        for run in runs:
            store.save(KEY, run)


def state(store: Store, runs: list[Run]) -> str:
    """Which of the runs is stored; anything else is a loss."""
    try:
        stored = store.load(KEY)
    except QuantregError as error:
        return f"LOST: {error.what}"
    return "whole" if stored in runs else "LOST: another run"


def kill_once(store: Store, runs: list[Run], delay: float) -> bool:
    """Records in a process, kills it after ``delay`` seconds; whether it left a trace."""
    victim = os.fork()
    if victim == 0:
        try:
            record_forever(store, runs)
        finally:
            os._exit(1)
    time.sleep(delay)
    os.kill(victim, signal.SIGKILL)
    _, status = os.waitpid(victim, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError("the recording ended by itself")
    return any(path.suffix in (".new", ".tmp") for path in store.root.rglob("*"))


def main() -> int:
    """Runs the rounds and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=200, help="kills")
    parser.add_argument("--items", type=int, default=1319, help="items of each run")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    runs = [make_run(options.items, "one"), make_run(options.items + 7, "two")]
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "baselines")
        started = time.perf_counter()
        for run in runs:
            store.save(KEY, run)
        commit = (time.perf_counter() - started) / 2
        for _ in range(options.n):
            counts["in the middle"] += kill_once(store, runs, rng.uniform(0, 6 * commit))
            counts[state(store, runs)] += 1
        store.save(KEY, runs[0])
        litter = len(list(store.root.rglob("*.new"))) + len(list(store.root.rglob("*.tmp")))
        healed = store.load(KEY) == runs[0] and not litter
    lost = sum(count for state_, count in counts.items() if state_.startswith("LOST"))
    print(f"recordings killed     {options.n}")
    print(f"items per recording   {options.items:,}")
    print(f"one recording takes   {commit * 1e3:.1f} ms")
    print(f"killed in the middle  {counts['in the middle']}  (files of an unfinished commit left)")
    print(f"whole baselines       {counts['whole']}")
    print(f"lost or half-written  {lost}")
    print(f"next save cleans up   {'yes' if healed else 'NO'}")
    for state_ in sorted(counts):
        if state_.startswith("LOST"):
            print(f"  {counts[state_]} x {state_}")
    return 0 if lost == 0 and healed else 1


if __name__ == "__main__":
    sys.exit(main())
