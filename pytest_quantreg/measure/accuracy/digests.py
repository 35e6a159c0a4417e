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
    asked = [[request.request_type, *request.args] for request in requests]
    return sha(json.dumps(plain([asked, doc, target]), sort_keys=True))[:DIGITS]


def copy_keys(requests: Sequence[Any], doc: Any, target: Any) -> tuple[str, str]:
    """What copies of an item have in common, also those that differ in their examples."""
    return item_clusters.copy_keys(plain(doc), plain(target), [plain(one.args) for one in requests])


def config_digest(task: Any) -> str:
    """Covers a task's file after overrides, with the modules of its functions.

    Not where its data lies: the same task file on another machine has the same digest.
    Metrics, aggregations and filters that the project has registered by name count with
    their modules, as does a class of the task's own.
    """
    return sha(json.dumps(plain(_held(task)), sort_keys=True))


def code_of(task: Any) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the project's files that the digest covers, and the packages that they import.

    Each file with the beginning of its sha256, each package with its version; with those
    that lm-eval's own metrics of the task use.
    """
    files: dict[str, str] = {}
    packages: dict[str, str] = {}
    for named in _named_in(_held(task)):
        source = _module_source(named)
        if isinstance(source, Mapping):
            helpers = source.get("imports", {})
            files.update({name: text for name, text in source.items() if name != "imports"})
            files.update(helpers)
        packages.update(_imports(named).packages)
    for function in (*_metrics(task).values(), *_aggregations(task).values()):
        packages.update(packages_of(function))
        packages.update(_imports(type(getattr(function, "__self__", None))).packages)
    return {name: files[name][:DIGITS] for name in sorted(files)}, dict(sorted(packages.items()))


def _held(task: Any) -> dict[str, Any]:
    """All of a task that decides what is asked and how answers are scored."""
    config, owner = task.config, type(task)
    held = {
        one.name: getattr(config, one.name) for one in fields(config) if one.name not in NOT_PROMPTS
    }
    if not owner.__module__.startswith("lm_eval.api."):
        held["class"] = owner
    if registered := {name: one for name, one in _registered(task) if _is_of_project(one)}:
        held["registered"] = registered
    if replaced := dict(_replaced(task)):
        held["replaced"] = replaced
    return held


def _replaced(task: Any) -> Iterator[tuple[str, Any]]:
    """What a conftest of the project has put in the place of lm-eval's own scoring."""
    steps = [
        getattr(one, "func", one) for each in getattr(task, "_filters", ()) for one in each.filters
    ]
    kinds = [type(task), *(one if isinstance(one, type) else type(one) for one in steps)]
    for kind in dict.fromkeys(chain.from_iterable(one.__mro__ for one in kinds)):
        if kind.__module__.startswith("lm_eval."):
            for name, one in vars(kind).items():
                if inspect.isfunction(one) and _is_of_project(one):
                    yield f"{kind.__name__}.{name}", one
    for metric, function in {**_aggregations(task), **_metrics(task)}.items():
        if not _is_of_project(function):
            for name, one in globals_of(function).items():
                if callable(one) and _is_of_project(one):
                    yield f"{getattr(metric, '__name__', metric)}: {name}", one


def _registered(task: Any) -> Iterator[tuple[str, Any]]:
    """What the task's file names by a text that lm-eval looks up in its registries."""
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


def _named_in(value: Any) -> Iterator[Any]:
    """The functions and classes in a configuration, as `plain` meets them."""
    if isinstance(value, Mapping) and not is_dataclass(value):
        value = tuple(value.values())
    if is_dataclass(value) and not isinstance(value, type):
        value = tuple(getattr(value, one.name) for one in fields(value))
    if isinstance(value, (list, tuple, set, frozenset)):
        for one in value:
            yield from _named_in(one)
    elif isinstance(value, functools.partial):
        yield from _named_in((value.func, value.args, value.keywords))
    elif callable(value):
        yield _named(value)
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
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(one) for one in value), key=repr)
    if isinstance(value, (bytes, bytearray)):
        return hashlib.sha256(value).hexdigest()[:DIGITS]
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    return _code(value)


def _code(value: Any) -> Any:
    # Never repr(): it holds addresses that differ from process to process.
    if isinstance(value, functools.partial):
        return [_code(value.func), plain(value.args), plain(value.keywords)]
    named = _named(value)
    code = {"code": named.__qualname__, "module": _module_source(named)}
    if around := [_module_source(one) for one in _wrappers(value)]:
        code["around"] = around
    return code


def _wrappers(value: Any) -> list[Any]:
    """The project's functions around one of another file: they too decide what it returns."""
    around = []
    while hasattr(value, "__wrapped__"):
        around.append(value)
        value = value.__wrapped__
    inner = source_of(value)
    files = [(one, source_of(one)) for one in around]
    return [one for one, path in files if path not in (None, inner) and is_project(path)]


def _named(value: Any) -> Any:
    value = inspect.unwrap(value) if callable(value) else value
    return value if hasattr(value, "__qualname__") else type(value)


def _module_source(named: Any) -> Any:
    # The whole module, since a task's function calls others beside it; and where it is a
    # task's own, the modules that lie beside that one and all of the project's that it
    # imports: a helper decides what counts as right as much as the function itself.
    path = source_of(named)
    if path is None:
        return None
    try:
        if not is_project(path):
            return sha(path.read_text("utf-8"))
        beside = sorted(path.parent.glob("*.py"))
        found: dict[str, Any] = {one.name: sha(one.read_text("utf-8")) for one in beside}
        known = {one.resolve() for one in beside}
        further = {
            # Undecodable bytes stay what they are: a helper may be a compiled module.
            place: sha(one.read_text("utf-8", "surrogateescape"))
            for place, one in _imports(named).helpers.items()
            if one.resolve() not in known
        }
    except (OSError, UnicodeDecodeError):
        return None
    return {**found, "imports": further} if further else found


def _is_of_project(named: Any) -> bool:
    path = None if named is None else source_of(_named(named))
    return (path is not None and is_project(path)) or bool(_wrappers(named))


def _imports(named: Any) -> Imports:
    path = source_of(named)
    # A decorated function names the module of what it wraps.
    module = getattr(named, "__globals__", {}).get("__name__", named.__module__)
    return Imports() if path is None else imports_of(str(module), path)
