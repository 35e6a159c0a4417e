"""One table of `[tool.quantreg.schemes]`, field by field: what it defines, or what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from ..core import checks
from ..core.codes import ConfigCode, OptionCode
from ..core.errors import WrongUse
from ..core.printable import printable
from ..core.schemes.catalogue import ProjectScheme
from ..core.schemes.names import SCHEMES, Quantization, name_of, resolve
from ..core.schemes.words import described

T = TypeVar("T")

FILE = "pyproject.toml"
KEYS = (
    *("like", "weights", "activations", "kv_cache", "title", "aliases"),
    *("checkpoint", "retention", "source"),
)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_NUMBERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "type": ("int", "float"),
        "granularity": ("tensor", "channel", "token", "group", "block"),
        "scale": ("float", "e4m3", "e8m0"),
    }
)
_QUANTIZATION = ("type", "bits", "granularity", "group_size", "dynamic", "scale")


def own_scheme(name: str, table: Mapping[str, Any]) -> ProjectScheme:
    """The scheme that a table defines. Raises WrongUse naming file, table, key and value."""
    where = place(name)
    if not _NAME.fullmatch(name):
        raise WrongUse(ConfigCode.BAD_SCHEME_NAME, where=where)
    claims, makeable = _claims(table, where)
    source = _text(table, "source", where)
    retention = None
    if "retention" in table:
        retention = entry(
            f"{where} retention", table["retention"], checks.check_published_retention
        )
    if (retention is None) != (not source):
        raise WrongUse(ConfigCode.RETENTION_WITHOUT_SOURCE, where=where)
    return ProjectScheme(
        name,
        claims,
        title=_text(table, "title", where),
        aliases=_aliases(table, where),
        makeable=makeable,
        retention=retention,
        source=source,
    )


def _claims(table: Mapping[str, Any], where: str) -> tuple[str, bool]:
    """What a scheme claims, and whether an engine that makes that makes the scheme."""
    written = [key for key in ("weights", "activations", "kv_cache") if key in table]
    if "like" in table:
        if written:
            raise WrongUse(ConfigCode.LIKE_BESIDE_DATA, where=where, key=written[0])
        return entry(f"{where} like", _text(table, "like", where), _like), True
    if "weights" not in table:
        raise WrongUse(ConfigCode.NEITHER_LIKE_NOR_WEIGHTS, where=where)
    weights = _quantization(table["weights"], f"{where} weights")
    activations = None
    if table.get("activations") is not None:
        activations = _quantization(table["activations"], f"{where} activations")
    name = name_of(weights, activations)
    named = next((scheme for scheme in SCHEMES if scheme.name == name), None)
    if named is None:
        return described(weights, activations) + _kv(table, where), False
    same = (named.weights, named.activations) == (weights, activations)
    return named.name + _kv(table, where), same


def _like(text: str) -> str:
    choice = resolve(text)
    if not choice.is_quantized or choice.scheme not in SCHEMES:
        raise WrongUse(OptionCode.NOT_QUANTIZED, scheme=text)
    return choice.name


def _kv(table: Mapping[str, Any], where: str) -> str:
    if "kv_cache" not in table:
        return ""
    cache = _quantization(table["kv_cache"], f"{where} kv_cache")
    if (cache.type, cache.bits) != ("float", 8):
        raise WrongUse(ConfigCode.UNKNOWN_KV_CACHE, where=where, type=cache.type, bits=cache.bits)
    return "+kv-fp8"


def _quantization(table: Any, where: str) -> Quantization:
    values = entry(where, table, check_table)
    check_keys(values, _QUANTIZATION, where)
    if lacking := [key for key in ("type", "bits", "granularity") if key not in values]:
        raise WrongUse(ConfigCode.MISSING_KEYS, where=where, keys=tuple(lacking))
    for key, allowed in _NUMBERS.items():
        if key in values:
            entry(f"{where} {key}", values[key], checks.check_choice, allowed=allowed)
    grouped = values["granularity"] in ("group", "block")
    size = values.get("group_size")
    if size is not None:
        entry(f"{where} group_size", size, _check_group_size, grouped=grouped)
    return Quantization(
        values["type"],
        entry(f"{where} bits", values["bits"], checks.check_count, most=8),
        values["granularity"],
        dynamic=entry(f"{where} dynamic", values.get("dynamic", False), _check_boolean),
        group_size=size,
        scale=values.get("scale", "float"),
    )


def _check_group_size(value: Any, *, grouped: bool) -> None:
    if not grouped or not checks.is_whole(value) or value < 1:
        raise WrongUse(ConfigCode.EXPECTED_GROUP_SIZE)


def _check_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise WrongUse(ConfigCode.EXPECTED_BOOLEAN)


def check_checkpoint(value: Any) -> str | Mapping[str, str]:
    """A REF, or one per model, as written. Raises WrongUse for anything else."""
    if isinstance(value, str) and value.strip():
        return value
    entries = value if isinstance(value, dict) else {}
    if entries and all(isinstance(ref, str) and ref.strip() for ref in entries.values()):
        return {str(name): str(ref) for name, ref in entries.items()}
    raise WrongUse(ConfigCode.EXPECTED_REF)


def _aliases(table: Mapping[str, Any], where: str) -> tuple[str, ...]:
    names = entry(f"{where} aliases", table.get("aliases", []), _check_names)
    for name in names:
        if (clash := built_in(name)) is not None:
            raise WrongUse(ConfigCode.ALIAS_OF_BUILT_IN, where=where, name=name, scheme=clash)
    return names


def _check_names(value: Any) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [None]
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise WrongUse(ConfigCode.EXPECTED_ALIASES)
    return tuple(names)


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    """The text of a key, empty where it is not there."""
    if key not in table:
        return ""
    return printable(entry(f"{where} {key}", table[key], checks.check_words))


def built_in(name: str) -> str | None:
    """The canonical name of the built-in scheme that ``name`` means; None for no such name."""
    try:
        return resolve(name).name
    except WrongUse:
        return None


def place(name: str) -> str:
    """Where the table of a scheme stands, for messages."""
    return f"{FILE} [tool.quantreg.schemes.{name}]"


def entry(where: str, value: Any, check: Callable[..., T], **rule: Any) -> T:
    """What ``check`` makes of ``value``; its WrongUse names the place and the value."""
    try:
        return check(value, **rule)
    except WrongUse as error:
        raise WrongUse(
            ConfigCode.BAD_ENTRY, where=where, value=checks.shown(value), cause=error.problem
        ) from None


def check_table(value: Any) -> Mapping[str, Any]:
    """A table. Raises WrongUse for anything else."""
    if isinstance(value, dict):
        return value
    raise WrongUse(ConfigCode.EXPECTED_TABLE)


def check_keys(table: Mapping[str, Any], allowed: Sequence[str], where: str) -> None:
    """Raises WrongUse for a key that is none of ``allowed``, with the nearest."""
    for key in table:
        if key not in allowed:
            raise WrongUse(
                ConfigCode.UNKNOWN_KEY,
                where=where,
                key=key,
                allowed=tuple(allowed),
                meant=checks.nearest(key, allowed),
            )
