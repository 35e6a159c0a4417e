"""The reader of the marker quant_schemes: which schemes a test is for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .core.errors import WrongUse
from .core.schemes.catalogue import Catalogue
from .core.schemes.names import SchemeChoice

QUANT_SCHEMES = "quant_schemes"


def read_names(*names: Any) -> tuple[str, ...]:
    """The names as written; what they stand for, a session's catalogue says."""
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise WrongUse('allowed are scheme names, e.g. quant_schemes("w8a8-fp8", "w4a16-int4")')
    return names


def choices(names: Sequence[str], catalogue: Catalogue) -> tuple[SchemeChoice, ...]:
    """What the names stand for. Raises WrongUse for one that nothing quantized has."""
    chosen = tuple(catalogue.choose(name) for name in names)
    for choice in chosen:
        if not choice.is_quantized:
            raise WrongUse(f"{choice.name} is not a quantized scheme")
    return chosen


def admitted(
    names: Sequence[str], requested: Sequence[str], catalogue: Catalogue
) -> tuple[str, ...]:
    """Those of ``requested`` that a test for ``names`` takes. Raises WrongUse as `choices`."""
    allowed = choices(names, catalogue)
    return tuple(name for name in requested if _admits(allowed, catalogue.choose(name), catalogue))


def _admits(allowed: Sequence[SchemeChoice], choice: SchemeChoice, catalogue: Catalogue) -> bool:
    """``w4a16-int4`` admits every method of it and own schemes like it, others themselves."""
    return any(
        one.name == choice.name
        or (
            one.method is None
            and one.kv is None
            and one.scheme == choice.scheme
            and not catalogue.is_own(one.name)
        )
        for one in allowed
    )
