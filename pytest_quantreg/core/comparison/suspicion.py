"""What makes a measurement suspicious: evidence that must not be judged, whatever it shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .. import stats
from ..codes import GateCode
from ..errors import Refusal
from ..facts import Fact, Note, Problem, noted
from ..records.run import BASELINE_SCHEMES, UNVERIFIED, Accuracy, EffectiveScheme
from .accuracy import SURE, Comparison, Slice
from .generated_answers import same_answers

TOO_GOOD = 1.05
"""A lossy copy that surely keeps more than this was asked something else."""

MOST_NAMED = 3
"""How many tasks at chance a refusal names."""

MOST_DILUTED = 0.5
"""The weight that tasks at chance may have in a group."""

NOTED_RISE = 0.02
"""A rise of empty or truncated answers is told above this share of the items."""

FAR_MORE = 0.10
"""And refused above this one."""

_LIKELIHOOD = "likelihood"
MOST_SAME = 0.5
"""The share of items that may have the baseline's log-likelihood to the last bit."""


def refuse_chance(slices: Sequence[Slice], minimum: float, *, name: str, confidence: float) -> None:
    """Refuses a baseline no better than guessing and a minimum that guessing meets.

    ``slices`` are judged as one, called ``name``. Raises Refusal (suspicious).
    """
    # Copies of an item say no more than one of them does.
    guessable = [piece.effective for piece in slices if piece.chance is not None]
    if not guessable:
        return
    whole = math.fsum(piece.weight for piece in guessable)
    accuracy = math.fsum(piece.weight * piece.accuracy for piece in guessable) / whole
    chance = math.fsum(piece.weight * (piece.chance or 0.0) for piece in guessable) / whole
    n = sum(piece.n for piece in guessable)
    if _is_at_chance(accuracy, n, chance, confidence):
        raise Refusal(GateCode.AT_CHANCE, name=name, accuracy=accuracy, n=n, chance=chance)
    idle = [
        piece
        for piece in guessable
        if _is_at_chance(piece.accuracy, piece.n, piece.chance or 0.0, confidence)
    ]
    diluted = math.fsum(piece.weight for piece in idle) / whole
    if diluted > MOST_DILUTED:
        more = ("...",) if len(idle) > MOST_NAMED else ()
        raise Refusal(
            GateCode.DILUTED_BY_CHANCE,
            name=name,
            idle=len(idle),
            tasks=len(guessable),
            share=diluted * 100,
            named=(*(piece.task for piece in idle[:MOST_NAMED]), *more),
        )
    if minimum * accuracy <= chance:
        raise Refusal(
            GateCode.GUESSING_MEETS_GATE,
            name=name,
            minimum=minimum,
            accuracy=accuracy,
            required=minimum * accuracy,
            chance=chance,
        )


def _is_at_chance(accuracy: float, n: int, chance: float, confidence: float) -> bool:
    right = math.floor(accuracy * n + 1e-9)
    return stats.wilson(right, n, confidence=confidence, sides=1).low <= chance


def refuse_too_good(comparison: Comparison) -> None:
    """Refuses a candidate that is far above its baseline. Raises Refusal (suspicious)."""
    surely = comparison.surely
    if surely is not None and surely > TOO_GOOD:
        raise Refusal(
            GateCode.FAR_ABOVE_BASELINE,
            task=comparison.task,
            quantized=comparison.quantized,
            baseline=comparison.baseline,
            confidence=SURE * 100,
            surely=surely,
        )


def refuse_unusual(comparison: Comparison, minimum: float, *, allow_better: bool) -> None:
    """Refuses a baseline at chance, and unless ``allow_better`` a candidate far above it.

    Raises Refusal (suspicious).
    """
    refuse_chance(
        comparison.slices, minimum, name=comparison.task, confidence=comparison.confidence
    )
    if not allow_better:
        refuse_too_good(comparison)


def refuse_same_answers(
    baseline: Accuracy, candidate: Accuracy, effective: EffectiveScheme, *, rerun: bool = False
) -> tuple[Note, ...]:
    """Refuses a candidate whose weights nobody read and whose answers are the baseline's.

    Both must hold the same items in the same order. Quantizing moves every log-likelihood
    of a document, or of a question's choices, be it by little, and one that is equal to the
    last bit was computed from the same weights; so were many long texts that are all equal.
    Equal 0/1 scores say nothing: a good copy may well flip none of hundreds. With ``rerun``
    the same weights are meant, which is told. Raises Refusal (suspicious).
    """
    why = _same_answers(baseline, candidate, effective)
    if why is None:
        return ()
    if rerun:
        return (judged_as_rerun(why),)
    raise Refusal(GateCode.ANSWERS_OF_BASELINE, cause=why)


def judged_as_rerun(why: Problem) -> Problem:
    """The note on one model compared with itself, where that is declared to be meant."""
    return Problem(GateCode.JUDGED_AS_RERUN, {"cause": why})


def _same_answers(
    baseline: Accuracy, candidate: Accuracy, effective: EffectiveScheme
) -> Problem | None:
    if effective.mode != UNVERIFIED or effective.scheme in BASELINE_SCHEMES:
        return None
    task = candidate.protocol.task
    for before, after in _likelihoods(baseline, candidate):
        same = sum(old == new for old, new in zip(before, after, strict=True))
        if same > MOST_SAME * len(before):
            facts: dict[str, Fact] = {"same": same, "n": len(before), "task": task}
            return Problem(GateCode.LIKELIHOODS_EQUAL, facts)
    texts = same_answers(baseline, candidate)
    if texts is None:
        return None
    return Problem(GateCode.ANSWERS_EQUAL, {"answers": texts, "task": task})


def same_likelihoods(baseline: Accuracy, candidate: Accuracy) -> bool:
    """Whether every log-likelihood of a file is the other's, to the last bit.

    Of others' files nobody knows how coarse their numbers are (lm-eval's hf model rounds those
    of a bfloat16 model to eight bits), so that here it takes all of them.
    """
    return any(before == after for before, after in _likelihoods(baseline, candidate))


def _likelihoods(
    baseline: Accuracy, candidate: Accuracy
) -> list[tuple[Sequence[float], Sequence[float]]]:
    """The columns of log-likelihoods that both have."""
    scored = [metric.name for metric in candidate.protocol.metrics if metric.kind == "perplexity"]
    columns = [
        (baseline.items.facts.get(_LIKELIHOOD), candidate.items.facts.get(_LIKELIHOOD)),
        *((baseline.items.scores.get(name), candidate.items.scores.get(name)) for name in scored),
    ]
    return [
        (before, after) for before, after in columns if before is not None and after is not None
    ]


def answers(baseline: Accuracy, candidate: Accuracy) -> tuple[Note, ...]:
    """Tells of empty or truncated answers that became more; none where few did.

    Raises:
        Refusal: far more of them, or far more empty ones in the baseline (suspicious): by
            over 10 points, and beyond chance.
    """
    _refuse_empty_baseline(baseline, candidate)
    return tuple(
        note
        for kind in ("empty", "truncated")
        if (note := _note_increase(kind, baseline, candidate)) is not None
    )


def _refuse_empty_baseline(baseline: Accuracy, candidate: Accuracy) -> None:
    """Refuses a baseline that did not answer, beside which any loss looks small."""
    before, after = (accuracy.items.facts.get("empty") for accuracy in (baseline, candidate))
    if before is None or after is None:
        return
    shares = [float(np.mean(fact)) for fact in (before, after)]
    if shares[0] - shares[1] > FAR_MORE and _surely_more(after, before):
        raise Refusal(GateCode.EMPTY_BASELINE, baseline=shares[0] * 100, quantized=shares[1] * 100)


def _surely_more(fewer: Sequence[float], more: Sequence[float]) -> bool:
    """Whether the second fact holds of more items than the first, beyond chance."""
    rose = sum(after > before for before, after in zip(fewer, more, strict=True))
    fell = sum(after < before for before, after in zip(fewer, more, strict=True))
    return stats.mcnemar(fell, rose) < 1.0 - SURE


def _note_increase(kind: str, baseline: Accuracy, candidate: Accuracy) -> Problem | None:
    facts = [accuracy.items.facts.get(kind) for accuracy in (baseline, candidate)]
    task = baseline.protocol.task
    if facts[1] is not None and facts[0] is None:
        return Problem(GateCode.ANSWERS_NOT_COUNTED, {"task": task, "kind": kind})
    if facts[0] is None or facts[1] is None:
        return None
    before, after = (float(np.mean(fact)) for fact in (facts[0], facts[1]))
    rise = after - before
    if rise <= NOTED_RISE:
        return None
    shares: dict[str, Fact] = {"kind": kind, "quantized": after * 100, "baseline": before * 100}
    more = Problem(GateCode.MORE_SUCH_ANSWERS, shares)
    if rise > FAR_MORE and _surely_more(facts[0], facts[1]):
        raise Refusal.of(more)
    return noted(task, more)
