"""Metrics that no gate judges: named where they are surely lost, red under certify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import ANSWERS, HEAD, LOADER, WRONG, Suite

BODY = """
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 8}
process_results: !function loader.score
metric_list:
  - {metric: lenient, aggregation: mean, higher_is_better: true}
  - {metric: strict, aggregation: mean, higher_is_better: true}
"""

SCORE = """
def score(doc, results):
    right = results[0].strip() == doc["answer"]
    return {"lenient": float(right or results[0].strip() == "?"), "strict": float(right)}
"""

LOSES = {"seed": 5, "share": 0.3}

GATE = """
@pytest.mark.min_retention(0.9)
def test_two(compare_accuracy):
    compare_accuracy("two")
"""


@pytest.fixture
def loses(suite: Suite) -> Suite:
    """A task whose first metric takes any ``?`` for right, and a model that says it often."""
    (suite.path / "tasks" / "loader.py").write_text(LOADER + SCORE, "utf-8")
    for name, body in (("two", BODY), ("three", BODY.replace("{{question}}", "So, {{question}}"))):
        (suite.path / "tasks" / f"{name}.yaml").write_text(HEAD.format(name=name) + body, "utf-8")
    group = "group: both\ntask: [two, three]\naggregate_metric_list: [{metric: lenient}]\n"
    (suite.path / "tasks" / "both.yaml").write_text(group, "utf-8")
    how: dict[str, Any] = {"target": "answer", "index": "id", "wrong": WRONG}
    tasks = {**ANSWERS, "two": how, "three": how}
    suite.model(tasks=tasks)
    suite.checkpoint("int8", tasks={**tasks, "two": {**how, "also_wrong": LOSES}})
    suite.test(GATE)
    return suite


NAMED = "two: no gate judges strict, which is surely below 0.9: it keeps *"


def test_a_lost_metric_beside_the_judged_one_was_green_in_silence(
    loses: Suite, tmp_path: Path
) -> None:
    """Detect names it, with the way out, in the verdict and in every report, and stays green."""
    loses.record()
    result = loses.gate(
        "-rP", "--quant-report=run.json", "--quant-report=run.md", "--junitxml=j.xml"
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [f"  {NAMED}gate it with its own minimum: min_retention(R, metric='strict')"]
    )
    result.stdout.fnmatch_lines(["two * kept", "1 kept", f"note: {NAMED.partition(' surely')[0]}*"])
    (outcome,) = json.loads((loses.path / "run.json").read_text("utf-8"))["outcomes"]
    assert outcome["result"] == "kept"
    (other,) = outcome["also_lost"]
    assert (other["task"], other["metric"], other["minimum"]) == ("two", "strict,none", 0.9)
    assert other["high"] < 0.9
    assert other["confidence"] == 0.95
    assert "no gate judges strict" in (loses.path / "run.md").read_text("utf-8")
    junit = (loses.path / "j.xml").read_text("utf-8")
    assert '"quantreg.two.lenient.also_lost" value="two strict"' in junit


def test_certify_passed_a_model_that_lost_a_metric(loses: Suite) -> None:
    """It fails, with bounds, confidence and what to write; a gate on the metric excuses it."""
    loses.record()
    result = loses.gate("--quant-gate=certify")
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "LOST w8a8-int8 two: no gate judges strict, which keeps * of the baseline's, with 95 % "
            "confidence no more than *; 90 % was required of lenient",
            "  baseline 0.833, quantized 0.5* on 400 items: * answers lost, 0 won",
            "  certify fails on every metric that is surely lost: gate it with its own minimum: "
            "min_retention(R, metric='strict')",
            "*, certify, 95 % =*",
            "two * lenient * kept",
            "two * strict * LOST",
            "1 kept, 1 lost",
        ]
    )
    loses.test(GATE.replace("\ndef", "\n@pytest.mark.min_retention(0.5, metric='strict')\ndef"))
    result = loses.gate("--quant-gate=certify")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*no gate judges*")
    loses.test(f"@pytest.mark.xfail\n{GATE.strip()}")
    loses.gate("--quant-gate=certify").assert_outcomes(xfailed=1)


@pytest.mark.parametrize(
    ("marks", "call", "mode", "named"),
    [
        ("min_retention(0.9)", '"two", metric="lenient"', "certify", True),
        ("min_retention(0.9)", '"two"', "point", True),
        ("min_retention(0.9, task='*')", '"two"', "certify", True),
        ("min_retention(0.9)", '"both"', "detect", True),
        ("min_retention(0.9, task='*', metric='strict')", '"three"', "certify", False),
        ("min_retention(0.5)", '"two"', "certify", False),
    ],
)
def test_which_metrics_are_looked_at(
    loses: Suite, marks: str, call: str, mode: str, named: bool
) -> None:
    """Those of each task of a pool or group too; point, which promises nothing, names them."""
    loses.test(
        f"""
        @pytest.mark.{marks}
        def test_two(compare_accuracy):
            compare_accuracy({call})
        """
    )
    loses.record()
    result = loses.gate(f"--quant-gate={mode}")
    assert result.ret == (1 if named and mode == "certify" else 0)
    if named:
        result.stdout.fnmatch_lines(["*two: no gate judges strict*"])
    else:
        result.stdout.no_fnmatch_line("*no gate judges*")


@pytest.mark.parametrize(
    ("marks", "calls", "unjudged"),
    [
        (["0.9, task='three'"], ["both"], "two"),
        (["0.9, task='three'", "0.9, task='two'"], ["both"], None),
        (["0.9"], ["both"], None),
        (["0.9, task='*'"], ["both"], None),
    ],
)
def test_a_gate_on_one_task_of_a_group_passed_for_all_of_it(
    loses: Suite, marks: list[str], calls: list[str], unjudged: str | None
) -> None:
    """Under --quant-require the other tasks of the group need a gate as well."""
    decorators = "\n".join(f"@pytest.mark.min_retention({minimum})" for minimum in marks)
    body = "\n".join(f"    compare_accuracy({task!r})" for task in calls)
    loses.test(f"{decorators}\ndef test_two(compare_accuracy):\n{body}")
    loses.record()
    result = loses.gate("--quant-require")
    assert result.ret == (0 if unjudged is None else 1)
    if unjudged is not None:
        assert result.outlines[-1].endswith(f"] measured {unjudged}, and no gate judged it")
