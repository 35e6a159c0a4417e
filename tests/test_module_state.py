"""No module of the package keeps anything between two calls; read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_quantreg

ROOT = Path(pytest_quantreg.__file__).parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))

# The package's own schema, compiled once; it never changes.
WITH_CACHE = frozenset({"baselines/sealed_document.py"})

CONTAINERS = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)
MAKERS = frozenset(
    {"dict", "list", "set", "defaultdict", "OrderedDict", "deque", "Counter", "bytearray"}
)
CHANGES = frozenset(
    {
        "add",
        "append",
        "clear",
        "discard",
        "extend",
        "insert",
        "pop",
        "popitem",
        "remove",
        "setdefault",
        "update",
    }
)


def state(source: str, *, may_cache: bool = False) -> list[str]:
    """What in ``source`` could keep something between two calls, none when all is well.

    A module-level dict, list or set is a constant when its name is in capitals, it is
    filled where it is written, and nothing in the module changes it.
    """
    tree = ast.parse(source)
    found = [f"global {', '.join(n.names)}" for n in ast.walk(tree) if isinstance(n, ast.Global)]
    constants = set()
    for name, value, annotation in _assigned(tree):
        if not _is_container(value):
            continue
        read_only = annotation.startswith(("Mapping", "Sequence", "Collection"))
        if name != "__all__" and (name != name.upper() or not (_is_filled(value) or read_only)):
            found.append(f"{name} = {ast.unparse(value)}")
        constants.add(name)
    found += [text for node in ast.walk(tree) if (text := _change(node, constants))]
    return found if may_cache else [*found, *_caches(tree)]


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr, str]]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from ((ast.unparse(one), node.value, "") for one in node.targets)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield ast.unparse(node.target), node.value, ast.unparse(node.annotation)


def _is_container(value: ast.expr) -> bool:
    made = isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in MAKERS
    return made or isinstance(value, CONTAINERS)


def _is_filled(value: ast.expr) -> bool:
    return any(
        getattr(value, field, None) for field in ("keys", "elts", "args", "keywords", "generators")
    )


def _change(node: ast.AST, constants: set[str]) -> str | None:
    """How a node changes one of the constants."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        changed = node.func.attr in CHANGES and ast.unparse(node.func.value) in constants
        return ast.unparse(node) if changed else None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
        return ast.unparse(node) if ast.unparse(node.value) in constants else None
    if isinstance(node, ast.AugAssign):
        return ast.unparse(node) if ast.unparse(node.target) in constants else None
    return None


def _caches(tree: ast.Module) -> list[str]:
    return [
        f"@{ast.unparse(decorator)} {node.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if ast.unparse(decorator).rpartition(".")[2].partition("(")[0] in {"cache", "lru_cache"}
    ]


@pytest.mark.parametrize(
    "source",
    [
        "seen = {}",
        "SEEN = {}",
        "SEEN: dict[str, int] = {}",
        "seen = list()",
        "names = ['a']",
        "NAMES = ['a']\nNAMES.append('b')",
        "NAMES = {'a': 1}\ndef f():\n    NAMES['b'] = 2",
        "NAMES = {'a': 1}\ndef f():\n    del NAMES['a']",
        "NAMES = ['a']\nNAMES += ['b']",
        "def f():\n    global g\n    g = 1",
        "@functools.lru_cache(maxsize=1)\ndef f(): pass",
    ],
)
def test_state_is_recognized(source: str) -> None:
    """Each way to keep state in a module is seen as such."""
    assert state(source)


@pytest.mark.parametrize(
    "source",
    [
        "NAMES = ['a']\nOTHERS = {'a': 1}\n__all__ = ['x']",
        "NONE: Mapping[str, int] = {}",
        "def f():\n    seen = {}\n    seen['a'] = 1",
        "NAMES = ('a',)",
    ],
)
def test_constants_are_no_state(source: str) -> None:
    """Filled constants, read-only ones and local variables are fine."""
    assert state(source) == []


@pytest.mark.parametrize("module", MODULES)
def test_no_module_keeps_state(module: str) -> None:
    """State lives in objects that somebody made and passes on, never in a module."""
    source = (ROOT / module).read_text("utf-8")
    assert state(source, may_cache=module in WITH_CACHE) == []


def test_exceptions_are_needed() -> None:
    """What may cache does, so that the exception does not outlive its reason."""
    assert all(state((ROOT / module).read_text("utf-8")) for module in WITH_CACHE)
