"""Every error that decides an outcome, and what each of them means for the build.

    QuantregError
    ├── WrongUse            the request itself is wrong: exit 4 or a collection error
    │   └── MissingExtra    an optional package is not installed
    └── Refusal             nothing may be concluded: the test fails, shown as ERROR

A lost gate is not an exception here: it is a verdict (`core.gates.verdict`).
"""

from __future__ import annotations

from typing import Any, overload

from .codes import Category, Code, SharedCode
from .facts import Fact, InstallExtra, Problem, Words, stated

__all__ = ["Category", "MissingExtra", "QuantregError", "Refusal", "WrongUse"]


class QuantregError(Exception):
    """Base of the tree: a problem whose words `report.words` makes.

    ``words`` are those, once the room that shows them has made them, and what `str` then is.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.words: Words | None = None
        super().__init__(problem)

    def __str__(self) -> str:
        return str(self.words or self.problem)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.__dict__)


class WrongUse(QuantregError):
    """An option, marker or argument that can never work as written.

    ``WrongUse(code, **facts)`` here; a backend of somebody else says
    ``WrongUse(text, help=...)``.
    """

    @overload
    def __init__(self, code: Code, /, **facts: Fact) -> None: ...
    @overload
    def __init__(self, code: str, /, *, help: str | tuple[str, ...] = ()) -> None: ...
    def __init__(self, code: Code | str, /, **facts: Any) -> None:
        super().__init__(Problem(code, facts) if isinstance(code, Code) else stated(code, **facts))


class MissingExtra(WrongUse):
    """A package of an extra is missing: says what needs it and how to install it."""

    def __init__(self, extra: str, *, needed_by: str, package: str) -> None:
        super().__init__(
            SharedCode.MISSING_EXTRA,
            needed_by=needed_by,
            package=package,
            install=InstallExtra(extra),
        )


class Refusal(QuantregError):
    """Evidence that must not be judged: never a pass, never a regression either.

    ``Refusal(code, **facts)`` here; a backend of somebody else says
    ``Refusal(category, text, help=...)``.
    """

    @overload
    def __init__(self, code: Code, /, **facts: Fact) -> None: ...
    @overload
    def __init__(
        self, code: Category, what: str, /, *, help: str | tuple[str, ...] = ()
    ) -> None: ...
    def __init__(self, code: Code | Category, what: str = "", /, **facts: Any) -> None:
        if isinstance(code, Code):
            self.category = code.category
            super().__init__(Problem(code, facts))
        else:
            self.category = code
            super().__init__(stated(what, **facts))

    @classmethod
    def of(cls, problem: Problem, category: Category | None = None) -> Refusal:
        """The refusal of a problem that is known already, under its code's category or another."""
        refused = cls(problem.code, **problem.facts)
        refused.category = category or problem.code.category
        return refused


def _rebuild(kind: type[QuantregError], state: dict[str, object]) -> QuantregError:
    # Exceptions cross process borders (xdist, processes of engines); the default protocol
    # would call __init__ with the wrong arguments.
    error = kind.__new__(kind)
    Exception.__init__(error, state.get("problem"))
    error.__dict__.update(state)
    return error
