"""Digests of items and of a task's file, and the one order in which items are measured."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, time
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ...core.comparison import item_clusters
from .task_code import Imports, globals_of, imports_of, is_project, packages_of, source_of

DIGITS = 20  # 80 bits: two of a million items collide once in 10^12 tasks

NOT_PROMPTS = {
    "task",
    "task_alias",
    "tag",
    "custom_dataset",
    "dataset_path",
    "dataset_name",
    "dataset_kwargs",
    "metadata",
}
"""What says where a task's data lies, not what is asked: the item digests cover the data."""


def sha(text: str) -> str:
    """The sha256 of a text, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def item_digest(requests: Sequence[Any], doc: Any, target: Any) -> str:
    """Covers all arguments of all requests of an item, its document and its target.

    The document is part of it because filters and a task's own scoring read it.
    """
    arguments = [[request.request_type, *request.args] for request in requests]
    return sha(json.dumps(plain([arguments, doc, target]), sort_keys=True))[:DIGITS]


def copy_keys(requests: Sequence[Any], doc: Any, target: Any) -> tuple[str, str]:
    """What copies of an item have in common, also those that differ in their examples."""
    return item_clusters.copy_keys(
        plain(doc), plain(target), [plain(request.args) for request in requests]
    )


def config_digest(task: Any) -> str:
    """Covers a task's file after overrides, with the modules of its functions.

    Not where its data lies: the same task file on another machine has the same digest.
    Metrics, aggregations and filters that the project has registered by name count with
    their modules, as does a class of the task's own.
    """
    return sha(json.dumps(plain(_digested_settings(task)), sort_keys=True))


def code_of(task: Any) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the project's files that the digest covers, and the packages that they import.

    Each file with the beginning of its sha256, each package with its version; with those
    that lm-eval's own metrics of the task use.
    """
    files: dict[str, str] = {}
    packages: dict[str, str] = {}
    for definition in _definitions_in(_digested_settings(task)):
        source = _module_source(definition)
        if isinstance(source, Mapping):
            helpers = source.get("imports", {})
            files.update({name: text for name, text in source.items() if name != "imports"})
            files.update(helpers)
        packages.update(_imports(definition).packages)
    for function in (*_metrics(task).values(), *_aggregations(task).values()):
        packages.update(packages_of(function))
        packages.update(_imports(type(getattr(function, "__self__", None))).packages)
    return {name: files[name][:DIGITS] for name in sorted(files)}, dict(sorted(packages.items()))


def _digested_settings(task: Any) -> dict[str, Any]:
    """Collect all of a task that decides its prompts and how its answers are scored."""
    config, owner = task.config, type(task)
    settings = {
        field.name: getattr(config, field.name)
        for field in fields(config)
        if field.name not in NOT_PROMPTS
    }
    if not owner.__module__.startswith("lm_eval.api."):
        settings["class"] = owner
    if registered := {
        name: function for name, function in _registered_functions(task) if _is_of_project(function)
    }:
        settings["registered"] = registered
    if replaced := dict(_replaced_functions(task)):
        settings["replaced"] = replaced
    return settings


def _replaced_functions(task: Any) -> Iterator[tuple[str, Any]]:
    """Yield the functions with which the project replaces lm-eval's own scoring, by name."""
    steps = [
        getattr(step, "func", step)
        for ensemble in getattr(task, "_filters", ())
        for step in ensemble.filters
    ]
    kinds = [type(task), *(step if isinstance(step, type) else type(step) for step in steps)]
    for kind in dict.fromkeys(chain.from_iterable(class_.__mro__ for class_ in kinds)):
        if kind.__module__.startswith("lm_eval."):
            for name, member in vars(kind).items():
                if inspect.isfunction(member) and _is_of_project(member):
                    yield f"{kind.__name__}.{name}", member
    for metric, function in {**_aggregations(task), **_metrics(task)}.items():
        if not _is_of_project(function):
            for name, value in globals_of(function).items():
                if callable(value) and _is_of_project(value):
                    yield f"{getattr(metric, '__name__', metric)}: {name}", value


def _registered_functions(task: Any) -> Iterator[tuple[str, Any]]:
    """Yield the functions and classes that the task's file names from lm-eval's registries."""
    metrics, aggregations = _metrics(task), _aggregations(task)
    for entry in getattr(task.config, "metric_list", None) or ():
        name = entry.get("metric")
        if isinstance(name, str):
            yield f"metric {name}", metrics.get(name)
            if Path(name).exists():  # a script that the package evaluate has loaded
                yield f"script {name}", type(getattr(metrics.get(name), "__self__", None))
        if isinstance(entry.get("aggregation"), str):
            yield f"aggregation {name}", aggregations.get(getattr(name, "__name__", name))
    for ensemble in getattr(task, "_filters", ()):
        for step in ensemble.filters:
            kind = getattr(step, "func", step)
            yield f"filter {getattr(kind, '__qualname__', '')}", kind


def _metrics(task: Any) -> Mapping[str, Any]:
    return getattr(task, "_metric_fn_list", {})


def _aggregations(task: Any) -> Mapping[str, Any]:
    return getattr(task, "_aggregation_list", {})


def _definitions_in(value: Any) -> Iterator[Any]:
    """The functions and classes in a configuration, as `plain` meets them."""
    if isinstance(value, Mapping) and not is_dataclass(value):
        value = tuple(value.values())
    if is_dataclass(value) and not isinstance(value, type):
        value = tuple(getattr(value, field.name) for field in fields(value))
    if isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _definitions_in(item)
    elif isinstance(value, functools.partial):
        yield from _definitions_in((value.func, value.args, value.keywords))
    elif callable(value):
        yield _definition_of(value)
        yield from _wrappers(value)


def permutation(digests: Sequence[str], task: str, seed: int) -> list[int]:
    """Positions of the items in the order they are measured.

    Depends on the seed, the task's name and the digests alone, not on the order of
    the file. Equal items are told apart by counting them, so any of them is as good.
    """
    seen: Counter[str] = Counter()
    keys = []
    for digest in digests:
        keys.append(sha(f"{seed}|{task}|{digest}|{seen[digest]}"))
        seen[digest] += 1
    return sorted(range(len(digests)), key=keys.__getitem__)


def plain(value: Any) -> Any:
    """``value`` in JSON types, the same on every machine and in every process."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping) and not is_dataclass(value):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=repr)
    if isinstance(value, (bytes, bytearray)):
        return hashlib.sha256(value).hexdigest()[:DIGITS]
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return _code(value)


def _code(value: Any) -> Any:
    # Never repr(): it holds addresses that differ from process to process.
    if isinstance(value, functools.partial):
        return [_code(value.func), plain(value.args), plain(value.keywords)]
    definition = _definition_of(value)
    code = {"code": definition.__qualname__, "module": _module_source(definition)}
    if wrappers := [_module_source(wrapper) for wrapper in _wrappers(value)]:
        code["around"] = wrappers
    return code


def _wrappers(value: Any) -> list[Any]:
    """The project's functions around one of another file: they too decide what it returns."""
    wrappers = []
    while hasattr(value, "__wrapped__"):
        wrappers.append(value)
        value = value.__wrapped__
    inner = source_of(value)
    files = [(wrapper, source_of(wrapper)) for wrapper in wrappers]
    return [wrapper for wrapper, path in files if path not in (None, inner) and is_project(path)]


def _definition_of(value: Any) -> Any:
    value = inspect.unwrap(value) if callable(value) else value
    return value if hasattr(value, "__qualname__") else type(value)


def _module_source(definition: Any) -> Any:
    # The whole module, since a task's function calls others beside it; and where it is a
    # task's own, the modules that lie beside that one and all of the project's that it
    # imports: a helper decides what counts as right as much as the function itself.
    path = source_of(definition)
    if path is None:
        return None
    try:
        if not is_project(path):
            return sha(path.read_text("utf-8"))
        siblings = sorted(path.parent.glob("*.py"))
        sources: dict[str, Any] = {file.name: sha(file.read_text("utf-8")) for file in siblings}
        sibling_paths = {file.resolve() for file in siblings}
        helpers = {
            # Undecodable bytes stay what they are: a helper may be a compiled module.
            place: sha(helper.read_text("utf-8", "surrogateescape"))
            for place, helper in _imports(definition).helpers.items()
            if helper.resolve() not in sibling_paths
        }
    except (OSError, UnicodeDecodeError):
        return None
    return {**sources, "imports": helpers} if helpers else sources


def _is_of_project(definition: Any) -> bool:
    path = None if definition is None else source_of(_definition_of(definition))
    return (path is not None and is_project(path)) or bool(_wrappers(definition))


def _imports(definition: Any) -> Imports:
    path = source_of(definition)
    # A decorated function names the module of what it wraps.
    module = getattr(definition, "__globals__", {}).get("__name__", definition.__module__)
    return Imports() if path is None else imports_of(str(module), path)
