"""Pairs two measurements of the same items, one task at a time or several pooled."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .. import stats
from ..codes import GateCode
from ..errors import Refusal
from ..facts import Note, Problem
from ..records.metric_directions import refuse_undirected
from ..records.run import Accuracy, Items, Metric
from . import item_clusters
from .accuracy import SURE, Comparison, Floats, Floor, Pair, Slice
from .alignment import check_same_items, ratio_of
from .perplexity import compare_perplexity

MOST_SHARED = 0.05
"""Of a task's items, those that may also be another's in the same pool."""


def compare_items(
    baseline: Accuracy,
    candidate: Accuracy,
    metric: Metric,
    *,
    scheme: str,
    confidence: float,
    notes: tuple[Note, ...] = (),
) -> Comparison:
    """Pairs two measurements of the same items in the same order.

    Where the baseline was run several times, the mean of its runs is what is compared.

    Raises:
        ValueError: the items differ; comparability is checked before (`comparable`).
    """
    check_same_items(baseline, candidate)
    notes = (
        *notes,
        *item_clusters.copy_notes(baseline.protocol.task, baseline.items, candidate.items),
    )
    if metric.kind not in ("binary", "mean") or metric.higher_is_better is None:
        return compare_perplexity(
            baseline, candidate, metric, scheme=scheme, confidence=confidence, notes=notes
        )
    pair = Pair(baseline, candidate, metric)
    comparison = _without_bounds(pair, scheme, confidence, notes)
    # A share of scores below 0 means nothing, and has no bounds.
    negative = min(float(scores.min()) for scores in _scores(pair)) < 0.0
    return comparison if negative else _with_bounds(comparison, pair)


def _without_bounds(
    pair: Pair, scheme: str, confidence: float, notes: tuple[Note, ...]
) -> Comparison:
    """Return the figures of a pair that need no interval."""
    baseline, candidate, metric = pair.baseline, pair.candidate, pair.metric
    before, after = _scores(pair)
    fell = _changed_doc_ids(baseline, before > after)
    rose = _changed_doc_ids(baseline, after > before)
    lost, won = (fell, rose) if metric.higher_is_better else (rose, fell)
    values = float(np.mean(before)), float(np.mean(after))
    return Comparison(
        scheme=scheme,
        task=baseline.protocol.task,
        metric=metric.name,
        n=len(baseline.items),
        total_items=baseline.protocol.total_items,
        confidence=confidence,
        baseline=values[0],
        quantized=values[1],
        retention=ratio_of(*values, higher_is_better=metric.higher_is_better),
        counts=_counts(pair),
        lost_items=lost,
        won_items=won,
        notes=notes,
        lost=len(lost),
        won=len(won),
        empty=_fact_shares("empty", baseline, candidate),
        truncated=_fact_shares("truncated", baseline, candidate),
    )


def _with_bounds(comparison: Comparison, pair: Pair) -> Comparison:
    """With the interval of its retention, and what that rests on."""
    stratum = _stratum(pair)
    low, high, surely = _bounds([pair], comparison.confidence)
    floor = _floor([pair])
    return replace(
        comparison,
        low=low,
        high=high,
        surely=surely,
        support=stats.support([_distinct(pair, stratum)]),
        slices=(_slice(pair, stratum),),
        floor=floor,
        own_width=_has_own_width([pair], [stratum]),
        exact=comparison.counts is not None and stratum.clusters is None,
    )


def pool(
    pairs: Sequence[Pair],
    *,
    task: str,
    metric: str,
    scheme: str,
    confidence: float,
    notes: tuple[Note, ...] = (),
) -> Comparison:
    """Pools tasks into one comparison: retention = sum(w * quantized) / sum(w * baseline).

    ``task`` and ``metric`` are what the pool is called.

    Raises:
        Refusal: a metric that cannot be averaged with others (`refuse_unpoolable`).
        ValueError: nothing to pool, or the items of a pair differ.
    """
    if not pairs:
        raise ValueError("nothing to pool")
    _check_poolable(pairs)
    strata = [_stratum(pair) for pair in pairs]
    scores = [_scores(pair) for pair in pairs]
    low, high, surely = _bounds(pairs, confidence)
    baseline, quantized = _weighted_means(pairs, scores)
    return Comparison(
        scheme=scheme,
        task=task,
        metric=metric,
        n=sum(len(pair.baseline.items) for pair in pairs),
        total_items=sum(pair.baseline.protocol.total_items for pair in pairs),
        confidence=confidence,
        baseline=baseline,
        quantized=quantized,
        retention=stats.pooled_estimate(strata),
        low=low,
        high=high,
        notes=(*notes, *_copy_notes(pairs)),
        lost=sum(int(np.count_nonzero(before > after)) for before, after in scores),
        won=sum(int(np.count_nonzero(before < after)) for before, after in scores),
        surely=surely,
        support=stats.support(list(map(_distinct, pairs, strata))),
        slices=tuple(map(_slice, pairs, strata)),
        floor=_floor(pairs),
        own_width=_has_own_width(pairs, strata),
    )


def pooled_metric(names: Iterable[str]) -> str:
    """What the metric of a pool is called: by its name, or scores where there are several."""
    different = list(dict.fromkeys(names))
    return different[0] if len(different) == 1 else "scores"


def _check_poolable(pairs: Sequence[Pair]) -> None:
    for pair in pairs:
        check_same_items(pair.baseline, pair.candidate)
        refuse_unpoolable(pair.metric, pair.baseline, pair.candidate)
    refuse_overlap([pair.baseline for pair in pairs])


def _copy_notes(pairs: Sequence[Pair]) -> list[str]:
    """Return the notes on copied items, of all tasks."""
    return [
        note
        for pair in pairs
        for note in item_clusters.copy_notes(
            pair.baseline.protocol.task, pair.baseline.items, pair.candidate.items
        )
    ]


def _weighted_means(
    pairs: Sequence[Pair], scores: Sequence[tuple[Floats, Floats]]
) -> tuple[float, float]:
    """Return the mean scores of baseline and quantized model, weighted over the tasks."""
    total = math.fsum(pair.weight for pair in pairs)
    shares = [pair.weight / total for pair in pairs]
    baseline, quantized = (
        math.fsum(
            share * float(np.mean(task_scores[side]))
            for share, task_scores in zip(shares, scores, strict=True)
        )
        for side in (0, 1)
    )
    return baseline, quantized


def refuse_unpoolable(metric: Metric, *measured: Accuracy, task: str | None = None) -> None:
    """Refuses a metric of which no share of an average can be judged. Raises Refusal.

    ``measured`` are what is known of it, ``task`` names it where nothing is measured yet.
    """
    name = task if task is not None else measured[0].protocol.task
    refuse_undirected(metric, name)
    why = None
    if metric.kind not in ("binary", "mean"):
        why = Problem(GateCode.NO_SCORE_TO_AVERAGE, {})
    elif not metric.higher_is_better:
        why = Problem(GateCode.LOWER_IS_BETTER, {})
    elif any(_column(accuracy.items, metric).min(initial=0.0) < 0.0 for accuracy in measured):
        why = Problem(GateCode.SCORES_BELOW_ZERO, {})
    if why is not None:
        raise Refusal(GateCode.NOT_POOLABLE, metric=metric.name, task=name, cause=why)


def refuse_overlap(measured: Sequence[Accuracy]) -> None:
    """Refuses tasks that hold the same items: each would count several times. Raises Refusal.

    A few are let through, for data sets repeat themselves here and there, as long as they
    are not the same few in many tasks.
    """
    owner: dict[str, str] = {}
    tasks: Counter[str] = Counter()
    for accuracy in measured:
        task = accuracy.protocol.task
        tasks.update({*accuracy.items.digests})
        shared = [owner[digest] for digest in accuracy.items.digests if digest in owner]
        if len(shared) > MOST_SHARED * len(accuracy.items):
            raise Refusal(
                GateCode.TASKS_SHARE_ITEMS,
                task=task,
                other=shared[0],
                shared=len(shared),
                n=len(accuracy.items),
            )
        owner.update(dict.fromkeys(accuracy.items.digests, task))
    if (
        sum(task_count * task_count for task_count in tasks.values())
        > (1.0 + MOST_SHARED) * tasks.total()
    ):
        raise Refusal(
            GateCode.ITEMS_IN_SEVERAL_TASKS, most=max(tasks.values()), tasks=len(measured)
        )


def _runs(accuracy: Accuracy, metric: Metric) -> list[Floats]:
    """The scores of each run, one array per run."""
    reruns = [np.asarray(scores[metric.name], dtype=np.float64) for scores in accuracy.items.reruns]
    return [_column(accuracy.items, metric), *reruns]


def _column(items: Items, metric: Metric) -> Floats:
    return np.asarray(items.scores[metric.name], dtype=np.float64)


def _scores(pair: Pair) -> tuple[Floats, Floats]:
    """Scores per item before (the mean of the baseline's runs) and after."""
    runs = _runs(pair.baseline, pair.metric)
    after = _column(pair.candidate.items, pair.metric)
    return (runs[0] if len(runs) == 1 else np.mean(runs, axis=0)), after


def _stratum(pair: Pair) -> stats.Stratum:
    before, after = _scores(pair)
    runs = _runs(pair.baseline, pair.metric)
    clusters = item_clusters.units_of(pair.baseline.items, pair.candidate.items)
    excess = stats.rerun_noise(runs).excess if len(runs) > 1 else 0.0
    if not pair.metric.higher_is_better:
        # Retention is then what the errors were, over what they have become, and the mean
        # of the runs is what is divided: counting it as one run is on the safe side.
        return stats.Stratum(after, before, pair.weight, clusters, excess=excess)
    return stats.Stratum(before, after, pair.weight, clusters, len(runs), excess)


def _distinct(pair: Pair, stratum: stats.Stratum) -> stats.Stratum:
    return distinct(stratum, item_clusters.copies_of(pair.baseline.items, pair.candidate.items))


def distinct(stratum: stats.Stratum, copies: Sequence[int] | None) -> stats.Stratum:
    """The stratum with one item of each that ``copies`` numbers alike: what it rests on."""
    if copies is None or stratum.codes is None:
        return stratum
    rows = np.unique(copies, return_index=True)[1]
    before, after = stratum.scores
    return replace(
        stratum, baseline=before[rows], quantized=after[rows], clusters=stratum.codes[rows]
    )


def _bounds(pairs: Sequence[Pair], confidence: float) -> tuple[float, float, float]:
    """The two bounds and the sure one; where items are copies, the more cautious of two ways.

    Units that are counted as clusters show what really varies together, but few large ones
    hide what has not been lost yet. The same items, thinned out to as many distinct ones,
    do not, but know nothing of how copies and losses fall together.
    """
    alternatives = [[_stratum(pair) for pair in pairs]]
    thinned = [_thinned_stratum(*row) for row in zip(pairs, alternatives[0], strict=True)]
    if any(stratum.repetition > 1.0 for stratum in thinned):
        alternatives.append(thinned)
    intervals = [
        stats.pooled_retention(strata, confidence=confidence, sides=1) for strata in alternatives
    ]
    surely = [
        stats.pooled_retention(strata, confidence=SURE, sides=1).low for strata in alternatives
    ]
    return (
        min(interval.low for interval in intervals),
        max(interval.high for interval in intervals),
        min(surely),
    )


def _thinned_stratum(pair: Pair, stratum: stats.Stratum) -> stats.Stratum:
    """As many distinct items; with passages the stratum as it is."""
    if item_clusters.share_passages(pair.baseline.items, pair.candidate.items):
        return stratum
    copies = item_clusters.copies_of(pair.baseline.items, pair.candidate.items)
    return replace(stratum, clusters=None, repetition=item_clusters.repetition(copies))


def _has_own_width(pairs: Sequence[Pair], strata: Sequence[stats.Stratum]) -> bool:
    passages = any(
        item_clusters.share_passages(pair.baseline.items, pair.candidate.items) for pair in pairs
    )
    return passages or any(stratum.excess > 0.0 for stratum in strata)


def _counts(pair: Pair) -> stats.PairedCounts | None:
    # With lower-is-better a 1 is a wrong answer, and the paired counts would be upside down;
    # of several runs an answer may be right in some.
    if pair.metric.kind != "binary" or not pair.metric.higher_is_better:
        return None
    if pair.baseline.items.reruns:
        return None
    name = pair.metric.name
    return stats.PairedCounts.of(
        pair.baseline.items.scores[name], pair.candidate.items.scores[name]
    )


def _changed_doc_ids(accuracy: Accuracy, mask: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.sort(np.asarray(accuracy.items.doc_ids)[mask]).tolist())


def _slice(pair: Pair, stratum: stats.Stratum) -> Slice:
    before, after = np.asarray(stratum.baseline), np.asarray(stratum.quantized)
    copies = item_clusters.copies_of(pair.baseline.items, pair.candidate.items)
    piece = slice_of(pair.baseline, pair.metric, pair.weight, before, after)
    return replace(piece, repetition=item_clusters.repetition(copies))


def flipped(pair: Pair) -> float:
    """How many answers changed; of scores between 0 and 1 the sum of the squared changes."""
    return _slice(pair, _stratum(pair)).changed


def slice_of(
    baseline: Accuracy,
    metric: Metric,
    weight: float,
    before: Floats,
    after: Floats | None = None,
) -> Slice:
    """What planning needs of one task; without ``after`` as if nothing had changed."""
    now = before if after is None else after
    full = max(1.0, float(np.max(np.abs(before))), float(np.max(np.abs(now))))
    # What guessing scores is known for right and wrong answers alone.
    right_or_wrong = metric.kind == "binary" or baseline.protocol.repeats > 1
    chance = baseline.chance if right_or_wrong else 0.0
    return Slice(
        task=baseline.protocol.task,
        n=len(before),
        total=baseline.protocol.total_items,
        weight=weight,
        accuracy=float(np.mean(before)) / full,
        changed=float(np.sum(((now - before) / full) ** 2)),
        chance=chance if metric.higher_is_better else None,
        repetition=item_clusters.repetition(item_clusters.copies_of(baseline.items)),
    )


def _fact_shares(fact: str, baseline: Accuracy, candidate: Accuracy) -> tuple[float, float] | None:
    columns = [accuracy.items.facts.get(fact) for accuracy in (baseline, candidate)]
    if columns[0] is None or columns[1] is None:
        return None
    return float(np.mean(columns[0])), float(np.mean(columns[1]))


def _floor(pairs: Sequence[Pair]) -> Floor | None:
    """None unless every task has as many runs of the baseline, two or more."""
    runs_by_pair = [_runs(pair.baseline, pair.metric) for pair in pairs]
    count = min(len(scores) for scores in runs_by_pair)
    if count < 2 or any(len(scores) != count for scores in runs_by_pair):
        return None
    pooled_runs = [
        np.concatenate([pair_runs[index] for pair_runs in runs_by_pair]) for index in range(count)
    ]
    after = np.concatenate([_scores(pair)[1] for pair in pairs])
    noise = stats.rerun_noise(pooled_runs)
    change = float(np.mean([np.mean(np.abs(run - after)) for run in pooled_runs]))
    # A statement about the models, so the same at every gate's own confidence.
    low, high = stats.pooled_retention([_stratum(pair) for pair in pairs], confidence=0.95, sides=1)
    within = low <= 1.0 <= high and change <= noise.highest
    return Floor(noise, change, within, of_items=all(p.metric.kind == "binary" for p in pairs))
