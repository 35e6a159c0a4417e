"""The words of a summary: the outcomes of one model and scheme in, lines out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from ..core.gates.outcome import (
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
    Outcome,
)
from .messages import NOT_RECORDED, bare, confidence, factor, floor_3
from .speed_messages import speed_bound
from .speed_table import required
from .table import WORDS, minima, of_accepted

_MOST_NAMES = 3
_ORDER = (KEPT, LOST, UNDECIDED, REFUSED, NOT_APPLICABLE, MEASURED, RECORDED, PRESENT)


def measured_beside(outcomes: Sequence[Outcome]) -> list[str]:
    """What was measured beside what was judged, and why which threshold was."""
    lines: list[str] = []
    told: list[tuple[str, ...]] = []
    for block in dict.fromkeys(one.speed.lines for one in outcomes if one.speed is not None):
        # Whole: two workloads may share a line, and each needs its own. What one test
        # says beyond what another said is told alone.
        known = max((len(one) for one in told if block[: len(one)] == one), default=0)
        lines += block[known:]
        told.append(block)
    chosen = [
        f"{one.speed.quantity} {required(one.speed)} {one.speed.why}"
        for one in outcomes
        if one.speed is not None and one.speed.bound is not None and one.speed.why
    ]
    return [*lines, *dict.fromkeys(chosen)]


def title(scheme: str, outcomes: Sequence[Outcome]) -> str:
    """``quantreg: w8a8-int8 against bf16, detect, 95 %``, as far as it is known and true."""
    if any(one.result in (RECORDED, PRESENT) for one in outcomes):
        return f"quantreg: {scheme} baselines"
    if scheme == NOT_RECORDED:
        return "quantreg: baselines that were not recorded"
    against = [one.context.baseline_scheme for one in outcomes if one.context is not None]
    gates = dict.fromkeys(
        f"{one.mode}, {confidence(one.confidence, one.family)}" if one.mode != "point" else "point"
        for one in outcomes
        if one.mode is not None and one.confidence is not None and one.unjudged is None
    )
    who = " ".join(["quantreg:", *([scheme] if scheme else [])])
    parts = [f"{who} against {against[0]}" if against and against[0] else who]
    excused = excused_gates(outcomes)
    return ", ".join(
        [*parts, *([" and ".join(gates)] if gates else []), *([excused] if excused else [])]
    )


def excused_gates(outcomes: Sequence[Outcome]) -> str:
    """``LOST sum excused by xfail``; empty where nothing was.

    It stands in the first line of every report: a green session that lost something.
    """
    name = _naming(outcomes)
    found = []
    for result, word in ((LOST, LOST.upper()), (UNDECIDED, UNDECIDED)):
        names = [
            *dict.fromkeys(name(one) for one in outcomes if one.excused and one.result == result)
        ]
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        found += [f"{word} {', '.join(names[:_MOST_NAMES])}{more}"] if names else []
    return f"{' and '.join(found)} excused by xfail" if found else ""


def contexts(outcomes: Sequence[Outcome]) -> list[Context]:
    """What is known of the models: the fullest, where a refusal came before the loading."""
    every = dict.fromkeys(one.context for one in outcomes if one.context is not None)
    return [one for one in every if one.runs_as is not None] or list(every)


def closing_lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Counts, what was required, what green could have missed, what would decide the rest."""
    yield counted(outcomes)
    yield from required_lines(outcomes)
    yield from detectable_lines(outcomes)
    yield from advice_lines(outcomes)
    yield from (one.headline for one in outcomes if one.result == REFUSED)
    yield from (f"note: {note}" for one in outcomes for note in one.notes)


def counted(outcomes: Sequence[Outcome]) -> str:
    """``3 kept, 1 lost``: every outcome but the parts of a pool."""
    counts = Counter(one.result for one in outcomes if one.part_of is None)
    return ", ".join(_count(word, counts[word], outcomes) for word in _ORDER if counts[word])


def detectable_lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What each green ``detect`` gate would have seen."""
    name = _naming(outcomes)
    blind = [
        one
        for one in outcomes
        if one.detectable is not None and not one.fails and one.mode == "detect"
    ]
    shown = {
        "a true retention of": [
            f"{name(one)} {floor_3(one.detectable or 0.0)}" for one in blind if one.maximum is None
        ],
        "a true perplexity ratio of": [
            f"{name(one)} {factor(one.detectable, math.ceil)}"
            for one in blind
            if one.maximum is not None
        ],
        "a true": [
            f"{name(one)} of {speed_bound(one.speed)}"
            for one in outcomes
            if one.speed is not None and one.speed.detectable is not None and not one.fails
        ],
    }
    for what, seen in shown.items():
        if seen:
            each = ", ".join(dict.fromkeys(seen))
            colon = "" if what == "a true" else ":"
            yield f"would have turned red 4 times in 5 at {what}{colon} {each}"


def advice_lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What would decide the undecided, said once for all tasks that it is the same for."""
    tasks: dict[str, list[str]] = {}
    name = _naming(outcomes)
    for one in outcomes:
        if one.advice:
            tasks.setdefault(one.advice, []).append(name(one))
    for advice, names in tasks.items():
        yield f"{', '.join(dict.fromkeys(names))}: {advice}"


def _naming(outcomes: Sequence[Outcome]) -> Callable[[Outcome], str]:
    """The task, with the metric where several of its metrics were judged; of speed, what it is."""
    metrics: dict[str | None, set[str | None]] = {}
    for one in outcomes:
        if one.minimum:
            metrics.setdefault(one.task, set()).add(one.metric)

    def name(one: Outcome) -> str:
        if one.speed is not None:
            return " ".join(word for word in (one.speed.subject, one.speed.quantity) if word)
        several = len(metrics.get(one.task, ())) > 1
        named = f"{one.task} {bare(one.metric)}" if several else str(one.task)
        return f"{named} (of accepted)" if of_accepted(one) else named

    return name


def _count(result: str, count: int, outcomes: Sequence[Outcome]) -> str:
    text = f"{count:,} {WORDS.get(result, result)}"
    passed = any(one.result == UNDECIDED and not one.fails for one in outcomes)
    if result == UNDECIDED and passed:
        return f"{text} (no loss is shown, nor its absence; detect passes that)"
    if result == MEASURED:
        timed = all(one.speed is not None for one in outcomes if one.result == MEASURED)
        paced = timed and not any(one.speed.unit == "x" for one in outcomes if one.speed)
        marker = "min_retention" if not timed else "max_latency" if paced else "min_speedup"
        return f"{text} (no marker such as {marker} says what must hold)"
    return text


def required_lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What was required, of the baseline and of what was accepted: once where it is the same."""
    yield from _required([one for one in outcomes if not of_accepted(one)], "")
    yield from _required([one for one in outcomes if of_accepted(one)], " of the run accepted last")


def _required(outcomes: Sequence[Outcome], of: str) -> Iterator[str]:
    modes: dict[str, list[Outcome]] = {}
    for one in outcomes:
        if one.result in JUDGED and one.mode is not None and one.minimum is not None:
            modes.setdefault(one.mode, []).append(one)
    if len(modes) > 1:
        each = (f"{' and '.join(minima(judged))} under {mode}" for mode, judged in modes.items())
        yield f"required{of}: {', '.join(each)}"
        return
    found = minima(outcomes)
    if len(found) == 1:
        what = "allowed perplexity ratio" if found[0].endswith("max") else "required retention"
        yield f"{what}{of}: {found[0].removesuffix(' max')}"
    elif found:
        yield f"required{of}: {' and '.join(found)}, as behind each verdict"
