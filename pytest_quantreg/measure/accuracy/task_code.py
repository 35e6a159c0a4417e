"""What a task's own code imports: helpers of the project, and packages from outside it."""

from __future__ import annotations

import ast
import inspect
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

_OURS = ("pytest_quantreg",)
_SITES = {"site-packages", "dist-packages"}
_DISTRIBUTION_NAMES = {"sklearn": "scikit-learn", "yaml": "PyYAML", "bs4": "beautifulsoup4"}
"""Distributions of other names than their modules, that need not be searched for."""

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*").fullmatch

_LONGEST_NAME = 100
"""Of a file that a source is looked through for."""

_STDLIB = Path(os.__file__).resolve().parent
_TASKS = "lm_eval.tasks."
"""Tasks that come with lm-eval share modules; what those import scores their answers too."""


@dataclass(frozen=True)
class Imports:
    """Modules of the project by the place they are imported from, and packages by version.

    With the files beside them that they name.
    """

    helpers: Mapping[str, Path] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)


def is_project(path: Path) -> bool:
    """Return whether a source file is neither installed, nor Python's own, nor lm-eval's."""
    if _SITES & set(path.parts):
        return False
    lm_eval = find_spec("lm_eval")
    others = [] if lm_eval is None else lm_eval.submodule_search_locations or []
    return {_STDLIB, *(Path(location).resolve() for location in others)}.isdisjoint(
        path.resolve().parents
    )


def imports_of(module: str, path: Path) -> Imports:
    """Return all that the module at ``path`` imports, directly or through helpers.

    Imports are read from the source, so that those inside functions count. Nothing is
    imported for this. Modules that cannot be found here are passed over.
    """
    helpers: dict[str, Path] = {}
    outside: dict[str, Path] = {}
    seen = {path.resolve()}
    # A module that was loaded by its path has that for a name, and is in no package.
    waiting = [("" if os.sep in module else module, path)]
    while waiting:
        importer, here = waiting.pop()
        for data in _data_files(here):
            helpers[f"{here.stem}: {data.name}"] = data
        for name in _imported_names(importer, here):
            origin = _origin(name)
            if origin is None or origin.resolve() in seen:
                continue
            if is_project(origin) and name.partition(".")[0] not in _OURS:
                place = name.replace(".", "/")
                packaged = origin.name == "__init__.py"
                helpers[f"{place}/__init__.py" if packaged else f"{place}.py"] = origin
            elif not name.startswith(_TASKS) or origin.parent.name == "tasks":
                outside[name] = origin
                continue
            seen.add(origin.resolve())
            waiting.append((name, origin))
    return Imports(dict(sorted(helpers.items())), _versions(outside))


def packages_of(function: Any) -> Mapping[str, str]:
    """Return the packages that one function of lm-eval uses, with their versions.

    Its metrics share a module that imports more than each of them needs.
    """
    module_globals = getattr(function, "__globals__", {})
    names = set(getattr(getattr(function, "__code__", None), "co_names", ()))
    used_here = globals_of(function).values()
    modules = {value.__name__ for value in used_here if isinstance(value, ModuleType)}
    # A function that imports has the whole dotted name among its names.
    used = {
        name: _origin(name)
        for name in modules
        | {global_name for global_name in names if global_name not in module_globals}
    }
    return _versions({name: origin for name, origin in used.items() if origin is not None})


def globals_of(function: Any) -> Mapping[str, Any]:
    """Return what one function uses of its module, by name; what it is now, not as written."""
    module_globals = getattr(function, "__globals__", {})
    names = getattr(getattr(function, "__code__", None), "co_names", ())
    return {name: module_globals[name] for name in sorted(names) if name in module_globals}


def source_of(definition: Any) -> Path | None:
    """Return the file that a function or class is written in, None without one."""
    try:
        path = inspect.getsourcefile(definition)
    except (OSError, TypeError):
        return None
    return None if path is None else Path(path)


def _imported_names(module: str, path: Path) -> Iterator[str]:
    """Every module that a source may import, parents before children."""
    tree = _parsed(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            if base is not None:
                yield from _with_parents(base)
                yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.Call) and _called_name(node) in ("import_module", "__import__"):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield from _with_parents(first.value)
            else:  # computed here: every text of the source may be the module's name
                yield from chain.from_iterable(
                    map(_with_parents, filter(_DOTTED, _string_constants(tree)))
                )


def _data_files(path: Path) -> Iterator[Path]:
    """Yield the files beside a source that it names: lists of answers, code that it runs."""
    if path.name == "conftest.py":
        return  # those that it names may be logs and reports
    for text in dict.fromkeys(_string_constants(_parsed(path))):
        if len(text) < _LONGEST_NAME and text.isprintable() and Path(text).name == text:
            file = path.parent / text
            if file.suffix not in ("", ".py") and file.is_file():
                yield file


def _parsed(path: Path) -> ast.AST:
    """The syntax tree of a source, an empty one where it is none."""
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], [])


def _string_constants(tree: ast.AST) -> Iterator[str]:
    """Every text that stands in a source."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _absolute(node: ast.ImportFrom, package: str) -> str | None:
    """What ``from`` names, dots resolved; None where they lead out of every package."""
    if not node.level:
        return node.module
    parts = package.split(".") if package else []
    if node.level > len(parts):
        return None
    return ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])


def _called_name(node: ast.Call) -> str:
    return str(getattr(node.func, "attr", None) or getattr(node.func, "id", ""))


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[: count + 1]) for count in range(len(parts)) if all(parts))


def _origin(name: str) -> Path | None:
    """The source of a module, found as an import would, without importing it."""
    loaded = getattr(sys.modules.get(name), "__file__", None)
    if loaded is not None:
        return Path(loaded)
    path: list[str] | None = None
    origin: str | None = None
    for part in _with_parents(name):
        spec = _spec(part, path)
        origin = getattr(spec, "origin", None)
        if origin is not None:
            path = spec.submodule_search_locations or []
        else:  # a package without __init__.py; its spec needs its parent to be imported
            folders = [Path(entry or ".") for entry in (sys.path if path is None else path)]
            path = [str(folder / part.rpartition(".")[2]) for folder in folders]
    return Path(origin) if origin is not None and Path(origin).is_file() else None


def _spec(name: str, path: Any) -> Any:
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, path)
        except Exception:  # finders of third parties raise what they like
            continue
        if spec is not None:
            return spec
    return None


def _versions(outside: Mapping[str, Path]) -> Mapping[str, str]:
    """The distributions of installed modules, with their versions."""
    tops = {
        name.partition(".")[0] for name, origin in outside.items() if _SITES & set(origin.parts)
    }
    tops = {_DISTRIBUTION_NAMES.get(top, top) for top in tops - {"lm_eval", *_OURS}}
    installed = {top: _installed_version(top) for top in tops}
    versions = {top: version for top, version in installed.items() if version is not None}
    # Half a second where many packages are installed, so only for those of other names.
    names = metadata.packages_distributions() if len(versions) < len(installed) else {}
    others = {
        distribution
        for top in installed
        if top not in versions
        for distribution in names.get(top, ())
    }
    return dict(
        sorted(
            {
                **versions,
                **{distribution: metadata.version(distribution) for distribution in others},
            }.items()
        )
    )


def _installed_version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
