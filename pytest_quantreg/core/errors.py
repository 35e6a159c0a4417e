"""Every error that decides an outcome, and what each of them means for the build.

    QuantregError
    ├── WrongUse            the request itself is wrong: exit 4 or a collection error
    │   └── MissingExtra    an optional package is not installed
    └── Refusal             nothing may be concluded: the test fails, shown as ERROR

A lost gate is not an exception here: it is a verdict (`core.gates.verdict`).
"""

from __future__ import annotations

from enum import Enum

from .printable import printable


class Category(str, Enum):
    """Why a gate was refused; the value is what reports and JUnit show."""

    NOT_COMPARABLE = "not comparable"
    SUSPICIOUS = "suspicious"
    TOO_WEAK = "too weak"
    BASELINE_ABSENT = "baseline absent"
    BASELINE_UNREADABLE = "baseline unreadable"
    NOTHING_MEASURED = "nothing measured"
    NOT_JUDGED = "not judged"
    OUT_OF_MEMORY = "out of memory"
    MISSING_EXTRA = "missing extra"
    UNUSABLE_MODEL = "unusable model"
    WRONG_USE = "wrong use"
    ENGINE = "engine failed"
    FAULT = "internal fault"


class QuantregError(Exception):
    """Base of the tree: one line of what happened, then lines that help.

    Names and texts of others stand in these lines, so each is made `printable`.
    """

    def __init__(self, what: str, *, help: str | tuple[str, ...] = ()) -> None:
        self.what = printable(what)
        self.help = tuple(map(printable, (help,) if isinstance(help, str) else help))
        super().__init__(self.what, self.help)

    def __str__(self) -> str:
        return "\n".join([self.what, *(f"  {line}" for line in self.help)])

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.__dict__)


class WrongUse(QuantregError):
    """An option, marker or argument that can never work as written."""


class MissingExtra(WrongUse):
    """A package of an extra is missing: says what needs it and how to install it."""

    def __init__(self, extra: str, *, needed_by: str, package: str) -> None:
        super().__init__(
            f"{needed_by} needs the package {package!r}, which is not installed",
            help=f'install it with: pip install "pytest-quantreg[{extra}]"',
        )


class Refusal(QuantregError):
    """Evidence that must not be judged: never a pass, never a regression either."""

    def __init__(self, category: Category, what: str, *, help: str | tuple[str, ...] = ()) -> None:
        super().__init__(what, help=help)
        self.category = category


def _rebuild(kind: type[QuantregError], state: dict[str, object]) -> QuantregError:
    # Exceptions cross process borders (xdist, own processes); the default protocol
    # would call __init__ with the wrong arguments.
    error = kind.__new__(kind)
    Exception.__init__(error, state.get("what"))
    error.__dict__.update(state)
    return error
