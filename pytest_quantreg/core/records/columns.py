"""Columns of items without an object per item: a million take megabytes, not a gigabyte's tenth.

They read like the tuples that they stand for, and are equal to those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", int, float)
Value = TypeVar("Value")


class Numbers(Sequence[Number], Generic[Number]):
    """Whole numbers or floats, as the array (1-d, int64 or float64) that it is made of has them.

    ``np.asarray`` takes the array itself, which nobody may write to.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values
        self.values.flags.writeable = False

    def __len__(self) -> int:
        return int(self.values.size)

    @overload
    def __getitem__(self, at: int) -> Number: ...
    @overload
    def __getitem__(self, at: slice) -> Numbers[Number]: ...
    def __getitem__(self, at: int | slice) -> Number | Numbers[Number]:
        if isinstance(at, slice):
            return Numbers(self.values[at])
        number: Number = self.values[at].item()
        return number

    def __iter__(self) -> Iterator[Number]:
        return iter(self.values.tolist())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        values = self.values if dtype is None else self.values.astype(dtype, copy=False)
        return values.copy() if copy else values

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Numbers):
            return bool(np.array_equal(self.values, other.values))
        return tuple(self) == other if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


class Texts(Sequence[str]):
    """Texts of one length (``width``, above 0), one after the other in ``joined``."""

    def __init__(self, joined: str, width: int) -> None:
        self.joined, self.width = joined, width

    def __len__(self) -> int:
        return len(self.joined) // self.width

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        places = range(0, len(self.joined), self.width)[at]
        if isinstance(places, int):
            return self.joined[places : places + self.width]
        if places.step == self.width:
            return Texts(self.joined[places.start : places.stop], self.width)
        return tuple(self.joined[start : start + self.width] for start in places)

    def __iter__(self) -> Iterator[str]:
        joined, width = self.joined, self.width
        return (joined[at : at + width] for at in range(0, len(joined), width))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Texts):
            return (self.joined, len(self)) == (other.joined, len(other))
        return tuple(self) == other if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


def has_duplicates(ids: Sequence[int]) -> bool:
    """Whether a number is there more than once."""
    if not isinstance(ids, Numbers):
        return len(set(ids)) != len(ids)
    ordered = np.sort(ids.values)
    return bool((ordered[1:] == ordered[:-1]).any())


def places(ids: Sequence[int], wanted: Sequence[int]) -> Sequence[int]:
    """Where in ``ids``, which has no number twice, each of ``wanted`` is. Raises KeyError."""
    if not (isinstance(ids, Numbers) and isinstance(wanted, Numbers) and len(ids)):
        place = {number: at for at, number in enumerate(ids)}
        return tuple(place[number] for number in wanted)
    order = np.argsort(ids.values)
    ranks = np.searchsorted(ids.values, wanted.values, sorter=order)
    at = order[np.minimum(ranks, len(ids) - 1)]
    missing = np.flatnonzero(ids.values[at] != wanted.values)
    if missing.size:
        raise KeyError(wanted[int(missing[0])])
    return Numbers(at)


def picked(column: Sequence[Value], rows: Sequence[int]) -> Sequence[Value]:
    """What a column has in these rows, in their order."""
    if isinstance(column, Numbers):
        packed: Sequence[Any] = Numbers(column.values[np.asarray(rows, dtype=np.int64)])
        return packed
    values = list(column)
    return tuple(values[at] for at in rows)
