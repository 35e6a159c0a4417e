"""Whole suites for pytester: scripted models, local lm-eval tasks, a pytest.toml."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from .kept import Settings, _kept_results, kept_settings

__all__ = ["_kept_results", "kept_settings"]

ITEMS = 400
SCHEME = "w8a8-int8"
WRONG = {"seed": 1, "share": 0.2}

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
dataset_kwargs: {{data_files: {{test: items.jsonl}}}}
test_split: test
metadata: {{version: 1.0}}
"""

TASKS = {
    "sum": """
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 8}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
""",
    "pick": """
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: choices
doc_to_target: label
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
""",
    "prose": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{question}}"
metric_list: [{metric: word_perplexity}, {metric: byte_perplexity}]
""",
}
"""400 items each: exact_match; acc and acc_norm; perplexities."""

ANSWERS: dict[str, dict[str, Any]] = {
    "sum": {"target": "answer", "index": "id", "wrong": WRONG},
    "pick": {"target": "label", "index": "id", "wrong": WRONG},
    "prose": {"index": "id"},
}


@pytest.fixture(scope="session")
def _imported_once() -> None:
    """pytester forgets what an inner run imported; these cannot be imported twice, or are slow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in (
            "datasets",
            "hypothesis.strategies",
            "jsonschema",
            "lm_eval.api.model",
            "lm_eval.evaluator_utils",
            "lm_eval.tasks",
            "lm_eval.tasks._yaml_loader",
            "pytest_quantreg.testing.scripted_lm",
            "pytest_quantreg.plugin.run_context",
            "scipy.stats",
            "torch",
            "tqdm.auto",
            "transformers.tokenization_utils_base",
        ):
            import_module(module)


class Suite:
    """A folder with models, tasks and tests, and pytest runs in it.

    ``model/`` is the baseline, ``int8/`` a sound w8a8-int8 checkpoint of it (1 % of the
    answers lost), ``pytest.toml`` names model, backend and tasks.
    """

    def __init__(
        self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, settings: Settings
    ) -> None:
        self.pytester = pytester
        self._settings = settings
        self._monkeypatch = monkeypatch
        self._own_patches = len(monkeypatch._setattr)
        self.path: Path = pytester.path
        self.ini_values: dict[str, Any] = {
            "quant_model": "model",
            "quant_backend": "scripted",
            "quant_include_path": ["tasks"],
        }
        self.model()
        self.checkpoint("int8", also_wrong={"seed": 5, "share": 0.01})
        self.write_tasks()
        self.ini()

    # -- files -------------------------------------------------------------------------

    def model(self, folder: str = "model", **script: Any) -> Path:
        """Writes a scripted model; ``script`` overrides the file's entries."""
        target = self.path / folder
        target.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"tasks": ANSWERS, **script}, indent=1)
        (target / "scripted.json").write_text(text, "utf-8")
        return target

    def checkpoint(
        self, folder: str, scheme: str = SCHEME, *, also_wrong: Any = (), **script: Any
    ) -> Path:
        """Writes a quantized scripted model that loses ``also_wrong`` in every task.

        ``also_wrong`` is a list of item numbers or ``{"seed": 5, "share": 0.1}``.
        """
        tasks = {name: {**how, "also_wrong": also_wrong} for name, how in ANSWERS.items()}
        return self.model(folder, scheme=scheme, **{"tasks": tasks, **script})

    def write_tasks(self, items: int = ITEMS) -> None:
        """Writes the three lm-eval tasks, with so many items each."""
        folder = self.path / "tasks"
        folder.mkdir(exist_ok=True)
        (folder / "loader.py").write_text(LOADER, "utf-8")
        rows = [
            {
                "id": i,
                "question": f"What is {i} plus {i}?",
                "answer": str(2 * i),
                "choices": [f"it is {2 * i + j}" for j in range(4)],
                "label": i % 4,
            }
            for i in range(items)
        ]
        (folder / "items.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
        for name, body in TASKS.items():
            (folder / f"{name}.yaml").write_text(HEAD.format(name=name) + body, "utf-8")

    def ini(self, **values: Any) -> None:
        """Writes pytest.toml anew with these keys changed; None leaves a key out."""
        self.ini_values.update(values)
        lines = [
            f"{key} = {json.dumps(value)}"
            for key, value in self.ini_values.items()
            if value is not None
        ]
        (self.path / "pytest.toml").write_text("\n".join(["[pytest]", *lines]), "utf-8")

    def test(self, source: str, name: str = "test_gate.py") -> Path:
        """Writes a test file; ``import pytest`` is there already."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"import pytest\n{dedent(source)}", "utf-8")
        return path

    # -- runs --------------------------------------------------------------------------

    def run(self, *args: str) -> pytest.RunResult:
        """pytest in this process, with no other installed plugin than this one."""
        with plugins("pytest_quantreg.plugin"):
            return self.pytester.runpytest_inprocess(*args)

    def set_up(self, *args: str) -> pytest.RunResult:
        """The same as the setting of a test: a copy of what such a run left in another test.

        A test that has replaced something of ours by then runs it anew.
        """
        if len(self._monkeypatch._setattr) > self._own_patches:
            return self.run(*args)
        return self._settings.of(self.path, args, self.run)

    def run_interrupted(self, *args: str) -> pytest.RunResult:
        """The same for a test that is interrupted, by Ctrl-C or ``pytest.exit``."""
        with plugins("pytest_quantreg.plugin"):
            return self.pytester.runpytest_inprocess(*args, no_reraise_ctrlc=True)

    def run_with_plugins(self, *args: str) -> pytest.RunResult:
        """pytest in this process, with every installed plugin."""
        return self.pytester.runpytest_inprocess(*args)

    def run_on_workers(self, *args: str, n: int = 2) -> pytest.RunResult:
        """pytest with ``n`` workers of xdist, its controller in this process."""
        with plugins("xdist.plugin,pytest_quantreg.plugin"):
            return self.pytester.runpytest_inprocess(f"-n{n}", *args)

    def run_apart(self, *args: str) -> pytest.RunResult:
        """pytest in a process of its own, with no other installed plugin than this one."""
        with plugins("pytest_quantreg.plugin"):
            return self.pytester.runpytest_subprocess(*args)

    def record(self, *args: str) -> pytest.RunResult:
        """pytest --quant-update as the setting of a test."""
        return self.set_up("--quant-update", *args)

    def record_anew(self, *args: str) -> pytest.RunResult:
        """pytest --quant-update, for tests of what happens in it."""
        return self.run("--quant-update", *args)

    def gate(
        self, *args: str, scheme: str = SCHEME, checkpoint: str | None = "int8"
    ) -> pytest.RunResult:
        """pytest --quant-scheme=... --quant-checkpoint=..."""
        words = [f"--quant-scheme={scheme}"]
        if checkpoint is not None:
            words.append(f"--quant-checkpoint={checkpoint}")
        return self.run(*words, *args)


@contextmanager
def plugins(names: str) -> Iterator[None]:
    """Lets pytest load these plugins and no others, in this process and those it starts.

    Reading the entry points of all packages takes as long as the rest of a short session.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        patch.setenv("PYTEST_PLUGINS", names)
        yield


@pytest.fixture
def suite(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    kept_settings: Settings,
    _imported_once: None,
    _kept_results: None,
) -> Suite:
    """An empty suite: ``suite.test(source)``, ``suite.record()``, ``suite.gate()``."""
    monkeypatch.setenv("QUANTREG_CACHE_DIR", str(pytester.path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    # pytest shortens its lines differently there.
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("BUILD_NUMBER", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    # A test file written twice in one second would be read from its compiled older text.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return Suite(pytester, monkeypatch, kept_settings)
