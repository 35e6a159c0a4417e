"""How long the store takes: one baseline among many, and two runs of a million items compared.

    python benchmarks/store_speed.py [--baselines 1000] [--items 1000000]

Every figure is the median of five fresh processes; of memory it is the largest peak. CPU
seconds count, imports included, for the machine may be busy. Beside `quantreg compare` stands
what one would write by hand, which reads the same files and checks nothing. Ends 1 if a target
was missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from made_runs import made_accuracy, made_run

from pytest_quantreg.baselines import BaselineKey, RunSettings, Store
from pytest_quantreg.core.records.run import Accuracy, Items, Metric

SMALL = 1319
REPEATS = 5
METRIC = Metric("exact_match,none", True, "binary")
SCHEMES = ("bf16", "fp16")

MOST_MILLISECONDS = 20.0
MOST_SECONDS = 2.0
MOST_MEGABYTES = 500.0

BY_HAND = """
import json, sys
import numpy as np

def scores(path):
    with open(path, encoding="utf-8") as lines:
        return np.array([json.loads(line)[2] for line in lines], dtype=float)

before, after = map(scores, sys.argv[1:])
print(after.mean() / before.mean())
"""


@dataclass(frozen=True)
class Spent:
    """What one process took, or the middle of several."""

    cpu: float
    wall: float
    megabytes: float

    def __str__(self) -> str:
        return f"{self.cpu:8.2f}{self.wall:8.2f}{self.megabytes:8.0f}"


def measured(n: int, seed: int = 0) -> Accuracy:
    """A measurement of ``n`` items in no order; different seeds flip 5 % of the answers."""
    draw, flip = random.Random("right"), random.Random(f"flip {seed}")
    scores = [float(draw.random() < 0.78) for _ in range(n)]
    if seed:
        scores = [1.0 - score if flip.random() < 0.05 else score for score in scores]
    ids = list(range(n))
    random.Random(1234).shuffle(ids)
    items = Items(
        tuple(ids),
        tuple(hashlib.sha256(str(number).encode()).hexdigest()[:20] for number in ids),
        {METRIC.name: tuple(scores)},
        facts={"empty": (0.0,) * n, "truncated": (0.0,) * n},
    )
    return made_accuracy(items, METRIC)


def key_of(task: str, scheme: str = "bf16") -> BaselineKey:
    """Where a run is filed."""
    return BaselineKey("m", scheme, "transformers", task, 0, RunSettings())


def make_many(root: str, count: str) -> None:
    """A store of many small baselines."""
    template = made_run(measured(SMALL))
    for number in range(int(count)):
        protocol = replace(template.accuracy.protocol, task=f"t{number}")
        run = replace(template, accuracy=replace(template.accuracy, protocol=protocol))
        Store(Path(root)).save(key_of(f"t{number}"), run)


def make_large(root: str, count: str) -> None:
    """A store of two large runs."""
    for seed, scheme in enumerate(SCHEMES):
        run = made_run(measured(int(count), seed), scheme=scheme)
        Store(Path(root)).save(key_of("t", scheme), run)


def load_small(root: str) -> None:
    """Prints the milliseconds of one baseline of many, the first and one more."""
    started = time.process_time()
    Store(Path(root)).load(key_of("t7"))
    first = time.process_time()
    Store(Path(root)).load(key_of("t8"))
    print(json.dumps([(first - started) * 1e3, (time.process_time() - first) * 1e3]))


CHILDREN = {"many": make_many, "large": make_large, "load": load_small}


def child(job: str, *arguments: str) -> str:
    """Runs one of `CHILDREN` in a process of its own, and what that prints."""
    # What it needs in memory would count as every later child's peak if it were done here.
    command = [sys.executable, __file__, "--child", job, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def spent(command: Sequence[str]) -> Spent:
    """What a command takes; raises CalledProcessError where it fails."""
    runs = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, command)
        wall = time.perf_counter() - started
        runs.append(Spent(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024))
    return Spent(
        statistics.median(run.cpu for run in runs),
        statistics.median(run.wall for run in runs),
        max(run.megabytes for run in runs),
    )


def small_loads(folder: Path, baselines: int) -> bool:
    """Prints what one of many baselines costs; whether that met the target."""
    root = str(folder / "many")
    child("many", root, str(baselines))
    rounds = [json.loads(child("load", root)) for _ in range(REPEATS)]
    first, after = (statistics.median(times) for times in zip(*rounds, strict=True))
    print(f"one of {baselines:,} baselines of {SMALL:,} items, CPU milliseconds")
    print(f"  the first of a process {first:8.1f}   target {MOST_MILLISECONDS:g}")
    print(f"  one more               {after:8.1f}")
    return first <= MOST_MILLISECONDS


def large_runs(folder: Path, items: int) -> bool:
    """Prints what comparing two large runs costs; whether that met the target."""
    root = folder / "large"
    child("large", str(root), str(items))
    runs = [root.parent / Store(root).path(key_of("t", scheme)) for scheme in SCHEMES]
    rows = [str(run).replace(".json", ".items.jsonl") for run in runs]
    judged = ["compare", *map(str, runs), "--min-retention", "0.9"]
    gate = spent(["-m", "pytest_quantreg.cli", *judged])
    print(f"two runs of {items:,} items       CPU s  wall s      MB")
    print(f"  quantreg compare, with a gate {gate}   target {MOST_SECONDS:g} s, ", end="")
    print(f"{MOST_MEGABYTES:g} MB")
    print(f"  by hand: json, numpy, no checks{str(spent(['-c', BY_HAND, *rows]))[1:]}")
    return gate.cpu <= MOST_SECONDS and gate.megabytes <= MOST_MEGABYTES


def main() -> int:
    """Makes the stores in a temporary folder and prints both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--baselines", type=int, default=1000)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        job, *arguments = chosen.child
        CHILDREN[job](*arguments)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        met = [small_loads(Path(folder), chosen.baselines), large_runs(Path(folder), chosen.items)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
