"""Checkpoints given without a scheme: their files say which scheme is under test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..backends import find
from ..backends.checkpoint.hub import local_copy
from ..core.codes import GateCode
from ..core.engine import Backend
from ..core.errors import QuantregError, WrongUse
from ..core.facts import Problem, Scheme
from ..core.records.run import ModelSpec
from ..core.schemes.catalogue import Catalogue
from ..core.schemes.names import same_identity
from ..core.settings import ModelRef, Settings
from .scheme_alias_backend import with_scheme_aliases


def named_by_files(settings: Settings) -> Settings:
    """Return the settings with a scheme for every checkpoint that was given without one.

    Only files on this machine are read. Raises WrongUse where they do not say the scheme.
    """
    if not settings.unnamed:
        return settings
    backend = with_scheme_aliases(
        find(settings.backend, cache_dir=settings.cache_dir / "checkpoints"), settings.catalogue
    )
    checkpoints: dict[str | None, ModelRef] = {}
    for ref in settings.unnamed:
        scheme = _scheme_of(ref, backend, settings)
        other = checkpoints.get(scheme) or settings.checkpoints.get(scheme)
        if other is not None and (other.ref, other.revision) != (ref.ref, ref.revision):
            raise WrongUse(
                GateCode.SECOND_CHECKPOINT,
                given=ref.given,
                scheme=Scheme(scheme),
                other=other.given,
            )
        checkpoints[scheme] = ref
    schemes = tuple(scheme for scheme in checkpoints if scheme is not None)
    return replace(
        settings,
        schemes=tuple(dict.fromkeys((*settings.schemes, *schemes))),
        checkpoints={**settings.checkpoints, **checkpoints},
        unnamed=(),
        of_files=schemes,
    )


def _scheme_of(ref: ModelRef, backend: Backend, settings: Settings) -> str:
    local_ref = ref.ref if Path(ref.ref).is_absolute() else local_copy(ref.ref, ref.revision)
    if local_ref is None:
        raise _unknown_scheme(ref, Problem(GateCode.CHECKPOINT_ELSEWHERE, {}))
    spec = ModelSpec(local_ref, ref.name, "", settings.backend, args=settings.quantized_args)
    try:
        stored = backend.stored_scheme(spec)
    except QuantregError as error:
        raise _unknown_scheme(ref, error.problem) from None
    if stored is None:
        raise _unknown_scheme(ref, Problem(GateCode.FILES_NAME_NO_SCHEME, {}))
    if (scheme := _scheme_name(stored, settings.catalogue)) is None:
        raise _unknown_scheme(ref, Problem(GateCode.SCHEME_WITHOUT_NAME, {"stored": stored}))
    return scheme


def _scheme_name(stored: str, catalogue: Catalogue) -> str | None:
    """The name under which a session tests what files hold; None without one."""
    names = [
        alias.name for alias in catalogue.project_schemes if same_identity(alias.claims, stored)
    ]
    if len(names) == 1:
        return names[0]
    try:
        choice = catalogue.choose(stored)
    except WrongUse:
        return None
    return choice.name if choice.is_quantized else None


def _unknown_scheme(ref: ModelRef, why: Problem) -> WrongUse:
    return WrongUse(GateCode.SCHEME_NOT_NAMED, given=ref.given, cause=why)
