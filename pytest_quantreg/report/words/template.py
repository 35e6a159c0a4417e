"""What a table of words holds for a code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, Union

from ...core.codes import Code
from ...core.facts import Fact

Lines: TypeAlias = Union[str, "tuple[str, ...]"]
"""A headline, or a headline and lines of help, with the names of facts in braces."""

Templates: TypeAlias = Lines | Callable[[Mapping[str, Fact]], Lines]
"""Lines, or a choice between some by the facts."""

Table: TypeAlias = Mapping[Code, Templates]
