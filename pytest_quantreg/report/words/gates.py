"""Words of gates and what they compare."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.codes import GateCode
from ...core.facts import Fact
from .template import Lines, Table


def _unfed(facts: Mapping[str, Fact]) -> Lines:
    did = "measured {tasks}" if facts["tasks"] else "measured nothing"
    call = "compare_accuracy({task!r})" if facts["task"] else "compare_accuracy(TASK)"
    return (
        f"the test {did}, so {{gate}} judged nothing",
        f"call {call} in the body of the test, or take the marker off it",
    )


WORDS: Table = {
    GateCode.UNFED: _unfed,
}
