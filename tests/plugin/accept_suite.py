"""What the tests of no_regression share: a suite with both gates, and its history."""

from __future__ import annotations

import json
from typing import Any

from .conftest import SCHEME, Suite

TESTS = """
    pytestmark = [pytest.mark.min_retention(0.93), pytest.mark.no_regression(0.97)]

    @pytest.mark.parametrize("task", ["sum", "pick"])
    def test_task(task, compare_accuracy):
        compare_accuracy(task)
"""


def loses(share: float) -> dict[str, float]:
    """A part of the right answers lost; a larger part holds the smaller one."""
    return {"seed": 5, "share": share}


def recorded_suite(suite: Suite) -> Suite:
    """Two tasks with both gates, and their baselines."""
    suite.test(TESTS)
    assert suite.record().ret == 0
    return suite


def accepted_suite(suite: Suite) -> Suite:
    """The same with a first accepted run, which loses 1 % of the answers."""
    words = (f"--quant-scheme={SCHEME}", "--quant-checkpoint=int8")
    assert suite.set_up(*words, "--quant-accept", "--quant-why=first release").ret == 0
    return suite


def history(suite: Suite, scheme: str = SCHEME) -> list[dict[str, Any]]:
    """The lines of the history of a scheme."""
    engine = suite.path / "baselines" / "model" / scheme / "scripted"
    path = engine / "accepted" / "history.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
