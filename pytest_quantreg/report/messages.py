"""Rows of a report with their words: a verdict, a refusal or a measurement in, a row out."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from ..core import stats
from ..core.codes import CommandCode, SharedCode
from ..core.comparison.accuracy import TOKEN_PERPLEXITY, Comparison
from ..core.errors import Category, QuantregError, Refusal
from ..core.facts import Note, Problem, Quoted
from ..core.gates.outcome import NothingAccepted
from ..core.gates.power import TRUTH_STEP, about, n_items
from ..core.gates.verdict import Verdict
from ..core.printable import first_line, quoted_lines
from ..core.records.outcome_row import (
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
from ..core.records.run import Accuracy, Metric
from ..core.settings import GateMode
from .number_format import DUST, floor_3
from .words import PLAIN, Voice, words_of

_SHOWN_ITEMS = 5


def of_verdict(verdict: Verdict, context: Context, voice: Voice = PLAIN) -> OutcomeRow:
    """The outcome of one judged gate; its headline carries the whole verdict."""
    comparison = verdict.comparison
    result = _result(verdict)
    return replace(
        _measured(comparison, context, voice),
        result=result,
        fails=verdict.fails,
        headline=_headline(verdict, result),
        details=(
            *figures(comparison),
            *_floor(comparison),
            *_outlook(verdict, result, voice),
            *note_words(comparison.notes, voice),
        ),
        gate=str(verdict.gate),
        minimum=verdict.gate.minimum,
        maximum=verdict.gate.bound if verdict.gate.of_perplexity else None,
        family=verdict.family if verdict.family > 1 else None,
        mode=verdict.mode.value,
        detectable=verdict.detectable,
        advice=_advice(verdict, result, voice),
    )


def open_lines(verdict: Verdict, voice: Voice) -> tuple[str, ...]:
    """What is told of an undecided verdict beside its figures and what it would have caught."""
    comparison = verdict.comparison
    advice = _advice(verdict, UNDECIDED, voice)
    return (
        *figures(comparison)[1:],
        *_floor(comparison),
        *([advice] if advice is not None else []),
        *note_words(comparison.notes, voice),
    )


def of_measurement(
    comparison: Comparison, context: Context, voice: Voice = PLAIN, *, part_of: str | None = None
) -> OutcomeRow:
    """A comparison that no gate judged: listed, never called kept.

    ``part_of`` names the group or pool that it is judged in, with others.
    """
    gated = f"judged in {part_of}" if part_of else "no gate"
    return replace(_measured(comparison, context, voice, gated), part_of=part_of)


def of_refusal(
    error: QuantregError,
    *,
    scheme: str,
    context: Context | None,
    task: str | None,
    comparison: Comparison | None = None,
    gate: str | None = None,
    voice: Voice = PLAIN,
) -> OutcomeRow:
    """A refusal; with ``comparison`` its figures are listed beside it."""
    category = error.category.value if isinstance(error, Refusal) else "wrong use"
    base = (
        _measured(comparison, context, voice)
        if comparison is not None and context is not None
        else OutcomeRow(REFUSED, True, scheme, "", context=context, task=task)
    )
    who = " ".join(word for word in (scheme, task) if word)
    words = words_of(error.problem, voice)
    return replace(
        base,
        result=REFUSED,
        fails=True,
        headline=f"REFUSED ({category}) {who}: {words.what}",
        details=words.help,
        category=category,
        gate=gate,
    )


def of_fault(error: Exception, *, scheme: str) -> OutcomeRow:
    """An error of this plugin while it judged: a refusal, with where it happened."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    fault = Refusal(
        CommandCode.JUDGING_FAILED,
        kind=type(error).__name__,
        error=Quoted(first_line(error)),
        file=Path(frame.filename).name,
        line=frame.lineno,
        lines=tuple(map(Quoted, quoted_lines(error))),
    )
    return of_refusal(fault, scheme=scheme, context=None, task=None)


def of_recording(
    accuracy: Accuracy,
    metric: Metric,
    context: Context,
    *,
    present: bool,
    notes: tuple[Note, ...] = (),
) -> OutcomeRow:
    """A baseline that was recorded, or was there already."""
    word = PRESENT if present else RECORDED
    n = len(accuracy.items)
    return OutcomeRow(
        word,
        False,
        context.scheme,
        f"baseline {word}: {accuracy.protocol.task}, {n_items(n)} of {context.model}",
        context=context,
        task=accuracy.protocol.task,
        metric=metric.name,
        baseline=accuracy.values.get(metric.name),
        n=n,
        total_items=accuracy.protocol.total_items,
        notes=(*note_words(notes), *_rerun_notes(accuracy, metric)),
    )


def _rerun_notes(accuracy: Accuracy, metric: Metric) -> tuple[str, ...]:
    """How many runs a baseline holds, and how much they differ."""
    columns = [
        scores.get(metric.name) for scores in (accuracy.items.scores, *accuracy.items.reruns)
    ]
    runs = [column for column in columns if column is not None]
    if len(runs) < 2:
        return ()
    floor = stats.rerun_noise(runs).floor
    share = f"on {floor * 100:.1f} % of the items" if metric.kind == "binary" else f"by {floor:.4f}"
    return (f"{accuracy.protocol.task}: {len(runs)} runs, which differ from each other {share}",)


def note_words(notes: Iterable[Note], voice: Voice = PLAIN) -> tuple[str, ...]:
    """What is read of notes."""
    return tuple(
        words_of(note, voice).what if isinstance(note, Problem) else note for note in notes
    )


def confidence(each: float, family: int | None) -> str:
    """``95 %``, or ``99.75 % (95 % over 20 gates)`` where gates share it."""
    text = f"{each * 100:.6g} %"
    if family is None or family < 2:
        return text
    return f"{text} ({100 - (1 - each) * family * 100:.6g} % over {family} gates)"


def percent(share: float) -> str:
    """``67.8 %`` rounded towards nothing: never shows 98.0 % for 97.96 %."""
    return f"{math.floor(share * 1000 + DUST) / 10:.1f} %"


def _result(verdict: Verdict) -> str:
    if verdict.mode is GateMode.POINT:
        return LOST if verdict.fails else KEPT
    return {
        stats.IntervalVerdict.KEPT: KEPT,
        stats.IntervalVerdict.LOST: LOST,
        stats.IntervalVerdict.UNDECIDED: UNDECIDED,
    }[verdict.evidence]


def _measured(
    comparison: Comparison, context: Context, voice: Voice, gated: str = "no gate"
) -> OutcomeRow:
    floor = comparison.floor
    return OutcomeRow(
        MEASURED,
        False,
        comparison.scheme,
        f"measured {comparison.scheme} {comparison.task}: {comparison.metric} "
        f"{comparison.baseline:.4g} -> {comparison.quantized:.4g}, {gated}",
        context=context,
        task=comparison.task,
        metric=comparison.metric,
        confidence=comparison.confidence,
        baseline=comparison.baseline,
        quantized=comparison.quantized,
        retention=_finite(comparison.retention),
        low=_finite(comparison.low),
        high=_finite(comparison.high),
        n=comparison.n,
        total_items=comparison.total_items,
        lost=comparison.lost,
        won=comparison.won,
        floor=floor.noise.floor if floor is not None else None,
        baseline_empty=comparison.empty[0] if comparison.empty else None,
        quantized_empty=comparison.empty[1] if comparison.empty else None,
        of_first_accepted=comparison.of_first_accepted,
        baseline_truncated=comparison.truncated[0] if comparison.truncated else None,
        quantized_truncated=comparison.truncated[1] if comparison.truncated else None,
        notes=(*note_words(comparison.notes, voice), *_indistinguishable(comparison)),
    )


def _headline(verdict: Verdict, result: str) -> str:
    comparison = verdict.comparison
    who = f"{result.upper() if verdict.fails else result} {comparison.scheme} {comparison.task}"
    sure = f"with {confidence(comparison.confidence, verdict.family)} confidence"
    if verdict.gate.of_perplexity:
        return f"{who}: {_rise(verdict, sure)}"
    whose = f"{comparison.reference}'s {bare(comparison.metric)}"
    kept = f"keeps {percent(comparison.retention)} of {whose}"
    required = f"{verdict.gate.minimum * 100:.10g} % was required"
    if verdict.mode is GateMode.POINT:
        return f"{who}: {kept}; {required} (point gate: no confidence)"
    if verdict.evidence is stats.IntervalVerdict.LOST:
        most = upper(comparison.high, below=verdict.gate.minimum)
        return f"{who}: {kept}, {sure} no more than {most}; {required}"
    at_least = f"{sure} at least {_lower(comparison.low)}"
    if verdict.evidence is stats.IntervalVerdict.KEPT:
        return f"{who}: {kept}, {at_least}; {required}"
    return f"{who}: {kept}, {at_least} and no more than {upper(comparison.high)}; {required}"


def _rise(verdict: Verdict, sure: str) -> str:
    """What became of a perplexity: all factors rounded to where they still hold."""
    comparison = verdict.comparison
    is_now = f"perplexity per token is {1 / comparison.retention:.4f} times the baseline's"
    allowed = f"{verdict.gate.bound:.10g} times was allowed"
    if verdict.mode is GateMode.POINT:
        return f"{is_now}; {allowed} (point gate: no confidence)"
    least = f"at least {factor(comparison.high, math.floor)}"
    most = f"no more than {factor(comparison.low, math.ceil)}"
    if verdict.evidence is stats.IntervalVerdict.LOST:
        return f"{is_now}, {sure} {least}; {allowed}"
    if verdict.evidence is stats.IntervalVerdict.KEPT:
        return f"{is_now}, {sure} {most}; {allowed}"
    return f"{is_now}, {sure} {least} and {most}; {allowed}"


def factor(retention: float | None, rounded: Callable[[float], int]) -> str:
    """``1.0132``: by how much a perplexity rises where so much is retained."""
    if retention is None or not 0.0 < retention < math.inf:
        return "any factor"
    return f"{rounded(1e4 / retention) / 1e4:.4f}"


def figures(comparison: Comparison) -> tuple[str, ...]:
    """What both models scored, and which items were lost."""
    lost, won = comparison.lost, comparison.won
    before = comparison.reference.removeprefix("the ").removesuffix(" run")
    summary = (
        f"{before} {comparison.baseline:.3f}, quantized {comparison.quantized:.3f} on "
        f"{n_items(comparison.n)}"
    )
    if lost is None or won is None:
        return (summary,)
    lines = [f"{summary}: {_answer_count(lost)} lost, {won:,} won"]
    if comparison.lost_items:
        shown = ", ".join(str(doc) for doc in comparison.lost_items[:_SHOWN_ITEMS])
        more = ", ..." if lost > _SHOWN_ITEMS else ""
        lines.append(f"first items lost (doc_id): {shown}{more}")
    return tuple(lines)


def _floor(comparison: Comparison) -> tuple[str, ...]:
    """How the change compares with that between runs of the baseline."""
    floor = comparison.floor
    if floor is None:
        return ()
    if not floor.of_items:
        return (
            f"an item's score differs from the baseline's by {floor.candidate:.4f} on average; "
            f"those of {floor.noise.runs} runs of the baseline by {floor.noise.floor:.4f}",
        )
    return (
        f"differs from the baseline on {floor.candidate * 100:.1f} % of the items; "
        f"{floor.noise.runs} runs of the baseline differ from each other on "
        f"{floor.noise.floor * 100:.1f} %",
    )


def _indistinguishable(comparison: Comparison) -> tuple[str, ...]:
    floor = comparison.floor
    if floor is None or not floor.within:
        return ()
    return (
        f"{comparison.task}: cannot be told from the baseline, whose {floor.noise.runs} runs "
        "differ from each other as much",
    )


def _outlook(verdict: Verdict, result: str, voice: Voice) -> tuple[str, ...]:
    """What a gate that proved no loss could have seen, and what would decide it."""
    if result == LOST:
        return ()
    lines = []
    if verdict.mode is GateMode.DETECT and verdict.detectable is not None:
        at = f"a true retention of {floor_3(verdict.detectable)} or below"
        if verdict.gate.of_perplexity:
            at = f"a true ratio of {factor(verdict.detectable, math.ceil)} or above"
        lines.append(f"would have turned red 4 times in 5 at {at}")
    if (advice := _advice(verdict, result, voice)) is not None:
        lines.append(advice)
    return tuple(lines)


def _advice(verdict: Verdict, result: str, voice: Voice) -> str | None:
    """What would decide an undecided gate."""
    if result != UNDECIDED:
        return None
    if verdict.sparse is not None:
        return words_of(verdict.sparse).what
    minimum = verdict.gate.minimum
    if minimum >= 1:
        return "that everything is kept can be refuted but never shown: lower the minimum"
    if verdict.needed is None or verdict.needed[0].needed is None:
        return None
    lossless, lossy = verdict.needed
    items = f"about {about(verdict.needed[0].needed):,} items"
    plan = f"{items} decide {verdict.gate.bound:.10g} if the model is lossless"
    if lossy.needed is not None:
        truth = f"keeps {minimum - TRUTH_STEP:.10g}"
        if verdict.gate.of_perplexity:
            truth = f"has {1 / (minimum - TRUTH_STEP):.4f} times the perplexity"
        plan += f", about {about(lossy.needed):,} if it {truth}"
    return f"{plan}; {_way_out(verdict.comparison, lossless, lossy, voice)}"


def _way_out(
    comparison: Comparison, lossless: stats.ItemsNeeded, lossy: stats.ItemsNeeded, voice: Voice
) -> str:
    n, total = comparison.n, comparison.total_items
    several = len(comparison.slices) > 1
    whose = "its tasks'" if several else "the task's"
    enough = [
        need.needed for need in (lossless, lossy) if not need.capped and need.needed is not None
    ]
    if any(needed > n for needed in enough):
        more = words_of(Problem(SharedCode.COMPARE_MORE_ITEMS, {}), voice).what
        return f"{n:,} of {whose} {total:,} were compared: {more}"
    whole = f"its tasks have {total:,}" if several else f"the task has {total:,}"
    compared = whole if n == total else f"{n:,} of {whose} {total:,} were compared"
    if lossless.needed is not None and lossless.needed <= n:
        compared += ", so the model has probably lost a little"
    return f"{compared}: lower the minimum or {'add tasks' if several else 'gate a larger task'}"


def _answer_count(n: int) -> str:
    return f"{n:,} answer" + ("" if n == 1 else "s")


def bare(metric: str | None) -> str:
    """``acc`` for ``acc,none``; a real filter is part of what was required."""
    if metric == TOKEN_PERPLEXITY.name:
        return "ppl/token"
    return (metric or "-").removesuffix(",none")


def upper(bound: float | None, below: float = math.inf) -> str:
    """An upper bound in per cent, rounded up: what is printed is still true.

    With as many digits as it takes to show that it is ``below`` what was required.
    """
    if bound is None or not math.isfinite(bound):
        return "any share"
    for digits in (1, 2, 3):
        scale = 10 ** (digits + 2)
        rounded = math.ceil(bound * scale - DUST) / scale
        if rounded < below:
            break
    return f"{rounded * 100:.{digits}f} %"


def _lower(bound: float | None) -> str:
    return percent(bound if bound is not None else 0.0)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def of_nothing_accepted(outcome: NothingAccepted) -> OutcomeRow:
    """A gate on accepted runs in a session that accepts, where there is none to compare with."""
    why = f"{outcome.gate}: {words_of(outcome.why).what}"
    return OutcomeRow(
        NOT_APPLICABLE,
        False,
        outcome.scheme,
        f"not applicable {outcome.scheme} {outcome.task}: {why}",
        context=outcome.context,
        task=outcome.task,
        metric=outcome.metric,
        gate=str(outcome.gate),
        category=Category.NOT_COMPARABLE.value if outcome.incomparable else None,
        advice=why,
    )
