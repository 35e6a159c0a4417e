"""Plain values to JSON types and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from ..core.records.run import Json

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Dataclasses, mappings and tuples as dicts and lists of JSON."""
    # Field order is the order in the file; names of open mappings are sorted.
    if hasattr(value, "__dataclass_fields__"):
        return {item.name: to_plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {name: to_plain(value[name]) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [to_plain(inner) for inner in value]
    return value


def known_fields(cls: type[Any], document: Mapping[str, Json]) -> dict[str, Any]:
    """The fields of a dataclass that ``document`` has, by name."""
    return {item.name: document[item.name] for item in fields(cls) if item.name in document}


def make(cls: type[T], document: Mapping[str, Json]) -> T:
    """The dataclass that ``document`` spells out; fields it has no name for are passed over."""
    return cls(**known_fields(cls, document))
