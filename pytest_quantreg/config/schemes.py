"""The reader of `[tool.quantreg.schemes]` in pyproject.toml: a project's schemes, checkpoints."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.codes import ConfigCode
from ..core.errors import WrongUse
from ..core.facts import Problem, Quoted
from ..core.schemes.catalogue import Catalogue, ProjectScheme
from ..core.schemes.names import resolve
from ..core.settings import ModelRef
from .scheme_fields import (
    FILE,
    KEYS,
    built_in,
    check_checkpoint,
    check_keys,
    check_table,
    entry,
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
        refs = self.checkpoints.get(scheme)
        if refs is None:
            return None
        where = f"{place(scheme)} checkpoint"
        if isinstance(refs, str):
            return parse_ref(OptionValue(refs, where, self.folder))
        if model is None:
            raise WrongUse(ConfigCode.CHECKPOINTS_BY_MODEL, where=where, models=tuple(refs))
        if model not in refs:
            raise WrongUse(
                ConfigCode.NO_CHECKPOINT_OF_MODEL,
                where=where,
                model=model,
                models=tuple(refs),
                scheme=scheme,
            )
        return parse_ref(OptionValue(refs[model], f"{where} of {model}", self.folder))


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
    except WrongUse as error:
        raise _unreadable(path, error.problem) from None
    except RecursionError:
        raise _unreadable(path, Problem(ConfigCode.PROJECT_FILE_TOO_DEEP, {})) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise _unreadable(path, Quoted(str(why))) from None
    tool = whole.get("tool")
    ours = tool.get("quantreg") if isinstance(tool, dict) else None
    if ours is None:
        return nothing
    where = f"{FILE} [tool.quantreg]"
    check_keys(entry(where, ours, check_table), ("schemes",), where)
    return _read(ours.get("schemes", {}), path.parent)


def _parsed(path: Path) -> Mapping[str, Any]:
    if (size := path.stat().st_size) > MOST_BYTES:
        raise WrongUse(ConfigCode.PROJECT_FILE_TOO_LARGE, size=size, most=MOST_BYTES)
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _unreadable(path: Path, reason: Problem | Quoted) -> WrongUse:
    return WrongUse(
        ConfigCode.PROJECT_FILE_UNREADABLE, name=path.name, reason=reason, path=str(path)
    )


def _read(tables: Any, folder: Path) -> ProjectSchemes:
    own_schemes: list[ProjectScheme] = []
    checkpoints: dict[str, str | Mapping[str, str]] = {}
    for name, table in entry(f"{FILE} [tool.quantreg.schemes]", tables, check_table).items():
        where = place(name)
        check_keys(entry(where, table, check_table), KEYS, where)
        built_in_name = built_in(name)
        if built_in_name is None:
            own_schemes.append(own_scheme(name, table))
        else:
            _refuse_redefined(name, built_in_name, table)
        canonical = built_in_name or name
        if canonical in checkpoints:
            raise WrongUse(ConfigCode.TWO_TABLES_OF_SCHEME, where=where, scheme=canonical)
        if "checkpoint" in table:
            value = table["checkpoint"]
            checkpoints[canonical] = entry(f"{where} checkpoint", value, check_checkpoint)
    _refuse_same_names(own_schemes)
    return ProjectSchemes(folder, Catalogue(tuple(own_schemes)), checkpoints)


def _refuse_redefined(name: str, built_in_name: str, table: Mapping[str, Any]) -> None:
    where = place(name)
    if not resolve(built_in_name).is_quantized:
        raise WrongUse(ConfigCode.UNQUANTIZED_TABLE, where=where, scheme=built_in_name)
    key = next((key for key in table if key != "checkpoint"), None)
    if key is None:
        return
    if name == built_in_name:
        raise WrongUse(ConfigCode.BUILT_IN_REDEFINED, where=where, key=key, scheme=name)
    raise WrongUse(
        ConfigCode.BUILT_IN_ALIAS_REDEFINED, where=where, key=key, name=name, scheme=built_in_name
    )


def _refuse_same_names(schemes: Sequence[ProjectScheme]) -> None:
    seen: list[ProjectScheme] = []
    for scheme in schemes:
        for name in (scheme.name, *scheme.aliases):
            if (other := Catalogue(tuple(seen)).find(name)) is not None:
                raise WrongUse(
                    ConfigCode.SCHEME_NAME_TAKEN,
                    where=place(scheme.name),
                    name=name,
                    scheme=other.name,
                )
        seen.append(scheme)


def nearest_catalogue() -> Catalogue:
    """Return the schemes of the project that the working folder lies in."""
    path = nearest_file(Path.cwd())
    return read_file(path).catalogue if path is not None else Catalogue()
