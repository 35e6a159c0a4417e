"""Pairs two measurements of the same items, one task at a time or several pooled."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .. import stats
from ..errors import Category, Refusal
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
    notes: tuple[str, ...] = (),
) -> Comparison:
    """Pairs two measurements of the same items in the same order.

    Where the baseline was run several times, the mean of its runs is what is compared.

    Raises:
        ValueError: the items differ; comparability is checked before (`comparable`).
    """
    check_same_items(baseline, candidate)
    notes = (*notes, *item_clusters.told(baseline.protocol.task, baseline.items, candidate.items))
    if metric.kind not in ("binary", "mean") or metric.higher_is_better is None:
        return compare_perplexity(
            baseline, candidate, metric, scheme=scheme, confidence=confidence, notes=notes
        )
    pair = Pair(baseline, candidate, metric)
    before, after = _scores(pair)
    fell, rose = _moved(baseline, before > after), _moved(baseline, after > before)
    lost, won = (fell, rose) if metric.higher_is_better else (rose, fell)
    values = float(np.mean(before)), float(np.mean(after))
    made = Comparison(
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
        empty=_shares("empty", baseline, candidate),
        truncated=_shares("truncated", baseline, candidate),
    )
    # A share of scores below 0 means nothing, and has no bounds.
    negative = min(float(before.min()), float(after.min())) < 0.0
    return made if negative else _bounded(made, pair)


def _bounded(made: Comparison, pair: Pair) -> Comparison:
    """With the interval of its retention, and what that rests on."""
    stratum = _stratum(pair)
    low, high, surely = _bounds([pair], made.confidence)
    floor = _floor([pair])
    return replace(
        made,
        low=low,
        high=high,
        surely=surely,
        support=stats.support([_distinct(pair, stratum)]),
        slices=(_slice(pair, stratum),),
        floor=floor,
        own_width=_has_own_width([pair], [stratum]),
        exact=made.counts is not None and stratum.clusters is None,
    )


def pool(
    pairs: Sequence[Pair],
    *,
    task: str,
    metric: str,
    scheme: str,
    confidence: float,
    notes: tuple[str, ...] = (),
) -> Comparison:
    """Pools tasks into one comparison: retention = sum(w * quantized) / sum(w * baseline).

    ``task`` and ``metric`` are what the pool is called.

    Raises:
        Refusal: a metric that cannot be averaged with others (`refuse_unpoolable`).
        ValueError: nothing to pool, or the items of a pair differ.
    """
    if not pairs:
        raise ValueError("nothing to pool")
    for one in pairs:
        check_same_items(one.baseline, one.candidate)
        refuse_unpoolable(one.metric, one.baseline, one.candidate)
    refuse_overlap([one.baseline for one in pairs])
    strata = [_stratum(one) for one in pairs]
    copied = [
        note
        for one in pairs
        for note in item_clusters.told(
            one.baseline.protocol.task, one.baseline.items, one.candidate.items
        )
    ]
    low, high, surely = _bounds(pairs, confidence)
    moved = [_scores(one) for one in pairs]
    whole = math.fsum(one.weight for one in pairs)
    shares = [one.weight / whole for one in pairs]
    values = [
        math.fsum(
            share * float(np.mean(scores[side]))
            for share, scores in zip(shares, moved, strict=True)
        )
        for side in (0, 1)
    ]
    return Comparison(
        scheme=scheme,
        task=task,
        metric=metric,
        n=sum(len(one.baseline.items) for one in pairs),
        total_items=sum(one.baseline.protocol.total_items for one in pairs),
        confidence=confidence,
        baseline=values[0],
        quantized=values[1],
        retention=stats.pooled_estimate(strata),
        low=low,
        high=high,
        notes=(*notes, *copied),
        lost=sum(int(np.count_nonzero(before > after)) for before, after in moved),
        won=sum(int(np.count_nonzero(before < after)) for before, after in moved),
        surely=surely,
        support=stats.support([_distinct(*one) for one in zip(pairs, strata, strict=True)]),
        slices=tuple(_slice(one, stratum) for one, stratum in zip(pairs, strata, strict=True)),
        floor=_floor(pairs),
        own_width=_has_own_width(pairs, strata),
    )


def refuse_unpoolable(metric: Metric, *measured: Accuracy, task: str | None = None) -> None:
    """Refuses a metric of which no share of an average can be judged. Raises Refusal.

    ``measured`` are what is known of it, ``task`` names it where nothing is measured yet.
    """
    name = task if task is not None else measured[0].protocol.task
    refuse_undirected(metric, name)
    why = None
    if metric.kind not in ("binary", "mean"):
        why = "has no score per item that could be averaged"
    elif not metric.higher_is_better:
        why = "is better when it is lower"
    elif any(_column(one.items, metric).min(initial=0.0) < 0.0 for one in measured):
        why = "has scores below 0"
    if why is not None:
        raise Refusal(
            Category.WRONG_USE,
            f"{metric.name} of {name} cannot be pooled with others: it {why}",
            help="measure each task in a call of its own, or name a metric= that all of them have",
        )


def refuse_overlap(measured: Sequence[Accuracy]) -> None:
    """Refuses tasks that hold the same items: each would count several times. Raises Refusal.

    A few are let through, for data sets repeat themselves here and there, as long as they
    are not the same few in many tasks.
    """
    owner: dict[str, str] = {}
    tasks: Counter[str] = Counter()
    for one in measured:
        task = one.protocol.task
        tasks.update({*one.items.digests})
        shared = [owner[digest] for digest in one.items.digests if digest in owner]
        if len(shared) > MOST_SHARED * len(one.items):
            raise Refusal(
                Category.WRONG_USE,
                f"{task} and {shared[0]} hold the same items ({len(shared):,} of "
                f"{len(one.items):,}), which would count twice in a pool",
                help="pool tasks with items of their own",
            )
        owner.update(dict.fromkeys(one.items.digests, task))
    if sum(held * held for held in tasks.values()) > (1.0 + MOST_SHARED) * tasks.total():
        raise Refusal(
            Category.WRONG_USE,
            f"the same items are in up to {max(tasks.values())} of the {len(measured)} tasks, and "
            "would count as often in a pool",
            help="pool tasks with items of their own",
        )


def _runs(accuracy: Accuracy, metric: Metric) -> list[Floats]:
    """The scores of each run, one array per run."""
    again = [np.asarray(one[metric.name], dtype=np.float64) for one in accuracy.items.reruns]
    return [_column(accuracy.items, metric), *again]


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
    ways = [[_stratum(one) for one in pairs]]
    thinned = [_thinned(*one) for one in zip(pairs, ways[0], strict=True)]
    if any(one.repetition > 1.0 for one in thinned):
        ways.append(thinned)
    found = [stats.pooled_retention(one, confidence=confidence, sides=1) for one in ways]
    surely = [stats.pooled_retention(one, confidence=SURE, sides=1).low for one in ways]
    return min(one.low for one in found), max(one.high for one in found), min(surely)


def _thinned(pair: Pair, stratum: stats.Stratum) -> stats.Stratum:
    """As many distinct items; with passages the stratum as it is."""
    if item_clusters.share_passages(pair.baseline.items, pair.candidate.items):
        return stratum
    copies = item_clusters.copies_of(pair.baseline.items, pair.candidate.items)
    return replace(stratum, clusters=None, repetition=item_clusters.repetition(copies))


def _has_own_width(pairs: Sequence[Pair], strata: Sequence[stats.Stratum]) -> bool:
    passages = any(
        item_clusters.share_passages(one.baseline.items, one.candidate.items) for one in pairs
    )
    return passages or any(one.excess > 0.0 for one in strata)


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


def _moved(accuracy: Accuracy, which: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.sort(np.asarray(accuracy.items.doc_ids)[which]).tolist())


def _slice(pair: Pair, stratum: stats.Stratum) -> Slice:
    before, after = np.asarray(stratum.baseline), np.asarray(stratum.quantized)
    copies = item_clusters.copies_of(pair.baseline.items, pair.candidate.items)
    made = slice_of(pair.baseline, pair.metric, pair.weight, before, after)
    return replace(made, repetition=item_clusters.repetition(copies))


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


def _shares(fact: str, baseline: Accuracy, candidate: Accuracy) -> tuple[float, float] | None:
    noted = [one.items.facts.get(fact) for one in (baseline, candidate)]
    if noted[0] is None or noted[1] is None:
        return None
    return float(np.mean(noted[0])), float(np.mean(noted[1]))


def _floor(pairs: Sequence[Pair]) -> Floor | None:
    """None unless every task has as many runs of the baseline, two or more."""
    runs = [_runs(one.baseline, one.metric) for one in pairs]
    count = min(len(one) for one in runs)
    if count < 2 or any(len(one) != count for one in runs):
        return None
    every = [np.concatenate([one[index] for one in runs]) for index in range(count)]
    after = np.concatenate([_scores(one)[1] for one in pairs])
    noise = stats.rerun_noise(every)
    change = float(np.mean([np.mean(np.abs(run - after)) for run in every]))
    # A statement about the models, so the same at every gate's own confidence.
    low, high = stats.pooled_retention([_stratum(one) for one in pairs], confidence=0.95, sides=1)
    within = low <= 1.0 <= high and change <= noise.highest
    return Floor(noise, change, within, of_items=all(p.metric.kind == "binary" for p in pairs))
