"""Which models a session is about: settings in, model specs, names and refusals out."""

from __future__ import annotations

import re

from ..baselines import Store
from ..core.codes import GateCode
from ..core.errors import Refusal, WrongUse
from ..core.facts import Fact, Note, Problem, Scheme, SetOption
from ..core.records.outcome_row import Context
from ..core.records.run import (
    UNVERIFIED,
    EffectiveScheme,
    Machine,
    ModelIdentity,
    ModelSpec,
    Provenance,
    Software,
)
from ..core.schemes.catalogue import Catalogue
from ..core.schemes.names import SchemeChoice, resolve, same_identity
from ..core.schemes.on_the_fly import KV_FROM_FILES, NO_KV, making
from ..core.schemes.words import described, understood
from ..core.settings import GateMode, Settings
from .baseline_precision import refuse_quantized_baseline, with_cache

_SCHEME_OF_DTYPE = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
_NATIVE = "native"

LEAST_QUANTIZED = 0.5
"""A model of which fewer linear layers are quantized does not run as the scheme it claims."""


def model_name(settings: Settings, store: Store) -> str:
    """The model this session is about: named, or the store's only one."""
    if settings.model_name:
        return settings.model_name
    if settings.model is not None:
        return settings.model.name
    # Other engines' runs, imported ones too, are nothing that this session could compare with.
    stored = store.find_models(settings.backend) or store.find_models()
    if len(stored) == 1:
        return stored[0]
    raise Refusal(
        GateCode.WHICH_BASELINE_MODEL, store=settings.baselines.name, stored=tuple(stored)
    )


def baseline_spec(settings: Settings, name: str) -> ModelSpec:
    """The full-precision model of this session."""
    if settings.model is None:
        raise Refusal(GateCode.BASELINE_MODEL_NOT_NAMED, model=name)
    return ModelSpec(
        ref=settings.model.ref,
        name=name,
        scheme=_NATIVE,
        backend=settings.backend,
        revision=settings.model.revision,
        args=settings.baseline_args,
    )


def quantized_spec(settings: Settings, name: str, scheme: str) -> ModelSpec:
    """The model under test: a checkpoint if one was given, else made from the baseline."""
    checkpoint = settings.checkpoint_of(scheme)
    source = checkpoint or settings.model
    if source is None:
        raise WrongUse(GateCode.NOTHING_TO_TEST, scheme=Scheme(scheme))
    return ModelSpec(
        ref=source.ref,
        name=name,
        scheme=scheme,
        backend=settings.backend,
        revision=source.revision,
        quantize=checkpoint is None,
        args=settings.quantized_args,
    )


def baseline_scheme(identity: ModelIdentity, stored_scheme: str | None) -> str:
    """``bf16``, ``fp16``, ``fp32``; ``native`` for models that are born quantized."""
    if stored_scheme is not None:
        return _NATIVE
    return _SCHEME_OF_DTYPE.get(identity.dtype, _NATIVE)


def baseline_schemes(identity: ModelIdentity) -> tuple[str, ...]:
    """What the baseline of a candidate may be stored as, likeliest first.

    A candidate does not say whether its model was born quantized, and one of another
    compute type is to be refused as such.
    """
    likeliest = baseline_scheme(identity, None)
    return tuple(dict.fromkeys((likeliest, _NATIVE, *_SCHEME_OF_DTYPE.values())))


def refuse_wrong_checkpoint(spec: ModelSpec, stored: str | None, catalogue: Catalogue) -> None:
    """Refuses files that hold ``stored`` and not the scheme they are tested as."""
    choice = catalogue.choose(spec.scheme)
    if choice.kv is not None:
        _refuse_without_cache(spec, stored, _uncached(catalogue.claims(spec.scheme)))
    if stored is None and choice.scheme.weights is not None:
        raise Refusal(GateCode.CHECKPOINT_NOT_QUANTIZED, scheme=Scheme(spec.scheme))
    if stored is not None and not same_identity(catalogue.claims(spec.scheme), stored):
        tested = _with_claim(spec.scheme, catalogue)
        if understood(stored.partition("+")[0]) is not None:
            raise Refusal(GateCode.NAMELESS_SCHEME_STORED, stored=Scheme(stored), tested=tested)
        raise Refusal(GateCode.OTHER_SCHEME_STORED, stored=Scheme(stored), tested=tested)


def _refuse_without_cache(spec: ModelSpec, stored: str | None, without: str) -> None:
    """Refuses to load for a quantized KV cache what this engine will not run with one."""
    if spec.backend in NO_KV:
        why = Problem(GateCode.NO_FP8_CACHE, {"engine": spec.backend})
    elif spec.backend in KV_FROM_FILES and "+kv-fp8" not in (stored or ""):
        holds = Scheme(stored) if stored else None
        why = Problem(GateCode.CACHE_ONLY_FROM_FILES, {"engine": spec.backend, "holds": holds})
    else:
        return
    raise Refusal(
        GateCode.CACHE_NOT_TESTABLE,
        scheme=Scheme(spec.scheme),
        cause=why,
        without=SetOption("--quant-scheme", without),
    )


def refuse_unlike_claim(
    claimed: str, effective: EffectiveScheme, mode: GateMode, settings: Settings
) -> tuple[Note, ...]:
    """Refuses a model with nothing quantized, or with other weights than claimed.

    Under certify also one that computes otherwise. A KV cache that is not what was claimed
    is refused under every gate: no score shows it. Returns notes for the verdict where a
    difference is only noted.
    """
    choice = settings.catalogue.choose(claimed)
    unread = effective.mode == UNVERIFIED
    if effective.quantized_layers == 0 and choice.scheme.weights is not None and not unread:
        raise Refusal(
            GateCode.NOTHING_QUANTIZED_LOADED,
            scheme=Scheme(claimed),
            layers=effective.linear_layers,
            weights=effective.weights,
        )
    lenient = settings.effective == "warn"
    if choice.kv is not None and not _has_fp8_cache(effective):
        ran = with_cache(_running_scheme(effective) or effective.weights, effective)
        if not lenient:
            raise Refusal(
                GateCode.CACHE_RUNS_OTHERWISE,
                runs=ran,
                claimed=Scheme(claimed),
                without=SetOption("--quant-scheme", _uncached(settings.catalogue.claims(claimed))),
            )
        return (Problem(GateCode.RUNS_UNLIKE_CLAIM, {"runs": ran, "claimed": Scheme(claimed)}),)
    if unread:
        note = problem = Problem(GateCode.CLAIM_NOT_READ_BACK, {"claimed": Scheme(claimed)})
    elif (runs := _unlike(choice, settings.catalogue.claims(claimed), effective)) is not None:
        unlike: dict[str, Fact] = {"runs": runs, "claimed": Scheme(claimed)}
        note = Problem(GateCode.RUNS_UNLIKE_CLAIM, unlike)
        problem = Problem(GateCode.ENGINE_RUNS_UNLIKE_CLAIM, unlike)
    else:
        return ()
    strict = mode is GateMode.CERTIFY or settings.require or _other_weights(choice, effective)
    if strict and not lenient:
        raise Refusal.of(problem)
    return (note,)


def _other_weights(choice: SchemeChoice, effective: EffectiveScheme) -> bool:
    """Whether the weights are of another type than claimed, not merely computed otherwise."""
    claimed = choice.scheme.weights
    ran = resolve(effective.scheme).scheme.weights if effective.scheme is not None else None
    if claimed is None or ran is None:
        return False
    return (claimed.type, claimed.bits, claimed.scale) != (ran.type, ran.bits, ran.scale)


def _uncached(claims: str) -> str:
    """The scheme without its KV cache."""
    return claims.partition("+")[0]


def _unlike(choice: SchemeChoice, claims: str, effective: EffectiveScheme) -> Fact:
    """What runs in place of what is claimed, None when that is what runs."""
    ran = _running_scheme(effective)
    if ran is None:
        types = {"weights": effective.weights, "activations": effective.activations}
        return Problem(GateCode.WEIGHTS_AND_ACTIVATIONS, types)
    if not same_identity(claims, ran):
        return ran
    if choice.kv is None and _holds_fp8(effective):
        return with_cache(ran, effective)
    few = effective.quantized_layers < LEAST_QUANTIZED * effective.linear_layers
    if few and choice.scheme.weights is not None:
        layers = {"quantized": effective.quantized_layers, "layers": effective.linear_layers}
        return Problem(GateCode.IN_FEW_LAYERS, {"scheme": ran, **layers})
    return None


def _running_scheme(effective: EffectiveScheme) -> str | None:
    """What runs, by its name or in the words for data that has none; None for a mixture."""
    if effective.scheme is not None:
        return effective.scheme
    weights = understood(f"{effective.weights} weights")
    activations = understood(f"{effective.activations} weights")
    if weights is None or (activations is None and " " in effective.activations):
        return None
    return described(weights[0], None if activations is None else activations[0])


def _has_fp8_cache(effective: EffectiveScheme) -> bool:
    """Whether all of the cache is; where layers were left out, their type stands beside it."""
    return _holds_fp8(effective) and not re.search(r"float(16|32)", effective.kv_cache)


def _holds_fp8(effective: EffectiveScheme) -> bool:
    return "fp8" in effective.kv_cache.lower()


def _with_claim(scheme: str, catalogue: Catalogue) -> Scheme:
    """A scheme, of the project's own with what it claims."""
    claims = catalogue.claims(scheme)
    return Scheme(scheme, None if claims == scheme else claims)


def how_made(spec: ModelSpec, catalogue: Catalogue) -> tuple[str, ...]:
    """A note on a model that was rounded to nearest here, for want of a checkpoint."""
    if not spec.quantize or spec.made_by_argument:
        return ()
    scheme = catalogue.choose(spec.scheme).scheme
    how = making(spec.backend, scheme.name)
    if how is None or how.how != "rounded" or scheme.weights is None:
        return ()
    tuned = "; a tuned method (GPTQ, AWQ) usually keeps more" if scheme.weights.bits < 8 else ""
    return (f"made by round-to-nearest from {spec.name}{tuned}",)


def baseline_itself(
    spec: ModelSpec, identity: ModelIdentity, baseline: Provenance, catalogue: Catalogue
) -> Problem | None:
    """Why a comparison is one of a model with itself, which nothing could lose; None if it is not.

    Raises Refusal for a baseline that was quantized by an argument.
    """
    # Where the KV cache alone is quantized, the weights are meant to be the same.
    refuse_quantized_baseline(baseline.claimed, baseline.effective)
    weights = catalogue.choose(spec.scheme).scheme.weights is not None
    same = weights and identity.weights_digest == baseline.model.weights_digest
    runs, claims = baseline.effective.scheme, catalogue.claims(spec.scheme)
    if same and not spec.quantize:
        reason = Problem(GateCode.WEIGHTS_OF_BASELINE, {})
    elif runs is not None and resolve(runs).is_quantized and same_identity(claims, runs):
        reason = Problem(GateCode.BASELINE_OF_QUANTIZED_MODEL, {"runs": Scheme(runs)})
    else:
        return None
    facts: dict[str, Fact] = {"scheme": Scheme(spec.scheme), "cause": reason}
    return Problem(GateCode.COMPARED_WITH_ITSELF, facts)


def context_of(
    name: str,
    scheme: str,
    software: Software,
    *,
    baseline: Provenance | None = None,
    machine: Machine | None = None,
    effective: EffectiveScheme | None = None,
) -> Context:
    """What the summary says above the lines of one model and scheme, as far as known."""
    revision = baseline.model.revision if baseline is not None else None
    layers = None
    if effective is not None and effective.linear_layers and effective.quantized_layers:
        layers = f"{effective.quantized_layers} of {effective.linear_layers} linear layers"
    return Context(
        model=name,
        revision=revision[:7] if revision else None,
        baseline_scheme=baseline.claimed if baseline is not None else "",
        scheme=scheme,
        engine=f"{software.backend} {software.versions.get(software.backend, '')}".strip(),
        machine=machine.accelerator if machine is not None else "",
        runs_as=_runs_as(effective) if effective is not None else None,
        layers=layers,
    )


def _runs_as(effective: EffectiveScheme) -> str | None:
    if effective.mode == "full precision" and not _holds_fp8(effective):
        return None
    scheme = effective.scheme or f"{effective.weights} / {effective.activations}"
    cache = f", KV cache {effective.kv_cache}" if _holds_fp8(effective) else ""
    return f"{scheme} ({effective.mode}){cache}"
