"""The words of a summary: the outcomes of one model and scheme in, lines out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from ..core.gates.outcome import NOT_RECORDED
from ..core.records.outcome_row import (
    JUDGED,
    KEPT,
    LOST,
    MEASURED,
    NOT_APPLICABLE,
    PRESENT,
    RECORDED,
    REFUSED,
    UNDECIDED,
    Context,
    OutcomeRow,
)
from .messages import bare, confidence, factor
from .number_format import floor_3
from .speed_messages import speed_bound
from .speed_table import required
from .summary_table import WORDS, minima, of_accepted

_MOST_NAMES = 3
_ORDER = (KEPT, LOST, UNDECIDED, REFUSED, NOT_APPLICABLE, MEASURED, RECORDED, PRESENT)


def side_measurements(outcomes: Sequence[OutcomeRow]) -> list[str]:
    """List further measurements, and the reasons for which thresholds were chosen."""
    lines: list[str] = []
    blocks: list[tuple[str, ...]] = []
    for block in dict.fromkeys(
        outcome.speed.lines for outcome in outcomes if outcome.speed is not None
    ):
        # Whole: two workloads may share a line, and each needs its own. What one test
        # says beyond what another said is told alone.
        shared = max(
            (len(earlier) for earlier in blocks if block[: len(earlier)] == earlier), default=0
        )
        lines += block[shared:]
        blocks.append(block)
    chosen = [
        f"{outcome.speed.quantity} {required(outcome.speed)} {outcome.speed.why}"
        for outcome in outcomes
        if outcome.speed is not None and outcome.speed.bound is not None and outcome.speed.why
    ]
    return [*lines, *dict.fromkeys(chosen)]


def title(scheme: str, outcomes: Sequence[OutcomeRow]) -> str:
    """``w8a8-int8 against bf16, detect, 95 %``, as far as it is known and true."""
    if any(outcome.result in (RECORDED, PRESENT) for outcome in outcomes):
        return f"{scheme} baselines"
    if scheme == NOT_RECORDED:
        return "baselines that were not recorded"
    against = [
        outcome.context.baseline_scheme for outcome in outcomes if outcome.context is not None
    ]
    gates = dict.fromkeys(
        f"{outcome.mode}, {confidence(outcome.confidence, outcome.family)}"
        if outcome.mode != "point"
        else "point"
        for outcome in outcomes
        if outcome.mode is not None and outcome.confidence is not None and outcome.unjudged is None
    )
    whose = f"against {against[0]}" if against and against[0] else ""
    parts = [" ".join(filter(None, (scheme, whose))), " and ".join(gates), excused_gates(outcomes)]
    return ", ".join(filter(None, parts))


def excused_gates(outcomes: Sequence[OutcomeRow]) -> str:
    """``LOST sum excused by xfail``; empty where nothing was.

    It stands in the first line of every report: a green session that lost something.
    """
    name = _gate_namer(outcomes)
    parts = []
    for result, word in ((LOST, LOST.upper()), (UNDECIDED, UNDECIDED)):
        names = [
            *dict.fromkeys(
                name(outcome)
                for outcome in outcomes
                if outcome.excused and outcome.result == result
            )
        ]
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        parts += [f"{word} {', '.join(names[:_MOST_NAMES])}{more}"] if names else []
    return f"{' and '.join(parts)} excused by xfail" if parts else ""


def contexts(outcomes: Sequence[OutcomeRow]) -> list[Context]:
    """What is known of the models: the fullest, where a refusal came before the loading."""
    distinct = dict.fromkeys(outcome.context for outcome in outcomes if outcome.context is not None)
    return [context for context in distinct if context.runs_as is not None] or list(distinct)


def closing_lines(outcomes: Sequence[OutcomeRow]) -> Iterator[str]:
    """Counts, what was required, what green could have missed, what would decide the rest."""
    yield counted(outcomes)
    yield from required_lines(outcomes)
    yield from detectable_lines(outcomes)
    yield from advice_lines(outcomes)
    yield from (outcome.headline for outcome in outcomes if outcome.result == REFUSED)
    yield from (f"note: {note}" for outcome in outcomes for note in outcome.notes)


def counted(outcomes: Sequence[OutcomeRow]) -> str:
    """``3 kept, 1 lost``: every outcome but the parts of a pool."""
    counts = Counter(outcome.result for outcome in outcomes if outcome.part_of is None)
    return ", ".join(_count(word, counts[word], outcomes) for word in _ORDER if counts[word])


def detectable_lines(outcomes: Sequence[OutcomeRow]) -> Iterator[str]:
    """The smallest regression that each green ``detect`` gate would have caught."""
    name = _gate_namer(outcomes)
    green = [
        outcome
        for outcome in outcomes
        if outcome.detectable is not None and not outcome.fails and outcome.mode == "detect"
    ]
    shown = {
        "a true retention of": [
            f"{name(outcome)} {floor_3(outcome.detectable or 0.0)}"
            for outcome in green
            if outcome.maximum is None
        ],
        "a true perplexity ratio of": [
            f"{name(outcome)} {factor(outcome.detectable, math.ceil)}"
            for outcome in green
            if outcome.maximum is not None
        ],
        "a true": [
            f"{name(outcome)} of {speed_bound(outcome.speed)}"
            for outcome in outcomes
            if outcome.speed is not None
            and outcome.speed.detectable is not None
            and not outcome.fails
        ],
    }
    for condition, seen in shown.items():
        if seen:
            items = ", ".join(dict.fromkeys(seen))
            colon = "" if condition == "a true" else ":"
            yield f"would have turned red 4 times in 5 at {condition}{colon} {items}"


def advice_lines(outcomes: Sequence[OutcomeRow]) -> Iterator[str]:
    """What would decide the undecided, said once for all tasks that it is the same for."""
    tasks: dict[str, list[str]] = {}
    name = _gate_namer(outcomes)
    for outcome in outcomes:
        if outcome.advice:
            tasks.setdefault(outcome.advice, []).append(name(outcome))
    for advice, names in tasks.items():
        yield f"{', '.join(dict.fromkeys(names))}: {advice}"


def _gate_namer(outcomes: Sequence[OutcomeRow]) -> Callable[[OutcomeRow], str]:
    """The task, with the metric where several of its metrics were judged; of speed, what it is."""
    metrics: dict[str | None, set[str | None]] = {}
    for outcome in outcomes:
        if outcome.minimum:
            metrics.setdefault(outcome.task, set()).add(outcome.metric)

    def name(outcome: OutcomeRow) -> str:
        if outcome.speed is not None:
            return " ".join(
                word for word in (outcome.speed.subject, outcome.speed.quantity) if word
            )
        several = len(metrics.get(outcome.task, ())) > 1
        label = f"{outcome.task} {bare(outcome.metric)}" if several else str(outcome.task)
        return f"{label} (of accepted)" if of_accepted(outcome) else label

    return name


def _count(result: str, count: int, outcomes: Sequence[OutcomeRow]) -> str:
    text = f"{count:,} {WORDS.get(result, result)}"
    passed = any(outcome.result == UNDECIDED and not outcome.fails for outcome in outcomes)
    if result == UNDECIDED and passed:
        return f"{text} (no loss is shown, nor its absence; detect passes that)"
    if result == MEASURED:
        timed = all(outcome.speed is not None for outcome in outcomes if outcome.result == MEASURED)
        paced = timed and not any(
            outcome.speed.unit == "x" for outcome in outcomes if outcome.speed
        )
        marker = "min_retention" if not timed else "max_latency" if paced else "min_speedup"
        return f"{text} (no marker such as {marker} says what must hold)"
    return text


def required_lines(outcomes: Sequence[OutcomeRow]) -> Iterator[str]:
    """What was required, of the baseline and of what was accepted: once where it is the same."""
    yield from _required([outcome for outcome in outcomes if not of_accepted(outcome)], "")
    yield from _required(
        [outcome for outcome in outcomes if of_accepted(outcome)], " of the run accepted last"
    )


def _required(outcomes: Sequence[OutcomeRow], reference: str) -> Iterator[str]:
    modes: dict[str, list[OutcomeRow]] = {}
    for outcome in outcomes:
        if outcome.result in JUDGED and outcome.mode is not None and outcome.minimum is not None:
            modes.setdefault(outcome.mode, []).append(outcome)
    if len(modes) > 1:
        by_mode = (f"{' and '.join(minima(judged))} under {mode}" for mode, judged in modes.items())
        yield f"required{reference}: {', '.join(by_mode)}"
        return
    bounds = minima(outcomes)
    if len(bounds) == 1:
        label = "allowed perplexity ratio" if bounds[0].endswith("max") else "required retention"
        yield f"{label}{reference}: {bounds[0].removesuffix(' max')}"
    elif bounds:
        yield f"required{reference}: {' and '.join(bounds)}, as behind each verdict"
