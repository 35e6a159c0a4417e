"""How `min_speedup(1.0)` errs and sees: one model against itself, in real processes, and slowed.

Each session is the product's own: two fresh worker processes (``--per-pair 4`` starts them for
every fourth session only), warm-up, ten rounds of each model in turn. In some workloads one
of them does 5, 10 or 20 % more work in every step. Beside the gate stands what people do
without one: two single runs, or two means, and 5 % tolerance. Then the recorded noise is drawn
again, many times, for rates that 200 sessions cannot show, without and with what was found to
slow one model for a whole session.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from planted import NAME, SHARES, installed

from pytest_quantreg.backends.process.remote import RemoteEngine
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.core.records.speed import ModelSpeed, Workload
from pytest_quantreg.core.stats import speedup_interval, timing_spread
from pytest_quantreg.measure.speed.measure import measure_alone, measure_pair

MODEL = Path(__file__).parents[1] / "examples" / "tiny-llama"
SLOWER = (0.0, 0.05, 0.1, 0.2)
ROUNDS = 10
TOLERANCE = 0.95
ALPHA, MARGIN = 0.05, 0.01
SIMULATED = ((5, ALPHA), (10, ALPHA), (20, ALPHA), (10, ALPHA / 20), (30, ALPHA / 20))
"""Rounds and alpha; divided by 20 it is that of `quant_family_size = 20`."""

Floats: TypeAlias = NDArray[np.float64]
Session: TypeAlias = dict[str, list[list[float]]]
"""Tokens per second by round, a list per share of `SLOWER`: ``baseline`` and ``quantized`` took
turns, ``before`` and ``after`` ran one after the other."""

BURST = """
import random, time
draw = random.Random({seed})
while True:
    until = time.perf_counter() + draw.expovariate(1 / 0.3)
    while time.perf_counter() < until:
        pass
    time.sleep(draw.expovariate(1 / 0.7))
"""


class Lent:
    """A started process that several measurements use: closing it is left to its owner."""

    can_sleep = False

    def __init__(self, engine: RemoteEngine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def copy_bandwidth(self) -> None:
        """Not asked for here, and it takes a second."""

    def close(self) -> None:
        """Does nothing."""


def workloads(tokens: int) -> list[Workload]:
    """One per share; the length of the prompt tells the slowed engine which."""
    return [
        Workload(prompt_tokens=16 + i, output_tokens=tokens, rounds=ROUNDS, warmup=2)
        for i in range(len(SLOWER))
    ]


def spec(slowed: bool) -> ModelSpec:
    """The same model, with or without work added."""
    shares = {str(16 + i): share if slowed else 0.0 for i, share in enumerate(SLOWER)}
    name = f"tiny-llama {'slowed' if slowed else 'as it is'}"
    return ModelSpec(str(MODEL), name, "native", NAME, args={SHARES: shares})


def sessions(count: int, per_pair: int, tokens: int, seed: int, cache: Path) -> Iterator[Session]:
    """Measures; after every ``per_pair`` sessions both processes are started anew."""
    done = 0
    while done < count:
        with ThreadPoolExecutor(2) as starting:
            pair = [starting.submit(start, slowed, cache) for slowed in (False, True)]
        with pair[0].result() as baseline, pair[1].result() as quantized:
            for _ in range(min(per_pair, count - done)):
                yield session(Lent(baseline), Lent(quantized), tokens, seed + done)
                done += 1


def start(slowed: bool, cache: Path) -> RemoteEngine:
    """A fresh process."""
    return RemoteEngine.start(spec(slowed), cache_dir=cache)


def session(baseline: Lent, quantized: Lent, tokens: int, seed: int) -> Session:
    """All workloads in turn, then ten rounds of the one model and ten of the other."""
    all_workloads = workloads(tokens)
    rest: Any = {"seed": seed, "vocab_size": 1000, "say": lambda _: None}
    pair = measure_pair(lambda: baseline, lambda: quantized, all_workloads, exclusive=False, **rest)
    alone = [measure_alone(lambda: baseline, all_workloads[:1], **rest)]
    alone += [measure_alone(lambda: quantized, [workload], **rest) for workload in all_workloads]
    first, *after = (throughputs(speed)[0] for speed in alone)
    return {
        "baseline": throughputs(pair[0]),
        "quantized": throughputs(pair[1]),
        "before": [first] * len(after),
        "after": after,
    }


def throughputs(speed: ModelSpeed) -> list[list[float]]:
    """Tokens per second of every round, by workload."""
    return [list(series.throughputs()) for series in speed.series]


def detect(before: Sequence[float] | Floats, after: Sequence[float] | Floats, alpha: float) -> bool:
    """Whether `min_speedup(1.0)` turns red."""
    return speedup_interval(before, after, confidence=1.0 - alpha, sides=1).high < 1.0


def red(measured: Session, workload: int) -> tuple[bool, bool, bool]:
    """The gate, two single runs, two means."""
    before, after = measured["baseline"][workload], measured["quantized"][workload]
    singles = measured["after"][workload][0] < TOLERANCE * measured["before"][workload][0]
    means = np.mean(measured["after"][workload]) < TOLERANCE * np.mean(measured["before"][workload])
    return detect(before, after, ALPHA), bool(singles), bool(means)


@contextlib.contextmanager
def neighbours(count: int, seed: int) -> Iterator[None]:
    """So many processes that burn a core in bursts, 0.3 s on and 0.7 s off on average."""
    codes = [BURST.format(seed=seed + i) for i in range(count)]
    running = [subprocess.Popen([sys.executable, "-c", code]) for code in codes]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def log_ratios(measured: Sequence[Session]) -> Floats:
    """Of the model that is not slowed: a row per session, a column per round."""
    return np.log([np.divide(pair["quantized"][0], pair["baseline"][0]) for pair in measured])


def centre(logs: Floats) -> float:
    """Logarithm of the estimate that the gate prints."""
    return math.log(speedup_interval(np.ones_like(logs), np.exp(logs)).estimate)


def lasting(logs: Floats) -> float:
    """Standard deviation of what slows one model and not its twin for a whole session.

    A neighbour that outlives the session on the one's core, say. The noise of rounds is
    independent in two parts of a session, so what both parts share lasts: the root of the
    covariance of their centres, the outermost 5 % of each side clipped. Of four rounds
    (AB BA AB BA) two go to either part.
    """
    pieces = logs.reshape(len(logs), -1, 2)
    parts = [[centre(piece[half::2].ravel()) for piece in pieces] for half in (0, 1)]
    shared = np.cov([np.clip(part, *np.quantile(part, [0.05, 0.95])) for part in parts])[0, 1]
    return math.sqrt(max(float(shared), 0.0))


def drawn(logs: Floats, n: int, lasts: float, draws: int, seed: int) -> Iterator[Floats]:
    """Log ratios of sessions of n rounds, made of recorded ones.

    Two neighbouring rounds (A B, B A) stay together, since the order matters: whoever ran
    last runs first next. What ``lasts`` for a whole session is drawn for each, too.
    """
    rng = np.random.default_rng(seed)
    # Deviations from a centre that is made of the same rounds are too small by that factor.
    grow = math.sqrt(logs.shape[1] / (logs.shape[1] - 1.0))
    pieces = grow * (logs - np.array([[centre(row)] for row in logs])).reshape(-1, 2)
    for _ in range(draws):
        chosen = pieces[rng.integers(0, len(pieces), math.ceil(n / 2))].ravel()[:n]
        yield np.asarray(chosen + rng.normal(0.0, lasts))


def real(measured: Sequence[Session]) -> tuple[list[str], list[str]]:
    """The table of what was really measured, and false alarms above the target beyond chance."""
    reds = np.array([[red(pair, i) for i in range(len(SLOWER))] for pair in measured]).mean(axis=0)
    speeds = [
        [speedup_interval(pair["baseline"][i], pair["quantized"][i]).estimate for pair in measured]
        for i in range(len(SLOWER))
    ]
    names = (
        "min_speedup(1.0), detect, 95 %",
        "two single runs, 5 % tolerance",
        f"two means of {ROUNDS}, not in turn, 5 % tolerance",
    )
    lines = [
        row("measured speed-up, median", [float(np.median(ratios)) for ratios in speeds], "9.3f")
    ]
    lines += [row(name, reds[:, i], "9.1%") for i, name in enumerate(names)]
    most = ALPHA + MARGIN + 3.0 * math.sqrt(ALPHA * (1.0 - ALPHA) / len(measured))
    return lines, [f"{names[0]}: {reds[0, 0]:.1%} false alarms"] if reds[0, 0] > most else []


def simulated(logs: Floats, lasts: float, draws: int, seed: int) -> tuple[list[str], list[str]]:
    """The table of drawn sessions, and false alarms above the target beyond chance."""
    lines, misses = [], []
    for n, alpha in SIMULATED:
        reds = np.zeros(len(SLOWER))
        for noise in drawn(logs, n, lasts, draws, seed):
            for i, share in enumerate(SLOWER):
                reds[i] += detect(np.ones(n), np.exp(noise) / (1.0 + share), alpha)
        reds /= draws
        name = f"{n} rounds, {1.0 - alpha:.2%} one-sided"
        lines.append(row(name, reds, "9.2%"))
        if reds[0] > alpha + MARGIN + 3.0 * math.sqrt(alpha * (1.0 - alpha) / draws):
            misses.append(f"{name}: {reds[0]:.2%} false alarms")
    return lines, misses


def row(name: str, figures: Sequence[float] | Floats, style: str) -> str:
    """One line of a table."""
    return f"{name:46}" + "".join(f"{figure:{style}}" for figure in figures)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints both tables; 1 when false alarms exceed alpha + 1 point beyond chance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--per-pair", type=int, default=1, help="sessions per start of processes")
    parser.add_argument(
        "--tokens", type=int, default=8, help="generated per round, about 1.3 ms each"
    )
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--noise", action="store_true", help="a neighbour on every core, in bursts")
    parser.add_argument("--quick", action="store_true", help="8 sessions, 500 draws")
    parser.add_argument("--save", type=Path, help="keeps what was measured")
    parser.add_argument("--read", type=Path, help="takes it from there")
    parser.add_argument("--seed", type=int, default=20_260_101)
    options = parser.parse_args(argv)
    count, draws = (8, 500) if options.quick else (options.sessions, options.draws)
    began = time.perf_counter()
    os.environ["OMP_NUM_THREADS"] = "1"
    if options.read:
        measured = json.loads(options.read.read_text())
    else:
        cores = os.cpu_count() or 1
        with (
            tempfile.TemporaryDirectory() as cache,
            installed(),
            neighbours(cores if options.noise else 0, options.seed),
        ):
            measured = []
            for pair in sessions(
                count, options.per_pair, options.tokens, options.seed, Path(cache)
            ):
                measured.append(pair)
                print(f"\r{len(measured)} of {count} sessions", end="", file=sys.stderr)
                if options.save:
                    options.save.write_text(json.dumps(measured))
        print("\r", end="", file=sys.stderr)
    print(row("share turned red, work added:", [], "") + "".join(f"{x:>+9.0%}" for x in SLOWER))
    print(f"\n{len(measured)} sessions of {ROUNDS} rounds, measured")
    lines, misses = real(measured)
    print("\n".join(lines))
    logs = log_ratios(measured)
    spread = float(np.median([timing_spread(np.exp(ratios), confidence=0.5) for ratios in logs]))
    lasts = lasting(logs)
    print(
        f"\n{draws:,} sessions drawn from them: rounds scatter by {spread:.1%} (standard deviation)"
    )
    lines, more = simulated(logs, 0.0, draws, options.seed)
    print("\n".join(lines))
    print(f"\nthe same, where {lasts:.1%} more slows the one or the other for the whole session")
    lines, most = simulated(logs, lasts, draws, options.seed)
    print("\n".join(lines))
    misses += more + most
    print("\n" + ("\n".join(misses) if misses else "No target missed."))
    print(f"\n{time.perf_counter() - began:.0f} s")
    return int(bool(misses))


if __name__ == "__main__":
    sys.exit(main())
