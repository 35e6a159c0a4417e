"""The tables of all subjects in one."""

from __future__ import annotations

from types import MappingProxyType

from . import (
    commands,
    config,
    engines,
    gates,
    imports,
    models,
    options,
    servers,
    shared,
    speed,
    stored,
    tasks,
)
from .template import Table

_SUBJECTS = (
    commands,
    config,
    engines,
    gates,
    imports,
    models,
    options,
    servers,
    shared,
    speed,
    stored,
    tasks,
)

ALL_WORDS: Table = MappingProxyType(
    {code: words for subject in _SUBJECTS for code, words in subject.WORDS.items()}
)
