"""The walk through a baseline's life: it goes through, and it tells where something is wrong."""

from __future__ import annotations

import json
import warnings
from importlib import import_module
from pathlib import Path

import pytest

from pytest_quantreg.testing import Models, Step, walk

ITEMS = 400
TASK = """
task: sum
custom_dataset: !function loader.load
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 8}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
metadata: {version: 1.0}
"""
LOADER = f"""
import datasets

def load(**_):
    def row(i):
        return {{"id": i, "question": f"{{i}} plus {{i}}?", "answer": str(2 * i)}}

    rows = [row(i) for i in range({ITEMS})]
    return {{"test": datasets.Dataset.from_list(rows)}}
"""
GATE = ("--quant-scheme=w8a8-int8", "--quant-checkpoint=int8")
SUITE = """
import pytest

@pytest.mark.min_retention(0.9)
@pytest.mark.no_regression(0.98)
def test_sum(compare_accuracy):
    compare_accuracy("sum")
"""


def write_model(folder: Path, wrong: float, scheme: str | None = None) -> None:
    """A scripted model that answers a share of the questions wrong."""
    folder.mkdir(exist_ok=True)
    task = {"target": "answer", "index": "id", "wrong": {"seed": 1, "share": wrong}}
    script = {"tasks": {"sum": task}, **({"scheme": scheme} if scheme else {})}
    (folder / "scripted.json").write_text(json.dumps(script), "utf-8")


@pytest.fixture(scope="module")
def _imported_once() -> None:
    """pytester forgets what an inner run imported; these cannot be imported twice."""
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


@pytest.fixture
def models(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, _imported_once: None
) -> Models:
    """A suite with both gates, a task and a baseline, and the models of a walk."""
    for name in ("CI", "BUILD_NUMBER", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QUANTREG_CACHE_DIR", str(pytester.path / "cache"))
    tasks = pytester.path / "tasks"
    tasks.mkdir()
    (tasks / "sum.yaml").write_text(TASK, "utf-8")
    (tasks / "loader.py").write_text(LOADER, "utf-8")
    (pytester.path / "pytest.toml").write_text(
        '[pytest]\nquant_model = "model"\nquant_backend = "scripted"\n'
        'quant_include_path = ["tasks"]\n',
        "utf-8",
    )
    (pytester.path / "test_gate.py").write_text(SUITE, "utf-8")
    model, int8 = pytester.path / "model", pytester.path / "int8"
    write_model(model, 0.1)
    return Models(
        sound=lambda: write_model(int8, 0.1, "w8a8-int8"),
        slightly_worse=lambda: write_model(int8, 0.15, "w8a8-int8"),
        broken=lambda: write_model(int8, 0.4, "w8a8-int8"),
        retrained=lambda: write_model(model, 0.09),
    )


def test_the_whole_life(pytester: pytest.Pytester, models: Models) -> None:
    """Every step ends as it should, in the order that the page on baselines tells."""
    steps = walk(pytester.runpytest_inprocess, models, gate=GATE)
    assert [step.name for step in steps] == [
        "absent",
        "recorded",
        "present",
        "nothing accepted",
        "accepted",
        "pass",
        "regression",
        "regression is not accepted",
        "fail",
        "broken is not accepted",
        "pass again",
        "updated",
    ]
    assert [step.status for step in steps] == [1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 0, 0]
    assert isinstance(steps[0], Step)
    assert "no baseline of sum" in steps[0].text


@pytest.mark.slow
def test_a_gate_that_lets_too_much_through(pytester: pytest.Pytester, models: Models) -> None:
    """A margin so wide that nothing is a regression stops the walk at that step."""
    wide = SUITE.replace("0.98", "0.9")
    (pytester.path / "test_gate.py").write_text(wide, "utf-8")
    with pytest.raises(AssertionError, match="exit status 0, not 1: regression"):
        walk(pytester.runpytest_inprocess, models, gate=GATE)


def test_the_right_status_for_another_reason() -> None:
    """A step that ends as it should and says something else is told with what was printed."""

    def run(*_: str) -> pytest.RunResult:
        return pytest.RunResult(1, ["1 failed, for want of a fixture"], [], 0.1)

    models = Models(*[lambda: None] * 4)
    with pytest.raises(AssertionError, match=r"(?s)nothing like 'REFUSED .*for want of a fixture"):
        walk(run, models, gate=GATE)
