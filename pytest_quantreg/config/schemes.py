"""The reader of `[tool.quantreg.schemes]` in pyproject.toml: a project's schemes, checkpoints."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import WrongUse
from ..core.schemes.catalogue import Catalogue, ProjectScheme
from ..core.schemes.names import resolve
from ..core.settings import ModelRef
from .scheme_fields import (
    FILE,
    KEYS,
    built_in,
    check_keys,
    checkpoint_of,
    mapping,
    own_scheme,
    place,
)
from .values import OptionValue, parse_ref

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest brings it there
    import tomli as tomllib

MOST_BYTES = 16 * 1024 * 1024
"""Of a pyproject.toml."""


@dataclass(frozen=True)
class ProjectSchemes:
    """What a project says of schemes.

    ``checkpoints`` holds, by canonical name, a REF or one per model; they are relative to
    ``folder``.
    """

    folder: Path
    catalogue: Catalogue = field(default=Catalogue())
    checkpoints: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)

    def checkpoint(self, scheme: str, model: str | None) -> ModelRef | None:
        """The checkpoint of ``scheme`` for the model of that name, None without an entry.

        Raises WrongUse for one that is not there, or where entries go by model and the
        model is not among them.
        """
        entry = self.checkpoints.get(scheme)
        if entry is None:
            return None
        where = f"{place(scheme)} checkpoint"
        if isinstance(entry, str):
            return parse_ref(OptionValue(entry, where, self.folder))
        if model is None:
            raise WrongUse(
                f"{where} goes by model, and no model is named",
                help=("name it: --quant-model=REF", f"it knows {', '.join(entry)}"),
            )
        if model not in entry:
            raise WrongUse(
                f"{where} has no entry for {model}",
                help=(
                    f"it knows {', '.join(entry)}",
                    f"add one, or type --quant-checkpoint={scheme}=REF",
                ),
            )
        return parse_ref(OptionValue(entry[model], f"{where} of {model}", self.folder))


def nearest_file(folder: Path) -> Path | None:
    """The pyproject.toml of ``folder`` or of the first folder above that has one."""
    for parent in (folder, *folder.parents):
        if (parent / FILE).is_file():
            return parent / FILE
    return None


def read_file(path: Path) -> ProjectSchemes:
    """What the file says; nothing where there is no file. Raises WrongUse, naming the place."""
    nothing = ProjectSchemes(path.parent)
    try:
        whole = _parsed(path)
    except (FileNotFoundError, NotADirectoryError):
        return nothing
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise WrongUse(f"{path.name} cannot be read: {why}", help=f"the file is {path}") from None
    tool = whole.get("tool")
    ours = tool.get("quantreg") if isinstance(tool, dict) else None
    if ours is None:
        return nothing
    check_keys(mapping(ours, f"{FILE} [tool.quantreg]"), ("schemes",), f"{FILE} [tool.quantreg]")
    return _read(ours.get("schemes", {}), path.parent)


def _parsed(path: Path) -> Mapping[str, Any]:
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(f"it has {size:,} bytes where at most {MOST_BYTES:,} can be right")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _read(tables: Any, folder: Path) -> ProjectSchemes:
    own_schemes: list[ProjectScheme] = []
    checkpoints: dict[str, str | Mapping[str, str]] = {}
    for name, table in mapping(tables, f"{FILE} [tool.quantreg.schemes]").items():
        where = place(name)
        check_keys(mapping(table, where), KEYS, where)
        built_in_name = built_in(name)
        if built_in_name is None:
            own_schemes.append(own_scheme(name, table))
        else:
            _refuse_redefined(name, built_in_name, table)
        canonical = built_in_name or name
        if canonical in checkpoints:
            raise WrongUse(f"{where}: another table is about {canonical} too", help="keep one")
        if "checkpoint" in table:
            checkpoints[canonical] = checkpoint_of(table["checkpoint"], where)
    _refuse_same_names(own_schemes)
    return ProjectSchemes(folder, Catalogue(tuple(own_schemes)), checkpoints)


def _refuse_redefined(name: str, built_in_name: str, table: Mapping[str, Any]) -> None:
    if not resolve(built_in_name).is_quantized:
        raise WrongUse(f"{place(name)}: {built_in_name} is built in, and quantizes nothing")
    if more := [key for key in table if key != "checkpoint"]:
        called = built_in_name if built_in_name == name else f"{name}, which is {built_in_name},"
        raise WrongUse(
            f"{place(name)} {more[0]}: {called} is built in and takes nothing but checkpoint",
            help="give a scheme of your own another name",
        )


def _refuse_same_names(schemes: Sequence[ProjectScheme]) -> None:
    seen: list[ProjectScheme] = []
    for scheme in schemes:
        for name in (scheme.name, *scheme.aliases):
            if (other := Catalogue(tuple(seen)).find(name)) is not None:
                raise WrongUse(
                    f"{place(scheme.name)}: {name!r} is {other.name} already",
                    help="case, separators and the order of words make no other name",
                )
        seen.append(scheme)


def nearest_catalogue() -> Catalogue:
    """Return the schemes of the project that the working folder lies in."""
    path = nearest_file(Path.cwd())
    return read_file(path).catalogue if path is not None else Catalogue()
