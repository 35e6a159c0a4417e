"""One table of `[tool.quantreg.schemes]`, field by field: what it defines, or what is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..core.errors import WrongUse
from ..core.printable import printable
from ..core.schemes.catalogue import ProjectScheme
from ..core.schemes.names import SCHEMES, Quantization, name_of, resolve
from ..core.schemes.words import described

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
        raise WrongUse(
            f"{where}: allowed in a name are letters, digits, '.', '_' and '-'",
            help="it becomes a part of test ids",
        )
    claims, makeable = _claims(table, where)
    source = _text(table, "source", where)
    retention = _share(table, where)
    if (retention is None) != (not source):
        raise WrongUse(
            f"{where}: retention and source go together",
            help='e.g. retention = 0.97, source = "our report of May, 3,000 items"',
        )
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
            raise WrongUse(
                f"{where}: like says what {written[0]} says too",
                help="keep like, or write out weights, activations and kv_cache",
            )
        return _like(_text(table, "like", where), where), True
    if "weights" not in table:
        raise WrongUse(
            f"{where}: neither like nor weights says what it is",
            help=(
                'e.g. like = "w4a16-int4"',
                'or weights = {type = "int", bits = 4, granularity = "group", group_size = 64}',
            ),
        )
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


def _like(text: str, where: str) -> str:
    try:
        choice = resolve(text)
    except WrongUse as error:
        raise WrongUse(f"{where} like = {text!r}: {error.what}", help=error.help) from None
    if not choice.is_quantized or choice.scheme not in SCHEMES:
        raise WrongUse(f"{where} like = {text!r}: not a quantized scheme")
    return choice.name


def _kv(table: Mapping[str, Any], where: str) -> str:
    if "kv_cache" not in table:
        return ""
    cache = _quantization(table["kv_cache"], f"{where} kv_cache")
    if (cache.type, cache.bits) != ("float", 8):
        raise WrongUse(
            f"{where} kv_cache: {cache.type} in {cache.bits} bits is not known",
            help='allowed is fp8: kv_cache = {type = "float", bits = 8, granularity = "tensor"}',
        )
    return "+kv-fp8"


def _quantization(table: Any, where: str) -> Quantization:
    values = mapping(table, where)
    check_keys(values, _QUANTIZATION, where)
    if lacking := [key for key in ("type", "bits", "granularity") if key not in values]:
        raise WrongUse(f"{where}: {', '.join(lacking)} is missing")
    for key, allowed in _NUMBERS.items():
        if key in values and values[key] not in allowed:
            raise _wrong(f"{where} {key}", values[key], allowed)
    bits, size, dynamic = values["bits"], values.get("group_size"), values.get("dynamic", False)
    if not _is_whole(bits) or not 1 <= bits <= 8:
        raise WrongUse(f"{where} bits = {bits!r}: allowed are whole numbers from 1 to 8")
    grouped = values["granularity"] in ("group", "block")
    if size is not None and (not grouped or not _is_whole(size) or size < 1):
        raise WrongUse(
            f"{where} group_size = {size!r}: allowed is a whole number, 1 or more, where "
            "granularity is group or block"
        )
    if not isinstance(dynamic, bool):
        raise WrongUse(f"{where} dynamic = {dynamic!r}: allowed are true and false")
    return Quantization(
        values["type"],
        bits,
        values["granularity"],
        dynamic=dynamic,
        group_size=size,
        scale=values.get("scale", "float"),
    )


def checkpoint_of(value: Any, where: str) -> str | Mapping[str, str]:
    """A REF, or one per model, as written. Raises WrongUse for anything else."""
    if isinstance(value, str) and value.strip():
        return value
    entries = value if isinstance(value, dict) else {}
    if entries and all(isinstance(ref, str) and ref.strip() for ref in entries.values()):
        return {str(name): str(ref) for name, ref in entries.items()}
    raise WrongUse(
        f"{where} checkpoint = {value!r}: allowed is a REF, or a table of one per model",
        help='e.g. checkpoint = "models/ours" or checkpoint = {"org/model" = "org/model-w4a16"}',
    )


def _aliases(table: Mapping[str, Any], where: str) -> tuple[str, ...]:
    value = table.get("aliases", [])
    names = value if isinstance(value, list) else [None]
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise WrongUse(
                f"{where} aliases = {value!r}: allowed is a list of names of letters, digits, "
                "'.', '_' and '-'"
            )
        if (clash := built_in(name)) is not None:
            raise WrongUse(f"{where} aliases: {name!r} is built in already, as {clash}")
    return tuple(names)


def _share(table: Mapping[str, Any], where: str) -> float | None:
    value = table.get("retention")
    if value is None:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and 0 < value <= 1.5:
        return float(value)
    hint = f"; did you mean {value / 100:g}?" if number and 50 < value <= 150 else ""
    raise WrongUse(f"{where} retention = {value!r}: allowed is a share such as 0.97{hint}")


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str) or (key in table and not value.strip()):
        raise WrongUse(f"{where} {key} = {value!r}: allowed is a text")
    return printable(value.strip())


def built_in(name: str) -> str | None:
    """The canonical name of the built-in scheme that ``name`` means; None for no such name."""
    try:
        return resolve(name).name
    except WrongUse:
        return None


def place(name: str) -> str:
    """Where the table of a scheme stands, for messages."""
    return f"{FILE} [tool.quantreg.schemes.{name}]"


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """``value`` as a table. Raises WrongUse naming ``where``."""
    if not isinstance(value, dict):
        raise WrongUse(f"{where} = {value!r}: allowed is a table")
    return value


def check_keys(table: Mapping[str, Any], allowed: Sequence[str], where: str) -> None:
    """Raises WrongUse for a key that is none of ``allowed``, with the nearest."""
    for key in table:
        if key not in allowed:
            raise _wrong(f"{where} {key}", None, allowed, word=key)


def _wrong(where: str, value: Any, allowed: Iterable[str], word: str | None = None) -> WrongUse:
    """A key (``word``) or a value that is none of ``allowed``, with the nearest."""
    names = tuple(allowed)
    close = difflib.get_close_matches(str(word or value), names, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    problem = f"{where}: no such key" if word is not None else f"{where} = {value!r}"
    joint = "," if word is not None else ":"
    return WrongUse(f"{problem}{joint} allowed are {', '.join(names)}{hint}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
