"""Per-session memo; caches errors too."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Generic, TypeVar

from ..core.errors import QuantregError

T = TypeVar("T")


class Memo(Generic[T]):
    """Remembers results by key, and errors of ours as well.

    An unreachable hub is asked once, not once for every test.
    """

    def __init__(self) -> None:
        self._values: dict[tuple[object, ...], T] = {}
        self._failed: dict[tuple[object, ...], QuantregError] = {}

    def of(self, key: tuple[object, ...], find: Callable[[], T]) -> T:
        """What ``find`` returned or raised for ``key`` the first time."""
        if key in self._failed:
            # A copy: the raised one holds the frames of its test.
            raise copy(self._failed[key])
        if key not in self._values:
            try:
                self._values[key] = find()
            except QuantregError as error:
                self._failed[key] = copy(error)
                raise
        return self._values[key]
