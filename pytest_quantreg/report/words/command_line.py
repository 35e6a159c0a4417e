"""The voice of the command line, whose options are not those of pytest."""

from __future__ import annotations

from ...core.codes import SharedCode
from .rendering import Voice

COMMAND_LINE = Voice(
    words={
        SharedCode.COMPARE_MORE_ITEMS: "evaluate more with a larger --limit",
        SharedCode.GATE_THE_METRIC: (
            "look at it with --metric {metric}, and choose a --min-retention that every metric "
            "keeps, or gate each by a minimum of its own in a test"
        ),
    }
)
