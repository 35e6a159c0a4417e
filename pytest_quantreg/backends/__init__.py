"""The engines that can run a model, found by name and imported when one is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..core.codes import EngineCode
from ..core.engine import Backend
from ..core.errors import WrongUse
from ..core.facts import Quoted
from ..core.printable import first_line, quoted_lines

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "transformers": "pytest_quantreg.backends.transformers:TransformersBackend",
        "vllm": "pytest_quantreg.backends.vllm:VllmBackend",
        "openai": "pytest_quantreg.backends.openai:OpenaiBackend",
        "llamacpp": "pytest_quantreg.backends.llamacpp:LlamacppBackend",
    }
)

GROUP = "pytest_quantreg.backends"
"""Entry points of this group name callables that take ``cache_dir`` and make a Backend."""


def find(name: str, *, cache_dir: Path) -> Backend:
    """The backend called ``name``.

    ``cache_dir`` is where it may keep what it makes (quantized checkpoints). Raises
    WrongUse for an unknown name, with the known ones.
    """
    if name in BUILT_IN:
        module, _, factory = BUILT_IN[name].partition(":")
        return _make(getattr(import_module(module), factory), cache_dir)
    third_party = {point.name: point for point in entry_points(group=GROUP)}
    if name in third_party:
        return _make(_load_entry_point(third_party[name]), cache_dir)
    raise _unknown_backend(name, (*BUILT_IN, *third_party))


def names() -> tuple[str, ...]:
    """Every backend that `find` knows, the scripted double left out."""
    third_party = (point.name for point in entry_points(group=GROUP))
    return tuple(sorted({*BUILT_IN, *third_party} - {"scripted"}))


def _make(factory: Any, cache_dir: Path) -> Backend:
    backend: Backend = factory(cache_dir=cache_dir)
    return backend


def _load_entry_point(point: EntryPoint) -> Any:
    try:
        return point.load()
    except ImportError as error:
        raise WrongUse(
            EngineCode.BACKEND_NOT_IMPORTABLE,
            backend=point.name,
            value=point.value,
            error=Quoted(first_line(error)),
            lines=tuple(map(Quoted, quoted_lines(error))),
        ) from error


def _unknown_backend(name: str, known_names: tuple[str, ...]) -> WrongUse:
    known = tuple(sorted(set(known_names) - {"scripted"}))
    return WrongUse(EngineCode.UNKNOWN_BACKEND, backend=name, known=known)
