"""What makes two evaluations doubtful as a pair: one model twice, changed sides, shared answers."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.errors import Category, Refusal, WrongUse
from ..core.evaluation import Evaluation, Result
from ..core.schemes import resolve
from ..core.sealing import same_settings
from ..core.settings import GateMode
from ..core.suspicion import same_likelihoods

LOADS_WEIGHTS = frozenset({"lm-eval-hf", "lm-eval-vllm", "lm-eval-sglang"})
"""Engines whose model name says which weights ran; behind a server it may be any word."""


def refuse_swapped(baseline: Evaluation, candidate: Evaluation) -> None:
    """Refuses to judge full precision by what was quantized: any loss would be a gain."""
    if _is_quantized(baseline) is True and _is_quantized(candidate) is False:
        raise Refusal(
            Category.SUSPICIOUS,
            f"{candidate.label} is {candidate.scheme}, not quantized, and would be judged by "
            f"{baseline.label}, which is {baseline.scheme}",
            help="name the baseline first and what was made of it after it",
        )


def refuse_unquantized(baseline: Evaluation, candidate: Evaluation, mode: GateMode) -> None:
    """Refuses a candidate of the baseline's own weights where it claims others.

    Without a claim it is a rerun, of which `certify` alone has nothing to say.
    """
    if (why := unquantized(baseline, candidate)) is not None:
        raise Refusal(
            Category.SUSPICIOUS,
            why,
            help="evaluate the quantized checkpoint, or give the folder a name that is no scheme",
        )
    if mode is GateMode.CERTIFY and is_rerun(baseline, candidate):
        raise Refusal(
            Category.SUSPICIOUS,
            f"{_both_name(baseline, candidate)}: nothing was quantized that could be certified",
            help="evaluate the quantized checkpoint; reruns are compared without --gate certify",
        )


def unquantized(baseline: Evaluation, candidate: Evaluation) -> str | None:
    """Why nothing seems to be quantized though the candidate says so; None if not known."""
    known = baseline.weights is not None and candidate.weights is not None
    if not known or not _claims(baseline, candidate) or not _same_weights(baseline, candidate):
        return None
    return (
        f"{candidate.label} claims {candidate.scheme}, and its files name the baseline's own "
        f"weights: {candidate.model}, with no argument that quantizes it"
    )


def is_rerun(baseline: Evaluation, candidate: Evaluation) -> bool:
    """Whether both openly are the same model, and nobody claims anything else."""
    return not _claims(baseline, candidate) and _same_weights(baseline, candidate)


def _same_weights(baseline: Evaluation, candidate: Evaluation) -> bool:
    """A hub id names the weights; the last part of a path, or a word of a server, does not."""
    named = baseline.model == candidate.model and "/" in candidate.model
    loaded = {baseline.engine, candidate.engine} <= LOADS_WEIGHTS
    unknown = None in (baseline.weights, candidate.weights)
    return named and loaded and (unknown or same_settings(baseline.weights, candidate.weights))


def same_model(baseline: Evaluation, candidate: Evaluation) -> Iterator[str]:
    """Tells that both name one model."""
    known = all(one.engine != "unknown" for one in (baseline, candidate))
    if not known or baseline.model != candidate.model:
        return
    if not same_settings(baseline.weights, candidate.weights):
        return
    if (why := unquantized(baseline, candidate)) is not None:
        yield why
    elif candidate.scheme in (None, baseline.scheme):
        yield _both_name(baseline, candidate)


def _both_name(baseline: Evaluation, candidate: Evaluation) -> str:
    return f"{baseline.label} and {candidate.label} both name {candidate.model} as their model"


def doubt(
    baseline: Result, candidate: Result, *, one_model: bool, rerun: bool = False
) -> str | None:
    """Why the two results of one task are no two measurements; None if nothing says so.

    ``one_model``: both name the same model. ``rerun``: openly so, and a rerun may well give
    the same answers.
    """
    what = candidate.task
    if one_model and _stored_once(baseline, candidate):
        return f"{what} is one and the same run on both sides"
    if one_model and _written_once(baseline, candidate):
        return f"{what} is one and the same evaluation on both sides, written at the same moment"
    if not rerun and _answered_once(baseline, candidate):
        return (
            f"all log-likelihoods of {what} are the baseline's to the last bit, as if the "
            "same weights had answered"
        )
    shared = baseline.cache is not None and baseline.cache == candidate.cache
    if shared and _scored_alike(baseline, candidate):
        return (
            f"no score of {what} changed, and both read their answers from one --use_cache, which "
            "knows questions and no models"
        )
    return None


def _answered_once(baseline: Result, candidate: Result) -> bool:
    before, after = baseline.accuracy, candidate.accuracy
    if before is None or after is None or before.items.digests != after.items.digests:
        return False
    return same_likelihoods(before, after)


def _scored_alike(baseline: Result, candidate: Result) -> bool:
    before, after = baseline.accuracy, candidate.accuracy
    if before is None or after is None:
        return _figures(baseline) == _figures(candidate)
    same = before.items.digests == after.items.digests
    return same and before.items.scores == after.items.scores


def _stored_once(baseline: Result, candidate: Result) -> bool:
    ours, theirs = baseline.run, candidate.run
    if ours is None or theirs is None or ours.accuracy != theirs.accuracy:
        return False
    return ours.provenance.recorded_at == theirs.provenance.recorded_at


def _written_once(baseline: Result, candidate: Result) -> bool:
    if baseline.date is None or baseline.date != candidate.date:
        return False
    return _figures(baseline) == _figures(candidate)


def _figures(one: Result) -> list[tuple[str, float]]:
    return [(each.metric.name, each.value) for each in one.aggregates]


def _claims(baseline: Evaluation, candidate: Evaluation) -> bool:
    """Whether the candidate says that it is quantized and the baseline does not."""
    return _is_quantized(candidate) is True and _is_quantized(baseline) is not True


def _is_quantized(side: Evaluation) -> bool | None:
    try:
        return resolve(side.scheme).is_quantized if side.scheme else None
    except WrongUse:  # a scheme of a project's own, or none that was named
        return None
