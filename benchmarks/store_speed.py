"""How long the store takes: one baseline among many, and two runs of a million items compared.

    python benchmarks/store_speed.py [--baselines 1000] [--items 1000000]

Prints CPU seconds (the machine may be busy), medians of five fresh processes, and the peak of
resident memory. ``import`` is what a process pays once for jsonschema and numpy.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from pytest_quantreg.baselines import BaselineKey, RunSettings, Store
from pytest_quantreg.core.record import (
    Accuracy,
    EffectiveScheme,
    Items,
    Machine,
    Metric,
    ModelIdentity,
    Protocol,
    Provenance,
    Run,
    Software,
)

SMALL = 1319
REPEATS = 5
METRIC = "exact_match,none"


def a_run(n: int, *, scheme: str = "bf16", seed: int = 0) -> Run:
    """A run of one binary task with ``n`` items; different seeds flip 5 % of the answers."""
    draw, flip = random.Random(1), random.Random(seed)
    scores = [float(draw.random() < 0.78) for _ in range(n)]
    if seed:
        scores = [1.0 - score if flip.random() < 0.05 else score for score in scores]
    items = Items(
        tuple(range(n)),
        tuple(hashlib.sha256(str(i).encode()).hexdigest()[:20] for i in range(n)),
        {METRIC: tuple(scores)},
        facts={"empty": (0.0,) * n, "truncated": (0.0,) * n},
    )
    protocol = Protocol(
        task="t",
        task_version="1.0",
        output_type="generate_until",
        num_fewshot=0,
        chat_template="off",
        template_digest=None,
        fewshot_as_multiturn=False,
        system_instruction_digest=None,
        gen_kwargs={},
        repeats=1,
        seed=1234,
        config_digest="0" * 64,
        metrics=(Metric(METRIC, True, "binary"),),
        total_items=n,
    )
    model = ModelIdentity(
        "m", None, "LlamaForCausalLM", 100, {"hidden_size": 8}, "bfloat16", "0" * 64, None, "1" * 64
    )
    effective = EffectiveScheme(
        scheme, "bfloat16", "bfloat16", "bfloat16", "matmul", "full precision", 0, 1
    )
    provenance = Provenance(
        model,
        scheme,
        effective,
        Software("transformers", {"transformers": "5.17.0", "lm_eval": "0.4.13"}),
        Machine("cpu", "cpu"),
        "2026-01-01T00:00:00Z",
    )
    value = {METRIC: statistics.fmean(scores)}
    return Run(provenance, Accuracy(protocol, items, value, 0.0, 32))


def a_key(task: str = "t", scheme: str = "bf16") -> BaselineKey:
    """The key of `a_run`."""
    return BaselineKey("m", scheme, "transformers", task, 0, RunSettings())


def small(root: str) -> dict[str, float]:
    """One baseline of many: the first, and one more, in this process."""
    started = time.process_time()
    import jsonschema  # noqa: F401  # its share of the first

    imported = time.process_time()
    Store(Path(root)).load(a_key("t7"))
    first = time.process_time()
    Store(Path(root)).load(a_key("t8"))
    return {
        "import": imported - started,
        "first": first - imported,
        "next": time.process_time() - first,
    }


def large(root: str) -> dict[str, float]:
    """Two runs of many items read, paired, and judged."""
    from pytest_quantreg.core.pairs import compare

    started = time.process_time()
    baseline = Store(Path(root)).load(a_key())
    loaded = time.process_time()
    candidate = Store(Path(root)).load(a_key(scheme="fp16"))
    both = time.process_time()
    metric = baseline.accuracy.protocol.metrics[0]
    compare(baseline.accuracy, candidate.accuracy, metric, scheme="fp16", confidence=0.95)
    return {
        "load": loaded - started,
        "load both": both - started,
        "compare": time.process_time() - both,
        "all": time.process_time() - started,
    }


def fresh(what: str, root: Path) -> dict[str, float]:
    """Medians over fresh processes, and the largest peak of memory in MB."""
    found = []
    for _ in range(REPEATS):
        done = subprocess.run(
            [sys.executable, __file__, "--child", what, str(root)],
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(json.loads(done.stdout))
    return {
        name: (max if name == "MB" else statistics.median)(one[name] for one in found)
        for name in found[0]
    }


def main() -> None:
    """Makes the stores in a temporary folder and prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--baselines", type=int, default=1000)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        what, root = chosen.child
        found = (small if what == "small" else large)(root)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**found, "MB": peak}))
        return
    with tempfile.TemporaryDirectory() as folder:
        one = a_run(SMALL)
        for number in range(chosen.baselines):
            task = f"t{number}"
            protocol = replace(one.accuracy.protocol, task=task)
            run = replace(one, accuracy=replace(one.accuracy, protocol=protocol))
            Store(Path(folder) / "many").save(a_key(task), run)
        print(f"{chosen.baselines} baselines of {SMALL} items, CPU milliseconds")
        for name, value in fresh("small", Path(folder) / "many").items():
            print(f"  {name:10} {value if name == 'MB' else value * 1e3:8.1f}")
        store = Store(Path(folder) / "large")
        store.save(a_key(), a_run(chosen.items))
        store.save(a_key(scheme="fp16"), a_run(chosen.items, scheme="fp16", seed=2))
        print(f"two runs of {chosen.items:,} items, CPU seconds")
        for name, value in fresh("large", Path(folder) / "large").items():
            print(f"  {name:10} {value:8.2f}")


if __name__ == "__main__":
    main()
