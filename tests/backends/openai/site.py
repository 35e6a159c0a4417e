"""A folder with tasks and tests, and two scripted servers that its gates are about."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from .conftest import EXAMPLES, TINY
from .scripted_server import ScriptedServer

SCHEME = "w8a8-int8"
CHECKPOINT = EXAMPLES / "checkpoints" / SCHEME
KEY = "sk-quantreg-0123456789"
ITEMS = 400

LOADER = """
import json
from pathlib import Path
import datasets

def load(**_):
    rows = (Path(__file__).parent / "items.jsonl").read_text("utf-8").splitlines()
    return {"test": datasets.Dataset.from_list([json.loads(row) for row in rows])}
"""

HEAD = """
task: {name}
custom_dataset: !function loader.load
test_split: test
doc_to_text: "{{{{question}}}}"
metadata: {{version: 1.0}}
"""

TASKS = {
    "sum": """
output_type: generate_until
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 8}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
""",
    "pick": """
output_type: multiple_choice
doc_to_choice: choices
doc_to_target: label
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
""",
}

TESTS = """
import pytest

@pytest.mark.min_retention(0.95)
@pytest.mark.parametrize("task", ["sum", "pick"])
def test_keeps(task, compare_accuracy):
    compare_accuracy(task)
"""


class Site:
    """Runs of pytest in processes of their own; ``base`` and ``int8`` are the servers."""

    def __init__(self, folder: Path, tokenizer: Any) -> None:
        self.folder = folder
        self.base = ScriptedServer(tokenizer.decode)
        self.int8 = ScriptedServer(tokenizer.decode, SCHEME)
        self.base.pause = self.int8.pause = 0.0
        self.int8.shift = 0.001
        for server in (self.base, self.int8):
            server.wrong = lambda number: number % 10 == 0
            server.key = KEY
        self._write()

    def close(self) -> None:
        """Ends both servers."""
        self.base.stop()
        self.int8.stop()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """pytest with these words; the addresses are given to each model."""
        environment = {
            **os.environ,
            "OPENAI_API_KEY": KEY,
            "QUANTREG_CACHE_DIR": str(self.folder / "cache"),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "80",
        }
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-vv"]
        addresses = [
            f"--quant-backend-arg=baseline:base_url={self.base.url}",
            f"--quant-backend-arg=quantized:base_url={self.int8.url}",
        ]
        return subprocess.run(
            [*command, "--showlocals", "--tb=long", *addresses, *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def record(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Records the baselines."""
        return self.run("--quant-update", *words)

    def gate(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Gates the quantized model."""
        return self.run(f"--quant-scheme={SCHEME}", f"--quant-checkpoint={CHECKPOINT}", *words)

    def written(self) -> dict[Path, str]:
        """Every file that was written, baselines and caches alike."""
        return {
            path: path.read_text("utf-8", errors="replace")
            for path in self.folder.rglob("*")
            if path.is_file()
        }

    def _write(self) -> None:
        tasks = self.folder / "tasks"
        tasks.mkdir()
        (tasks / "loader.py").write_text(LOADER, "utf-8")
        rows = [
            {
                "question": f"What is {n} plus {n}?",
                "answer": str(2 * n),
                "choices": [f"it is {2 * n + other}" for other in range(4)],
                "label": 0,
            }
            for n in range(1, ITEMS + 1)
        ]
        for n, row in enumerate(rows):
            # The right answer must not always stand first.
            choices, place = list(row["choices"]), n % 4  # type: ignore[call-overload]
            choices[0], choices[place] = choices[place], choices[0]
            row |= {"choices": choices, "label": place}
        (tasks / "items.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
        for name, body in TASKS.items():
            (tasks / f"{name}.yaml").write_text(HEAD.format(name=name) + body, "utf-8")
        lines = [
            "[pytest]",
            f"quant_model = {json.dumps(str(TINY))}",
            'quant_backend = "openai"',
            'quant_include_path = ["tasks"]',
        ]
        (self.folder / "pytest.toml").write_text("\n".join(lines), "utf-8")
        (self.folder / "test_gate.py").write_text(TESTS, "utf-8")
