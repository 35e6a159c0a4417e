"""What is found out once in a session, also that it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Generic, TypeVar

from ..core.errors import QuantregError

T = TypeVar("T")


class Memo(Generic[T]):
    """Remembers by key what was found, or the error of ours that came of looking.

    An unreachable hub is asked once, not once for every test.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], T] = {}
        self._failed: dict[tuple[object, ...], QuantregError] = {}

    def of(self, key: tuple[object, ...], find: Callable[[], T]) -> T:
        """What ``find`` returned or raised for ``key`` the first time."""
        if key in self._failed:
            # A copy: the raised one holds the frames of its test.
            raise copy(self._failed[key])
        if key not in self._found:
            try:
                self._found[key] = find()
            except QuantregError as error:
                self._failed[key] = copy(error)
                raise
        return self._found[key]
