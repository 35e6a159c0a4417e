"""The arrows between the rooms of the package, read from every import in its sources."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path

import pytest_quantreg
from pytest_quantreg.backends import BUILT_IN

ROOT = Path(pytest_quantreg.__file__).parent
PACKAGE = "pytest_quantreg"

BELOW = ("backends", "baselines", "measure", "config")
"""The floor above core, whose rooms do not import each other."""

EVERYTHING = frozenset({"core", *BELOW, "imports", "report", "gating"})

MAY_IMPORT: Mapping[str, frozenset[str]] = {
    "core": frozenset(),
    **dict.fromkeys(BELOW, frozenset({"core"})),
    "imports": frozenset({"baselines", "core"}),
    "report": frozenset({"baselines", "core"}),
    "testing": frozenset({"backends", "measure", "core"}),
    "gating": frozenset({"measure", "backends", "baselines", "core"}),
    "plugin": EVERYTHING,
    "cli": EVERYTHING,
}
"""Room -> the other rooms that it may import."""

ENGINES = frozenset(
    {
        "accelerate",
        "compressed_tensors",
        "datasets",
        "gguf",
        "huggingface_hub",
        "llama_cpp",
        "llmcompressor",
        "lm_eval",
        "safetensors",
        "tokenizers",
        "torch",
        "transformers",
        "vllm",
    }
)
# Conformance asks engines by the requests that lm-eval makes.
WITH_ENGINES = frozenset({"backends", "measure", "testing"})

PURE = frozenset(
    {
        "__future__",
        "collections",
        "dataclasses",
        "difflib",
        "enum",
        "functools",
        "hashlib",
        "itertools",
        "json",
        "math",
        "numpy",
        "packaging",
        "statistics",
        "re",
        "scipy",
        "types",
        "typing",
    }
)
"""All that core may import from outside: nothing that reads files, clock or environment."""

# Settings hold paths as values, and secrets are spelled as in addresses; nothing is opened.
IMPURE = {("core.settings", "pathlib"), ("core.secret_values", "urllib")}

WITH_PYTEST = frozenset({"plugin", "testing"})
WITH_XDIST = frozenset({"plugin.xdist_scheduling"})

# A process of its own needs an environment; nothing is decided by what is read.
# A key for a server is to be found nowhere else.
WITH_ENVIRONMENT = frozenset(
    {
        *("plugin.options", "plugin.cache_folder"),
        *("backends.process.child", "backends.openai.api_key", "backends.vllm.backend"),
    }
)

# Imported when a model is first asked for, so that reading scripts needs no lm-eval.
LATE = {("testing.scripted", "testing.scripted_lm")}


@dataclass(frozen=True)
class Import:
    """One imported name; ``module`` is absolute, ``typing`` whether only types need it."""

    module: str
    typing: bool

    @property
    def top(self) -> str:
        """The distribution's first name, such as ``torch``."""
        return self.module.partition(".")[0]

    @property
    def ours(self) -> bool:
        """Whether it is a part of the package."""
        return self.top == PACKAGE


def imports(source: str, package: str) -> Iterator[Import]:
    """Every import in ``source``, also in functions and under TYPE_CHECKING."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            child.parent = node  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        for name in _names(node, package):
            yield Import(name, _is_for_types(node))


def _names(node: ast.AST, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*(above if node.level else []), *([node.module] if node.module else [])])
        return [f"{base}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
        ("import_module", "__import__")
    ):
        return [word.value for word in node.args[:1] if _is_text(word)]  # type: ignore[attr-defined]
    return []


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_for_types(node: ast.AST) -> bool:
    while (parent := getattr(node, "parent", None)) is not None:
        if isinstance(parent, ast.If) and ast.unparse(parent.test).endswith("TYPE_CHECKING"):
            return node in parent.body
        node = parent
    return False


@cache
def sources() -> Mapping[str, str]:
    """Module -> source; the names are relative to the package, ``core.stats``."""
    texts = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        texts[".".join(part for part in parts if part != "__init__")] = path.read_text("utf-8")
    return texts


@cache
def imports_of(module: str) -> tuple[Import, ...]:
    """The imports of one module of the package."""
    full = f"{PACKAGE}.{module}" if module else PACKAGE
    is_package = not module or (ROOT.joinpath(*module.split("."))).is_dir()
    return tuple(imports(sources()[module], full if is_package else full.rpartition(".")[0]))


def target(entry: Import) -> str:
    """The module of the package that an import reaches, ``""`` for the package itself."""
    parts = entry.module.split(".")[1:]
    while parts and ".".join(parts) not in sources():
        parts.pop()
    return ".".join(parts)


def room(module: str) -> str:
    """The first name of a module: its room, or itself."""
    return module.partition(".")[0]


def each_module(check: Callable[[str], None]) -> Callable[[], None]:
    """A test that holds of every module; its failure shows of which it does not."""

    @wraps(check)
    def test() -> None:
        for module in filter(None, sources()):
            check(module)

    del test.__wrapped__  # pytest would ask for a fixture "module"
    return test


def test_reader_sees_every_import() -> None:
    """The reader finds imports in functions, under TYPE_CHECKING, relative and dynamic ones."""
    source = """
import a.b
from c import d
if TYPE_CHECKING:
    from . import e
else:
    from .. import f
def g():
    from ..core.h import i
    importlib.import_module("torch.nn")
"""
    read = [(entry.module, entry.typing) for entry in imports(source, "pytest_quantreg.gating")]
    assert sorted(read) == [
        ("a.b", False),
        ("c.d", False),
        ("pytest_quantreg.core.h.i", False),
        ("pytest_quantreg.f", False),
        ("pytest_quantreg.gating.e", True),
        ("torch.nn", False),
    ]


@each_module
def test_arrows_point_one_way(module: str) -> None:
    """A room imports only the rooms below it; the version may be read from everywhere."""
    reached = {room(target(entry)) for entry in imports_of(module) if entry.ours} - {""}
    assert room(module) in MAY_IMPORT, f"{module} stands in no room"
    assert reached <= MAY_IMPORT[room(module)] | {room(module)}


@each_module
def test_engines_stay_in_their_rooms(module: str) -> None:
    """Only backends and measure import engines, not even for types elsewhere."""
    used = {entry.top for entry in imports_of(module)} & ENGINES
    assert not used or room(module) in WITH_ENGINES


@each_module
def test_pytest_stays_outside_the_rooms(module: str) -> None:
    """Rooms know nothing of pytest and xdist; a report may name pytest's types."""
    needed = {entry.top for entry in imports_of(module) if not entry.typing}
    named = {entry.top for entry in imports_of(module)}
    assert not needed & {"pytest", "_pytest", "pluggy"} or room(module) in WITH_PYTEST
    assert "xdist" not in named or module in WITH_XDIST
    assert "pytest" not in named or room(module) in {*WITH_PYTEST, "report"}
    assert "_pytest" not in named


@each_module
def test_core_is_pure(module: str) -> None:
    """core has no pytest, files, clock, environment or engine."""
    if room(module) != "core":
        return
    outside = {entry.top for entry in imports_of(module) if not entry.ours}
    assert {name for name in outside - PURE if (module, name) not in IMPURE} == set()
    called = {
        node.func.id
        for node in ast.walk(ast.parse(sources()[module]))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called.isdisjoint({"open", "input", "print", "exec", "eval"})


@each_module
def test_environment_is_read_in_one_place(module: str) -> None:
    """os.environ is read by options alone, so that a run can be told by its Settings."""
    words = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    used = {
        name
        for node in ast.walk(ast.parse(sources()[module]))
        for name in (getattr(node, "attr", None), getattr(node, "name", None))
        if name in words
    }
    assert not used or module in WITH_ENVIRONMENT


@each_module
def test_engines_know_nothing_of_each_other(module: str) -> None:
    """What two backends need lies beside them, not in one of them."""
    kind, _, rest = module.partition(".")
    own = rest.partition(".")[0]
    if kind != "backends" or own not in BUILT_IN:
        return
    others = tuple(f"backends.{name}." for name in BUILT_IN if name != own)
    reached = {f"{target(entry)}." for entry in imports_of(module) if entry.ours}
    assert [name for name in reached if name.startswith(others)] == []


def test_no_import_cycles() -> None:
    """No module reaches itself; an import for types alone is no import."""
    edges = {
        module: {target(entry) for entry in imports_of(module) if entry.ours and not entry.typing}
        - {""}
        for module in sources()
    }
    for module, late in LATE:
        edges[module].remove(late)
    while leaves := {name for name, reached in edges.items() if not reached & edges.keys()}:
        edges = {name: reached for name, reached in edges.items() if name not in leaves}
    assert edges == {}


def test_exceptions_are_needed() -> None:
    """What the lists above allow is done somewhere, so that they do not outlive their reason."""
    assert all(any(entry.top == name for entry in imports_of(module)) for module, name in IMPURE)
    assert sources().keys() >= WITH_XDIST | WITH_ENVIRONMENT


def test_the_package_holds_rooms_alone() -> None:
    """Nothing lies loose beside the rooms."""
    assert {room(module) for module in sources() if module} == MAY_IMPORT.keys()
    loose = {path.name for path in ROOT.iterdir() if path.is_file()}
    assert loose == {"__init__.py", "py.typed"}


@each_module
def test_no_name_of_a_package_hides_a_module(module: str) -> None:
    """A function or fixture named as a module beside it is lost when that is imported."""
    folder = ROOT.joinpath(*module.split("."))
    if not folder.is_dir():
        return
    modules = {path.stem for path in folder.iterdir()}
    for node in ast.parse(sources()[module]).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            assert node.name not in modules
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            assert modules.isdisjoint(alias.asname or alias.name for alias in node.names)


def test_shims_are_for_others() -> None:
    """The import paths that are kept for third-party backends serve nothing of ours."""
    reached = {target(entry) for module in sources() for entry in imports_of(module) if entry.ours}
    assert reached.isdisjoint({"core.record", "core.speed"})


@each_module
def test_every_module_says_what_lives_there(module: str) -> None:
    """Each module opens with a docstring whose first line is a sentence or a signature's table."""
    text = ast.get_docstring(ast.parse(sources()[module]))
    assert text
    assert text.splitlines()[0].endswith((".", ":"))


@each_module
def test_functions_are_short(module: str) -> None:
    """No function is longer than 50 lines."""
    lengths = {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(ast.parse(sources()[module]))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: length for name, length in lengths.items() if length > 50} == {}
