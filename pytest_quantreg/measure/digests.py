"""Digests of items and of a task's file, and the one order in which items are measured."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

import numpy as np

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


def config_digest(config: Any, owner: type) -> str:
    """Covers a task's file after overrides, with the modules of its functions.

    Not where its data lies: the same task file on another machine has the same digest.
    ``owner`` is the task's class; one of the task's own counts with its module.
    """
    held = {
        one.name: getattr(config, one.name) for one in fields(config) if one.name not in NOT_PROMPTS
    }
    if not owner.__module__.startswith("lm_eval.api."):
        held["class"] = owner
    return sha(json.dumps(plain(held), sort_keys=True))


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
    value = inspect.unwrap(value) if callable(value) else value
    named = value if hasattr(value, "__qualname__") else type(value)
    return {"code": named.__qualname__, "module": _module_source(named)}


def _module_source(named: Any) -> Any:
    # The whole module, since a task's function calls others beside it; and where it is a
    # task's own, the modules that lie beside that one, since it may import them.
    try:
        path = inspect.getsourcefile(named)
        if path is None:
            return None
        if "lm_eval" in Path(path).parts or "site-packages" in Path(path).parts:
            return sha(Path(path).read_text("utf-8"))
        beside = sorted(Path(path).parent.glob("*.py"))
        return {one.name: sha(one.read_text("utf-8")) for one in beside}
    except (OSError, TypeError, UnicodeDecodeError):
        return None
