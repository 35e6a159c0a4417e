"""Task files that lm-eval loads, and a scripted lm-eval model, for the tests of this room."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.model import LM
from tqdm import tqdm

from pytest_quantreg.core.records.run import AccuracyRequest
from pytest_quantreg.measure import Journal, PreparedTask, TaskLibrary, prepare

LOADER = """
import json
from pathlib import Path
import datasets

def load(data_files, **_):
    here = Path(__file__).parent
    return {
        split: datasets.Dataset.from_list(
            [json.loads(line) for line in (here / name).read_text("utf-8").splitlines()]
        )
        for split, name in data_files.items()
    }
"""

HEAD = """
task: {name}
custom_dataset: !function loader.load
dataset_kwargs:
  data_files: {{test: {name}.jsonl, train: train.jsonl}}
test_split: test
metadata: {{version: 2.0}}
"""

FILES = {
    "choose": """
output_type: multiple_choice
doc_to_text: "{{q}}"
doc_to_choice: choices
doc_to_target: gold
metric_list:
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: mcc, aggregation: matthews_corrcoef, higher_is_better: true}
""",
    "write": """
output_type: generate_until
training_split: train
fewshot_split: train
num_fewshot: 2
doc_to_text: "{{q}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 8, do_sample: false}
filter_list:
  - name: strict
    filter: [{function: regex, regex_pattern: "^(secret[0-9])$"}, {function: take_first}]
  - name: flexible
    filter: [{function: regex, regex_pattern: "(secret[0-9])"}, {function: take_first}]
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
""",
    "translate": """
output_type: generate_until
doc_to_text: "{{q}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], do_sample: true, temperature: 0.5}
metric_list:
  - {metric: chrf, aggregation: chrf, higher_is_better: true}
""",
    "read": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{q}}"
metric_list:
  - metric: word_perplexity
  - metric: byte_perplexity
  - metric: bits_per_byte
""",
}
SIZES = {"choose": 600, "write": 300, "translate": 150, "read": 150}


def _items(name: str, count: int) -> list[dict[str, Any]]:
    rng = random.Random(name)
    return [
        {
            "q": f"private question {i} of {name}: {rng.randrange(10**6)}?",
            "answer": f"secret{rng.randrange(4)}",
            "choices": [f"hidden {rng.randrange(10 ** rng.randrange(1, 9))}" for _ in range(4)],
            "gold": rng.choice([0, 0, 1, 2, 3]),
        }
        for i in range(count)
    ]


@pytest.fixture(scope="session")
def task_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one task of each kind."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "loader.py").write_text(LOADER, "utf-8")
    for name, body in [*FILES.items(), ("train", "")]:
        rows = _items(name, SIZES.get(name, 40))
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
        if body:
            (folder / f"{name}.yaml").write_text(HEAD.format(name=name) + body, "utf-8")
    return folder


@pytest.fixture
def library() -> TaskLibrary:
    """The library of one session."""
    return TaskLibrary(lambda text: None)


@pytest.fixture
def prepared(task_folder: Path, library: TaskLibrary) -> Callable[..., PreparedTask]:
    """Prepares one of the folder's tasks with any field of the request."""

    def make(task: str, **fields: Any) -> PreparedTask:
        fields.setdefault("include_paths", (str(task_folder),))
        chat = fields.pop("chat", lambda template: None)
        shelf = fields.pop("library", library)
        return prepare(
            AccuracyRequest(task, **fields),
            chat=chat,
            template_digest="feed",
            library=shelf,
        )

    return make


class ScriptedLM(LM):  # type: ignore[misc]
    """Answers from a hash of the request; keeps what it was asked; fails on demand."""

    def __init__(self, engine: ScriptedEngine, batch_size: int) -> None:
        super().__init__()
        self.engine = engine
        self.batch_size = batch_size

    def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
        self._ask(requests)
        return [self._score(request.args) for request in requests]

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> Any:
        self._ask(requests)
        return [self._score(request.args)[0] * 20 for request in requests]

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> Any:
        self._ask(requests)
        return [self._write(*request.args) for request in requests]

    def _score(self, args: tuple[str, ...]) -> tuple[float, bool]:
        if self.engine.log_probability is not None:
            return self.engine.log_probability, False
        draw = _draw("|".join(args))
        return -10 * draw - 0.1, draw < 0.1

    def _write(self, prompt: str, options: dict[str, Any]) -> str:
        draw = random.random() if options.get("do_sample") else _draw(prompt)
        text = f"secret{int(draw * 4)}"
        return text if draw * 4 % 1 < 0.7 else f"it is {text}"

    def _ask(self, requests: Any) -> None:
        self.engine.calls += 1
        bar = tqdm(total=len(requests))
        for _ in requests if self.engine.bars else ():
            bar.update(1)
        bar.close()
        if self.engine.cuts:
            logging.getLogger("lm_eval.models.huggingface").warning("Left truncation applied.")
        warnings.warn("a library's own affair", UserWarning, stacklevel=1)
        if self.engine.calls == self.engine.dies_at:
            raise self.engine.death
        if self.batch_size > self.engine.room:
            raise MemoryError("no room")
        self.engine.asked += [(request.doc_id, repr(request.args)) for request in requests]


class ScriptedEngine:
    """What `measure` needs of an engine; ``room`` is the largest batch that fits."""

    def __init__(
        self,
        *,
        dies_at: int = 0,
        death: BaseException | None = None,
        room: float = math.inf,
        log_probability: float | None = None,
    ) -> None:
        self.asked: list[tuple[int, str]] = []
        self.batch_sizes: list[int] = []
        self.bars = False
        self.cuts = False
        self.calls = 0
        self.dies_at = dies_at
        self.death = death or KeyboardInterrupt()
        self.room = room
        self.log_probability = log_probability

    def lm(self, batch_size: int) -> Any:
        self.batch_sizes.append(batch_size)
        return ScriptedLM(self, batch_size)

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError)


class Heard:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.updates: list[tuple[int, int, float | None]] = []

    def update(self, done: int, total: int, seconds_left: float | None) -> None:
        self.updates.append((done, total, seconds_left))

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def scripted() -> Callable[..., Any]:
    """Makes scripted engines."""
    return ScriptedEngine


@pytest.fixture
def heard() -> Heard:
    """What was said while measuring."""
    return Heard()


@pytest.fixture
def memory() -> Journal:
    """A journal without files."""
    return Journal(None)


def _draw(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48
