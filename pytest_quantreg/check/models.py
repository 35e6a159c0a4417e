"""Which models a session is about: settings in, model specs, names and refusals out."""

from __future__ import annotations

from ..baselines import Store
from ..core.errors import Category, Refusal, WrongUse
from ..core.outcome import Context
from ..core.record import EffectiveScheme, Machine, ModelIdentity, ModelSpec, Provenance, Software
from ..core.schemes import resolve, runs_as_claimed, same_identity
from ..core.settings import GateMode, Settings

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
    stored = store.find_models()
    if len(stored) == 1:
        return stored[0]
    have = f"holds {', '.join(stored)}" if stored else "is empty"
    raise Refusal(
        Category.WRONG_USE,
        f"which model is the baseline? {settings.baselines.name}/ {have}",
        help="name it: --quant-model=ORG/NAME or --quant-model=FOLDER",
    )


def baseline_spec(settings: Settings, name: str) -> ModelSpec:
    """The full-precision model of this session."""
    if settings.model is None:
        raise Refusal(
            Category.WRONG_USE,
            f"the full-precision {name} is needed here, and --quant-model does not name it",
            help="name it: --quant-model=ORG/NAME or --quant-model=FOLDER",
        )
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
        raise WrongUse(
            f"--quant-scheme={scheme}: nothing to test",
            help=(
                f"give the checkpoint: --quant-checkpoint={scheme}=REF",
                "or the model to quantize on the fly: --quant-model=REF",
            ),
        )
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
    own = baseline_scheme(identity, None)
    return tuple(dict.fromkeys((own, _NATIVE, *_SCHEME_OF_DTYPE.values())))


def refuse_wrong_checkpoint(spec: ModelSpec, stored: str | None) -> None:
    """Refuses files that hold ``stored`` and not the scheme they are tested as."""
    if stored is None:
        raise Refusal(
            Category.SUSPICIOUS,
            f"nothing in the checkpoint is quantized, and it is tested as {spec.scheme}",
            help="its config.json has no quantization; was the full-precision model given? "
            "Check --quant-checkpoint",
        )
    if not same_identity(spec.scheme, stored):
        raise Refusal(
            Category.UNUSABLE_MODEL,
            f"the checkpoint is {stored}, and it is tested as {spec.scheme}",
            help=f"test it as what it is (--quant-scheme={stored}) or give the right checkpoint",
        )


def refuse_unlike_claim(
    claimed: str, effective: EffectiveScheme, mode: GateMode, settings: Settings
) -> tuple[str, ...]:
    """Refuses a model with nothing quantized, and under certify one that runs otherwise.

    Returns notes for the verdict where a difference is only told.
    """
    if effective.quantized_layers == 0:
        raise Refusal(
            Category.SUSPICIOUS,
            f"nothing in the loaded weights is quantized, and the model is tested as {claimed}",
            help=f"all {effective.linear_layers} linear layers hold {effective.weights}; the "
            "engine ignored the quantization or the checkpoint has none",
        )
    runs = _unlike(claimed, effective)
    if runs is None:
        return ()
    if settings.effective != "warn" and (mode is GateMode.CERTIFY or settings.require):
        raise Refusal(
            Category.NOT_COMPARABLE,
            f"the engine runs it as {runs}, not as {claimed}",
            help='allow it and have it said: ini key quant_effective = "warn"',
        )
    return (f"runs as {runs}, not as {claimed}",)


def _unlike(claimed: str, effective: EffectiveScheme) -> str | None:
    """What runs in place of ``claimed``, None when that is what runs."""
    scheme = effective.scheme
    if scheme is None:
        return f"{effective.weights} weights, {effective.activations} activations"
    if not runs_as_claimed(claimed, scheme):
        return scheme
    if effective.quantized_layers < LEAST_QUANTIZED * effective.linear_layers:
        layers = f"{effective.quantized_layers} of {effective.linear_layers} linear layers"
        return f"{scheme} in only {layers}"
    return None


def refuse_baseline_itself(spec: ModelSpec, identity: ModelIdentity, baseline: Provenance) -> None:
    """Refuses a comparison of a model with itself, which nothing could lose. Raises Refusal."""
    same = identity.weights_digest == baseline.model.weights_digest
    runs = baseline.effective.scheme
    if same and not spec.quantize:
        what = "its weights are those of the baseline, to the bit"
    elif runs is not None and resolve(runs).is_quantized and same_identity(spec.scheme, runs):
        what = f"the baseline itself was recorded from a {runs} model"
    else:
        return
    raise Refusal(
        Category.SUSPICIOUS,
        f"the model tested as {spec.scheme} is compared with itself: {what}",
        help="record the baseline from the full-precision model: --quant-model=REF "
        "--quant-update=all",
    )


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
    if effective.mode == "full precision":
        return None
    scheme = effective.scheme or f"{effective.weights} / {effective.activations}"
    return f"{scheme} ({effective.mode})"
