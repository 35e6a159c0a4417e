"""The voice of the command line, whose options are not those of pytest."""

from __future__ import annotations

from ...core.codes import GateCode, SharedCode, TaskCode
from .gates import WORDS, no_score_to_judge, too_few_items
from .rendering import Voice

_LARGER_LIMIT = "evaluate more with a larger --limit"
_MORE_ITEMS = "compare more items (a larger --limit of lm-eval), or gate another task"
_ALIKE = "evaluate both again alike"
_CHOOSE = "choose the tasks that count with --task"
_EACH = (
    "judge each task by itself (without --pooled), or name a metric that all of them have "
    "(--metric)"
)


def _ending_with(last: str, code: GateCode) -> tuple[str, ...]:
    """The lines for tests with another last one."""
    lines = WORDS[code]
    assert isinstance(lines, tuple)
    return (*lines[:-1], last)


COMMAND_LINE = Voice(
    words={
        SharedCode.COMPARE_MORE_ITEMS: _LARGER_LIMIT,
        SharedCode.GATE_THE_METRIC: (
            "look at it with --metric {metric}, and choose a --min-retention that every metric "
            "keeps, or gate each by a minimum of its own in a test"
        ),
        GateCode.TOO_FEW_ITEMS_TO_SEE: too_few_items(_LARGER_LIMIT, "--max-undetected"),
        GateCode.TOO_FEW_ITEMS_TO_FAIL: _ending_with(_MORE_ITEMS, GateCode.TOO_FEW_ITEMS_TO_FAIL),
        GateCode.SPARSE: _ending_with(_MORE_ITEMS, GateCode.SPARSE),
        GateCode.NO_SCORE_TO_JUDGE: no_score_to_judge(
            "leave --min-retention out to have it listed", "name a metric that has with --metric"
        ),
        GateCode.NOT_POOLABLE: _ending_with(_EACH, GateCode.NOT_POOLABLE),
        GateCode.SCORES_OUTWEIGH: _ending_with(_EACH, GateCode.SCORES_OUTWEIGH),
        GateCode.POOL_INCOMPLETE: (
            "{missing} cannot be judged, and a pool without it would be another gate",
            _CHOOSE,
        ),
        GateCode.TASK_TWICE_IN_POOL: (
            "{task} is in several of the groups, and a pool counts each task once",
            _CHOOSE,
        ),
        GateCode.FAR_ABOVE_BASELINE: _ending_with(
            "if it was trained further, use --allow-better", GateCode.FAR_ABOVE_BASELINE
        ),
        GateCode.TOKENS_COUNTED_UNLIKE: _ending_with(_ALIKE, GateCode.TOKENS_COUNTED_UNLIKE),
        GateCode.JUDGED_AS_RERUN: "{cause}: judged as a rerun, declared by --allow-rerun",
        TaskCode.OTHER_METRIC_COMPARED: (
            "{task}: the direction of {first} is unknown, so {metric} is compared instead"
        ),
        GateCode.RECORD_AGAIN: _ALIKE,
        GateCode.RECORD_AGAIN_OR_FEWER: f"{_ALIKE}, or with --limit {{limit}}",
    }
)
