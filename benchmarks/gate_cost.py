"""What a gate costs beside the same evaluation by `lm_eval` alone: two whole commands, in turn.

Both evaluate the same quantized checkpoint on the same tasks, all items, with the same batch
size; the gate also reads digests, builds item digests, pairs, judges and reports. Prints the
seconds of each round and the ratio of the medians; the target is 1.05.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
TASKS = ("recall", "pattern", "sum", "stories")
TARGET = 1.05


def main() -> int:
    """Runs the rounds and prints the table; 1 when the ratio is above the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scheme", default="w8a8-fp8")
    options = parser.parse_args()
    batch = recorded_batch_size()
    print(f"{options.scheme}, {', '.join(TASKS)}, batch size {batch}\n")
    print(f"{'round':<8}{'lm_eval':>10}{'gate':>10}{'ratio':>9}")
    rounds = []
    for number in range(1, options.rounds + 1):
        # In turn, so that a busy machine slows both.
        alone, gate = seconds(lm_eval(options.scheme, batch)), seconds(pytest(options.scheme))
        rounds.append((alone, gate))
        print(f"{number:<8}{alone:>9.1f}s{gate:>9.1f}s{gate / alone:>9.3f}")
    alone, gate = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"{'median':<8}{alone:>9.1f}s{gate:>9.1f}s{gate / alone:>9.3f}   target {TARGET}")
    return int(gate / alone > TARGET)


def lm_eval(scheme: str, batch: int) -> list[str]:
    """The evaluation alone, as its users run it."""
    checkpoint = EXAMPLES / "checkpoints" / scheme
    arguments = f"pretrained={checkpoint},dtype=auto,softmax_dtype=float32"
    return [
        str(Path(sys.executable).parent / "lm_eval"),
        *("run", "--model", "hf", "--model_args", arguments, "--tasks", ",".join(TASKS)),
        *("--include_path", str(EXAMPLES / "tasks"), "--batch_size", str(batch)),
        *("--device", "cpu", "--log_samples", "--output_path", "{folder}"),
    ]


def pytest(scheme: str) -> list[str]:
    """The gate."""
    return [sys.executable, "-m", "pytest", "-q", str(EXAMPLES), f"--quant-scheme={scheme}"]


def seconds(command: list[str]) -> float:
    """How long a command takes, with its output and caches in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "QUANTREG_CACHE_DIR": folder,
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        began = time.perf_counter()
        done = subprocess.run(
            [word.replace("{folder}", folder) for word in command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        elapsed = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout[-3000:]}")
    return elapsed


def recorded_batch_size() -> int:
    """The batch size that the baselines were recorded with, which the gate takes over."""
    files = sorted((ROOT / "baselines" / "tiny-llama").rglob("*shot.json"))
    sizes = {json.loads(file.read_text("utf-8"))["batch_size"] for file in files}
    (size,) = sizes
    return int(size)


if __name__ == "__main__":
    raise SystemExit(main())
