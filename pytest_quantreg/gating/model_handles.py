"""Light handles on models: what the model fixtures give to tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.engine import Engine
from ..core.records.run import EffectiveScheme, ModelSpec


class ModelHandle:
    """A model that is loaded when it is first used and shares memory with no other.

    ``name`` is what people call it, ``scheme`` what it claims to be. Each use of
    ``model``, ``tokenizer`` or ``effective`` makes sure that it is the loaded one and
    frees whichever was loaded before.
    """

    def __init__(self, spec: ModelSpec, load: Callable[[], Engine]) -> None:
        self.name = spec.name
        self.scheme = spec.scheme
        self._load = load

    @property
    def model(self) -> Any:
        """The engine's own model object, e.g. a transformers model in eval mode."""
        return self._load().model

    @property
    def tokenizer(self) -> Any:
        """The engine's own tokenizer."""
        return self._load().tokenizer

    @property
    def effective(self) -> EffectiveScheme:
        """What was really loaded and runs, read from the loaded modules."""
        return self._load().effective

    def __repr__(self) -> str:
        return f"<ModelHandle {self.name} {self.scheme}>"
