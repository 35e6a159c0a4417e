"""What measuring a task costs beside the same evaluation by lm-eval alone, in one run."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from pytest_quantreg.core.record import AccuracyRequest
from pytest_quantreg.measure import Journal, TaskLibrary, measure, prepare

EXAMPLES = Path(__file__).parents[1] / "examples"
ALLOWED = 1.05


class Quiet:
    """A progress nobody listens to."""

    def update(self, done: int, total: int, seconds_left: float | None) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


class Engine:
    """The model in ``folder`` through lm-eval's HFLM."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        tokenizer_of: Any = AutoTokenizer.from_pretrained
        self.weights = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
        self.tokenizer = tokenizer_of(folder)

    def lm(self, batch_size: int) -> Any:
        """What both sides run."""
        from lm_eval.models.huggingface import HFLM

        return HFLM(
            pretrained=self.weights,
            tokenizer=self.tokenizer,
            batch_size=batch_size,
            softmax_dtype="float32",
        )

    def is_out_of_memory(self, _: BaseException) -> bool:
        """Never on this model."""
        return False


def alone(engine: Engine, task: str, batch_size: int) -> float:
    """Seconds that lm-eval's own evaluation takes, task loading included."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    began = time.perf_counter()
    simple_evaluate(
        model=engine.lm(batch_size),
        tasks=[task],
        task_manager=TaskManager(include_path=str(EXAMPLES / "tasks"), include_defaults=False),
        bootstrap_iters=0,
    )
    return time.perf_counter() - began


def gate(engine: Any, task: str, batch_size: int) -> float:
    """Seconds that preparing and measuring all items takes, with an empty journal on disk."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(
            AccuracyRequest(task, include_paths=(str(EXAMPLES / "tasks"),)),
            chat=lambda _: None,
            template_digest=None,
            library=TaskLibrary(print),
            say=print,
        )
        measure(
            prepared,
            engine,
            n=len(prepared),
            batch_size=batch_size,
            fingerprint="benchmark",
            journal=Journal(Path(folder)),
            progress=Quiet(),
        )
    return time.perf_counter() - began


def main() -> int:
    """Prints a line per task; 1 if one costs more than 1.05 times lm-eval alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, default=EXAMPLES / "tiny-llama")
    parser.add_argument("--tasks", nargs="+", default=["recall", "pattern", "sum", "stories"])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    engine, worst = Engine(options.model), 0.0
    print(f"{'task':10} {'lm_eval':>9} {'gate':>9} {'ratio':>7}   best of {options.rounds}")
    for task in options.tasks:
        # Alternating, so that a busy machine slows both.
        rounds = [
            (alone(engine, task, options.batch_size), gate(engine, task, options.batch_size))
            for _ in range(options.rounds)
        ]
        theirs, ours = (min(column) for column in zip(*rounds, strict=True))
        worst = max(worst, ours / theirs)
        print(f"{task:10} {theirs:8.2f}s {ours:8.2f}s {ours / theirs:7.3f}")
    return int(worst > ALLOWED)


if __name__ == "__main__":
    raise SystemExit(main())
