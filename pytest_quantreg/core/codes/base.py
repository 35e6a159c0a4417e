"""What every code of an error is, and the categories that codes fall into."""

from __future__ import annotations

from enum import Enum


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


class Code(Enum):
    """One thing that can go wrong: a subclass per subject, a member per rule.

    A member is written ``TOO_FEW_ITEMS = Category.NOT_COMPARABLE``; ``slug`` is its name as
    files and other processes hold it (``too-few-items``), unlike that of any other code.
    """

    category: Category

    def __new__(cls, category: Category) -> Code:
        member = object.__new__(cls)
        # Members of one category are no aliases of each other.
        member._value_ = len(cls.__members__)
        member.category = category
        return member

    @property
    def slug(self) -> str:
        """The name in lower case, with hyphens."""
        return self.name.lower().replace("_", "-")
